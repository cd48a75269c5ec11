"""Contestants two at a time, paired by seed: who improves on whom, by how much, and whether that is decided.

Shapes: M challenges, S seeds, Q pairs, B resamples or sign flips. A pair (i, j) uses the seeds that both have; nan is
what one of them lacks.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators

EXACT = 12  # differences up to which every sign flip is tried
_SAME = 1e-9  # normalised scores closer than this are equal
_BLOCK = 1_000  # resamples or sign flips at once


def pairs(n: int) -> Array:
    """Every pair i < j of n contestants, int64 [Q, 2]."""
    return np.array(list(combinations(range(n), 2)), np.int64).reshape(-1, 2)


def better(normalised: Array, of: Array) -> Array:
    """Which of each pair did better: 1 the first, 0 the second, 1/2 equal; nan where one is missing.

    Scores closer than 1e-9 of the way from floor to ceiling count as equal: exact values differ by rounding.

    Args:
        normalised: [C, M, S].
        of: pairs, int64 [Q, 2].

    Returns:
        float64 [Q, M, S].
    """
    return 0.5 + 0.5 * np.sign(_grid(difference(normalised, of)))


def difference(normalised: Array, of: Array) -> Array:
    """First less second of each pair, float64 [Q, M, S]."""
    return np.asarray(normalised[of[:, 0]] - normalised[of[:, 1]])


def _grid(gaps: Array) -> Array:
    return np.where(np.abs(gaps) < _SAME, 0.0, gaps)


def whole(rows: Array, terms: int) -> Array:
    """Rows [Q, N] rounded to grids on which sums of ``terms`` of a row's values have no rounding error at all.

    So a product of matrices gives the same bits in whatever order, by however many threads, it is summed. A grid is
    2**-51 * terms of the row's largest value wide, or less.
    """
    top = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    bits = 52 - int(np.ceil(np.log2(max(terms, 2))))
    unit = np.exp2(np.ceil(np.log2(np.where(top > 0.0, top, 1.0))) - bits)
    unit = np.maximum(unit, np.nextafter(0.0, 1.0))  # floats end there: smaller rows lie on that grid as they are
    return np.asarray(np.round(rows / unit) * unit)


def sums(values: Array, counts: Array) -> Array:
    """Sums over challenges and seeds of values [Q, M, S], nan as 0, under resamples: counts [M, B, S] -> [Q, B]."""
    n = values.shape[1] * values.shape[2]
    flat = whole(np.nan_to_num(values).reshape(len(values), n), n)
    found = np.empty((len(flat), counts.shape[1]))
    for first in range(0, counts.shape[1], _BLOCK):
        drawn = np.concatenate(list(counts[:, first : first + _BLOCK]), axis=1).astype(np.float64)  # [B, M * S]
        found[:, first : first + _BLOCK] = flat @ drawn.T
    return found


def means(values: Array) -> Array:
    """Means over seeds of each challenge, averaged over the challenges that have any; [Q, M, S] with nan -> [Q]."""
    known = np.isfinite(values)
    n, total = known.sum(axis=2), np.where(known, values, 0.0).sum(axis=2)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(n > 0, total / np.maximum(n, 1), 0.0).sum(axis=1) / (n > 0).sum(axis=1))


def resampled_means(values: Array, counts: Array) -> Array:
    """The same under each resample: counts [M, B, S] -> [Q, B]; a challenge of which nothing was drawn is left out."""
    known = np.isfinite(values)
    if known.any() and (known == known[0]).all():  # as a rule: then every resample has as many of a challenge
        n = np.maximum(known[0].sum(axis=1), 1)
        return sums(values / (n * np.count_nonzero(known[0].any(axis=1)))[:, None], counts)
    total, challenges = np.zeros((2, len(values), counts.shape[1]))
    for m in range(values.shape[1]):
        part = slice(m, m + 1)
        n = sums(known[:, part].astype(np.float64), counts[part])
        total += np.where(n > 0, sums(values[:, part], counts[part]) / np.maximum(n, 1.0), 0.0)
        challenges += n > 0
    with np.errstate(invalid="ignore"):
        return np.asarray(total / challenges)


def share(values: Array, level: float) -> tuple[Array, Array, Array]:
    """Means of shares between 0 and 1 over seeds, averaged over challenges, with adjusted Wald intervals.

    A bootstrap of a share near 0 or 1 is far too short (of one that is always 1 it has no width). Here z**2 / 2
    seeds of 0 and as many of 1, spread over the challenges, are added before the normal interval is taken: Agresti and
    Coull (1998) for one challenge, Price and Bonett (2004, equation 4) for averages of several.

    Args:
        values: [Q, M, S], nan where missing; challenges without values do not count.
        level: of the intervals.

    Returns:
        value, low and high, each [Q]; nan where there is nothing, no interval for a single seed.
    """
    from scipy.special import ndtri

    z, n = ndtri(0.5 + 0.5 * level), np.isfinite(values).sum(axis=2)
    used, challenges = n > 0, np.maximum((n > 0).sum(axis=1, keepdims=True), 1)
    credit, filled = z * z / 2.0 / challenges, np.nan_to_num(values)
    with np.errstate(invalid="ignore"):
        mean = (filled.sum(axis=2) + credit) / (n + 2.0 * credit)
        spread = ((filled**2).sum(axis=2) + credit) / (n + 2.0 * credit) - mean**2
        centre = np.where(used, mean, 0.0).sum(axis=1) / challenges[:, 0]
        half = z * np.sqrt(np.where(used, spread / (n + 2.0 * credit), 0.0).sum(axis=1)) / challenges[:, 0]
    several = n.max(axis=1, initial=0) > 1
    low, high = (np.where(several, np.clip(end, 0.0, 1.0), np.nan) for end in (centre - half, centre + half))
    return means(values), low, high


def sign_flips(gaps: Array, resamples: int, seed: int = 0) -> Array:
    """Two-sided p-values of paired permutation tests: under the null a seed's two scores may change places.

    The statistic is the mean over challenges of the mean difference over common seeds. Up to ``EXACT`` differences of
    a pair every change of signs is tried; above that random ones are, and p = (1 + as large) / (1 + tried) (Phipson
    and Smyth 2010). Equal to ``scipy.stats.permutation_test(permutation_type="samples")`` of the mean difference.

    Args:
        gaps: differences [Q, M, S], nan where one is missing.
        resamples: random sign flips.
        seed: of the sign flips.

    Returns:
        float64 [Q]; 1 where nothing differs, nan where the two have no seed in common.
    """
    known = np.isfinite(gaps)
    n = known.sum(axis=2)  # [Q, M]
    weights = 1.0 / (np.maximum(n, 1) * np.maximum((n > 0).sum(axis=1, keepdims=True), 1))
    flat = np.where(known, _grid(gaps) * weights[:, :, None], 0.0).reshape(len(gaps), gaps.shape[1] * gaps.shape[2])
    p = np.full(len(gaps), np.nan)
    small = (flat != 0.0).sum(axis=1) <= EXACT
    for q in np.flatnonzero(small & (n > 0).any(axis=1)):
        p[q] = _enumerated(flat[q][flat[q] != 0.0])
    many = np.flatnonzero(~small)
    if len(many):
        p[many] = _random(flat[many], resamples, seed)
    return p


def _enumerated(gaps: Array) -> float:
    """The share of all sign flips of gaps [N] that are as large."""
    signs = 1.0 - 2.0 * (np.arange(1 << len(gaps))[:, None] >> np.arange(len(gaps)) & 1)
    sums = np.abs(signs @ gaps)
    return float(np.mean(sums >= abs(gaps.sum()) - 1e-12 * np.abs(gaps).sum()))


def _random(gaps: Array, resamples: int, seed: int) -> Array:
    """The same by random sign flips, the same for every pair; gaps [Q, N] -> [Q]."""
    rng, used = generators([seed], "permutation")[0], (gaps != 0.0).any(axis=0)
    steps = whole(gaps[:, used], 2 * gaps.shape[1])
    seen = np.abs(steps.sum(axis=1)) - 1e-12 * np.abs(steps).sum(axis=1)
    larger = np.zeros(len(gaps), np.int64)
    for first in range(0, resamples, _BLOCK):
        n = min(_BLOCK, resamples - first)
        signs = 1.0 - 2.0 * rng.integers(0, 2, (n, steps.shape[1]), np.int8)
        flipped = signs @ steps.T
        larger += (np.abs(flipped, out=flipped) >= seen).sum(axis=0)
    return np.asarray((1.0 + larger) / (1.0 + resamples))


def holm(p: Array) -> Array:
    """Holm's correction (1979) of p-values [Q]: holds the chance of any wrong rejection; nan is no hypothesis.

    The k-th smallest of Q is multiplied by Q - k + 1, and none may be smaller than the one before it.
    """
    adjusted, asked = np.full(len(p), np.nan), np.flatnonzero(np.isfinite(p))
    order = asked[np.argsort(p[asked], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def seeds_needed(gaps: Array, wanted: Any = None, power: float = 0.8, alpha: float = 0.05) -> list[int | None]:
    """How many seeds in all would decide a mean difference, by the normal approximation.

    With v_m the variance of the paired differences in challenge m, S seeds in each of M challenges show a mean
    difference of ``wanted`` at level alpha with the given power when S >= (z_{1-alpha/2} + z_power)^2 * mean(v_m) / M
    / wanted^2 (Cohen 1988, section 2.4, of differences).

    Args:
        gaps: [Q, M, S], nan where missing.
        wanted: difference to decide, one or [Q]; None: the one that was seen.
        power: chance of deciding it.
        alpha: chance of deciding where there is none.

    Returns:
        Seeds per challenge, at least 2 and as many as a sign flip test needs to reach alpha at all; None where the
        difference is 0, or fewer than two seeds tell its spread.
    """
    from scipy.special import ndtri

    n = np.isfinite(gaps).sum(axis=2)
    usable = n > 1
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.where(usable, np.nansum(gaps, axis=2) / n, 0.0)
        spread = np.nansum((gaps - centre[:, :, None]) ** 2, axis=2) / (n - 1)
        total = np.where(usable, spread, 0.0).sum(axis=1)
        challenges = usable.sum(axis=1)
        seen = means(gaps) if wanted is None else np.broadcast_to(wanted, len(gaps))
        needed = (ndtri(1.0 - alpha / 2.0) + ndtri(power)) ** 2 * total / challenges**2 / seen**2
    least = (1.0 - np.log2(alpha)) / np.maximum(challenges, 1)  # 2 ** (1 - M * S) is the least p of a sign flip test
    known = np.isfinite(needed) & (np.abs(seen) >= _SAME)
    return [
        max(2, int(np.ceil(min(max(each, floor), 1e18)))) if fine else None
        for each, floor, fine in zip(needed, least, known, strict=True)
    ]
