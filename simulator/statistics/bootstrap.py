"""Seeds drawn again: bootstrap counts that all contestants share, and what statistics become under them.

A resample of S seeds is kept as how often each seed was drawn, so that one draw serves every contestant (comparisons
stay paired) and sums become products of matrices. Challenges are strata: each draws its own seeds.
Shapes: S seeds, M challenges, B resamples, P rows of scores that are resampled together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators
from simulator.statistics.estimates import may_differ, tail

SUMMARIES = ("mean", "iqm", "median", "optimality_gap")
IGNORES = (0.0, 0.25, 0.5, 0.0)  # share of the seeds at either end that each does not raise_if_stopped
_CHUNK = 1 << 20  # draws at once, 8 MB
_BLOCK = 128  # resamples at once


def drawn(present: Array, resamples: int, seed: int = 0) -> Array:
    """How often each seed is drawn in each resample: uint16 [M, B, S], rows sum to the seeds that are there.

    Args:
        present: bool [M, S], which seeds a challenge has; the others are never drawn.
        resamples: B.
        seed: of the draws.
    """
    rng = generators([seed], "bootstrap")[0]
    counts = np.zeros((len(present), resamples, present.shape[1]), np.uint16)
    for m, there in enumerate(present):
        at = np.flatnonzero(there)
        step = max(1, _CHUNK // max(1, len(at)))
        for first in range(0, resamples if len(at) else 0, step):
            n = min(step, resamples - first)
            picks = rng.integers(0, len(at), (n, len(at))) + len(at) * np.arange(n)[:, None]
            counts[m, first : first + n, at] = np.bincount(picks.ravel(), minlength=n * len(at)).reshape(n, -1).T
    return counts


class Summaries(NamedTuple):
    """Statistics of rows of scores and of their resamples; nan where there is no score."""

    value: Array  # [4, P], in the order of SUMMARIES
    resampled: Array  # [4, P, B]


def summaries(values: Array, counts: Array, goal: float = 1.0) -> Summaries:
    """Mean, interquartile mean, median and optimality gap of rows, as they are and under every resample.

    The interquartile mean leaves out the lowest and highest quarter of the draws, rounded down (as
    ``scipy.stats.trim_mean(.25)``); the optimality gap is the mean of max(0, goal - value) (Agarwal et al. 2021,
    section 4.3, where scores are normalised and the goal is gamma = 1).

    Args:
        values: float64 [P, N]; nan: no such seed in this row, left out.
        counts: uint16 [B, N] how often each entry is drawn.
        goal: score from which there is no gap.
    """
    values = np.ascontiguousarray(values, np.float64)
    order = np.argsort(values, axis=1, kind="stable")  # nan last
    ordered, known = np.take_along_axis(values, order, axis=1), np.isfinite(values).sum(axis=1)
    whole = np.ones((1, values.shape[1]), np.uint16)
    found = [np.full((len(SUMMARIES), len(values), len(each)), np.nan) for each in (whole, counts)]
    work = np.zeros((5, _BLOCK), np.int32), np.zeros((3, _BLOCK))
    for each, out in zip((whole, counts), found, strict=True):
        _kernel()((ordered, order, known), np.ascontiguousarray(each.T), float(goal), work, out)
    for p in np.flatnonzero((known > 0) & (ordered[:, 0] == ordered[np.arange(len(known)), known - 1])):
        for out in found:  # not even a rounding error wide
            out[:, p] = np.where(np.isnan(out[:, p]), np.nan, ordered[p, 0])
            out[-1, p] = np.where(np.isnan(out[-1, p]), np.nan, max(0.0, goal - ordered[p, 0]))
    return Summaries(found[0][:, :, 0], found[1])


@cache
def _kernel() -> Callable[..., None]:
    from simulator.core.jit import jit

    return jit(_summarise)  # type: ignore[no-any-return]


def _summarise(rows, counts, goal, work, out):  # type: ignore[no-untyped-def]  # noqa: C901 - compiled loops
    """One pass over sorted rows; counts [N, B] -> out [4, P, B]. Short loops over blocks of B: only so vectorised."""
    (ordered, order, known), (whole, sums) = rows, work
    total, above, inside, left, right = whole[0], whole[1], whole[2], whole[3], whole[4]
    mean, inner, gap = sums[0], sums[1], sums[2]
    for p in range(ordered.shape[0]):
        for first in range(0, counts.shape[1], _BLOCK):
            n = min(_BLOCK, counts.shape[1] - first)
            whole[:], sums[:] = 0, 0.0
            for k in range(known[p]):
                row = counts[order[p, k], first : first + n]
                for b in range(n):
                    total[b] += np.int32(row[b])
            for b in range(n):
                inside[b] = total[b] >> 2
            for k in range(known[p]):
                value = ordered[p, k]
                short, row = max(0.0, goal - value), counts[order[p, k], first : first + n]
                for b in range(n):
                    mean[b] += np.float64(row[b]) * value
                for b in range(n):
                    gap[b] += np.float64(row[b]) * short
                for b in range(n):
                    above[b] += np.int32(row[b])
                for b in range(n):  # draws so far that lie within the middle half
                    drawn, cut = total[b], total[b] >> 2
                    within = min(max(above[b], cut), drawn - cut)
                    inner[b] += np.float64(np.int32(within - inside[b])) * value
                    inside[b] = within
                for b in range(n):  # where the lower and the upper middle draw are
                    left[b] += np.int32(above[b] <= (total[b] - 1) >> 1)
                for b in range(n):
                    right[b] += np.int32(above[b] <= total[b] >> 1)
            for b in range(n):
                if total[b]:
                    scale = total[b] - 2 * (total[b] >> 2)
                    out[0, p, first + b], out[1, p, first + b] = mean[b] / total[b], inner[b] / scale
                    out[2, p, first + b] = 0.5 * ordered[p, left[b]] + 0.5 * ordered[p, right[b]]
                    out[3, p, first + b] = gap[b] / total[b]


def ends(resampled: Array, level: float, n: Any, df: Any = None, *, ignores: Any = 0.0) -> tuple[Array, Array]:
    """The two ends of the percentile interval, widened for few seeds; see :func:`simulator.statistics.estimates.tail`.

    Args:
        resampled: [..., B]; resamples that are nan are left out.
        level: share of the distribution of the statistic inside.
        n: seeds behind each row, broadcast to [...]; below 2 there is no interval.
        df: degrees of freedom, likewise; n - 1 where None.
        ignores: share of the seeds that can be anything without changing the statistic, likewise: .25 of an
            interquartile mean.

    Returns:
        low and high, float64 [...], nan where there is none. Nor is there one where all resamples are equal, of seeds
        so few that more than ``ignores`` of all seeds may differ from them; see
        :func:`simulator.statistics.estimates.interval`.
    """
    rows, shape = resampled.reshape(-1, resampled.shape[-1]), resampled.shape[:-1]
    n = np.broadcast_to(n, shape).ravel().astype(np.float64)
    df = n - 1.0 if df is None else np.broadcast_to(df, shape).ravel().astype(np.float64)
    band, known = np.full((2, len(rows)), np.nan), np.isfinite(rows)
    whole = known.all(axis=1) & (n > 1)
    for size, free in {*zip(n[whole].tolist(), df[whole].tolist(), strict=True)}:
        at = whole & (n == size) & (df == free)
        share = tail(level, size, free)
        band[0, at], band[1, at] = _quantile(rows[at], share), 0.0 - _quantile(-rows[at], share)
    for i in np.flatnonzero(~whole & (n > 1) & known.any(axis=1)):
        share = tail(level, n[i], df[i])
        some = rows[i : i + 1, known[i]]
        band[:, i : i + 1] = _quantile(some, share), 0.0 - _quantile(-some, share)
    some = known.any(axis=1)
    first = rows[np.arange(len(rows)), known.argmax(axis=1)]
    equal = some & ((rows == first[:, None]) | ~known).all(axis=1) & (n > 1)
    band[:, equal & (may_differ(np.maximum(n, 1.0), level) > np.broadcast_to(ignores, shape).ravel())] = np.nan
    low, high = band.reshape(2, *shape)
    return low, high


def _quantile(rows: Array, share: float) -> Array:
    """``np.quantile(rows, share, axis=1)`` of rows [P, B]; for a small share three times as fast."""
    at = share * (rows.shape[1] - 1)
    k = min(int(at), rows.shape[1] - 2) if rows.shape[1] > 1 else 0
    parted = np.partition(rows, min(k + 1, rows.shape[1] - 1), axis=1)
    low = parted[:, : k + 1].max(axis=1)
    return np.asarray(low + (at - k) * (parted[:, min(k + 1, rows.shape[1] - 1)] - low))
