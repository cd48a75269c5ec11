"""What scores over seeds say, and how sure that is.

The interquartile mean and bootstrap intervals over seeds, as Agarwal et al. 2021 (Deep Reinforcement Learning at the
Edge of the Statistical Precipice, section 4) propose. Their percentile interval holds less than its level of the truth
where seeds are few; here it is widened for that, see :func:`tail`. scipy does the statistics; it is imported when it is
first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.rng import generators

Statistic = Callable[..., Any]  # (values, axis) -> values without that axis
RESAMPLES = 2_000
SAME = 1e-6  # part of a score that makes no difference where floor and ceiling are compared
UNBOUNDED = (-np.inf, np.inf)
_SEEDS = 1_000  # in which a share of all seeds is counted
_BATCH = 1 << 20  # numbers resampled at once, 8 MB


class Estimate(NamedTuple):
    """A statistic of the scores of some seeds, and its interval; numbers, or arrays [P] over points."""

    value: Any
    low: Any  # nan for a single seed, and for few equal ones on a scale without bounds
    high: Any


def iqm(values: Array, axis: int = 0) -> Any:
    """Interquartile mean over seeds: the lowest and the highest quarter, rounded down, are left out.

    Args:
        values: scores [S] or [S, P].
        axis: where the seeds are.

    Returns:
        A float, or [P]. nan where a value is nan: what is missing is not left out in silence.
    """
    from scipy.stats import trim_mean

    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):  # infinite scores of both signs have no mean
        mean = trim_mean(values, 0.25, axis=axis)
    return np.where(np.isnan(values).any(axis=axis), np.nan, mean)[()]


def interval(
    values: Array,
    statistic: Statistic = iqm,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] = UNBOUNDED,
) -> tuple[Any, Any]:
    """Bootstrap interval of a statistic over seeds, drawn with the same numbers every time; see :func:`tail`.

    Equal scores resample to themselves, which says nothing: n of them are what one sees where up to
    1 - (alpha / 2)**(1 / n) of all seeds differ (Clopper and Pearson 1934, Biometrika 26, for 0 of n). Their interval
    goes from the statistic where that share of seeds is at the lower bound of the scale to the one where it is at the
    upper. A scale without bounds has none, unless the statistic does not raise_if_stopped that share: the interquartile mean from
    13 equal seeds on, the median from 6. Scores that are all at one or the other bound have at least the interval
    that the same source gives the share of either.

    Args:
        values: scores [S] or [S, P]; every point is resampled by the same seeds.
        statistic: called with values and ``axis``; greater where scores are.
        level: how often such intervals hold the truth, between 0 and 1.
        resamples: bootstrap samples.
        bounds: least and greatest score that there can be; infinite where it is not known.

    Returns:
        (low, high), floats or [P]. nan for a single seed, which says nothing about others, where a value is nan or
        infinite, and for few equal scores without bounds.

    Raises:
        ValueError: no seeds, or a level that is not between 0 and 1.
    """
    values = np.asarray(values, np.float64)
    if values.ndim not in (1, 2) or not len(values):
        raise ValueError(f"values of shape {values.shape}: expected [S] or [S, P] with at least one seed")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level}: expected a share between 0 and 1")
    columns = values.reshape(len(values), -1)  # [S, P]
    band = np.full((2, columns.shape[1]), np.nan)
    known = np.isfinite(columns).all(axis=0) & (len(values) > 1)
    constant = known & (columns == columns[0]).all(axis=0)
    if constant.any():
        band[:, constant] = _of_equal(columns[0, constant], len(values), statistic, level, bounds)
    if (known & ~constant).any():
        band[:, known & ~constant] = _bootstrap(columns[:, known & ~constant], statistic, level, resamples)
    for p in np.flatnonzero(known & ~constant & np.isin(columns, bounds).all(axis=0)):
        low, high = _of_two(columns[:, p], statistic, level, bounds)
        band[:, p] = min(low, band[0, p]), max(high, band[1, p])
    low, high = band.reshape(2, *values.shape[1:])
    return low[()], high[()]


def may_differ(n: Any, level: float) -> Any:
    """The greatest share of all seeds that can differ where n that were seen are equal; see :func:`interval`."""
    return 1.0 - (0.5 - 0.5 * level) ** (1.0 / np.asarray(n, np.float64))


def _of_equal(
    values: Array, n: int, statistic: Statistic, level: float, bounds: tuple[float, float]
) -> tuple[Array, Array]:
    """The intervals of points [P] at each of which n seeds have that one value."""
    n_other = int(np.ceil(may_differ(n, level) * _SEEDS))
    ends = []
    for bound in bounds:
        many = np.tile(values, (_SEEDS, 1))  # [_SEEDS, P], all seeds that there are
        many[:n_other] = bound
        with np.errstate(invalid="ignore"):
            ends.append(np.asarray(statistic(many, axis=0)))
    low, high = (np.where(np.isfinite(end), end, np.nan) for end in ends)
    both = np.isfinite(low) & np.isfinite(high)
    exact = both & (low == high)  # not even a rounding error wide
    low, high = np.where(both, low, np.nan), np.where(both, high, np.nan)
    return np.where(exact, values, low), np.where(exact, values, high)


def _of_two(values: Array, statistic: Statistic, level: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """The interval of scores [S] of which each is at one of two bounds."""
    from scipy.stats import binomtest

    found = binomtest(int((values == bounds[1]).sum()), len(values)).proportion_ci(level, method="exact")
    ends = []
    for n_high in (int(np.floor(found.low * _SEEDS)), int(np.ceil(found.high * _SEEDS))):
        many = np.full(_SEEDS, bounds[0])
        many[:n_high] = bounds[1]
        ends.append(float(statistic(many, axis=0)))
    return ends[0], ends[1]


def estimate(
    values: Array,
    statistic: Statistic = iqm,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] = UNBOUNDED,
) -> Estimate:
    """A statistic of scores [S] with its interval, or of scores [S, P] with a band; see :func:`interval`."""
    low, high = interval(values, statistic, level, resamples, bounds)
    return Estimate(statistic(np.asarray(values, np.float64), axis=0), low, high)


def equal_seeds(values: Array) -> int | None:
    """How many scores [S] of several seeds are all equal, which is why they can be without an interval; else None."""
    values = np.asarray(values, np.float64)
    return len(values) if len(values) > 1 and (values == values[0]).all() else None


def _bootstrap(values: Array, statistic: Statistic, level: float, resamples: int) -> tuple[Any, Any]:
    from scipy.stats import bootstrap

    with np.errstate(over="ignore", invalid="ignore"):  # of the standard error, which is not asked for
        found = bootstrap(
            (values,),
            lambda drawn, axis: statistic(drawn, axis=axis),
            n_resamples=resamples,
            batch=max(1, min(resamples, _BATCH // values.size)),
            vectorized=True,
            axis=0,
            confidence_level=1.0 - 2.0 * tail(level, len(values), len(values) - 1.0),
            method="percentile",
            rng=generators([0], "bootstrap")[0],
        )
    return found.confidence_interval.low, found.confidence_interval.high


def tail(level: float, n: float, df: float) -> float:
    """Share of resamples outside either end of an interval.

    A bootstrap of n seeds is too narrow by sqrt((n - 1) / n), and knows the spread no better than n seeds show it; the
    expanded percentile interval (Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 4.3) takes
    Phi(-sqrt(n / (n - 1)) t) with Student's t at n - 1 degrees of freedom in place of (1 - level) / 2.
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(np.sqrt(n / (n - 1.0)) * stdtrit(df, 0.5 - 0.5 * level)))


def normalise(scores: Array, floor: Array, ceiling: Array) -> Array:
    """Scores on the scale on which the floor is 0 and the ceiling 1.

    Where the ceiling is not above the floor by more than a millionth of either there is no scale, for it would be made
    of rounding: 1 for scores that reach the ceiling but for that millionth, 0 for others.

    Args:
        scores: any shape.
        floor: broadcast to it.
        ceiling: likewise.
    """
    scores, width, scaled = np.asarray(scores, np.float64), ceiling - floor, has_scale(floor, ceiling)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.where(np.isnan(scores), np.nan, scores >= ceiling - SAME * np.abs(ceiling))
        return np.where(scaled, (scores - floor) / np.where(scaled, width, 1.0), step)


def has_scale(floor: Array, ceiling: Array) -> Array:
    """Where a ceiling is above its floor by more than rounding; bool, of their shape."""
    return np.asarray(ceiling - floor > SAME * np.maximum(np.abs(floor), np.abs(ceiling)))


def area(steps: Array, curve: Array) -> Array:
    """Mean height of curves [..., K] between their first and their last step, straight between evaluations.

    Of normalised scores it says how fast a learner learns: 1 is at the ceiling from the first evaluation on.

    Args:
        steps: increasing, [K].
        curve: scores there; nan anywhere makes the area nan.
    """
    curve = np.asarray(curve, np.float64)
    if len(steps) == 0:
        return np.full(curve.shape[:-1], np.nan)
    if len(steps) == 1:
        return curve[..., 0]
    return np.asarray(np.trapezoid(curve, steps, axis=-1) / (steps[-1] - steps[0]))


def reaches(scores: Array, threshold: float) -> Array:
    """Which scores count as solved: at the threshold up to a rounding error, bool; nan does not."""
    return np.asarray(scores) >= threshold - 1e-9 * max(1.0, abs(threshold))


def solves(steps: Array, reached: Array) -> tuple[Array, Array]:
    """When seeds first reached a threshold, and whether they stayed there.

    Args:
        steps: of the evaluations, [K].
        reached: bool [S, K], see :func:`reaches`.

    Returns:
        The step of the first evaluation that reached it, [S], nan for never; and of the evaluations after it the share
        that did, [S], nan where there are none.
    """
    first, stayed = np.full((2, len(reached)), np.nan)
    for i in np.flatnonzero(reached.any(axis=1)):
        at = int(reached[i].argmax())
        first[i] = steps[at]
        if at + 1 < len(steps):
            stayed[i] = reached[i, at + 1 :].mean()
    return first, stayed
