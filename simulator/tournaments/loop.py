"""Tournaments: contestants x challenges x seed blocks -> cells; plays what is missing.

``play`` is an iterator of snapshots, driven by its caller, like the training loop of :mod:`simulator.training.loop`. A
cell is recorded when it is over; one in flight keeps checkpoints of its own, from which it goes on wherever it is
taken up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from simulator.config.codec import settings_hash, to_toml
from simulator.config.tournament import TournamentConfig
from simulator.core.files.escaping import check_label
from simulator.core.snapshots import Standing, TournamentSnapshot
from simulator.statistics.analysis import undecided
from simulator.store.cell_store import CellStore, Slot, Span, failed, of_result
from simulator.store.run_records import installed
from simulator.tournaments import summary
from simulator.tournaments.cell_runner import Task, scratch_of
from simulator.tournaments.feasibility import prepare
from simulator.tournaments.plan import TIMED, cells_of, fitted, pairs_of, plan_of, references
from simulator.tournaments.schedule import Schedule
from simulator.tournaments.workers.base import Answer, Workers

LOOK_UP_EVERY = 0.25  # seconds
CHECKPOINT_EVERY = 5.0  # seconds
SHARE = 0.005  # of the time that may go into leaderboards while cells are played
QUICK = 200  # bootstrap samples of those
SOON = 5.0  # seconds after which there is a first leaderboard, whatever it takes


def play(
    config: TournamentConfig,
    store: CellStore,
    make_workers: Callable[[int], Workers],
    *,
    label: str = "",
    retry: bool = False,
    identity: str = "",
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Iterator[TournamentSnapshot]:
    """Play what is missing of a tournament.

    Args:
        config: its settings.
        store: the lab; a tournament of the same settings that it holds is gone on with.
        make_workers: where cells are played; asked with the number of cells that are missing, if any are.
        label: what people call a new one.
        retry: whether cells that failed are played again.
        identity: hash of the settings of the stored tournament that this is, where they had other names then.
        checkpoint_every: seconds between the checkpoints of a cell.

    Yields:
        A snapshot when something has happened, and a few a second; the last has the phase "done".

    Raises:
        ValueError: settings that cannot work, or a lab that cannot be used.
    """
    check_label(label)
    with store.hosting():
        host = _Host(config, store, label, retry, identity or settings_hash(config))
        host.checkpoint_every = checkpoint_every
        status = "interrupted"
        try:
            yield from host.snapshots(make_workers)
            status = "done"
        finally:
            host.close(status)


class _Flight:
    """A cell that is being played."""

    def __init__(self, slot: Slot, words: str) -> None:
        self.slot, self.words = slot, words
        self.began = time.monotonic()


class _Host:
    """One sitting of one tournament."""

    checkpoint_every = CHECKPOINT_EVERY

    def __init__(self, config: TournamentConfig, store: CellStore, label: str, retry: bool, identity: str) -> None:
        self._config, self._store, self._retry, self._identity = config, store, retry, identity
        self._schedule = self._planned()
        self._workers: Workers | None = None
        self._flying: dict[str, _Flight] = {}
        self._tries: dict[str, int] = {}
        self._spent, self._newest, self._warnings = list[float](), "", list[str]()
        self._clock, self._judging, self._cpu = time.perf_counter(), 0.0, 0.0
        self._reused = self._schedule.done + self._schedule.failed
        self._rows: tuple[Standing, ...] = ()
        plan = self._schedule.plan
        self.name = store.begin(to_toml(config), identity, plan, label, installed())
        store.mark(self.name, "running")

    def _planned(self) -> Schedule:
        """The cells, once it is known that everybody can play."""
        config, refused = self._config, dict[tuple[int, int], str]()
        pairs = pairs_of(config, refused)
        plan = plan_of(config, pairs, refused)
        self._pairs = {pair.key: pair for pair in [*references(config), *pairs]}  # those of two labels may be the same
        cells = self._store.cells(list(self._pairs))
        same = [each for each in self._store.tournaments() if each.settings_hash == self._identity]
        if not same:  # where another tournament's cell failed, its time or its machine may have been the reason
            cells = {slot: cell for slot, cell in cells.items() if cell.status == "done"}
        known: dict[str, list[Span]] = {}
        for key, span in cells:
            known.setdefault(key, []).append(span)
        for pair in plan["pairs"]:
            spans = fitted((config.first_seed, config.seeds), config.block, known.get(pair["key"], ()))
            pair["spans"] = [list(each) for each in spans]
        prepare(plan, self._pairs, cells, config)
        schedule = Schedule(plan, cells)
        if same and config.adaptive:
            schedule.as_before(same[0].plan)
        return schedule

    def snapshots(self, make_workers: Callable[[int], Workers]) -> Iterator[TournamentSnapshot]:
        """Play, and where the tournament is adaptive look who is undecided and play on."""
        yield self.snapshot("preparing")
        if self._retry:
            for slot in self._schedule.broken():
                self._store.forget(*slot)
                self._schedule.keep(slot, None)
        while True:
            missing = self._schedule.missing()
            if missing:
                self._workers = self._workers or make_workers(len(missing))
                yield from self._play(missing)
            if not self._grow():
                break
            yield self.snapshot("judging")
        yield self.snapshot("done")

    def _play(self, missing: list[Slot]) -> Iterator[TournamentSnapshot]:
        workers, waiting = self._workers, deque(missing)
        assert workers is not None
        self._store.sweep(self._unfinished() | set(missing))
        while waiting or self._flying:
            while waiting and len(self._flying) < workers.n:
                self._start(workers, waiting.popleft())
            answers = workers.wait(LOOK_UP_EVERY)
            for answer in answers:
                waiting.extendleft(self._take(answer))
            self._give_up_late(workers)
            if answers:
                self._judge_now_and_then()
            yield self.snapshot("playing")

    def _unfinished(self) -> set[Slot]:
        """The cells of every tournament of the lab that is not done: somebody may go on with them."""
        open_ = [each.plan for each in self._store.tournaments() if each.status != "done"]
        return {(pair["key"], (first, n)) for plan in open_ for pair in plan["pairs"] for first, n in pair["spans"]}

    def _start(self, workers: Workers, slot: Slot) -> None:
        pair, path = self._schedule.pair(slot), self._store.scratch(*slot)
        times = {name: getattr(self._config, name) for name in TIMED if pair["contestant"] >= 0}
        times["checkpoint_every"] = self.checkpoint_every
        settings = self._pairs[slot[0]].settings(slot[1])
        task = Task(path.name, pair["kind"], settings, scratch_of(path.parent, path.name), **times)
        self._flying[task.key] = _Flight(slot, self._schedule.words(slot))
        workers.start(task)

    def _take(self, answer: Answer) -> list[Slot]:
        """Record an answer; what is to be played again."""
        flight = self._flying.pop(answer.key, None)
        if flight is None or answer.stopped:
            return []
        if answer.died and (tries := self._tries.get(answer.key, 0) + 1) <= self._config.retries:
            self._tries[answer.key] = tries
            self._warnings.append(f"{flight.words}: {answer.died}; it is taken up again")
            return [flight.slot]
        self._newest = flight.words
        again = f", {self._config.retries + 1} times" if self._config.retries and answer.died else ""
        self._keep(flight.slot, answer.result, answer.failed or f"{answer.died}{again}")
        if answer.result is not None:
            self._spent.append(time.monotonic() - flight.began)
        return []

    def _keep(self, slot: Slot, result: dict[str, Any] | None, reason: str) -> None:
        cell = of_result(slot, result) if result is not None else failed(slot, reason)
        self._store.add(cell)
        self._schedule.keep(slot, cell)
        self._cpu += cell.cpu_seconds

    def _give_up_late(self, workers: Workers) -> None:
        if not self._config.timeout:
            return
        for key, flight in list(self._flying.items()):
            if time.monotonic() - flight.began > self._config.timeout:
                workers.kill(key)
                del self._flying[key]
                self._keep(flight.slot, None, f"it took longer than the {self._config.timeout:g} s of timeout")

    def _grow(self) -> bool:
        """Give another block of seeds to whoever is undecided; whether anybody was."""
        if not self._config.adaptive:
            return False
        found = summary.summary(self._store, self.name)
        wanted = {name for each in found["divisions"] for pair in undecided(each) for name in pair}
        grown = self._schedule.grow(wanted, self._config)
        if grown:
            self._store.keep_plan(self.name, self._schedule.plan)
        return grown

    def _judge_now_and_then(self) -> None:
        """Refresh the leaderboard, as far as the time for that goes."""
        elapsed = time.perf_counter() - self._clock
        if (self._judging <= SHARE * elapsed) if self._rows else (elapsed > SOON):
            began, schedule = time.perf_counter(), self._schedule
            found = summary.summary(self._store, self.name, QUICK)
            self._rows = summary.rows_of(found, list(cells_of(schedule.plan)), schedule.over)
            self._judging += time.perf_counter() - began

    def close(self, status: str) -> None:
        """Stop what is being played, and record how far it came."""
        if self._workers is not None:
            self._workers.close()
        self._store.mark(self.name, status, time.perf_counter() - self._clock, self._cpu)

    def snapshot(self, phase: str) -> TournamentSnapshot:
        """The tournament as of now."""
        schedule, n = self._schedule, self._workers.n if self._workers is not None else 1
        missing = schedule.planned - schedule.done - schedule.failed
        return TournamentSnapshot(
            tournament=self.name,
            phase=phase,
            planned=schedule.planned,
            done=schedule.done,
            running=len(self._flying),
            failed=schedule.failed,
            reused=self._reused,
            seconds=time.perf_counter() - self._clock,
            left=float(np.mean(self._spent)) * missing / n if self._spent and missing else None,
            rows=self._rows,
            now=tuple(flight.words for flight in self._flying.values()),
            newest=self._newest,
            warnings=tuple(self._warnings),
        )
