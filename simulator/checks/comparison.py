"""Comparison of states and results to the bit, and of one seed's part with the same seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulator.core.protocols import Array


def differences(a: Any, b: Any, place: str = "") -> Iterator[str]:
    """Name the places where two nested results differ in a bit, and by how much.

    Energies of recall are padded: they have as many iterations as the slowest cue.
    """
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], f"{place}.{key}" if place else str(key))
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for i, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(*pair, f"{place}[{i}]")
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape[:-1] == b.shape[:-1] and place.endswith("energy"):
            a, b = _as_long(a, b), _as_long(b, a)
        if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            yield f"{place} {_by_how_much(a, b)}"
    elif isinstance(a, dict | list | tuple | np.ndarray) or type(a) is not type(b) or not (a == b or a != a):
        yield f"{place} is {a!r:.60} and {b!r:.60}"


def same(a: Any, b: Any, place: str = "") -> None:
    """Assert that two states are equal, bit for bit."""
    first = next(differences(a, b, place), None)
    assert first is None, first


def state_of_seed(state: Any, i: int, n: int) -> Any:
    """Return seed number i of a state of n seeds: row i of every array that leads with the seed axis."""
    if isinstance(state, dict):
        return {key: state_of_seed(value, i, n) for key, value in state.items()}
    if isinstance(state, np.ndarray) and state.ndim and len(state) == n:
        return state[i]
    if isinstance(state, list | tuple) and len(state) == n:
        return state[i]
    return state


def _by_how_much(a: Array, b: Array) -> str:
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"is {a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
    if a.dtype.kind not in "biuf":
        return "differs"
    apart = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    return f"differs by up to {np.nanmax(apart):.3g}" if np.isfinite(apart).any() else "differs"


def _as_long(energy: Array, other: Array) -> Array:
    """Pad a recall's energies to as many iterations as another's, with NaN."""
    short = max(0, other.shape[-1] - energy.shape[-1])
    return np.pad(energy, [(0, 0)] * (energy.ndim - 1) + [(0, short)], constant_values=np.nan)
