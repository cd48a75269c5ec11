"""Validation of patterns and cues: shapes, finite values, and the domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

BLOCK_VALUES = 1 << 20  # units that are checked at a time


def check(values: Any, n_seeds: int, spec: PatternSpec, what: str, *, domain: str = "continuous") -> Array:
    """Check patterns or cues [S, Q, N], and return them as contiguous float32.

    Args:
        values: patterns or cues.
        n_seeds: seeds S.
        spec: shape of a pattern.
        what: their name in errors: "pattern" or "cue".
        domain: "bipolar" (-1 and +1), "cue" (-1, 0 and +1; 0 is unknown) or "continuous" (from -1 to 1).

    Raises:
        ValueError: another shape, or a value outside the domain; names the first.
    """
    checked = np.ascontiguousarray(values, np.float32)
    if checked.ndim != 3 or checked.shape[0] != n_seeds or checked.shape[2] != spec.n or not checked.shape[1]:
        raise ValueError(f"{what}s of shape {checked.shape}: expected ({n_seeds} seeds, some {what}s, {spec.n} units)")
    rows = checked.reshape(-1, spec.n)
    step = max(1, BLOCK_VALUES // spec.n)
    for first in range(0, len(rows), step):
        is_valid = _is_in_domain(rows[first : first + step], domain)
        if not is_valid.all():
            row, unit = np.argwhere(~is_valid)[0]
            i, q = divmod(first + row, checked.shape[1])
            expected = {"bipolar": "-1 or +1", "cue": "-1, 0 or +1", "continuous": "a number from -1 to 1"}[domain]
            found = f"{what} {q} of seed number {i}: unit {unit} is {rows[first + row, unit]:g}"
            raise ValueError(f"{found}, expected {expected}")
    return checked


def _is_in_domain(values: Array, domain: str) -> Array:
    size = np.abs(values)
    if domain == "continuous":
        return size <= 1.0
    return (size == 1.0) | ((size == 0.0) & (domain == "cue"))


def check_known(known: Any, cues: Array) -> Array:
    """Check the mask of known units, and return it as bool [S, Q, N]; all False for None.

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
    """Check evidence for cues [S, Q, N], and return it as float32 [S, Q, N].

    Raises:
        ValueError: another shape than the cues', or values that are not finite; ``name`` is the memory's.
    """
    checked = np.ascontiguousarray(evidence, np.float32)
    if checked.shape != cues.shape or not np.isfinite(checked).all():
        raise ValueError(f"{name}: evidence of shape {checked.shape}, expected finite numbers of shape {cues.shape}")
    return checked


def hold(patterns: Array, cues: Array, known: Array) -> Array:
    """Return the patterns with the known units set to the cues' values."""
    return np.where(known, cues, patterns)


def one_cue(values: Any) -> Array | None:
    """Return values [N] of one cue as a batch [1, 1, N]; None for None."""
    return None if values is None else np.asarray(values)[None, None]
