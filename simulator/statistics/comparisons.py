"""All pairs of a division at once: probabilities, differences, tests, strengths and what follows from majorities.

Shapes: C contestants, M challenges, S seeds, Q pairs i < j, B resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators
from simulator.statistics.aggregates import Draws, evidence
from simulator.statistics.bootstrap import ends
from simulator.statistics.paired_tests import (
    better,
    difference,
    holm,
    means,
    pairs,
    resampled_means,
    seeds_needed,
    share,
    sign_flips,
    sums,
)
from simulator.statistics.ranking import bradley_terry, lottery, refit

Found = tuple[Array, Array, Array]  # value, low, high
_EQUAL = 1e-9  # of a probability from 1/2


class Test(NamedTuple):
    """What tells the two of each pair apart, each [Q]."""

    probability: Array  # that the first does better on a seed, ties half
    difference: Array  # of mean normalised scores, first less second
    p: Array
    p_holm: Array
    decided: Array  # bool: by the test alone
    seeds_needed: list[int | None]


class Compared(NamedTuple):
    """A division's contestants beside each other."""

    of: Array  # pairs, int64 [Q, 2]
    test: Test
    probability: Found  # [Q]
    difference: Found  # [Q]
    decided: Array  # bool [Q]: by the test, and the probability's interval excludes 1/2
    strength: Found  # [C]
    mean_rank: Found  # [C]
    wins: Array  # comparisons won, ties half, [C]
    comparisons: Array  # [C]
    lottery: Array  # [C]
    beats: Array  # bool [C, C]: by majority


def compare(normalised: Array, wins: Array | None, draws: Draws, copies: Array, alpha: float) -> Compared:
    """Compare distinct contestants over distinct challenges.

    Args:
        normalised: [C, M, S].
        wins: direct results [M, S, C, C], or None: by who scored higher.
        draws: level, counts and seed of the resampling.
        copies: how many names each contestant has, [C]; they count in mean ranks.
        alpha: level of the tests.
    """
    c, of = len(normalised), pairs(len(normalised))
    gaps, won = difference(normalised, of), outcomes(normalised, wins, of)
    test = tested(gaps, won, draws, alpha)
    value, low, high = share(won, draws.level)
    apart = (low > 0.5) & (test.difference > 0.0) | (high < 0.5) & (test.difference < 0.0)
    decided = apart & test.decided
    totals, strength = _strengths(won, draws, of, evidence(np.isfinite(normalised).sum(axis=2)))
    margins = _table(np.nan_to_num(2.0 * value - 1.0), of, c)
    margins = margins - margins.T
    return Compared(
        of,
        test._replace(seeds_needed=_more(test.seeds_needed, decided, gaps)),
        (value, low, high),
        _difference(test.difference, gaps, draws),
        decided,
        strength,
        mean_ranks(won, of, copies, draws.level),
        totals.sum(axis=1),
        (totals + totals.T).sum(axis=1),
        lottery(margins),
        margins > 2.0 * _EQUAL,
    )


def _difference(value: Array, gaps: Array, draws: Draws) -> Found:
    """Mean differences with intervals, of which no rounding error leaves the mean out."""
    seeds, df = evidence(np.isfinite(gaps).sum(axis=2))
    low, high = ends(resampled_means(gaps, draws.counts), draws.level, seeds, df)
    return value, np.minimum(low, value), np.maximum(high, value)


def _strengths(won: Array, draws: Draws, of: Array, behind: tuple[Array, Array]) -> tuple[Array, Found]:
    """Comparisons won [C, C], and strengths with intervals; ``behind`` are seeds and degrees of freedom, each [C]."""
    c = len(behind[0])
    totals = _wins(won, np.ones((won.shape[1], 1, won.shape[2])), of, c)[0]
    value = bradley_terry(totals)
    resampled = refit(_wins(won, draws.counts, of, c), value, generators([draws.seed], "weights")[0])  # [B, C]
    return totals, (value, *ends(resampled.T, draws.level, *behind))


def tested(gaps: Array, won: Array, draws: Draws, alpha: float) -> Test:
    """Test pairs by their differences and outcomes [Q, M, S], Holm's correction over all of them.

    Seeds are needed at the level that Holm's correction would ask of the next pair to be decided.
    """
    enough = max(draws.counts.shape[1], int(np.ceil(2 * len(gaps) / alpha)))  # the least p must pass Holm's
    p = sign_flips(gaps, enough, draws.seed)
    p_holm = holm(p)
    with np.errstate(invalid="ignore"):
        decided = p_holm < alpha
    open_pairs = max(1, int((np.isfinite(p) & ~decided).sum()))
    needed = _more(seeds_needed(gaps, alpha=alpha / open_pairs), decided, gaps)
    return Test(means(won), means(gaps), p, p_holm, decided, needed)


def _more(needed: list[int | None], decided: Array, gaps: Array) -> list[int | None]:
    """Seeds needed, for undecided pairs at least one more than there are."""
    have = np.isfinite(gaps).sum(axis=2).max(axis=1, initial=0)
    return [n if n is None or done else max(n, int(at) + 1) for n, done, at in zip(needed, decided, have, strict=True)]


def outcomes(normalised: Array, wins: Array | None, of: Array) -> Array:
    """What the first of each pair won, [Q, M, S]: the share of points where they met, else who scored higher."""
    if wins is None:
        return better(normalised, of)
    return np.asarray(wins[:, :, of[:, 0], of[:, 1]].transpose(2, 0, 1))


def mean_ranks(won: Array, of: Array, copies: Array, level: float) -> Found:
    """Mean ranks over challenges and seeds: 1 and the number of names that did better, ties half.

    Where not all met, the share of those met stands for all.

    Args:
        won: what the first of each pair won, [Q, M, S].
        of: pairs, [Q, 2].
        copies: how many names each contestant has, [C].
        level: of the intervals, see :func:`simulator.statistics.paired_tests.share`.

    Returns:
        value, low, high, each [C].
    """
    shape = (len(copies), *won.shape[1:])
    known, filled = np.isfinite(won), np.nan_to_num(won)
    better, others = np.zeros(shape), np.zeros(shape)
    for (i, j), took, there in zip(of, filled, known, strict=True):
        better[i] += copies[j] * (there - took)
        better[j] += copies[i] * took
        others[i] += copies[j] * there
        others[j] += copies[i] * there
    twins = np.where(others > 0, (copies - 1.0)[:, None, None], 0.0)  # tied with its other names wherever it played
    n = copies.sum() - 1.0
    with np.errstate(invalid="ignore"):
        found = share((better + 0.5 * twins) / (others + twins), level)
    value, low, high = (1.0 + n * part for part in found)
    return np.where(np.isnan(value), 1.0 + 0.5 * n, value), low, high


def _wins(won: Array, counts: Array, of: Array, c: int) -> Array:
    """Comparisons won under each resample, [B, C, C], from outcomes [Q, M, S]."""
    known = np.isfinite(won)
    alike = known.all()  # as a rule: then one row serves all
    first, met = sums(won, counts), sums((known[:1] if alike else known).astype(np.float64), counts)
    return _table(first, of, c) + _table(met - first, of[:, ::-1], c)


def _table(values: Array, of: Array, c: int) -> Array:
    """Pairs [Q, ...] in their places of tables [..., C, C] that are 0 elsewhere."""
    table = np.zeros((*values.shape[1:], c, c))
    table[..., of[:, 0], of[:, 1]] = np.moveaxis(values, 0, -1)
    return table
