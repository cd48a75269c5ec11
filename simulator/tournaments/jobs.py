"""Jobs of experiments that are made of cells: gives missing cells to workers, and stores the results.

A cell is recorded when it has finished; a running one has checkpoints of its own, from which any worker continues.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from simulator.store.cell_store import CellStore, JobKey, JobRecord, failed, of_result
from simulator.tournaments.cell_runner import JobSpec, scratch_of
from simulator.tournaments.workers.base import Answer, Workers

POLL_SECONDS = 0.25  # seconds
CHECKPOINT_EVERY = 5.0  # seconds


class Job(NamedTuple):
    """A missing cell."""

    kind: str  # run, recall, match or external
    settings: str  # TOML, with the seeds
    words: str  # for people: "dqn in CartPole-v1, seeds 0 to 15"
    limits: Mapping[str, float] = {}  # cpu_seconds and wall_seconds of training per seed
    stop_at: int = 0  # environment step after which it is evaluated; 0: its end
    goes_on: JobKey | None = None  # cell whose checkpoints it begins with and leaves behind; None: its own


class RunningJob:
    """A running cell."""

    def __init__(self, key: JobKey, words: str) -> None:
        self.key = key
        self.words = words
        self.began = time.monotonic()


class JobRunner:
    """Plays missing cells on workers, which are made when there is the first one.

    Args:
        store: the lab.
        make_workers: makes the workers for a number of cells.
        retries: number of times that a cell is run again after its worker died.
        timeout: seconds after which a cell is given up as failed; 0: never.
        checkpoint_every: seconds between the checkpoints of a cell.
    """

    def __init__(
        self,
        store: CellStore,
        make_workers: Callable[[int], Workers],
        retries: int,
        timeout: float,
        checkpoint_every: float,
    ) -> None:
        self.cpu_seconds = 0.0  # of the cells that were played: they are played in other processes
        self.spent: list[float] = []  # seconds of each cell that was played
        self.newest = ""  # the cell that ended last, as text
        self.warnings: list[str] = []
        self._store = store
        self._make_workers = make_workers
        self._retries = retries
        self._timeout = timeout
        self._checkpoint_every = checkpoint_every
        self._workers: Workers | None = None
        self._running: dict[str, RunningJob] = {}
        self._tries: dict[str, int] = {}
        self._ended: dict[JobKey, JobRecord] = {}

    @property
    def n_workers(self) -> int:
        """Cells at once."""
        return self._workers.n if self._workers is not None else 1

    @property
    def now(self) -> tuple[str, ...]:
        """Running cells, as text."""
        return tuple(running.words for running in self._running.values())

    def play(self, missing: Sequence[JobKey], job_of: Callable[[JobKey], Job]) -> Iterator[dict[JobKey, JobRecord]]:
        """Play cells, in their order as far as workers are free.

        Args:
            missing: the cells.
            job_of: gives what a worker needs to play one.

        Yields:
            A few times a second, the cells that have ended since, which are stored.
        """
        self._workers = self._workers or self._make_workers(len(missing))
        waiting = deque(missing)
        while waiting or self._running:
            while waiting and len(self._running) < self._workers.n:
                key = waiting.popleft()
                self._start(self._workers, key, job_of(key))
            self._ended = {}
            waiting.extendleft(self._again(self._workers.wait(POLL_SECONDS)))
            self._give_up_late(self._workers)
            yield self._ended

    def close(self) -> None:
        """Stop every cell at a checkpoint."""
        if self._workers is not None:
            self._workers.close()

    def _start(self, workers: Workers, key: JobKey, job: Job) -> None:
        path = self._store.scratch(*key)
        scratch = scratch_of(path.parent, self._store.scratch(*(job.goes_on or key)).name)
        limits = {**job.limits, "checkpoint_every": self._checkpoint_every}
        task = JobSpec(path.name, job.kind, job.settings, scratch, stop_at=job.stop_at, **limits)
        self._running[task.key] = RunningJob(key, job.words)
        workers.start(task)

    def _again(self, answers: Iterable[Answer]) -> Iterator[JobKey]:
        """Record answers, and yield the cells to run again."""
        for answer in answers:
            running = self._running.pop(answer.key, None)
            if running is None or answer.stopped:
                continue
            if answer.died and (tries := self._tries.get(answer.key, 0) + 1) <= self._retries:
                self._tries[answer.key] = tries
                self.warnings.append(f"{running.words}: {answer.died}; the cell runs again")
                yield running.key
                continue
            self.newest = running.words
            again = f", {self._retries + 1} times" if self._retries and answer.died else ""
            self._record(running.key, answer.result, answer.failed or f"{answer.died}{again}")
            if answer.result is not None:
                self.spent.append(time.monotonic() - running.began)

    def _record(self, key: JobKey, result: dict[str, Any] | None, reason: str) -> None:
        cell = of_result(key, result) if result is not None else failed(key, reason)
        self._store.add(cell)
        self.cpu_seconds += cell.cpu_seconds
        self._ended[key] = cell

    def _give_up_late(self, workers: Workers) -> None:
        if not self._timeout:
            return
        for name, running in list(self._running.items()):
            if time.monotonic() - running.began > self._timeout:
                workers.kill(name)
                del self._running[name]
                self._record(running.key, None, f"it ran longer than timeout = {self._timeout:g} s")
