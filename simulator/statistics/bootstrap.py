"""Bootstrap over seeds that all contestants share: resample counts, statistics of every resample, percentile intervals.

A resample of S seeds is kept as how often each seed was drawn, so that one resample serves every contestant
(comparisons stay paired) and sums become matrix products. Challenges are strata: each resamples its own seeds.
Ours instead of ``scipy.stats.bootstrap`` for these shared resamples, and for speed: four statistics of 20 contestants,
32 seeds and 10,000 resamples take 0.01 CPU seconds, the interquartile mean alone 0.2 by scipy.

Shapes: S seeds, M challenges, B resamples, P rows of scores that are resampled together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators
from simulator.statistics.estimates import Interval, expanded_tail, max_unequal_fraction

STATISTICS = ("mean", "iqm", "median", "optimality_gap")
TRIMMED = (0.0, 0.25, 0.5, 0.0)  # fraction of the seeds at either end that each statistic ignores
_DRAWS_AT_ONCE = 1 << 20  # 8 MB
_BLOCK = 128  # resamples at once


def resample_counts(present: Array, n_bootstrap: int, seed: int = 0) -> Array:
    """Draw how often each seed appears in each resample: uint16 [M, B, S], rows sum to the number of present seeds.

    Args:
        present: bool [M, S], the seeds that a challenge has; the others are never drawn.
        n_bootstrap: B.
        seed: of the random stream.
    """
    rng = generators([seed], "bootstrap")[0]
    counts = np.zeros((len(present), n_bootstrap, present.shape[1]), np.uint16)
    for m, mask in enumerate(present):
        seeds = np.flatnonzero(mask)
        if not len(seeds):
            continue
        chunk = max(1, _DRAWS_AT_ONCE // len(seeds))
        for first in range(0, n_bootstrap, chunk):
            n = min(chunk, n_bootstrap - first)
            draws = rng.integers(0, len(seeds), (n, len(seeds))) + len(seeds) * np.arange(n)[:, None]
            table = np.bincount(draws.ravel(), minlength=n * len(seeds)).reshape(n, -1)
            counts[m, first : first + n, seeds] = table.T
    return counts


class ResampledStatistics(NamedTuple):
    """Statistics of rows of scores and of their resamples; NaN where there is no score."""

    value: Array  # [4, P], in the order of STATISTICS
    resampled: Array  # [4, P, B]


def resampled_statistics(values: Array, counts: Array, goal: float = 1.0) -> ResampledStatistics:
    """Compute mean, interquartile mean, median and optimality gap of rows and of every resample.

    The interquartile mean leaves out the lowest and highest quarter of the draws, rounded down (as
    ``scipy.stats.trim_mean(.25)``); the optimality gap is the mean of max(0, goal - value) (Agarwal et al. 2021,
    section 4.3, where scores are normalised and the goal is gamma = 1).

    Args:
        values: float64 [P, N]; NaN: no such seed in this row, left out.
        counts: uint16 [B, N] how often each entry is drawn.
        goal: score from which there is no gap.
    """
    values = np.ascontiguousarray(values, np.float64)
    order = np.argsort(values, axis=1, kind="stable")  # NaN last
    ordered = np.take_along_axis(values, order, axis=1)
    n_known = np.isfinite(values).sum(axis=1)
    constant = np.flatnonzero((n_known > 0) & (ordered[:, 0] == ordered[np.arange(len(values)), n_known - 1]))
    every_seed_once = np.ones((1, values.shape[1]), np.uint16)
    value, resampled = (
        _statistics_of(ordered, order, n_known, constant, weights, goal) for weights in (every_seed_once, counts)
    )
    return ResampledStatistics(value[:, :, 0], resampled)


def _statistics_of(ordered: Array, order: Array, n_known: Array, constant: Array, counts: Array, goal: float) -> Array:
    """Compute the statistics [4, P, B] of sorted rows [P, N] under counts [B, N]."""
    out = np.full((len(STATISTICS), len(ordered), len(counts)), np.nan)
    tallies = np.zeros((5, _BLOCK), np.int32)
    sums = np.zeros((3, _BLOCK))
    _kernel()(ordered, order, n_known, np.ascontiguousarray(counts.T), float(goal), tallies, sums, out)
    for p in constant:  # not even a rounding error wide
        out[:, p] = np.where(np.isnan(out[:, p]), np.nan, ordered[p, 0])
        out[-1, p] = np.where(np.isnan(out[-1, p]), np.nan, max(0.0, goal - ordered[p, 0]))
    return out


@cache
def _kernel() -> Callable[..., None]:
    from simulator.core.jit import jit  # numba, only where something is resampled

    return jit(_resample_sorted)


def _resample_sorted(ordered, order, n_known, counts, goal, tallies, sums, out):  # noqa: C901 - compiled loops
    """Make one pass over sorted rows; counts [N, B] -> out [4, P, B]. Blocks of B, so that loops are vectorised."""
    total = tallies[0]  # draws of each resample
    above = tallies[1]  # draws up to the current value
    inside = tallies[2]  # of those, within the middle half
    left = tallies[3]  # index of the lower middle draw
    right = tallies[4]  # index of the upper middle draw
    mean = sums[0]
    inner = sums[1]
    gap = sums[2]
    for p in range(ordered.shape[0]):
        for first in range(0, counts.shape[1], _BLOCK):
            n = min(_BLOCK, counts.shape[1] - first)
            tallies[:] = 0
            sums[:] = 0.0
            for k in range(n_known[p]):
                row = counts[order[p, k], first : first + n]
                for b in range(n):
                    total[b] += np.int32(row[b])
            for b in range(n):
                inside[b] = total[b] >> 2
            for k in range(n_known[p]):
                value = ordered[p, k]
                short = max(0.0, goal - value)
                row = counts[order[p, k], first : first + n]
                for b in range(n):
                    mean[b] += np.float64(row[b]) * value
                for b in range(n):
                    gap[b] += np.float64(row[b]) * short
                for b in range(n):
                    above[b] += np.int32(row[b])
                for b in range(n):
                    cut = total[b] >> 2
                    within = min(max(above[b], cut), total[b] - cut)
                    inner[b] += np.float64(np.int32(within - inside[b])) * value
                    inside[b] = within
                for b in range(n):
                    left[b] += np.int32(above[b] <= (total[b] - 1) >> 1)
                for b in range(n):
                    right[b] += np.int32(above[b] <= total[b] >> 1)
            for b in range(n):
                if total[b]:
                    out[0, p, first + b] = mean[b] / total[b]
                    out[1, p, first + b] = inner[b] / (total[b] - 2 * (total[b] >> 2))
                    out[2, p, first + b] = 0.5 * ordered[p, left[b]] + 0.5 * ordered[p, right[b]]
                    out[3, p, first + b] = gap[b] / total[b]


def percentile_interval(resampled: Array, confidence: float, n: Any, df: Any = None, *, trimmed: Any = 0.0) -> Interval:
    """Compute the percentile interval, expanded for few seeds; see ``expanded_tail`` in ``estimates``.

    Args:
        resampled: [..., B]; resamples that are NaN are left out.
        confidence: coverage of the interval.
        n: seeds behind each row, broadcast to [...]; below 2 there is no interval.
        df: degrees of freedom, likewise; n - 1 where None.
        trimmed: fraction of the seeds that the statistic ignores, likewise: .25 of an interquartile mean.

    Returns:
        Low and high, float64 [...], NaN where there is none. Nor is there one where all resamples are equal, and of
        seeds so few more than ``trimmed`` of all seeds may differ from them; see
        :func:`simulator.statistics.estimates.confidence_interval`.
    """
    shape = resampled.shape[:-1]
    rows = resampled.reshape(-1, resampled.shape[-1])
    n = np.broadcast_to(n, shape).ravel().astype(np.float64)
    df = n - 1.0 if df is None else np.broadcast_to(df, shape).ravel().astype(np.float64)
    band = np.full((2, len(rows)), np.nan)
    is_finite = np.isfinite(rows)
    complete = is_finite.all(axis=1) & (n > 1)
    for size, freedom in {*zip(n[complete].tolist(), df[complete].tolist(), strict=True)}:
        alike = complete & (n == size) & (df == freedom)
        tail = expanded_tail(confidence, size, freedom)
        band[:, alike] = np.quantile(rows[alike], [tail, 1.0 - tail], axis=1)
    for i in np.flatnonzero(~complete & (n > 1) & is_finite.any(axis=1)):
        tail = expanded_tail(confidence, n[i], df[i])
        band[:, i] = np.quantile(rows[i, is_finite[i]], [tail, 1.0 - tail])
    first = rows[np.arange(len(rows)), is_finite.argmax(axis=1)]
    equal = is_finite.any(axis=1) & ((rows == first[:, None]) | ~is_finite).all(axis=1) & (n > 1)
    too_few = max_unequal_fraction(np.maximum(n, 1.0), confidence) > np.broadcast_to(trimmed, shape).ravel()
    band[:, equal & too_few] = np.nan
    low, high = band.reshape(2, *shape)
    return Interval(low, high)
