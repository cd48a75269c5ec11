"""Hopfield networks with random patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from memory import hopfield
from simulator.core.memories import PatternSpec


def hopfield_with(patterns: np.ndarray, seed_list: list[int] | None = None, **config: Any) -> Any:
    """Make Hopfield networks and store patterns [S, P, N]."""
    seed_list = list(range(len(patterns))) if seed_list is None else seed_list
    memory = hopfield.make(PatternSpec((patterns.shape[2],)), seed_list, hopfield.Config(**config))
    memory.store(patterns)
    return memory


def random_patterns(seed: int, *shape: int) -> np.ndarray:
    """Return an array of random -1 and +1."""
    return np.random.Generator(np.random.PCG64(seed)).choice(np.array([-1.0, 1.0], np.float32), shape)
