"""Recall loop: store, corrupt, recall, score.

:func:`recall` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. A cell is stored
as soon as it is measured; a benchmark that was interrupted continues with the cells that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import numpy as np

from simulator.config.codec import is_as_stored
from simulator.config.recall import RecallConfig
from simulator.core.devices import hold_torch, set_device
from simulator.core.errors import BadInputError
from simulator.core.experiment_kinds import RECALL
from simulator.core.jit import compile_seconds, set_threads
from simulator.core.snapshots import RecallSnapshot
from simulator.recall.benchmark import SCORES, ConditionResult, RecallBenchmark, plan
from simulator.store.hosting import RunLease, hosted
from simulator.store.measured_cells import MeasuredCells
from simulator.store.records import NewRun
from simulator.store.run_records import names_of, new_record, seeds_of
from simulator.store.run_store import Store


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
    return new_record(
        RECALL,
        config,
        label,
        agent=names_of(config.contestants, "memories"),
        env=config.challenge,
        seeds=seeds_of(config),
        steps=len(plan(config)),
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
        self._run = lease.id
        self._seeds = seeds_of(config)
        self._cells = plan(config)
        self._benchmark = RecallBenchmark(config, list(self._seeds))
        hold_torch(1)  # seeds share the threads; see parallel_for
        self._measured = MeasuredCells(lease, self._seeds, len(self._cells), threads)

    @property
    def step(self) -> int:
        """Cells measured so far."""
        return len(self._measured)

    def suspend(self) -> None:
        """Record that it was left: every measured cell is stored already."""
        self._measured.suspend()

    def snapshots(self) -> Iterator[RecallSnapshot]:
        """Measure what is missing."""
        yield self._snapshot("preparing", None)
        while not self._measured.is_done:
            result = self._play(self.step)
            self._measured.keep(dict(zip(SCORES, result.scores.T, strict=True)), result.facts)
            yield self._snapshot("running", result)

    def _play(self, at: int) -> ConditionResult:
        try:
            return self._benchmark.play(self._cells[at])
        except ValueError as error:
            if not self._config.skip:
                raise BadInputError(f"{error}; --skip leaves it out") from None
            empty = np.full((len(self._seeds), len(SCORES)), np.nan)
            return ConditionResult(empty, {"refused": " ".join(str(error).split())}, None)

    def _snapshot(self, phase: str, result: ConditionResult | None) -> RecallSnapshot:
        n = self.step
        scores = {}
        if result is not None:
            measured = np.any(np.isfinite(result.scores), axis=0)
            scores = {name: float(np.nanmean(result.scores[:, k])) for k, name in enumerate(SCORES) if measured[k]}
        return RecallSnapshot(
            id=self._run,
            contestants=tuple(contestant.label for contestant in self._config.contestants),
            challenge=self._config.challenge,
            phase="done" if self._measured.is_done else phase,
            seeds=self._seeds,
            n_done=n,
            n_cells=len(self._cells),
            seconds=self._measured.seconds,
            next_cell="" if self._measured.is_done else self._named(n),
            newest=self._named(n - 1) if n else "",
            picture=result.picture if result else None,
            scores=scores,
            compile_seconds=compile_seconds(),
            warnings=self._measured.warnings,
        )

    def _named(self, at: int) -> str:
        cell = self._cells[at]
        load = f"{cell.patterns} patterns" if cell.patterns else "its capacity"
        return f"{self._config.contestants[cell.contestant].label}, {load}, {cell.corruption}"
