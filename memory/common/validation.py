"""What memories accept: shapes, finite numbers, and the alphabet."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array


def check(values: Any, n_seeds: int, units: PatternSpec, what: str, *, domain: str = "continuous") -> Array:
    """Patterns or cues [S, Q, N] as contiguous float32, if a memory can use them.

    Args:
        values: what was given.
        n_seeds: seeds S.
        units: what a pattern is.
        what: how an error calls them: "pattern" or "cue".
        domain: "bipolar" (-1 and +1), "cue" (-1, 0 and +1; 0 is not known) or "continuous" (from -1 to 1).

    Raises:
        ValueError: another shape, or an entry outside the alphabet; says which.
    """
    found = np.ascontiguousarray(values, np.float32)
    if found.ndim != 3 or found.shape[0] != n_seeds or found.shape[2] != units.n or not found.shape[1]:
        raise ValueError(f"{what}s of shape {found.shape}: expected ({n_seeds} seeds, some {what}s, {units.n} units)")
    good = _inside(found, domain)
    if not good.all():
        i, q, at = np.argwhere(~good)[0]
        expected = {"bipolar": "-1 or +1", "cue": "-1, 0 or +1", "continuous": "a number from -1 to 1"}[domain]
        raise ValueError(f"{what} {q} of seed number {i}: unit {at} is {found[i, q, at]:g}, expected {expected}")
    return found


def _inside(values: Array, domain: str) -> Array:
    size = np.abs(values)
    if domain == "continuous":
        return size <= 1.0
    return (size == 1.0) | ((size == 0.0) & (domain == "cue"))


def check_known(known: Any, cues: Array) -> Array:
    """The mask of trusted units as bool [S, Q, N]; all False where None is given.

    Raises:
        ValueError: another shape than the cues'.
    """
    if known is None:
        return np.zeros(cues.shape, np.bool_)
    mask = np.asarray(known, np.bool_)
    if mask.shape != cues.shape:
        raise ValueError(f"known units of shape {mask.shape}: expected the cues', {cues.shape}")
    return mask


def check_evidence(evidence: Any, cues: Array, name: str) -> Array:
    """Evidence as float32 [S, Q, N].

    Raises:
        ValueError: it has another shape than the cues, or is not finite; ``name`` is the memory's.
    """
    found = np.ascontiguousarray(evidence, np.float32)
    if found.shape != cues.shape or not np.isfinite(found).all():
        raise ValueError(f"{name}: evidence of shape {found.shape}, expected finite numbers of shape {cues.shape}")
    return found


def hold(patterns: Array, cues: Array, known: Array) -> Array:
    """Patterns with the trusted units as the cue has them."""
    return np.where(known, cues, patterns)
