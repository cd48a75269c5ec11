"""Loop of a comparison of predictions: every contestant learns and predicts under every condition.

:func:`predict` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. A cell is stored
as soon as it is measured; a comparison that was interrupted continues with the cells that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import PlayerEntry, is_as_stored
from simulator.config.predict import PredictConfig
from simulator.core import registry
from simulator.core.devices import hold_torch, set_device
from simulator.core.errors import BadInputError
from simulator.core.experiment_kinds import PREDICT
from simulator.core.jit import compile_seconds, set_threads
from simulator.core.memories import Memory
from simulator.core.protocols import Array
from simulator.core.snapshots import PredictSnapshot
from simulator.core.stopping import Stopped
from simulator.core.tasks import Predictor
from simulator.store.hosting import RunLease, hosted
from simulator.store.measured_cells import MeasuredCells
from simulator.store.records import NewRun
from simulator.store.run_records import names_of, new_record, seeds_of
from simulator.store.run_store import Store

NOT_FINITE = "what it predicted is not finite"


class Cell(NamedTuple):
    """One contestant under one condition."""

    contestant: int
    condition: float


def plan(config: PredictConfig, conditions: tuple[float, ...]) -> list[Cell]:
    """List every cell, in the order in which they are measured."""
    return [Cell(at, condition) for at in range(len(config.contestants)) for condition in conditions]


def predict(
    config: PredictConfig, store: Store, run: str | None = None, *, label: str = ""
) -> Generator[PredictSnapshot, None, None]:
    """Let methods and memories predict, and store what comes out.

    Args:
        config: the comparison's settings; of a stored one, its own.
        store: the lab.
        run: id of a stored comparison, to be continued; None: a new one.
        label: name of a new one.

    Yields:
        A snapshot before the first cell and after every cell; the last has the phase "done".

    Raises:
        ValueError: settings that cannot work, a contestant that cannot predict, or a lab that cannot be used.
    """
    task = registry.load("tasks", config.task).make(list(seeds_of(config)), config.task_settings)
    n_cells = len(plan(config, task.conditions))
    lease = RunLease(store, run, lambda: _new(config, n_cells, label), lambda record: is_as_stored(config, record))
    yield from hosted(lease, lambda: PredictLoop(config, task, lease))


def _new(config: PredictConfig, n_cells: int, label: str) -> NewRun:
    return new_record(
        PREDICT,
        config,
        label,
        agent=names_of(config.contestants, "methods"),
        env=config.task,
        seeds=seeds_of(config),
        steps=n_cells,
    )


class PredictLoop:
    """The loop of one comparison in this process: measures the cells that are missing, and stores each.

    Args:
        config: the comparison's settings.
        task: of the config.
        lease: of the comparison.
    """

    def __init__(self, config: PredictConfig, task: Any, lease: RunLease) -> None:
        threads = config.threads or os.cpu_count() or 1
        set_threads(threads)
        set_device("cpu")
        hold_torch(1)  # seeds share the threads; see parallel_for
        self._config = config
        self._run = lease.id
        self._seeds = seeds_of(config)
        self._task = task
        self._contestants = [contestant_of(entry) for entry in config.contestants]
        self._refused = self._find_refused()
        self._cells = plan(config, task.conditions)
        self._measured = MeasuredCells(lease, self._seeds, len(self._cells), threads)
        self._rows: list[tuple[str, float, float]] = []

    @property
    def step(self) -> int:
        """Cells measured so far."""
        return len(self._measured)

    def suspend(self) -> None:
        """Record that it was left: every measured cell is stored already."""
        self._measured.suspend()

    def snapshots(self) -> Iterator[PredictSnapshot]:
        """Measure what is missing."""
        yield self._snapshot("preparing")
        while not self._measured.is_done:
            cell = self._cells[self.step]
            try:
                scores, facts = self._play(cell)
            except Stopped:  # of this cell nothing is kept
                yield self._snapshot("running")
                return
            self._measured.keep(scores, facts, {"task": _plain(self._task)})
            self._rows.append((*self._place(cell), _mean(scores, self._task.spec.scores[0].name)))
            yield self._snapshot("running")

    def _find_refused(self) -> dict[int, str]:
        """Return the contestants that cannot predict here, with the reasons.

        Raises:
            ValueError: there is one, and none may be left out, or none is left.
        """
        refused = {}
        for at, contestant in enumerate(self._contestants):
            try:
                self._task.check(contestant)
            except ValueError as error:
                refused[at] = self._refusal(at, error)
        if refused and not self._config.skip:
            raise ValueError(f"{next(iter(refused.values()))}; --skip leaves it out")
        if len(refused) == len(self._contestants):
            raise ValueError(next(iter(refused.values())))
        return refused

    def _refusal(self, at: int, error: ValueError) -> str:
        """Return the reason for which a contestant cannot predict, in one line that begins with its label."""
        label = self._config.contestants[at].label
        line = " ".join(str(error).split())
        return line if line.startswith(f"{label}:") else f"{label}: {line}"

    def _play(self, cell: Cell) -> tuple[dict[str, Array], dict[str, Any]]:
        """Measure one cell; a seed whose scores are not finite has failed and has none."""
        place = {"contestant": self._config.contestants[cell.contestant].label, "condition": cell.condition}
        if cell.contestant in self._refused:
            return {}, {**place, "refused": self._refused[cell.contestant]}
        try:
            prediction = self._task.play(self._contestants[cell.contestant], cell.condition)
        except ValueError as error:
            line = self._refusal(cell.contestant, error)
            if not self._config.skip:
                raise BadInputError(f"{line}; --skip leaves it out") from None
            return {}, {**place, "refused": line}
        broken = ~np.isfinite(prediction.scores[self._task.spec.scores[0].name])
        scores = {name: np.where(broken, np.nan, values) for name, values in prediction.scores.items()}
        failed = [{"seed": self._seeds[i], "reason": NOT_FINITE} for i in np.flatnonzero(broken)]
        return scores, {**place, **prediction.facts, **({"failed": failed} if failed else {})}

    def _place(self, cell: Cell) -> tuple[str, float]:
        return self._config.contestants[cell.contestant].label, cell.condition

    def _named(self, at: int) -> str:
        label, condition = self._place(self._cells[at])
        return f"{label}, {condition:g} {self._task.spec.condition}"

    def _snapshot(self, phase: str) -> PredictSnapshot:
        n = self.step
        is_done = self._measured.is_done
        return PredictSnapshot(
            id=self._run,
            contestants=tuple(one.label for one in self._config.contestants),
            task=self._config.task,
            phase="done" if is_done else phase,
            seeds=self._seeds,
            n_done=n,
            n_cells=len(self._cells),
            seconds=self._measured.seconds,
            next_cell="" if is_done else self._named(n),
            condition=self._task.spec.condition,
            score=self._task.spec.scores[0].heading,
            rows=tuple(self._rows),
            newest=self._named(n - 1) if n else "",
            compile_seconds=compile_seconds(),
            warnings=self._measured.warnings,
        )


def contestant_of(entry: PlayerEntry) -> Predictor:
    """Return a contestant; of a memory with the function that makes it for patterns and seeds."""
    if entry.settings is None:
        return Predictor(entry.name)
    make: Callable[..., Memory] = registry.load("memories", entry.name).make
    return Predictor(entry.name, partial(_made, make, entry.settings))


def _made(make: Callable[..., Memory], settings: Any, spec: Any, seed_list: Any) -> Memory:
    return make(spec, seed_list, settings)


def _plain(task: Any) -> dict[str, Any]:
    """Describe a task in plain values, for reports that load no player."""
    spec = task.spec._asdict()
    return {**spec, "scores": [score._asdict() for score in task.spec.scores], "conditions": list(task.conditions)}


def _mean(scores: dict[str, Array], name: str) -> float:
    values = scores.get(name, np.array([np.nan]))
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
