"""Plays one cell of a tournament, wherever that is: in a thread, another process, or on another machine.

A task and its result are plain values. What a cell needs to go on after a crash is a lab of its own, in a folder that
the task names; the lab of the tournament is written by its host alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import OF_A_CELL, from_toml
from simulator.config.run import RunConfig
from simulator.core.episodes import CUT, ENDLESS, cut_seeds
from simulator.core.episodes import scores as scores_of
from simulator.core.protocols import Array, Evaluation
from simulator.machine import machine
from simulator.store.records import RunRecord, StoreFailure
from simulator.store.run_store import Store
from simulator.training.summary import judged, last_evaluation

Tick = Callable[[], None]  # called a few times a second; whatever it raises ends the cell
Result = dict[str, Any]  # scores [S], second [S], steps [K], curve [S][K], facts, seconds, cpu_seconds, exact
PATIENCE = 30.0  # seconds that a worker whose host was killed may take to notice
NOT_A_NUMBER = "every seed failed: {}"


class Task(NamedTuple):
    """What is to be played."""

    key: str  # of the cell
    kind: str  # run, recall, match or external
    settings: str  # TOML
    scratch: str  # folder of its checkpoints
    cpu_seconds: float = 0.0  # of training per seed, 0: no limit
    wall_seconds: float = 0.0
    checkpoint_every: float = 5.0  # seconds


class Stopped(Exception):  # noqa: N818 - it is no error
    """The host wants the cell to end as it is."""


class CellFailed(RuntimeError):  # noqa: N818 - it says what became of a cell
    """A cell that came to nothing; one line."""


def play(task: Task, tick: Tick) -> Result:
    """Play a cell to its end, from its newest checkpoint where there is one.

    Raises:
        CellFailed: every seed failed.
        ValueError: players that cannot be built, or that refuse each other.
    """
    found = _PLAYERS[task.kind](task, tick)
    return {**found, "facts": {**found["facts"], "machine": machine(1)}}


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())[:500]
    plain = isinstance(error, ValueError | CellFailed | StoreFailure) or type(error) is RuntimeError
    return text if text and plain else f"{type(error).__name__}: {text}".removesuffix(": ")


def _run(task: Task, tick: Tick) -> Result:
    from simulator.training import loop

    settings = from_toml(RunConfig, task.settings, OF_A_CELL)
    limits = limits_of(task, settings.seeds)
    with Store(task.scratch) as store:
        name, last = _stored(store, tick), None
        host = loop.run(settings, store, name, checkpoint_every=task.checkpoint_every)
        try:
            for last in host:
                tick()
                if last.training_cpu_seconds >= limits[0] or last.training_seconds >= limits[1]:
                    break
        finally:
            host.close()  # type: ignore[attr-defined]
        assert last is not None
        record = store.find(last.run)
        steps, scores = judged(store, record)
        cut = _cut_rows(store, record)
        if last.step < settings.steps and record.status != "failed":
            steps, scores, cut = _judge_now(settings, store, record, (steps, scores), tick)
        if record.status == "failed":
            raise CellFailed(NOT_A_NUMBER.format(record.failed[0]["reason"] if record.failed else "no score"))
        return _of_run(record, steps, scores, cut)


def limits_of(task: Task, n_seeds: int) -> tuple[float, float]:
    """CPU and wall-clock seconds of training that the seeds of a cell have together."""
    cpu_seconds, wall_seconds = (limit * n_seeds or math.inf for limit in (task.cpu_seconds, task.wall_seconds))
    return cpu_seconds, wall_seconds


def _cut_rows(store: Store, record: RunRecord) -> Array:
    """Which seeds were cut in the last evaluation that a run has stored, bool [S]."""
    found = last_evaluation(store, record)
    return np.array(found["cut"] or [0] * len(record.seeds), np.bool_)


def _judge_now(
    settings: Any, store: Store, record: RunRecord, judged_before: tuple[Array, Array], tick: Tick
) -> tuple[Array, Array, Array]:
    """The evaluations [K], [S, K] of a run whose time is over, with one of what it has learned by now; who was cut."""
    from simulator.training.session import Session

    steps, scores = judged_before
    session, saved = Session(settings), store.newest(record.run)
    assert saved is not None
    session.restore(saved.state)
    found: Evaluation | None = None
    for found in session.evaluator().evaluating(session.agent, session.step):  # noqa: B007 - the last one counts
        tick()
    assert found is not None
    before = steps < session.step
    steps, scores = np.append(steps[before], session.step), np.column_stack([scores[:, before], scores_of(found)])
    return steps, scores, cut_seeds(found.returns, session.failed_at > 0)


def _of_run(record: RunRecord, steps: Array, scores: Array, cut: Array) -> Result:
    facts = {name: record.known(name) for name in ("floor", "threshold", "value_error")}
    best = record.known("optimum")
    facts |= {"ceiling": best, "ceiling_is": None if best is None else "exact optimum", "trained": record.step}
    if facts["floor"] is not None and math.isfinite(facts["floor"]):
        facts["floor_is"] = "random play"
    else:
        facts["floor"] = None
    broken = {failure["seed"] for failure in record.failed}
    facts["without_score"] = [
        {"seed": seed, "reason": CUT if was_cut else ENDLESS}
        for seed, row, was_cut in zip(record.seeds, scores, cut, strict=True)
        if seed not in broken and not math.isfinite(row[-1])
    ]
    final = [math.nan if seed in broken else float(row[-1]) for seed, row in zip(record.seeds, scores, strict=True)]
    return {
        "scores": final,
        "steps": steps.tolist(),
        "curve": scores.tolist(),
        "failed": record.failed,
        "facts": facts,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "exact": record.exact,
    }


def _recall(task: Task, tick: Tick) -> Result:
    from simulator.config.recall import RecallConfig
    from simulator.recall import loop as arena
    from simulator.recall.benchmark import SCORES

    settings = from_toml(RecallConfig, task.settings, OF_A_CELL)
    with Store(task.scratch) as store:
        for last in arena.recall(settings, store, _stored(store, tick)):  # noqa: B007 - the last one counts
            tick()
        record = store.find(last.run)
        rows = sorted(store.evaluations(last.run), key=lambda row: record.seeds.index(row.seed))
    told = record.known("cells")[0]
    broken = told.get("failed", [])
    if len(broken) == len(record.seeds):
        raise CellFailed(NOT_A_NUMBER.format(broken[0]["reason"]))
    found = dict(zip(SCORES, np.stack([row.returns for row in rows], axis=1).tolist(), strict=True))
    facts = {
        **{name: found[name] for name in ("overlap", "exact", "spurious", "cue", "ceiling_overlap", "ceiling_exact")},
        **{name: told.get(name) for name in ("parameters", "store_seconds")},
    }
    plain: Result = {"scores": found["overlap"], "steps": [], "curve": [[] for _ in rows], "failed": broken}
    return plain | {"facts": facts, "seconds": record.seconds, "cpu_seconds": record.cpu_seconds, "exact": True}


def _match(task: Task, tick: Tick) -> Result:
    from simulator.config.match import MatchConfig
    from simulator.matches.match import play_match

    return play_match(from_toml(MatchConfig, task.settings, OF_A_CELL), tick)


def _external(task: Task, tick: Tick) -> Result:
    from simulator.config.external import ExternalConfig
    from simulator.external.contestants import play_external

    settings = from_toml(ExternalConfig, task.settings, OF_A_CELL)
    return play_external(settings, tick, (task.cpu_seconds, task.wall_seconds))


def _stored(store: Store, tick: Tick) -> str | None:
    """The run that a scratch lab holds, or None; whoever played it before is waited for, who may be about to end."""
    known = next((record.run for record in store.runs()), None)
    until = time.monotonic() + PATIENCE
    while known is not None and store.is_written(known) and time.monotonic() < until:
        tick()
        time.sleep(0.05)
    return known


def scratch_of(folder: Path | str, name: str) -> str:
    """Where a cell keeps its checkpoints; made where there is none."""
    path = Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


_PLAYERS: dict[str, Callable[[Task, Tick], Result]] = {
    "run": _run,
    "recall": _recall,
    "match": _match,
    "external": _external,
}
