"""What a stored run came to. Reads the store only, so it can be asked again without playing."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import Array, Curve
from simulator.records import RunRecord
from simulator.stats import interval, iqm
from simulator.store import Store


def summary(store: Store, run: str) -> dict[str, Any]:
    """The answer of ``engram run --json``: see the keys below.

    ``evaluation.per_seed`` holds each seed's mean return of the last greedy evaluation, ``exact_per_seed`` its expected
    return by the world's finite MDP (None where it has none). ``iqm``, ``low`` and ``high`` are the interquartile mean
    over seeds of the exact values where they exist, else of the means, with a 95 % bootstrap interval.
    """
    record = store.find(run)
    training = (record.result or {}).get("training", 0.0)
    return {
        "run": record.run,
        "agent": record.agent,
        "world": record.world,
        "seeds": list(record.seeds),
        "steps": record.steps,
        "step": record.step,
        "status": record.status,
        "exact": record.exact,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "steps_per_second": len(record.seeds) * record.step / training if training > 0 else None,
        "optimum": (record.result or {}).get("optimum"),
        "floor": (record.result or {}).get("floor"),
        "evaluation": _last_evaluation(store, record),
        "solved": _solved(store, record),
    }


def curve(store: Store, run: str) -> Curve:
    """The stored learning curve: see :class:`simulator.core.protocols.Curve`.

    Points in which no seed's episode ended are left out, so its length depends on which seeds ran together; a seed's
    numbers do not.
    """
    record, rows = store.find(run), store.points(run)
    points, column = np.unique(rows.point, return_inverse=True)
    row = np.searchsorted(record.seeds, rows.seed)
    mean = np.full((len(record.seeds), len(points)), np.nan)
    episodes = np.zeros(mean.shape, np.int64)
    mean[row, column], episodes[row, column] = rows.return_sum / rows.episodes, rows.episodes
    steps = np.zeros(len(points), np.int64)
    steps[column] = rows.step
    return Curve(steps, mean, episodes)


def judged(store: Store, record: RunRecord) -> tuple[Array, Array]:
    """The evaluations of a run as (steps [K], score [S, K]): exact expected returns where they exist, else means."""
    rows = store.evaluations(record.run)
    steps = np.unique([row.step for row in rows]).astype(np.int64)
    score = np.full((len(record.seeds), len(steps)), np.nan)
    for row in rows:
        at = (record.seeds.index(row.seed), int(np.searchsorted(steps, row.step)))
        score[at] = row.mean if row.exact is None else row.exact
    return steps, score


def _last_evaluation(store: Store, record: RunRecord) -> dict[str, Any]:
    rows = store.evaluations(record.run)
    last = max((row.step for row in rows), default=None)
    final = sorted((row for row in rows if row.step == last), key=lambda row: row.seed)
    unknown = dict.fromkeys(("iqm", "low", "high", "exact_per_seed", "value_error"))
    empty = {"episodes": 0, **unknown, "per_seed": []}
    if not final:
        return empty
    exact = None if final[0].exact is None else [row.exact for row in final]
    means = [row.mean for row in final]
    score = np.array(means if exact is None else exact, np.float64)
    low, high = interval(score)
    return {
        "step": last,
        "episodes": len(final[0].returns),
        "iqm": iqm(score),
        "low": low,
        "high": high,
        "per_seed": means,
        "exact_per_seed": exact,
        "value_error": (record.result or {}).get("value_error"),
    }


def _solved(store: Store, record: RunRecord) -> dict[str, Any]:
    """First solve and how long it lasted, by the evaluations during training."""
    threshold = (record.result or {}).get("threshold")
    steps, score = judged(store, record)
    answer = {"threshold": threshold, "fraction": None, "median_first_steps": None, "stayed": None}
    if threshold is None or not len(steps):
        return answer
    reached = score >= threshold - 1e-9 * max(1.0, abs(threshold))
    ever = reached.any(axis=1)
    first = reached.argmax(axis=1)
    stayed = [row[at:].mean() for row, at in zip(reached[ever], first[ever], strict=True)]
    answer["fraction"] = float(ever.mean())
    if ever.any():
        answer["median_first_steps"] = float(np.median(steps[first[ever]]))
        answer["stayed"] = float(np.mean(stayed))
    return answer
