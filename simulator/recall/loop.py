"""Contests between memories: store, corrupt, recall, score. The only memory loop.

``recall`` is an iterator of snapshots, driven by its caller, like the training loop of :mod:`simulator.training.loop`.
A cell is stored when it is played; a contest that was interrupted goes on with the cells that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from simulator.commands.driver import BadInput
from simulator.config.codec import is_as_stored, settings_hash, to_toml
from simulator.config.recall import RecallConfig
from simulator.core.devices import hold_torch
from simulator.core.files.escaping import check_label
from simulator.core.jit import compile_seconds, set_threads, working_seconds
from simulator.core.memories import RecallSnapshot
from simulator.core.stopping import Stopped
from simulator.machine import joined, machine
from simulator.recall.benchmark import SCORES, Contest, Result, plan
from simulator.store.records import EvaluationRow, NewRun, Progress, Rows, StoreError, StoreFailure
from simulator.store.run_records import failure_of, installed, seeds_of
from simulator.store.run_store import Store

SEVERAL = 3  # contestants that a list names


def recall(config: RecallConfig, store: Store, run: str | None = None, *, label: str = "") -> Iterator[RecallSnapshot]:
    """Let memories compete, and store what comes out.

    Args:
        config: the contest's settings; of a stored one, its own.
        store: the lab.
        run: id of a stored contest, to go on with; None: a new one.
        label: what people call a new one.

    Yields:
        A snapshot before the first cell and after every cell; the last has the phase "done".

    Raises:
        ValueError: settings that cannot work, a memory that refuses its patterns, or a lab that cannot be used.
    """
    name = _take(config, store, run, label)
    try:
        try:
            host = _Host(config, store, name)
            yield from host.snapshots()
        except ValueError as error:
            if run is None:
                _drop(store, name, error)
            raise
        except Stopped:
            with suppress(StoreError, StoreFailure):
                store.mark(name, "interrupted") if store.find(name).step else store.discard(name)
            raise
        except KeyboardInterrupt:
            with suppress(StoreError, StoreFailure):
                store.mark(name, "interrupted")
            raise
        except GeneratorExit:
            with suppress(StoreError, StoreFailure):
                store.mark(name, "done" if host.over else "interrupted")
            raise
        except BaseException as error:
            with suppress(StoreError, StoreFailure):
                _drop(store, name, error)
            raise
    finally:
        store.release(name)


def _take(config: RecallConfig, store: Store, run: str | None, label: str) -> str:
    if run is None:
        check_label(label)
        told = (_who(config), config.challenge, seeds_of(config), len(plan(config)))
        return store.begin(NewRun(*told, to_toml(config), settings_hash(config), installed(), label))
    if not is_as_stored(config, store.find(run)):
        raise ValueError(f"{run}: its settings, or a file that they name, have changed since it began")
    store.take(run)
    return run


def _drop(store: Store, run: str, error: BaseException) -> None:
    """A contest that failed: nothing is stored half, and whole cells are kept, with the reason."""
    step = store.find(run).step
    store.mark(run, "failed", failure_of(error, step)) if step else store.discard(run)


def _who(config: RecallConfig) -> str:
    """The contestants in a word or two, for lists."""
    n = len(config.contestants)
    return " ".join(each.label for each in config.contestants) if n <= SEVERAL else f"{n} memories"


class _Host:
    """One sitting of one contest."""

    def __init__(self, config: RecallConfig, store: Store, run: str) -> None:
        threads = config.threads or os.cpu_count() or 1
        set_threads(threads)
        self._config, self._store, self._run = config, store, run
        self._seeds, self._cells = seeds_of(config), plan(config)
        self._contest = Contest(config, list(self._seeds))
        hold_torch(1)  # seeds share the threads; see spread
        saved, record = store.newest(run), store.find(run)
        self._before = saved.progress if saved else Progress()
        self._warnings = saved.warnings if saved else ()
        self._facts: list[dict[str, Any]] = list(record.known("cells") or [])[: self._before.step]
        self._lost = record.lost
        self._label, self._machines = record.label, joined(record.machines, machine(threads))
        self._clock, self._cpu = working_seconds()

    @property
    def over(self) -> bool:
        """Whether every cell was played."""
        return len(self._facts) == len(self._cells)

    def snapshots(self) -> Iterator[RecallSnapshot]:
        """Play what is missing."""
        yield self._snapshot("preparing", None)
        while not self.over:
            result = self._play(len(self._facts))
            self._keep(result)
            yield self._snapshot("done" if self.over else "playing", result)

    def _play(self, at: int) -> Result:
        cell = self._cells[at]
        try:
            return self._contest.play(cell)
        except ValueError as error:
            if not self._config.skip:
                raise BadInput(f"{error}; --skip goes on without") from None
            empty = np.full((len(self._seeds), len(SCORES)), np.nan)
            return Result(empty, {"refused": " ".join(str(error).split())}, None)

    def _keep(self, result: Result) -> None:
        """Store a cell: its scores as rows, the rest as facts."""
        self._facts.append(result.facts)
        n = len(self._facts)
        rows = [EvaluationRow(n, seed, row[0], None, row) for seed, row in zip(self._seeds, result.scores, strict=True)]
        facts = {"cells": self._facts, "machines": self._machines}
        facts |= {"lost": self._lost} if self._lost else {}
        facts |= {"label": self._label} if self._label else {}
        status = "done" if self.over else "running"
        self._store.checkpoint(self._run, self._progress(), {"cells": n}, Rows(None, tuple(rows)), status, facts)

    def _progress(self) -> Progress:
        clock, cpu = working_seconds()
        before = self._before
        return Progress(len(self._facts), clock - self._clock + before.seconds, cpu - self._cpu + before.cpu_seconds)

    def _snapshot(self, phase: str, result: Result | None) -> RecallSnapshot:
        n, known = len(self._facts), {}
        if result is not None:
            with_numbers = np.isfinite(result.scores).any(axis=0)
            known = {name: float(np.nanmean(result.scores[:, k])) for k, name in enumerate(SCORES) if with_numbers[k]}
        return RecallSnapshot(
            run=self._run,
            contestants=tuple(each.label for each in self._config.contestants),
            challenge=self._config.challenge,
            phase="done" if self.over else phase,
            seeds=self._seeds,
            step=n,
            steps=len(self._cells),
            seconds=self._progress().seconds,
            following="" if self.over else self._named(n),
            newest=self._named(n - 1) if n else "",
            picture=result.picture if result else None,
            scores=known,
            compile_seconds=compile_seconds(),
            warnings=self._warnings,
        )

    def _named(self, at: int) -> str:
        cell = self._cells[at]
        what = f"{cell.patterns} patterns" if cell.patterns else "its capacity"
        return f"{self._config.contestants[cell.contestant].label}, {what}, {cell.corruption}"
