"""Learning curves of stored experiments: one value for each seed and point, and their aggregate with its band.

Shapes: S seeds, K points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.store.records import RunRecord
from simulator.store.run_store import Store
from simulator.training import summary

if TYPE_CHECKING:
    from simulator.statistics.analysis import DivisionScores

MAX_POINTS = 100  # of a training curve


class SeedCurves(NamedTuple):
    """A learning curve of each seed."""

    steps: Array  # int64 [K], environment steps per seed
    scores: Array  # float64 [S, K], NaN where a seed has none


def evaluation_curves(store: Store, record: RunRecord) -> SeedCurves:
    """Return the greedy evaluations of a run: exact expected returns where they exist, else mean returns."""
    steps, scores = summary.evaluation_scores(store, record)
    return SeedCurves(steps, np.where(summary.valid_seeds(record)[:, None], scores, np.nan))


def training_curves(store: Store, record: RunRecord) -> SeedCurves:
    """Return the mean return of the training episodes that ended in each of at most ``MAX_POINTS`` equal parts."""
    stored = summary.curve(store, record.run)
    if not len(stored.steps):
        return SeedCurves(np.zeros(0, np.int64), np.zeros((len(record.seeds), 0)))
    width = -(-record.step // MAX_POINTS)
    part = (stored.steps - 1) // width
    n_parts = int(part[-1]) + 1
    total = np.zeros((len(record.seeds), n_parts))
    episodes = np.zeros(total.shape)
    for p, mean, n in zip(part, stored.mean_return.T, stored.episodes.T, strict=True):
        total[:, p] += np.where(n > 0, mean, 0.0) * n
        episodes[:, p] += n
    mean = np.full(total.shape, np.nan)
    np.divide(total, episodes, out=mean, where=episodes > 0)
    steps = np.minimum(width * np.arange(1, n_parts + 1), record.step)
    return SeedCurves(steps, np.where(summary.valid_seeds(record)[:, None], mean, np.nan))


def smoothed(scores: Array, n: int) -> Array:
    """Average each point of [S, K] with the n - 1 before it, as far as there are any; NaN stays NaN.

    The window ends at its point, so that no point knows later ones.
    """
    finite = np.isfinite(scores)
    total = np.cumsum(np.where(finite, scores, 0.0), axis=1)
    count = np.cumsum(finite, axis=1).astype(np.float64)
    if n < scores.shape[1]:
        total[:, n:] -= total[:, :-n].copy()
        count[:, n:] -= count[:, :-n].copy()
    mean = np.full(scores.shape, np.nan)
    np.divide(total, count, out=mean, where=finite)
    return mean


def band(curves: SeedCurves, confidence: float = 0.95, smooth: int = 1) -> dict[str, Any]:
    """Aggregate over seeds.

    Returns:
        ``steps``, and at each of them ``iqm``: the interquartile mean over the seeds that have a score, with ``low``
        and ``high`` of its bootstrap interval; None where there is none.
    """
    from simulator.statistics.aggregates import SharedBootstrap, curve_bands
    from simulator.statistics.bootstrap import resample_counts
    from simulator.statistics.estimates import N_BOOTSTRAP

    scores = curves.scores if smooth == 1 else smoothed(curves.scores, smooth)
    shared = SharedBootstrap(confidence, resample_counts(np.ones((1, len(scores)), np.bool_), N_BOOTSTRAP), 0)
    estimate = curve_bands(scores[None], shared, 0)._asdict()
    iqm, low, high = ([_plain(x) for x in estimate[name][0]] for name in ("value", "low", "high"))
    return {"steps": curves.steps.tolist(), "iqm": iqm, "low": low, "high": high}


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class TrainingSeconds(NamedTuple):
    """Wall-clock seconds of training, of all seeds together, before each point of a curve."""

    seconds: Array  # float64 [K]
    measured: bool  # False: taken from the mean speed of the run


def training_seconds(record: RunRecord, steps: Array, evaluated: Array) -> TrainingSeconds | None:
    """Return the training time before each of some steps [K]; None where no time of the run is stored.

    Args:
        record: of the run; its times stand beside its evaluations, and are interpolated between them.
        steps: environment steps per seed, [K].
        evaluated: steps of its evaluations.
    """
    total = record.known("training")
    if not total or not record.step:
        return None
    stored = record.known("evaluation_seconds") or []
    measured = len(stored) == len(evaluated) > 0 and None not in stored
    at_steps = [0.0, *evaluated, record.step] if measured else [0.0, record.step]
    seconds = [0.0, *stored, total] if measured else [0.0, total]
    return TrainingSeconds(np.interp(steps, at_steps, seconds), measured)


def tournament_curves(division: DivisionScores) -> Iterator[tuple[str, str, SeedCurves]]:
    """Yield challenge, contestant and curves, for each pair of a division that was evaluated while it learned."""
    for challenge, (steps, scores) in zip(division.challenges, division.curves, strict=True):
        for contestant, of_seeds in zip(division.contestants, scores, strict=True):
            if len(steps) and np.isfinite(of_seeds).any():
                yield challenge, contestant, SeedCurves(np.asarray(steps), of_seeds)


def records(place: Mapping[str, Any], curve: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for each point of an aggregated curve; ``place``: its first columns."""
    names = [name for name in ("steps", "seconds", "iqm", "low", "high") if name in curve]
    for point in zip(*(curve[name] for name in names), strict=True):
        yield {**place, **dict(zip(names, point, strict=True))}
