"""All pairs of contestants at once: probabilities of improvement, differences, tests, strengths, ranks, lottery.

Shapes: C contestants, M challenges, S seeds, Q pairs i < j, B resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators
from simulator.statistics.aggregates import SharedBootstrap, effective_seeds
from simulator.statistics.bootstrap import percentile_interval
from simulator.statistics.estimates import Estimate
from simulator.statistics.paired_tests import (
    differences,
    holm,
    means,
    pair_index,
    permutation_test,
    proportion_ci,
    resampled_means,
    resampled_sums,
    seeds_needed,
    wins,
)
from simulator.statistics.ranking import bradley_terry, maximal_lottery, refit

_MAJORITY_TOLERANCE = 1e-9  # of a probability from 1/2


class PairTests(NamedTuple):
    """Paired permutation tests of all pairs, each [Q]."""

    probability: Array  # of improvement: that the first does better on a seed, ties half
    difference: Array  # of mean normalised scores, first less second
    p: Array
    p_holm: Array
    significant: Array  # bool: by the test alone
    seeds_needed: list[int | None]


class Comparison(NamedTuple):
    """All contestants of a division compared."""

    pairs: Array  # int64 [Q, 2]
    tests: PairTests
    probability: Estimate  # [Q]
    difference: Estimate  # [Q]
    decided: Array  # bool [Q]: by the test, and the interval of the probability excludes 1/2
    strength: Estimate  # [C]
    mean_rank: Estimate  # [C]
    wins: Array  # comparisons won, ties half, [C]
    n_comparisons: Array  # [C]
    lottery: Array  # [C]
    beats: Array  # bool [C, C]: by majority


def compare(
    normalised: Array, direct_wins: Array | None, shared: SharedBootstrap, n_names: Array, alpha: float
) -> Comparison:
    """Compare distinct contestants over distinct challenges.

    Args:
        normalised: scores [C, M, S].
        direct_wins: results of matches [M, S, C, C], or None: by the higher score.
        shared: the resamples.
        n_names: number of names of each contestant, [C]; all count in mean ranks.
        alpha: level of the tests.
    """
    c = len(normalised)
    pairs = pair_index(c)
    gaps = differences(normalised, pairs)
    won = outcomes(normalised, direct_wins, pairs)
    tests = pairwise_tests(gaps, won, shared, alpha)
    probability = proportion_ci(won, shared.confidence)
    first_better = (probability.low > 0.5) & (tests.difference > 0.0)
    second_better = (probability.high < 0.5) & (tests.difference < 0.0)
    decided = (first_better | second_better) & tests.significant
    totals = _win_tables(won, np.ones((won.shape[1], 1, won.shape[2])), pairs, c)[0]
    margins = _to_table(np.nan_to_num(2.0 * probability.value - 1.0), pairs, c)
    margins = margins - margins.T
    return Comparison(
        pairs=pairs,
        tests=tests._replace(seeds_needed=_at_least_one_more(tests.seeds_needed, decided, gaps)),
        probability=probability,
        difference=_difference(tests.difference, gaps, shared),
        decided=decided,
        strength=_strength(totals, won, pairs, shared, np.isfinite(normalised).sum(axis=2)),
        mean_rank=mean_ranks(won, pairs, n_names, shared.confidence),
        wins=totals.sum(axis=1),
        n_comparisons=(totals + totals.T).sum(axis=1),
        lottery=maximal_lottery(margins),
        beats=margins > 2.0 * _MAJORITY_TOLERANCE,
    )


def _difference(value: Array, gaps: Array, shared: SharedBootstrap) -> Estimate:
    """Estimate mean differences; no rounding error puts a mean outside its interval."""
    n, df = effective_seeds(np.isfinite(gaps).sum(axis=2))
    low, high = percentile_interval(resampled_means(gaps, shared.counts), shared.confidence, n, df)
    return Estimate(value, np.minimum(low, value), np.maximum(high, value))


def _strength(totals: Array, won: Array, pairs: Array, shared: SharedBootstrap, n_seeds: Array) -> Estimate:
    """Estimate Bradley-Terry strengths from wins [C, C], refitted to every resample; ``n_seeds`` [C, M]."""
    value = bradley_terry(totals)
    resampled_wins = _win_tables(won, shared.counts, pairs, len(totals))
    resampled = refit(resampled_wins, value, generators([shared.seed], "weights")[0])  # [B, C]
    n, df = effective_seeds(n_seeds)
    return Estimate(value, *percentile_interval(resampled.T, shared.confidence, n, df))


def pairwise_tests(gaps: Array, won: Array, shared: SharedBootstrap, alpha: float) -> PairTests:
    """Test pairs by their differences and outcomes [Q, M, S], with Holm's correction over all of them.

    Seeds are needed at the level that Holm's correction would ask of the next pair to be decided.
    """
    n_resamples = max(shared.counts.shape[1], int(np.ceil(2 * len(gaps) / alpha)))  # the least p must pass Holm's
    p = permutation_test(gaps, n_resamples, shared.seed)
    p_holm = holm(p)
    with np.errstate(invalid="ignore"):
        significant = p_holm < alpha
    n_open = max(1, int((np.isfinite(p) & ~significant).sum()))
    needed = _at_least_one_more(seeds_needed(gaps, alpha=alpha / n_open), significant, gaps)
    return PairTests(means(won), means(gaps), p, p_holm, significant, needed)


def _at_least_one_more(needed: list[int | None], decided: Array, gaps: Array) -> list[int | None]:
    """Raise the seeds needed for undecided pairs to at least one more than they have."""
    n_seeds = np.isfinite(gaps).sum(axis=2).max(axis=1, initial=0)
    return [
        n if n is None or done else max(n, int(present) + 1)
        for n, done, present in zip(needed, decided, n_seeds, strict=True)
    ]


def outcomes(normalised: Array, direct_wins: Array | None, pairs: Array) -> Array:
    """Return the fraction that the first of each pair won, [Q, M, S]: of points where they met, else by score."""
    if direct_wins is None:
        return wins(normalised, pairs)
    return np.asarray(direct_wins[:, :, pairs[:, 0], pairs[:, 1]].transpose(2, 0, 1))


def mean_ranks(won: Array, pairs: Array, n_names: Array, confidence: float) -> Estimate:
    """Estimate mean ranks over challenges and seeds: 1 plus the number of names that did better, ties half.

    Where not all met, the fraction among those met stands for all.

    Args:
        won: fraction that the first of each pair won, [Q, M, S].
        pairs: [Q, 2].
        n_names: number of names of each contestant, [C].
        confidence: of the intervals, see ``paired_tests.proportion_ci``.

    Returns:
        Arrays [C].
    """
    have_met = np.isfinite(won)
    filled = np.nan_to_num(won)
    n_better = np.zeros((len(n_names), *won.shape[1:]))
    n_others = np.zeros(n_better.shape)
    for (i, j), points, present in zip(pairs, filled, have_met, strict=True):
        n_better[i] += n_names[j] * (present - points)
        n_better[j] += n_names[i] * points
        n_others[i] += n_names[j] * present
        n_others[j] += n_names[i] * present
    n_twins = np.where(n_others > 0, (n_names - 1.0)[:, None, None], 0.0)  # tied with its other names where it played
    n = n_names.sum() - 1.0
    with np.errstate(invalid="ignore"):
        fraction = proportion_ci((n_better + 0.5 * n_twins) / (n_others + n_twins), confidence)
    value = 1.0 + n * fraction.value
    value = np.where(np.isnan(value), 1.0 + 0.5 * n, value)
    return Estimate(value, 1.0 + n * fraction.low, 1.0 + n * fraction.high)


def _win_tables(won: Array, counts: Array, pairs: Array, c: int) -> Array:
    """Count comparisons won in each resample, [B, C, C], from outcomes [Q, M, S]."""
    have_met = np.isfinite(won)
    one_row = have_met[:1] if have_met.all() else have_met  # usually all have met: then one row serves all pairs
    first = resampled_sums(won, counts)
    n = resampled_sums(one_row.astype(np.float64), counts)
    return _to_table(first, pairs, c) + _to_table(n - first, pairs[:, ::-1], c)


def _to_table(values: Array, pairs: Array, c: int) -> Array:
    """Put pairs [Q, ...] into their places of tables [..., C, C] that are 0 elsewhere."""
    table = np.zeros((*values.shape[1:], c, c))
    table[..., pairs[:, 0], pairs[:, 1]] = np.moveaxis(values, 0, -1)
    return table
