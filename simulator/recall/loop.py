"""Recall loop: store, corrupt, recall, score.

:func:`recall` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. A cell is stored
as soon as it is measured; a benchmark that was interrupted continues with the cells that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from simulator.config.codec import content_hashes, is_as_stored, settings_hash, to_toml
from simulator.config.recall import RecallConfig
from simulator.core.devices import hold_torch, set_device
from simulator.core.errors import BadInputError
from simulator.core.files.escaping import check_label
from simulator.core.jit import compile_seconds, set_threads
from simulator.core.snapshots import RECALL, RecallSnapshot
from simulator.recall.benchmark import SCORES, ConditionResult, RecallBenchmark, plan
from simulator.store.hosting import RunLease, WorkClock, hosted
from simulator.store.records import MetricRow, NewRun, Rows, RunProgress, StoreError, StoreFailure
from simulator.store.run_records import installed, seeds_of
from simulator.store.run_store import Store

MAX_NAMED = 3  # contestants that a list names


def recall(
    config: RecallConfig, store: Store, run: str | None = None, *, label: str = ""
) -> Generator[RecallSnapshot, None, None]:
    """Let memories compete, and store what comes out.

    Args:
        config: the benchmark's settings; of a stored one, its own.
        store: the lab.
        run: id of a stored benchmark, to be continued; None: a new one.
        label: name of a new one.

    Yields:
        A snapshot before the first cell and after every cell; the last has the phase "done".

    Raises:
        ValueError: settings that cannot work, a memory that refuses its patterns, or a lab that cannot be used.
    """
    lease = RunLease(store, run, lambda: _new_benchmark(config, label), lambda record: is_as_stored(config, record))
    yield from hosted(lease, lambda: RecallLoop(config, lease))


def _new_benchmark(config: RecallConfig, label: str) -> NewRun:
    check_label(label)
    n = len(config.contestants)
    contestants = " ".join(contestant.label for contestant in config.contestants) if n <= MAX_NAMED else f"{n} memories"
    return NewRun(
        kind=RECALL,
        agent=contestants,
        env=config.challenge,
        seeds=seeds_of(config),
        steps=len(plan(config)),
        settings=to_toml(config),
        settings_hash=settings_hash(config),
        files=content_hashes(config),
        versions=installed(),
        label=label,
    )


class RecallLoop:
    """The loop of one recall benchmark in this process: measures the cells that are missing, and stores each.

    Args:
        config: the benchmark's settings.
        lease: of the benchmark.
    """

    def __init__(self, config: RecallConfig, lease: RunLease) -> None:
        threads = config.threads or os.cpu_count() or 1
        set_threads(threads)
        set_device("cpu")
        self._config = config
        self._store = lease.store
        self._run = lease.id
        self._seeds = seeds_of(config)
        self._cells = plan(config)
        self._benchmark = RecallBenchmark(config, list(self._seeds))
        hold_torch(1)  # seeds share the threads; see parallel_for
        resumed = lease.newest_checkpoint(threads)
        self._provenance = resumed.provenance
        self._warnings = resumed.warnings
        self._facts: list[dict[str, Any]] = list(resumed.record.known("cells") or [])[: resumed.progress.step]
        self._clock = WorkClock(resumed.progress.seconds, resumed.progress.cpu_seconds)

    @property
    def step(self) -> int:
        """Cells measured so far."""
        return len(self._facts)

    @property
    def _is_done(self) -> bool:
        return self.step == len(self._cells)

    def suspend(self) -> None:
        """Record that it was left: every measured cell is stored already."""
        with suppress(StoreError, StoreFailure):
            self._store.mark(self._run, "done" if self._is_done else "interrupted")

    def snapshots(self) -> Iterator[RecallSnapshot]:
        """Measure what is missing."""
        yield self._snapshot("preparing", None)
        while not self._is_done:
            result = self._play(self.step)
            self._keep(result)
            yield self._snapshot("running", result)

    def _play(self, at: int) -> ConditionResult:
        try:
            return self._benchmark.play(self._cells[at])
        except ValueError as error:
            if not self._config.skip:
                raise BadInputError(f"{error}; --skip leaves it out") from None
            empty = np.full((len(self._seeds), len(SCORES)), np.nan)
            return ConditionResult(empty, {"refused": " ".join(str(error).split())}, None)

    def _keep(self, result: ConditionResult) -> None:
        """Store a cell: its scores as rows, the rest as facts."""
        self._facts.append(result.facts)
        n = len(self._facts)
        metrics = tuple(
            MetricRow(n, seed, name, float(value))
            for seed, scores in zip(self._seeds, result.scores, strict=True)
            for name, value in zip(SCORES, scores, strict=True)
            if np.isfinite(value)
        )
        facts = {"cells": self._facts, **self._provenance}
        status = "done" if self._is_done else "running"
        spent = self._clock.read()
        progress = RunProgress(n, spent.wall, spent.cpu)
        self._store.checkpoint(self._run, progress, {"cells": n}, Rows(metrics=metrics), status, facts)

    def _snapshot(self, phase: str, result: ConditionResult | None) -> RecallSnapshot:
        n = self.step
        scores = {}
        if result is not None:
            measured = np.isfinite(result.scores).any(axis=0)
            scores = {name: float(np.nanmean(result.scores[:, k])) for k, name in enumerate(SCORES) if measured[k]}
        return RecallSnapshot(
            id=self._run,
            contestants=tuple(contestant.label for contestant in self._config.contestants),
            challenge=self._config.challenge,
            phase="done" if self._is_done else phase,
            seeds=self._seeds,
            n_done=n,
            n_cells=len(self._cells),
            seconds=self._clock.read().wall,
            next_cell="" if self._is_done else self._named(n),
            newest=self._named(n - 1) if n else "",
            picture=result.picture if result else None,
            scores=scores,
            compile_seconds=compile_seconds(),
            warnings=self._warnings,
        )

    def _named(self, at: int) -> str:
        cell = self._cells[at]
        load = f"{cell.patterns} patterns" if cell.patterns else "its capacity"
        return f"{self._config.contestants[cell.contestant].label}, {load}, {cell.corruption}"
