"""Likelihoods of cues: agreement of cues and patterns, and corruption seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simulator.core.memories import CERTAIN, PatternSpec
from simulator.core.protocols import Array

_BLOCK = 1 << 24  # comparisons at a time


def by_seed(
    patterns: Array, streams: Sequence[np.random.Generator], corruption: Callable[[Array, np.random.Generator], Array]
) -> Array:
    """Corrupt patterns, float32 [S, Q, N]: ``corruption(patterns [Q, N], stream)`` of every seed.

    Raises:
        ValueError: not one stream for each seed.
    """
    check_streams(patterns, streams)
    cues = np.empty(patterns.shape, np.float32)
    for i, stream in enumerate(streams):
        cues[i] = corruption(patterns[i], stream)
    return cues


def check_streams(patterns: Array, streams: Sequence[np.random.Generator]) -> None:
    """Refuse any other number of streams than there are seeds; see :func:`by_seed`."""
    if len(streams) != len(patterns):
        raise ValueError(f"corruption: found {len(streams)} streams, expected one for each of {len(patterns)} seeds")


def agreements(values: Array, patterns: Array, units: PatternSpec, where: Array | None = None) -> Array:
    """Count the units in which a cue equals a pattern, float64 [S, Q, P].

    Sums of products of signs are whole numbers, which float32 holds exactly up to 2^24 units.

    Args:
        values: cues [S, Q, N]; of bipolar units only -1 and +1 where ``where``.
        patterns: [S, P, N].
        units: specification of a pattern.
        where: bool [S, Q, N], units that count; None: all do.
    """
    if not units.is_bipolar:
        return _equal(values, patterns, where)
    counted = values if where is None else np.where(where, values, np.float32(0))
    n = units.n if where is None else where.sum(axis=2)[..., None]
    products = np.matmul(counted, patterns.transpose(0, 2, 1))
    return np.asarray((n + products.astype(np.float64)) / 2.0)


def _equal(values: Array, patterns: Array, where: Array | None) -> Array:
    """Count agreements of any numbers, compared one by one, a block of cues at a time."""
    n_seeds, n_cues, n = values.shape
    n_patterns = patterns.shape[1]
    result = np.empty((n_seeds, n_cues, n_patterns))
    step = max(1, _BLOCK // max(1, n_patterns * n))
    for i in range(n_seeds):
        for first in range(0, n_cues, step):
            block = slice(first, first + step)
            equal = values[i, block, None] == patterns[i]
            if where is not None:
                equal &= where[i, block, None]
            result[i, block] = equal.sum(axis=2)
    return result


def distances(values: Array, patterns: Array) -> Array:
    """Compute squared distances |q - x|^2, float64 [S, Q, P]."""
    squared = np.empty((len(values), values.shape[1], patterns.shape[1]))
    for i in range(len(values)):
        q = values[i].astype(np.float64)
        x = patterns[i].astype(np.float64)
        squared[i] = (q * q).sum(axis=1)[:, None] + (x * x).sum(axis=1) - 2.0 * (q @ x.T)
    return squared


def only_if(possible: Array, log_likelihood: Array | float) -> Array:
    """Return the log likelihood where it is possible, and -inf elsewhere."""
    return np.where(possible, log_likelihood, -np.inf)


def finite(evidence: Array) -> Array:
    """Clip evidence to CERTAIN, float64."""
    return np.clip(evidence, -CERTAIN, CERTAIN).astype(np.float64)


def half_log_odds(prob: float, other: float) -> float:
    """Return half the logarithm of prob / other, at most CERTAIN in size."""
    with np.errstate(divide="ignore"):
        return float(finite(0.5 * (np.log(np.float64(prob)) - np.log(np.float64(other)))))
