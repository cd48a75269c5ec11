"""Random patterns of -1 and +1, and corrupted copies."""

from __future__ import annotations

import numpy as np

from simulator.core import rng
from tests.helpers.seeding import FIRST_SEED, seed_list


def random_patterns(seed: int, *shape: int) -> np.ndarray:
    """Return an array of random -1 and +1."""
    return np.random.Generator(np.random.PCG64(seed)).choice(np.array([-1.0, 1.0], np.float32), shape)


def learned_patterns(n_seeds: int, n_patterns: int, n_units: int, seed: int = 0) -> np.ndarray:
    """Return patterns [S, P, N] of tests that judge learning: of one stream, numbered from ``FIRST_SEED`` on."""
    generator = np.random.Generator(np.random.PCG64(FIRST_SEED + seed))
    return np.where(generator.random((n_seeds, n_patterns, n_units)) < 0.5, -1.0, 1.0).astype(np.float32)


def flipped(patterns: np.ndarray, prob: float, seed: int = 1) -> np.ndarray:
    """Return the patterns with every unit flipped with this probability."""
    generator = np.random.Generator(np.random.PCG64(FIRST_SEED + seed))
    return np.where(generator.random(patterns.shape) < prob, -patterns, patterns)


def patterns_of_seeds(n_seeds: int, n_patterns: int, n_units: int, first: int = 0) -> np.ndarray:
    """Return patterns [S, P, N], each seed's of its own stream."""
    streams = rng.generators(seed_list(n_seeds, first), "patterns")
    found = [np.where(stream.random((n_patterns, n_units)) < 0.5, 1.0, -1.0) for stream in streams]
    return np.stack(found).astype(np.float32)
