"""Scores of contestants aggregated within a challenge and over challenges, with confidence intervals.

Shapes: C contestants, M challenges, S seeds, K evaluations, B resamples, T thresholds of a profile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.bootstrap import (
    STATISTICS,
    TRIMMED,
    ResampledStatistics,
    percentile_interval,
    resampled_statistics,
)
from simulator.statistics.estimates import (
    Estimate,
    area_under_curve,
    has_scale,
    max_unequal_fraction,
    normalise,
    reaches_threshold,
    threshold_times,
)

MAX_CURVE_RESAMPLES = 1_000  # for curves, areas, first solves and profiles
N_TAUS = 51  # of a performance profile
_IQM = STATISTICS.index("iqm")


class SharedBootstrap(NamedTuple):
    """The resamples from which every interval of one analysis is made."""

    confidence: float
    counts: Array  # uint16 [M, B, S]
    seed: int

    def few(self, m: int) -> Array:
        """Return the first resamples of challenge m, [B, S]: enough for curves."""
        return np.asarray(self.counts[m, :MAX_CURVE_RESAMPLES])


class ChallengeStatistics(NamedTuple):
    """Statistics of one challenge."""

    raw: dict[str, Estimate]  # statistic -> [C]
    normalised: dict[str, Estimate]
    resampled_mean: Array  # [C, B] of normalised scores
    resampled_gap: Array  # [C, B] their optimality gap


class LearningSpeed(NamedTuple):
    """Speed and stability of learning in one challenge."""

    auc: Estimate  # area under the normalised curve, IQM over seeds, [C]
    steps_to_threshold: Estimate  # median over the seeds that solved it, [C]
    solved_after_first: Estimate  # fraction of later evaluations at the threshold, mean over the same seeds, [C]
    solved_fraction: Array  # of the evaluated seeds, [C]; NaN without a threshold


class Profiles(NamedTuple):
    """Performance profiles: the fraction of runs above each normalised score."""

    taus: Array  # [T]
    fraction: Estimate  # [C, T]


def challenge_statistics(
    scores: Array, floor: Array, ceiling: Array, shared: SharedBootstrap, m: int
) -> ChallengeStatistics:
    """Compute the statistics of challenge m: scores [C, S], floor and ceiling [S]."""
    n = np.isfinite(scores).sum(axis=1)
    one_scale = len({*floor.tolist()}) == len({*ceiling.tolist()}) == 1 and has_scale(floor, ceiling)[0]
    raw = resampled_statistics(scores, shared.counts[m], ceiling[0] if one_scale else 1.0)
    raw_estimates = _estimates(raw, shared.confidence, n)
    if one_scale:  # statistics of normalised scores follow from those of raw ones
        width = ceiling[0] - floor[0]
        normalised_estimates = {}
        for name in STATISTICS:
            shift = 0.0 if name == "optimality_gap" else floor[0]
            normalised_estimates[name] = Estimate(*((part - shift) / width for part in raw_estimates[name]))
        mean = (raw.resampled[0] - floor[0]) / width
        return ChallengeStatistics(raw_estimates, normalised_estimates, mean, raw.resampled[3] / width)
    normalised = resampled_statistics(normalise(scores, floor, ceiling), shared.counts[m])
    return ChallengeStatistics(
        raw_estimates, _estimates(normalised, shared.confidence, n), normalised.resampled[0], normalised.resampled[3]
    )


def _estimates(statistics: ResampledStatistics, confidence: float, n: Array) -> dict[str, Estimate]:
    """Turn resampled statistics into estimates by name; ``n`` seeds behind each row."""
    n = np.broadcast_to(n, statistics.value.shape)
    low, high = percentile_interval(statistics.resampled, confidence, n, trimmed=np.array(TRIMMED)[:, None])
    return {name: Estimate(statistics.value[i], low[i], high[i]) for i, name in enumerate(STATISTICS)}


def estimate_rows(values: Array, shared: SharedBootstrap, m: int, statistic: str) -> Estimate:
    """Estimate one statistic of rows [P, S] that are not compared, by the first resamples; each [P]."""
    i = STATISTICS.index(statistic)
    statistics = resampled_statistics(values, shared.few(m))
    n = np.isfinite(values).sum(axis=1)
    interval = percentile_interval(statistics.resampled[i], shared.confidence, n, trimmed=TRIMMED[i])
    return Estimate(statistics.value[i], *interval)


def learning_speed(
    steps: Array, normalised: Array, raw: Array, threshold: float, shared: SharedBootstrap, m: int
) -> LearningSpeed:
    """Measure how fast and how stably challenge m was learned, from the curves [C, S, K] of its evaluations.

    See :func:`simulator.statistics.estimates.area_under_curve` and ``threshold_times``.
    """
    reached = reaches_threshold(raw, threshold)
    times = [threshold_times(steps, rows) for rows in reached]
    first_step = np.array([time.first_step for time in times])
    solved_after_first = np.array([time.solved_after_first for time in times])
    n_evaluated = np.isfinite(raw).any(axis=2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        fraction = reached.any(axis=2).sum(axis=1) / n_evaluated
    return LearningSpeed(
        auc=estimate_rows(area_under_curve(steps, normalised), shared, m, "iqm"),
        steps_to_threshold=estimate_rows(first_step, shared, m, "median"),
        solved_after_first=estimate_rows(solved_after_first, shared, m, "mean"),
        solved_fraction=fraction if np.isfinite(threshold) else np.full(len(raw), np.nan),
    )


def curve_bands(curves: Array, shared: SharedBootstrap, m: int) -> Estimate:
    """Estimate the interquartile mean of the curves [C, S, K] of challenge m at each evaluation; each [C, K]."""
    c, s, k = curves.shape
    points = np.ascontiguousarray(curves.transpose(0, 2, 1)).reshape(-1, s)  # [C * K, S]
    return Estimate(*(part.reshape(c, k) for part in estimate_rows(points, shared, m, "iqm")))


def overall(normalised: Array, challenges: list[ChallengeStatistics], shared: SharedBootstrap) -> dict[str, Estimate]:
    """Aggregate over challenges: each statistic, [C].

    The interquartile mean is of all scores of all challenges; the mean, the median and the optimality gap are of the
    means of challenges, as in rliable (the median is the middle challenge's mean, not a middle seed).

    Args:
        normalised: [C, M, S].
        challenges: statistics of each challenge.
        shared: the resamples of these challenges.
    """
    pooled = resampled_statistics(normalised.reshape(len(normalised), -1), np.concatenate(list(shared.counts), axis=1))
    means = np.stack([challenge.normalised["mean"].value for challenge in challenges])  # [M, C]
    gaps = np.stack([scores.normalised["optimality_gap"].value for scores in challenges])
    resampled_means = np.stack([scores.resampled_mean for scores in challenges])  # [M, C, B]
    resampled_gaps = np.stack([scores.resampled_gap for scores in challenges])
    n, df = effective_seeds(np.isfinite(normalised).sum(axis=2))

    def aggregate(value: Array, resampled: Array, trimmed: float = 0.0) -> Estimate:
        return Estimate(value, *percentile_interval(resampled, shared.confidence, n, df, trimmed=trimmed))

    return {
        "iqm": aggregate(pooled.value[_IQM], pooled.resampled[_IQM], TRIMMED[_IQM]),
        "mean": aggregate(_over_challenges(means, np.mean), _over_challenges(resampled_means, np.mean)),
        "median": aggregate(_over_challenges(means, np.median), _over_challenges(resampled_means, np.median)),
        "optimality_gap": aggregate(_over_challenges(gaps, np.mean), _over_challenges(resampled_gaps, np.mean)),
    }


class EffectiveSeeds(NamedTuple):
    """Sample size behind a statistic over challenges."""

    n: Array  # seeds in a challenge, on average over those that have any
    df: Array  # degrees of freedom


def effective_seeds(n_seeds: Array) -> EffectiveSeeds:
    """Compute the sample size behind statistics over challenges from counts [..., M]."""
    n_challenges = np.maximum((n_seeds > 0).sum(axis=-1), 1)
    total = n_seeds.sum(axis=-1)
    return EffectiveSeeds(total / n_challenges, np.maximum(total - n_challenges, 1))


def _over_challenges(values: Array, statistic: Callable[..., Array]) -> Array:
    """Apply a statistic over the challenges [M, ...] that have a value."""
    if np.isfinite(values).all():
        return np.asarray(statistic(values, axis=0))
    flat = values.reshape(len(values), -1)
    result = np.full(flat.shape[1], np.nan)
    is_finite = np.isfinite(flat)
    for pattern in np.unique(is_finite, axis=1).T:
        columns = (is_finite == pattern[:, None]).all(axis=0)
        if pattern.any():
            result[columns] = statistic(flat[pattern][:, columns], axis=0)
    return result.reshape(values.shape[1:])


def performance_profiles(normalised: Array, shared: SharedBootstrap) -> Profiles:
    """Compute performance profiles with pointwise bands (Agarwal et al. 2021, section 4.2) from scores [C, M, S]."""
    c = len(normalised)
    is_finite = np.isfinite(normalised)
    top = np.clip(normalised[is_finite].max(initial=1.0), 1.0, 2.0)
    bottom = np.clip(normalised[is_finite].min(initial=0.0), -1.0, 0.0)
    taus = np.linspace(np.floor(10 * bottom) / 10, np.ceil(10 * top) / 10, N_TAUS)
    above = (normalised[:, :, :, None] > taus).astype(np.float32).transpose(1, 2, 0, 3)  # [M, S, C, T]
    present = is_finite.transpose(1, 2, 0).astype(np.float32)
    counts = shared.counts[:, :MAX_CURVE_RESAMPLES].astype(np.float32)
    n_above = np.zeros((counts.shape[1], c, N_TAUS), np.float32)
    n_runs = np.zeros((counts.shape[1], c), np.float32)
    for m in range(len(counts)):
        n_above += (counts[m] @ above[m].reshape(-1, c * N_TAUS)).reshape(n_above.shape)
        n_runs += counts[m] @ present[m]
    with np.errstate(invalid="ignore"):
        resampled = np.moveaxis(n_above.astype(np.float64) / n_runs[:, :, None], 0, 2)  # [C, T, B]
        value = above.sum(axis=(0, 1), dtype=np.float64) / is_finite.sum(axis=(1, 2))[:, None]
    size = effective_seeds(is_finite.sum(axis=2))
    n = size.n[:, None]
    low, high = percentile_interval(
        resampled, shared.confidence, np.broadcast_to(n, value.shape), np.broadcast_to(size.df[:, None], value.shape)
    )
    unequal = max_unequal_fraction(np.maximum(n, 1.0), shared.confidence)  # all runs above, or none: it has bounds
    low = np.where(np.isnan(low) & np.isfinite(value) & (n > 1), value * (1.0 - unequal), low)
    high = np.where(np.isnan(high) & np.isfinite(value) & (n > 1), value + (1.0 - value) * unequal, high)
    return Profiles(taus, Estimate(value, low, high))
