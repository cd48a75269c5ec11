"""Summary of a stored run. Reads the store only, so it can be repeated without training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import stored_tables
from simulator.config.run import RunConfig
from simulator.core.episodes import cut_after, cut_seeds
from simulator.core.protocols import Array, Curve
from simulator.statistics.estimates import (
    UNBOUNDED,
    Estimate,
    Statistic,
    confidence_interval,
    equal_seeds,
    estimate,
    iqm,
    reaches_threshold,
    threshold_times,
)
from simulator.store.records import RunRecord
from simulator.store.run_store import Store


def summary(store: Store, run: str) -> dict[str, Any]:
    """Return the JSON object of ``engram run --json``. Aggregates are over seeds that did not fail.

    Its keys, beside those of :class:`simulator.store.records.RunRecord`:

    * ``error``: the error of an agent or an environment that ended the run, ``{reason, kind, file, line, step}``.
    * ``failed``: the seeds whose loss was not finite, ``[{seed, step, reason}]``; empty as a rule.
    * ``steps_per_second``: environment steps of all seeds per second of training by the wall clock, evaluations and
      compiling left out; ``steps_per_cpu_second``: the same per second of CPU time.
    * ``optimum``, ``floor``: mean return of the best possible and of random play, None where it is not known.
    * ``changes``: what was changed while the agents learned, as texts (:mod:`simulator.config.changes`); ``optima``:
      how the optimum changed with the cells of the environment, ``[{step, optimum}]``; both empty as a rule.
    * ``lost``: what a repair of the lab could not recover, in one line (:mod:`simulator.store.repair`); empty as a
      rule.
    * ``extended``: how its steps were changed by ``engram resume --steps``, ``[{step, from, to, replay_kept}]``: after
      which step, from and to how many, and whether it went on with its replay; empty as a rule.
    * ``versions``: of the distributions when it began; ``machines``: what it was played on, an entry for each machine
      that had a part: see :func:`simulator.machine.machine`.
    * ``evaluation``: see :func:`last_evaluation`. ``solved``: see :func:`solve_statistics`.
    """
    record = store.find(run)
    return {
        "run": record.run,
        "label": record.label,
        "agent": record.agent,
        "env": record.env,
        "seeds": list(record.seeds),
        "steps": record.steps,
        "step": record.step,
        "status": record.status,
        "failed": record.failed,
        "error": record.error,
        "exact": record.exact,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "steps_per_second": _rate(record, record.known("training")),
        "steps_per_cpu_second": _rate(record, record.known("training_cpu")),
        "optimum": record.known("optimum"),
        "floor": record.known("floor"),
        "changes": record.known("changes") or [],
        "optima": record.known("optima") or [],
        "lost": record.lost,
        "extended": record.extended,
        "versions": record.versions,
        "machines": record.machines,
        "evaluation": last_evaluation(store, record),
        "solved": solve_statistics(store, record),
    }


def _rate(record: RunRecord, seconds: float | None) -> float | None:
    return len(record.seeds) * record.step / seconds if seconds else None


def curve(store: Store, run: str) -> Curve:
    """Return the stored learning curve; see :class:`simulator.core.protocols.Curve`.

    Points in which no seed's episode ended are left out, so its length depends on which seeds ran together; a seed's
    numbers do not.
    """
    record = store.find(run)
    rows = store.points(run)
    points, column = np.unique(rows.point, return_inverse=True)
    row = np.searchsorted(record.seeds, rows.seed)
    mean = np.full((len(record.seeds), len(points)), np.nan)
    episodes = np.zeros(mean.shape, np.int64)
    mean[row, column] = rows.return_sum / rows.episodes
    episodes[row, column] = rows.episodes
    steps = np.zeros(len(points), np.int64)
    steps[column] = rows.step
    return Curve(steps, mean, episodes)


class EvaluationScores(NamedTuple):
    """Scores of all evaluations of a run."""

    steps: Array  # int64 [K], training steps before each
    scores: Array  # [S, K]


def evaluation_scores(store: Store, record: RunRecord) -> EvaluationScores:
    """Read the scores of a run's evaluations: exact expected returns where they exist, else mean returns.

    A seed has none, NaN, where it had failed or was cut, and where its exact return is not finite.
    """
    rows = store.evaluations(record.run)
    steps = np.unique([row.step for row in rows]).astype(np.int64)
    score = np.full((len(record.seeds), len(steps)), np.nan)
    for row in rows:
        at = (record.seeds.index(row.seed), int(np.searchsorted(steps, row.step)))
        score[at] = row.mean if row.exact is None else row.exact
    return EvaluationScores(steps, np.where(np.isfinite(score), score, np.nan))


def valid_seeds(record: RunRecord) -> Array:
    """Mark, bool [S], the seeds that did not fail."""
    broken = [failure["seed"] for failure in record.failed]
    return ~np.isin(record.seeds, broken)


def last_evaluation(store: Store, record: RunRecord) -> dict[str, Any]:
    """Return the last greedy evaluation of a run.

    Returns:
        ``step``: training steps before it; ``episodes``: how many each seed played; ``per_seed``: each seed's mean
        return; ``exact_per_seed``: its expected return by the environment's finite MDP, None where there is none;
        ``iqm``, ``low``, ``high``: interquartile mean over seeds of the exact values where they exist, else of the
        means, with a 95 % bootstrap interval, which fewer than 13 equal scores have not; ``equal``: how many
        are all equal, else None; ``sampled``: these four numbers of the means alone; ``exact``: these four of the
        exact values, and their ``mean``, None where there are none; ``value_error``: each seed's largest error of an
        action value; ``left_out``: how many seeds failed and count in none of these (they have NaN or None per seed);
        ``cut``: how many evaluation episodes of each seed were cut because they had not ended after ``cut_after``
        steps, 0 or 1, for the first one ends the evaluation of its seed; ``without_score``: how many more seeds count
        in none of these, because an episode was cut, or because their exact return is not finite: the policy may go on
        for ever.
    """
    rows = store.evaluations(record.run)
    last = max((row.step for row in rows), default=None)
    counted = valid_seeds(record)
    final = sorted((row for row in rows if row.step == last), key=lambda row: record.seeds.index(row.seed))
    unknown = dict.fromkeys(("iqm", "low", "high", "exact_per_seed", "sampled", "exact", "value_error"))
    empty: dict[str, Any] = {"episodes": 0, **unknown, "per_seed": [], "left_out": int((~counted).sum())}
    empty |= {"equal": None, "cut": [], "cut_after": _cut_after(record), "without_score": 0}
    if not final:
        return empty
    exact = None if all(row.exact is None for row in final) else [row.exact for row in final]
    means = [row.mean for row in final]
    evaluation = {**empty, "step": last, "episodes": len(final[0].returns), "per_seed": means, "exact_per_seed": exact}
    evaluation["cut"] = cut_seeds(np.array([row.returns for row in final]), ~counted).astype(int).tolist()
    score = np.array(means if exact is None else exact, np.float64)[counted]
    evaluation["without_score"] = int((~np.isfinite(score)).sum())
    evaluation |= _over_finite(score)
    evaluation["sampled"] = _over_finite(np.array(means, np.float64)[counted])
    if exact is not None:
        finite = score[np.isfinite(score)]
        evaluation["exact"] = {**_over_finite(score), "mean": float(finite.mean()) if len(finite) else None}
    return evaluation | {"value_error": record.known("value_error")}


def _over_finite(scores: Array) -> dict[str, Any]:
    """Return IQM, 95 % interval and number of equal values of the finite scores."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return dict.fromkeys(("iqm", "low", "high", "equal"))
    low, high = map(_plain, confidence_interval(finite))
    return {"iqm": iqm(finite), "low": low, "high": high, "equal": equal_seeds(finite)}


def solve_statistics(store: Store, record: RunRecord) -> dict[str, Any]:
    """Summarise when a run's seeds reached the reward threshold, and whether they stayed there, by its evaluations.

    Returns:
        ``threshold``: mean return from which the environment counts as solved; where it is None, so is everything else.
        ``eval_every``: environment steps between evaluations. A first solve is counted in the training steps before
        the evaluation that first met the threshold, so this is its resolution.
        ``fraction``: fraction of all seeds that ever reached it; a seed that failed counts as one that did not.
        ``fraction_interval``: its 95 % interval ``{low, high}`` (Wilson 1927).
        ``first_steps``: ``{median, low, high, per_seed}``: median over the seeds that met it, 95 % bootstrap interval
        over these seeds (None for fewer than two); per seed None for never. ``median_first_steps``: the median again.
        ``stayed``: fraction of evaluations at or above it after the first such one, mean over seeds;
        ``stayed_interval``: ``{mean, low, high, per_seed}``; None for seeds that have no such evaluation.
        ``final``: fraction of all seeds at or above the threshold in the last evaluation.
    """
    threshold = record.known("threshold")
    steps, score = evaluation_scores(store, record)
    answer = {"threshold": threshold, "eval_every": _eval_every(record), **_unsolved(len(record.seeds))}
    if threshold is None or not len(steps):
        return answer
    reached = reaches_threshold(score, threshold) & valid_seeds(record)[:, None]  # [S, K]
    ever = np.any(reached, axis=1)
    first, stayed = threshold_times(steps, reached)
    median = over_seeds(first, np.median)
    mean = over_seeds(stayed, np.mean, (0.0, 1.0))
    answer |= {"fraction": float(ever.mean()), "fraction_interval": _wilson(int(ever.sum()), len(ever))}
    answer |= {"first_steps": {"median": median.pop("value"), **median}, "median_first_steps": None}
    answer |= {"stayed_interval": {"mean": mean.pop("value"), **mean}, "final": float(reached[:, -1].mean())}
    return answer | {
        "median_first_steps": answer["first_steps"]["median"],
        "stayed": answer["stayed_interval"]["mean"],
    }


def over_seeds(values: Array, statistic: Statistic, bounds: tuple[float, float] = UNBOUNDED) -> dict[str, Any]:
    """Compute a statistic of the finite values [S] with its 95 % interval, and list all values; None for NaN."""
    finite = values[np.isfinite(values)]
    estimated = estimate(finite, statistic, bounds=bounds) if len(finite) else Estimate(None, None, None)
    numbers = {name: _plain(value) for name, value in estimated._asdict().items()}
    return {**numbers, "per_seed": [_plain(value) for value in values]}


def _unsolved(n_seeds: int) -> dict[str, Any]:
    """Return the keys of an unsolved run."""
    empty = {"low": None, "high": None, "per_seed": [None] * n_seeds}
    return {
        "fraction": None,
        "fraction_interval": {"low": None, "high": None},
        "median_first_steps": None,
        "first_steps": {"median": None, **empty},
        "stayed": None,
        "stayed_interval": {"mean": None, **empty},
        "final": None,
    }


def _wilson(k: int, n: int) -> dict[str, float]:
    from scipy.stats import binomtest

    interval = binomtest(k, n).proportion_ci(method="wilson")
    return {"low": float(interval.low), "high": float(interval.high)}


def _cut_after(record: RunRecord) -> int:
    """Return the steps after which an evaluation episode of a run is truncated."""
    asked = stored_tables(RunConfig, record).get("eval_max_steps", 0)
    return cut_after(record.known("max_steps"), int(asked))


def _eval_every(record: RunRecord) -> int | None:
    """Return the evaluation period as it was stored, before the first checkpoint by the settings alone."""
    period = record.known("eval_every") or stored_tables(RunConfig, record).get("eval_every", 0)
    return int(period) or max(1, record.steps // 20)


def _plain(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
