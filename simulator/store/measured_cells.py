"""Cells of a benchmark in the lab: each is stored as soon as it is measured, missing ones follow on resuming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.store.hosting import RunLease, WorkClock
from simulator.store.records import MetricRow, Rows, RunProgress, StoreError, StoreFailure


class MeasuredCells:
    """The measured cells of one benchmark, and the time that it took.

    Args:
        lease: of the benchmark.
        seed_list: of every cell.
        n_cells: how many there are in all.
        threads: that share the seeds.
    """

    def __init__(self, lease: RunLease, seed_list: Sequence[int], n_cells: int, threads: int) -> None:
        resumed = lease.newest_checkpoint(threads)
        self._store = lease.store
        self._run = lease.id
        self._seeds = seed_list
        self._n_cells = n_cells
        self._provenance = resumed.provenance
        self._facts: list[dict[str, Any]] = list(resumed.record.known("cells") or [])[: resumed.progress.step]
        self._clock = WorkClock(resumed.progress.seconds, resumed.progress.cpu_seconds)
        self.warnings = resumed.warnings

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def is_done(self) -> bool:
        """True once all are measured."""
        return len(self) == self._n_cells

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all processes that worked on them."""
        return self._clock.read().wall

    def suspend(self) -> None:
        """Record that the benchmark was left: every measured cell is stored already."""
        with suppress(StoreError, StoreFailure):
            self._store.mark(self._run, "done" if self.is_done else "interrupted")

    def keep(self, scores: Mapping[str, Array], facts: dict[str, Any], of_all: Mapping[str, Any] | None = None) -> None:
        """Store the next cell.

        Args:
            scores: name -> float64 [S]; what is not finite is not stored.
            facts: of this cell, plain values.
            of_all: facts of the benchmark, plain values.
        """
        self._facts.append(facts)
        n = len(self)
        metrics = tuple(
            MetricRow(n, seed, name, float(values[i]))
            for i, seed in enumerate(self._seeds)
            for name, values in scores.items()
            if np.isfinite(values[i])
        )
        stored = {"cells": self._facts, **(of_all or {}), **self._provenance}
        status = "done" if self.is_done else "running"
        spent = self._clock.read()
        progress = RunProgress(n, spent.wall, spent.cpu)
        self._store.checkpoint(self._run, progress, {"cells": n}, Rows(metrics=metrics), status, stored)
