"""Runner of one cell of a tournament, in a thread, another process, or on another machine.

A task and its result are plain values. A cell has a lab of its own, in the folder that the task names,
from which it continues after a crash; only the host writes the lab of the tournament.
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
from simulator.training.summary import evaluation_scores, last_evaluation

Tick = Callable[[], None]  # called a few times a second; whatever it raises ends the cell
Result = dict[str, Any]  # scores [S], second [S], steps [K], curve [S][K], facts, seconds, cpu_seconds, exact
LOCK_TIMEOUT = 30.0  # seconds that a worker whose host was killed may take to notice
NOT_A_NUMBER = "every seed failed: {}"


class JobSpec(NamedTuple):
    """A job for a worker."""

    key: str  # of the cell
    kind: str  # run, recall, match or external
    settings: str  # TOML
    scratch: str  # folder of its checkpoints
    cpu_seconds: float = 0.0  # of training per seed, 0: no limit
    wall_seconds: float = 0.0
    checkpoint_every: float = 5.0  # seconds
    stop_at: int = 0  # environment step after which a run is evaluated as it is, to go on another time; 0: its end


class JobStopped(Exception):  # noqa: N818 - it is no error
    """The host stops the cell."""


class CellFailed(RuntimeError):  # noqa: N818 - the name is the outcome of a cell
    """A cell failed; one line."""


def play(task: JobSpec, tick: Tick) -> Result:
    """Run a cell to its end, from its newest checkpoint if there is one.

    Raises:
        CellFailed: every seed failed.
        ValueError: players that cannot be built, or do not fit together.
    """
    result = _PLAYERS[task.kind](task, tick)
    return {**result, "facts": {**result["facts"], "machine": machine(1)}}


def reason_of(error: BaseException) -> str:
    """Format an error in one line."""
    text = " ".join(str(error).split())[:500]
    plain = isinstance(error, ValueError | CellFailed | StoreFailure) or type(error) is RuntimeError
    return text if text and plain else f"{type(error).__name__}: {text}".removesuffix(": ")


def _run(task: JobSpec, tick: Tick) -> Result:
    from simulator.training import loop

    settings = from_toml(RunConfig, task.settings, OF_A_CELL)
    limits = limits_of(task, settings.seeds)
    with Store(task.scratch) as store:
        last = None
        found = _stored(store, tick)
        stop_at = task.stop_at or None
        if found is not None and stop_at is not None and store.find(found).step > stop_at:  # of another experiment
            store.take(found)
            store.delete(found)
            found = None
        every = task.checkpoint_every
        snapshots = loop.run(settings, store, found, checkpoint_every=every, stop_at=stop_at, pictures=False)
        try:
            for last in snapshots:
                tick()
                if last.training_cpu_seconds >= limits.cpu_seconds or last.training_seconds >= limits.wall_seconds:
                    break
        finally:
            snapshots.close()
        assert last is not None
        record = store.find(last.id)
        if record.step < settings.steps and record.status != "failed":
            evaluated = _evaluate_now(settings, store, record, tick)
        else:
            scores = evaluation_scores(store, record)
            cut = last_evaluation(store, record)["cut"] or [0] * len(record.seeds)
            evaluated = Evaluated(scores.steps, scores.scores, np.array(cut, np.bool_))
        if record.status == "failed":
            raise CellFailed(NOT_A_NUMBER.format(record.failed[0]["reason"] if record.failed else "no score"))
        return _of_run(record, evaluated)


class TrainingLimits(NamedTuple):
    """Training time that the seeds of a job have together."""

    cpu_seconds: float  # infinite: no limit
    wall_seconds: float


class Evaluated(NamedTuple):
    """Evaluations of a training run."""

    steps: Array  # int64 [K], training steps before each
    scores: Array  # [S, K]
    cut: Array  # bool [S], seeds with an episode of the last one that was cut


def limits_of(task: JobSpec, n_seeds: int) -> TrainingLimits:
    """Return the training time of all seeds of a job together."""
    return TrainingLimits(task.cpu_seconds * n_seeds or math.inf, task.wall_seconds * n_seeds or math.inf)


def _evaluate_now(settings: Any, store: Store, record: RunRecord, tick: Tick) -> Evaluated:
    """Evaluate a run whose training time is over, and add its earlier evaluations."""
    from simulator.training.session import Session

    scores = evaluation_scores(store, record)
    session = Session(settings)
    saved = store.newest(record.run)
    assert saved is not None
    session.restore(saved.state)
    evaluation: Evaluation | None = None
    for evaluation in session.evaluator().evaluating(session.agent, session.step):  # noqa: B007 - the last one counts
        tick()
    assert evaluation is not None
    before = scores.steps < session.step
    return Evaluated(
        steps=np.append(scores.steps[before], session.step),
        scores=np.column_stack([scores.scores[:, before], scores_of(evaluation)]),
        cut=cut_seeds(evaluation.returns, session.failed_at > 0),
    )


def _of_run(record: RunRecord, evaluated: Evaluated) -> Result:
    scores = evaluated.scores
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
        for seed, row, was_cut in zip(record.seeds, scores, evaluated.cut, strict=True)
        if seed not in broken and not math.isfinite(row[-1])
    ]
    final = [math.nan if seed in broken else float(row[-1]) for seed, row in zip(record.seeds, scores, strict=True)]
    return {
        "scores": final,
        "steps": evaluated.steps.tolist(),
        "curve": scores.tolist(),
        "failed": record.failed,
        "facts": facts,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "exact": record.exact,
    }


def _recall(task: JobSpec, tick: Tick) -> Result:
    from simulator.config.recall import RecallConfig
    from simulator.recall import loop
    from simulator.recall.summary import scores_by_cell

    settings = from_toml(RecallConfig, task.settings, OF_A_CELL)
    with Store(task.scratch) as store:
        for last in loop.recall(settings, store, _stored(store, tick)):  # noqa: B007 - the last one counts
            tick()
        record = store.find(last.id)
        (measured,) = scores_by_cell(store, record, 1)
    cell = record.known("cells")[0]
    broken = cell.get("failed", [])
    if len(broken) == len(record.seeds):
        raise CellFailed(NOT_A_NUMBER.format(broken[0]["reason"]))
    per_seed = {name: scores.tolist() for name, scores in measured.items()}
    facts = {
        **{
            name: per_seed[name] for name in ("overlap", "exact", "spurious", "cue", "ceiling_overlap", "ceiling_exact")
        },
        **{name: cell.get(name) for name in ("parameters", "store_seconds")},
    }
    plain: Result = {"scores": per_seed["overlap"], "steps": [], "curve": [[] for _ in record.seeds], "failed": broken}
    return plain | {"facts": facts, "seconds": record.seconds, "cpu_seconds": record.cpu_seconds, "exact": True}


def _match(task: JobSpec, tick: Tick) -> Result:
    from simulator.config.match import MatchConfig
    from simulator.matches import match

    settings = from_toml(MatchConfig, task.settings, OF_A_CELL)
    for last in match.play(settings):  # noqa: B007 - the last one counts
        tick()
    assert last.result is not None
    return last.result


def _played(task: JobSpec, tick: Tick) -> Result:
    from simulator.config.played_match import PlayedMatchConfig
    from simulator.play.matches import result_of

    return result_of(from_toml(PlayedMatchConfig, task.settings, OF_A_CELL))


def _external(task: JobSpec, tick: Tick) -> Result:
    from simulator.config.external import ExternalConfig
    from simulator.external.contestants import play_external

    settings = from_toml(ExternalConfig, task.settings, OF_A_CELL)
    return play_external(settings, tick, (task.cpu_seconds, task.wall_seconds))


def _stored(store: Store, tick: Tick) -> str | None:
    """Return the run of a scratch lab, or None; waits for an earlier worker that may be about to end."""
    run = next((record.run for record in store.runs()), None)
    until = time.monotonic() + LOCK_TIMEOUT
    while run is not None and store.is_written(run) and time.monotonic() < until:
        tick()
        time.sleep(0.05)
    return run


def scratch_of(folder: Path | str, name: str) -> str:
    """Make the folder in which a job keeps its checkpoints."""
    path = Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


_PLAYERS: dict[str, Callable[[JobSpec, Tick], Result]] = {
    "run": _run,
    "recall": _recall,
    "match": _match,
    "played": _played,
    "external": _external,
}
