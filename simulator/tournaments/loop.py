"""Tournament loop: contestants x challenges x seed blocks -> cells; runs the missing ones.

:func:`play` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. A cell is recorded
when it has finished; a running one has checkpoints of its own, from which any worker continues.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np

from simulator.config.codec import settings_hash
from simulator.config.external import in_lab, is_in_lab
from simulator.config.tournament import Contestant, TournamentConfig
from simulator.core.experiment_kinds import TOURNAMENT
from simulator.core.files.escaping import check_label
from simulator.core.snapshots import Standing, TournamentSnapshot
from simulator.statistics.analysis import undecided
from simulator.store.cell_store import CellStore, JobKey, SeedRange
from simulator.store.hosting import CellsLease, hosted
from simulator.tournaments import summary
from simulator.tournaments.feasibility import prepare
from simulator.tournaments.jobs import CHECKPOINT_EVERY, Job, JobRunner
from simulator.tournaments.plan import TIMED, cells_of, fitted, pairs_of, plan_of, references
from simulator.tournaments.schedule import JobSchedule
from simulator.tournaments.workers.base import Workers
from simulator.training import learned

LEADERBOARD_FRACTION = 0.01  # of the workers' time that may go into leaderboards while cells are played
LEADERBOARD_RESAMPLES = 200  # bootstrap samples of those
LEADERBOARD_SECONDS = 0.5  # between two leaderboards at least


def play(
    config: TournamentConfig,
    store: CellStore,
    make_workers: Callable[[int], Workers],
    *,
    label: str = "",
    retry: bool = False,
    identity: str = "",
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Generator[TournamentSnapshot, None, None]:
    """Run the missing cells of a tournament.

    Args:
        config: its settings.
        store: the lab; a stored tournament of the same settings is continued.
        make_workers: makes the workers for the number of missing cells, if there are any.
        label: name of a new one.
        retry: whether failed cells are run again.
        identity: settings hash of the stored tournament, if its settings had other names.
        checkpoint_every: seconds between the checkpoints of a cell.

    Yields:
        Snapshots after every event, and a few per second; the last has the phase "done".

    Raises:
        ValueError: invalid settings, or a lab that cannot be used.
    """
    check_label(label)
    config = _with_references(config, store.lab)
    lease = CellsLease(store, TOURNAMENT, identity or settings_hash(config))
    jobs = JobRunner(store, make_workers, config.retries, config.timeout, checkpoint_every)
    yield from hosted(lease, lambda: TournamentLoop(config, lease, jobs, label, retry))


def _with_references(config: TournamentConfig, lab: Path) -> TournamentConfig:
    """Resolve contestants of the lab: runs to what they have learned so far, people to the lab and their names."""
    return dataclasses.replace(config, contestants=tuple(_with_reference(c, lab) for c in config.contestants))


def _with_reference(contestant: Contestant, lab: Path) -> Contestant:
    kind, _, target = contestant.name.partition(":")
    if kind == "run":
        return contestant._replace(name=f"run:{learned.reference(target, lab)}")
    if kind in ("human", "cloned") and is_in_lab(target):
        return contestant._replace(name=f"{kind}:{in_lab(target, lab)}")
    return contestant


class TournamentLoop:
    """The loop of one tournament in this process: gives missing cells to workers, and stores the results.

    Args:
        config: the tournament's settings.
        lease: of the lab's cells.
        jobs: runs the missing cells.
        label: see :func:`play`.
        retry: likewise.
    """

    def __init__(self, config: TournamentConfig, lease: CellsLease, jobs: JobRunner, label: str, retry: bool) -> None:
        self._config = config
        self._lease = lease
        self._store = lease.store
        self._jobs = jobs
        self._retry = retry
        self._schedule = self._planned()
        self._reused = self._schedule.done + self._schedule.failed
        self._rows: tuple[Standing, ...] = ()
        self._ranked = 0  # finished cells in the leaderboard
        self._next_board = 0.0  # seconds of the clock from which there may be another one
        lease.begin(config, self._schedule.plan, label)
        self.id = lease.id

    @property
    def step(self) -> int:
        """Finished cells."""
        return self._schedule.done + self._schedule.failed

    def _planned(self) -> JobSchedule:
        """Plan the jobs after the feasibility checks."""
        config = self._config
        refused = dict[tuple[int, int], str]()
        pairs = pairs_of(config, refused)
        plan = plan_of(config, pairs, refused)
        self._pairs = {pair.key: pair for pair in [*references(config), *pairs]}  # those of two labels may be the same
        cells = self._store.cells(list(self._pairs))
        earlier = self._lease.earlier()
        if earlier is None:  # where another tournament's cell failed, its time or its machine may have been the reason
            cells = {job: cell for job, cell in cells.items() if cell.status == "done"}
        stored_spans: dict[str, list[SeedRange]] = {}
        for key, span in cells:
            stored_spans.setdefault(key, []).append(span)
        for pair in plan["pairs"]:
            spans = fitted(
                SeedRange(config.first_seed, config.seeds), config.seeds_per_cell, stored_spans.get(pair["key"], ())
            )
            pair["spans"] = [list(span) for span in spans]
        prepare(plan, self._pairs, cells, config)
        schedule = JobSchedule(plan, cells)
        if earlier is not None and config.adaptive:
            schedule.as_before(earlier.plan)
        return schedule

    def snapshots(self) -> Iterator[TournamentSnapshot]:
        """Run the cells; if the tournament is adaptive, add seeds for undecided contestants and continue."""
        try:
            yield self._snapshot("preparing")
            if self._retry:
                for job in self._schedule.broken():
                    self._store.forget(*job)
                    self._schedule.keep(job, None)
            while True:
                missing = self._schedule.missing()
                self._store.sweep(
                    self._store.unfinished() | set(missing)
                )  # a kill may have left those of the last cell
                if missing:
                    yield from self._play(missing)
                if not self._grow():
                    break
                yield self._snapshot("analysing")
            yield self._snapshot("analysing")
            self._rank()
            yield self._snapshot("done")
        finally:
            self._jobs.close()
        self._lease.mark("done", self._jobs.cpu_seconds)

    def suspend(self) -> None:
        """Record status and time."""
        self._lease.mark("interrupted", self._jobs.cpu_seconds)

    def _play(self, missing: list[JobKey]) -> Iterator[TournamentSnapshot]:
        for ended in self._jobs.play(missing, self._job):
            for key, cell in ended.items():
                self._schedule.keep(key, cell)
            self._update_leaderboard(self._jobs.n_workers)
            yield self._snapshot("running")

    def _job(self, key: JobKey) -> Job:
        pair = self._schedule.pair(key)
        limits = {name: getattr(self._config, name) for name in TIMED if pair["contestant"] >= 0}
        return Job(pair["kind"], self._pairs[key.pair].settings(key.span), self._schedule.words(key), limits)

    def _grow(self) -> bool:
        """Add a block of seeds for undecided contestants; return whether there were any."""
        if not self._config.adaptive:
            return False
        result = summary.summary(self._store, self.id)
        wanted = {name for division in result["divisions"] for pair in undecided(division) for name in pair}
        grown = self._schedule.grow(wanted, self._config)
        if grown:
            self._store.keep_plan(self.id, self._schedule.plan)
        return grown

    def _update_leaderboard(self, n_workers: int) -> None:
        """Rank again where cells have ended since, after a pause that keeps the cost within its limit.

        The first one loads what the analysis at the end needs too, so that its time counts for nothing.
        """
        if self._ranked == self.step or time.perf_counter() < self._next_board:
            return
        began = time.thread_time()
        self._rows = summary.leaderboard(self._store, self.id, LEADERBOARD_RESAMPLES)
        cost = time.thread_time() - began if self._ranked else 0.0
        self._ranked = self.step
        pause = max(cost / (LEADERBOARD_FRACTION * n_workers), LEADERBOARD_SECONDS)
        self._next_board = time.perf_counter() + pause

    def _rank(self) -> None:
        """Rank the contestants finally, and store the analysis."""
        summary.keep(self._store, self.id)
        result = summary.summary(self._store, self.id)
        self._rows = summary.rows_of(result, list(cells_of(self._schedule.plan)), self._schedule.over)

    def _snapshot(self, phase: str) -> TournamentSnapshot:
        schedule = self._schedule
        spent = self._jobs.spent
        missing = schedule.planned - schedule.done - schedule.failed
        return TournamentSnapshot(
            id=self.id,
            phase=phase,
            planned=schedule.planned,
            done=schedule.done,
            running=len(self._jobs.now),
            failed=schedule.failed,
            reused=self._reused,
            seconds=self._lease.seconds,
            left=float(np.mean(spent)) * missing / self._jobs.n_workers if spent and missing else None,
            rows=self._rows,
            now=self._jobs.now,
            newest=self._jobs.newest,
            warnings=tuple(self._jobs.warnings),
        )
