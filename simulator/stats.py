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
from simulator.core.seeds import generators

Statistic = Callable[..., Any]  # (values, axis) -> values without that axis
RESAMPLES = 2_000
SAME = 1e-6  # part of a score that makes no difference where floor and ceiling are compared
_BATCH = 1 << 20  # numbers resampled at once, 8 MB


class Estimate(NamedTuple):
    """A statistic of the scores of some seeds, and its interval; numbers, or arrays [P] over points."""

    value: Any
    low: Any  # nan for a single seed
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
    values: Array, statistic: Statistic = iqm, level: float = 0.95, resamples: int = RESAMPLES
) -> tuple[Any, Any]:
    """Bootstrap interval of a statistic over seeds, drawn with the same numbers every time; see :func:`tail`.

    Args:
        values: scores [S] or [S, P]; every point is resampled by the same seeds.
        statistic: called with values and ``axis``.
        level: how often such intervals hold the truth, between 0 and 1.
        resamples: bootstrap samples.

    Returns:
        (low, high), floats or [P]. nan for a single seed, which says nothing about others, and where a value is nan
        or infinite.

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
    constant = known & (columns == columns[0]).all(axis=0)  # not even a rounding error wide
    if constant.any():
        band[:, constant] = statistic(columns[:, constant], axis=0)
    if (known & ~constant).any():
        band[:, known & ~constant] = _bootstrap(columns[:, known & ~constant], statistic, level, resamples)
    low, high = band.reshape(2, *values.shape[1:])
    return low[()], high[()]


def estimate(values: Array, statistic: Statistic = iqm, level: float = 0.95, resamples: int = RESAMPLES) -> Estimate:
    """A statistic of scores [S] with its interval, or of scores [S, P] with a band; see :func:`interval`."""
    low, high = interval(values, statistic, level, resamples)
    return Estimate(statistic(np.asarray(values, np.float64), axis=0), low, high)


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
