"""Point and interval estimates over seeds: interquartile mean, bootstrap confidence intervals, learning-curve metrics.

The interquartile mean and percentile bootstrap intervals over seeds follow Agarwal et al. 2021 (Deep Reinforcement
Learning at the Edge of the Statistical Precipice, section 4). Their interval undercovers where seeds are few; here it
is expanded, see :func:`expanded_tail`. ``scipy.stats`` computes them; it is imported when it is first needed.

Shapes: S seeds, P points, K evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators

Statistic = Callable[..., Any]  # (values, axis) -> values without that axis
N_BOOTSTRAP = 2_000
SCALE_TOLERANCE = 1e-6  # relative; a reference score closer to the random score makes no scale
UNBOUNDED = (-np.inf, np.inf)
_POPULATION = 1_000  # seeds that represent the population
_BATCH = 1 << 20  # numbers resampled at once, 8 MB


class Interval(NamedTuple):
    """A confidence interval; floats, or arrays over points. NaN where there is none."""

    low: Any
    high: Any


class Estimate(NamedTuple):
    """A statistic over seeds and its confidence interval; floats, or arrays over points."""

    value: Any
    low: Any  # NaN for a single seed, and for few equal ones on a scale without bounds
    high: Any


class ThresholdTimes(NamedTuple):
    """Times at which seeds reached a threshold, and the fraction of later evaluations above it."""

    first_step: Array  # [S], NaN: never
    solved_after_first: Array  # fraction of the later evaluations at the threshold, [S]; NaN where there are none


def iqm(values: Array, axis: int = 0) -> Any:
    """Compute the interquartile mean: the lowest and the highest quarter, rounded down, are left out.

    Args:
        values: scores [S] or [S, P].
        axis: axis of the seeds.

    Returns:
        A float, or [P]. NaN where a value is NaN: missing seeds are never dropped in silence.
    """
    from scipy.stats import trim_mean

    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):  # infinite scores of both signs have no mean
        mean = trim_mean(values, 0.25, axis=axis)
    return np.where(np.isnan(values).any(axis=axis), np.nan, mean)[()]


def estimate(
    values: Array,
    statistic: Statistic = iqm,
    confidence: float = 0.95,
    n_bootstrap: int = N_BOOTSTRAP,
    bounds: tuple[float, float] = UNBOUNDED,
) -> Estimate:
    """Estimate a statistic of scores [S], or of each point of scores [S, P]; see :func:`confidence_interval`."""
    low, high = confidence_interval(values, statistic, confidence, n_bootstrap, bounds)
    return Estimate(statistic(np.asarray(values, np.float64), axis=0), low, high)


def confidence_interval(
    values: Array,
    statistic: Statistic = iqm,
    confidence: float = 0.95,
    n_bootstrap: int = N_BOOTSTRAP,
    bounds: tuple[float, float] = UNBOUNDED,
) -> Interval:
    """Compute the bootstrap confidence interval of a statistic over seeds; deterministic.

    Resamples of equal scores are all equal and give no width. Yet n equal seeds are compatible with up to
    1 - (alpha / 2)**(1 / n) of all seeds being different (Clopper and Pearson 1934, Biometrika 26, for 0 of n). Their
    interval is spanned by the statistic with that fraction of seeds at the lower bound of the scale, and at the upper
    bound. Without bounds there is no interval, unless the statistic ignores that fraction: the interquartile mean from
    13 equal seeds on, the median from 6. Scores that all lie at one of the two bounds have at least the interval of
    the same source for a proportion.

    Args:
        values: scores [S] or [S, P]; every point is resampled by the same seeds.
        statistic: called with values and ``axis``; increasing in the scores.
        confidence: coverage of the interval, between 0 and 1.
        n_bootstrap: bootstrap resamples.
        bounds: least and greatest possible score; infinite where unknown.

    Returns:
        Floats or [P]. NaN for a single seed, where a value is NaN or infinite, and for few equal scores without bounds.

    Raises:
        ValueError: no seeds, or a confidence that is not between 0 and 1.
    """
    values = np.asarray(values, np.float64)
    if values.ndim not in (1, 2) or not len(values):
        raise ValueError(f"values of shape {values.shape}: expected [S] or [S, P] with at least one seed")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence {confidence}: expected a fraction between 0 and 1")
    columns = values.reshape(len(values), -1)  # [S, P]
    band = np.full((2, columns.shape[1]), np.nan)
    usable = np.isfinite(columns).all(axis=0) & (len(values) > 1)
    constant = usable & (columns == columns[0]).all(axis=0)
    varied = usable & ~constant
    if constant.any():
        band[:, constant] = _interval_of_equal(columns[0, constant], len(values), statistic, confidence, bounds)
    if varied.any():
        band[:, varied] = _scipy_bootstrap(columns[:, varied], statistic, confidence, n_bootstrap)
    for p in np.flatnonzero(varied & np.isin(columns, bounds).all(axis=0)):
        low, high = _interval_of_binary(columns[:, p], statistic, confidence, bounds)
        band[0, p] = min(low, band[0, p])
        band[1, p] = max(high, band[1, p])
    low, high = band.reshape(2, *values.shape[1:])
    return Interval(low[()], high[()])


def max_unequal_fraction(n: Any, confidence: float) -> Any:
    """Bound the fraction of all seeds that can differ from n equal ones; see :func:`confidence_interval`."""
    return 1.0 - (0.5 - 0.5 * confidence) ** (1.0 / np.asarray(n, np.float64))


def _interval_of_equal(
    values: Array, n: int, statistic: Statistic, confidence: float, bounds: tuple[float, float]
) -> Interval:
    """Compute the intervals of points [P], each of n seeds that share one value."""
    n_unequal = int(np.ceil(max_unequal_fraction(n, confidence) * _POPULATION))
    ends = []
    for bound in bounds:
        population = np.tile(values, (_POPULATION, 1))  # [_POPULATION, P]
        population[:n_unequal] = bound
        with np.errstate(invalid="ignore"):
            end = np.asarray(statistic(population, axis=0))
        ends.append(np.where(np.isfinite(end), end, np.nan))
    low, high = ends
    both = np.isfinite(low) & np.isfinite(high)
    ignored = both & (low == high)  # the statistic ignores these seeds: not even a rounding error wide
    low = np.where(ignored, values, np.where(both, low, np.nan))
    high = np.where(ignored, values, np.where(both, high, np.nan))
    return Interval(low, high)


def _interval_of_binary(
    values: Array, statistic: Statistic, confidence: float, bounds: tuple[float, float]
) -> Interval:
    """Compute the interval of scores [S] that all lie at one of two bounds."""
    from scipy.stats import binomtest

    proportion = binomtest(int((values == bounds[1]).sum()), len(values)).proportion_ci(confidence, method="exact")
    ends = []
    for n_high in (int(np.floor(proportion.low * _POPULATION)), int(np.ceil(proportion.high * _POPULATION))):
        population = np.full(_POPULATION, bounds[0])
        population[:n_high] = bounds[1]
        ends.append(float(statistic(population, axis=0)))
    return Interval(*ends)


def _scipy_bootstrap(values: Array, statistic: Statistic, confidence: float, n_bootstrap: int) -> Interval:
    from scipy.stats import bootstrap

    with np.errstate(over="ignore", invalid="ignore"):  # of the standard error, which is not used
        result = bootstrap(
            (values,),
            lambda resample, axis: statistic(resample, axis=axis),
            n_resamples=n_bootstrap,
            batch=max(1, min(n_bootstrap, _BATCH // values.size)),
            vectorized=True,
            axis=0,
            confidence_level=1.0 - 2.0 * expanded_tail(confidence, len(values), len(values) - 1.0),
            method="percentile",
            rng=generators([0], "bootstrap")[0],
        )
    return Interval(result.confidence_interval.low, result.confidence_interval.high)


def expanded_tail(confidence: float, n: float, df: float) -> float:
    """Compute the quantile of the bootstrap distribution at which an interval ends.

    A bootstrap of n seeds is too narrow by sqrt((n - 1) / n), and knows the spread no better than n seeds show it. The
    expanded percentile interval (Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 4.3) replaces
    (1 - confidence) / 2 by Phi(-sqrt(n / (n - 1)) t), with Student's t at ``df`` degrees of freedom (n - 1 in one
    sample).
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(np.sqrt(n / (n - 1.0)) * stdtrit(df, 0.5 - 0.5 * confidence)))


def equal_seeds(values: Array) -> int | None:
    """Count scores [S] that are all equal, which explains a missing interval; None where they differ."""
    values = np.asarray(values, np.float64)
    return len(values) if len(values) > 1 and (values == values[0]).all() else None


def normalise(scores: Array, floor: Array, ceiling: Array) -> Array:
    """Normalise scores so that the floor (random score) is 0 and the ceiling (reference score) is 1.

    Where the ceiling is not above the floor by more than rounding there is no scale: scores that reach the ceiling
    count 1, others 0.

    Args:
        scores: any shape.
        floor: broadcast to it.
        ceiling: likewise.
    """
    scores = np.asarray(scores, np.float64)
    width = ceiling - floor
    scaled = has_scale(floor, ceiling)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.where(np.isnan(scores), np.nan, scores >= ceiling - SCALE_TOLERANCE * np.abs(ceiling))
        return np.where(scaled, (scores - floor) / np.where(scaled, width, 1.0), step)


def has_scale(floor: Array, ceiling: Array) -> Array:
    """Check that a ceiling is above its floor by more than rounding; bool, of their shape."""
    return np.asarray(ceiling - floor > SCALE_TOLERANCE * np.maximum(np.abs(floor), np.abs(ceiling)))


def area_under_curve(steps: Array, curve: Array) -> Array:
    """Average curves [..., K] between the first and the last step by the trapezoidal rule.

    Of normalised scores it measures sample efficiency: 1 is at the ceiling from the first evaluation on.

    Args:
        steps: increasing, [K].
        curve: scores there; NaN anywhere makes the area NaN.
    """
    curve = np.asarray(curve, np.float64)
    if len(steps) == 0:
        return np.full(curve.shape[:-1], np.nan)
    if len(steps) == 1:
        return curve[..., 0]
    return np.asarray(np.trapezoid(curve, steps, axis=-1) / (steps[-1] - steps[0]))


def reaches_threshold(scores: Array, threshold: float) -> Array:
    """Check which scores count as solved: at the threshold up to a rounding error, bool; NaN does not."""
    return np.asarray(scores) >= threshold - 1e-9 * max(1.0, abs(threshold))


def threshold_times(steps: Array, reached: Array) -> ThresholdTimes:
    """Find when seeds first reached a threshold, and the fraction of later evaluations at it.

    Args:
        steps: of the evaluations, [K].
        reached: bool [S, K], see :func:`reaches_threshold`.
    """
    first_step = np.full(len(reached), np.nan)
    solved_after_first = np.full(len(reached), np.nan)
    for i in np.flatnonzero(reached.any(axis=1)):
        k = int(reached[i].argmax())
        first_step[i] = steps[k]
        if k + 1 < len(steps):
            solved_after_first[i] = reached[i, k + 1 :].mean()
    return ThresholdTimes(first_step, solved_after_first)
