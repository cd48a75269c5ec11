"""The one check of what players learned and gave: which seeds hold a number that is not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.core.protocols import Array


def broken_seeds(values: Any, n_seeds: int) -> Array:
    """Mask of seeds with NaN or infinity in a state, bool [S]: arrays, alone or in dicts and lists.

    An array that leads with the seed axis speaks of each seed by itself; any other number is everybody's.
    """
    if isinstance(values, Mapping):
        return _any((broken_seeds(each, n_seeds) for each in values.values()), n_seeds)
    if isinstance(values, list | tuple):
        return _any((broken_seeds(each, n_seeds) for each in values), n_seeds)
    if not isinstance(values, np.ndarray | float | np.floating):
        return np.zeros(n_seeds, np.bool_)
    array = np.asarray(values)
    if array.dtype.kind not in "fc":
        return np.zeros(n_seeds, np.bool_)
    if not array.ndim or len(array) != n_seeds:
        return np.full(n_seeds, not _is_finite(array))
    return np.array([not _is_finite(each) for each in array], np.bool_)


def _is_finite(array: Array) -> bool:
    """Return whether all are finite. A finite sum proves it at once; one that is not may have overflowed."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)) or np.isfinite(array).all())


def _any(found: Any, n_seeds: int) -> Array:
    broken = np.zeros(n_seeds, np.bool_)
    for each in found:
        broken |= each
    return broken
