"""Tuning loop: runs the missing cells of a search, and stores what came of them.

:func:`tune` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. A trial is made of
cells, as the contestants of a tournament are, which run on the same workers and are shared with all experiments of the
lab: nothing is evaluated twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from simulator.config.codec import settings_hash
from simulator.config.tune import TuneConfig, with_point
from simulator.core.experiment_kinds import TUNE
from simulator.core.files.escaping import check_label
from simulator.core.snapshots import TrialRow, TuneSnapshot
from simulator.store.cell_store import CellStore, JobKey, JobRecord, SeedRange
from simulator.store.hosting import CellsLease, hosted
from simulator.tournaments.feasibility import try_pair
from simulator.tournaments.jobs import CHECKPOINT_EVERY, Job, JobRunner
from simulator.tournaments.plan import Matchup, fitted, keyed, spans_of
from simulator.tournaments.workers.base import Workers
from simulator.tuning.proposals import n_trials
from simulator.tuning.search import DEFAULT, Wanted, n_rounds, rungs_of, search, survivors
from simulator.tuning.summary import measured_of, point_text, words_of

_SHOWN = 5  # of the best trials


def tune(
    config: TuneConfig,
    store: CellStore,
    make_workers: Callable[[int], Workers],
    *,
    label: str = "",
    retry: bool = False,
    identity: str = "",
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Generator[TuneSnapshot, None, None]:
    """Search settings, or go on with a stored search of the same settings.

    Args:
        config: its settings.
        store: the lab.
        make_workers: makes the workers for the number of missing cells, if there are any.
        label: name of a new one.
        retry: whether failed cells are run again.
        identity: settings hash of the stored tuning, if its settings had other names.
        checkpoint_every: seconds between the checkpoints of a cell.

    Yields:
        Snapshots after every event, and a few per second; the last has the phase "done".

    Raises:
        ValueError: invalid settings, or a lab that cannot be used.
    """
    check_label(label)
    lease = CellsLease(store, TUNE, identity or settings_hash(config))
    jobs = JobRunner(store, make_workers, config.retries, config.timeout, checkpoint_every)
    yield from hosted(lease, lambda: TuneLoop(config, lease, jobs, label, retry))


class PartOfRun(NamedTuple):
    """The beginning of a trial's run, as a rung evaluates it; the next rung goes on from its checkpoint."""

    whole: str  # key of the whole run
    stop_at: int  # environment step


class TuneLoop:
    """The loop of one tuning in this process.

    Args:
        config: its settings.
        lease: of the lab's cells.
        jobs: runs the missing cells.
        label: see :func:`tune`.
        retry: likewise.
    """

    def __init__(self, config: TuneConfig, lease: CellsLease, jobs: JobRunner, label: str, retry: bool) -> None:
        self._config = config
        self._lease = lease
        self._store = lease.store
        self._jobs = jobs
        self._retry = retry
        earlier = lease.earlier()
        self._is_new = earlier is None
        before = {"pairs": [], "trials": []} if earlier is None else earlier.plan
        self._pairs_before: list[dict[str, Any]] = before["pairs"]  # their cells stay until the search is over
        for pair in self._pairs_before:
            pair.pop("goes_on", None)
        self._plan: dict[str, Any] = {"pairs": [], "trials": before["trials"]}
        self._search = search(config, self._plan["trials"])
        self._wanted = next(self._search)  # the first round: a search that cannot be leaves nothing in the lab
        self._matchups: dict[tuple[int, int], Matchup] = {}  # by trial and steps
        self._by_key: dict[str, Matchup] = {}
        self._parts: dict[str, PartOfRun] = {}  # by key
        self._keys: dict[tuple[int, int], list[JobKey]] = {}  # by trial and rung
        self._words: dict[JobKey, str] = {}
        self._cells: dict[JobKey, JobRecord] = {}
        self._counted_twice = 0.0  # CPU seconds of beginnings of runs, which are in those of the runs too
        self._reused = 0
        self._n_cells = n_cells(config)
        self._planned: dict[JobKey, None] = {}  # so far, in order
        try_pair(self._matchup(Wanted(DEFAULT, {}, config.steps, 0, 1, 0)), {}, 1)  # it can be built at all
        self._plan_cells(self._wanted)
        lease.begin(config, self._stored_plan(), label)
        self.id = lease.id

    @property
    def step(self) -> int:
        """Finished cells."""
        return sum(key in self._cells for key in self._planned)

    def snapshots(self) -> Iterator[TuneSnapshot]:
        """Evaluate what the search wants, until it wants nothing more."""
        try:
            yield self._snapshot("preparing")
            while self._wanted:
                missing = self._missing()
                if missing:
                    self._store.sweep({*self._store.unfinished(), *missing})
                    for ended in self._jobs.play(missing, self._job):
                        for key, cell in ended.items():
                            self._keep(key, cell)
                        yield self._snapshot("judging" if self._is_judging else "searching")
                self._advance()
            yield self._snapshot("done")
        finally:
            self._jobs.close()
        self._record("done")
        self._store.sweep(self._store.unfinished())  # checkpoints of trials that went no further

    @property
    def _is_judging(self) -> bool:
        return self._wanted[0].rung == len(rungs_of(self._config))

    def _advance(self) -> None:
        """Tell the search what came of what it wanted, and plan what it wants next."""
        measured = {}
        for wanted in self._wanted:
            cells = [self._cells[key] for key in self._keys[wanted.trial, wanted.rung]]
            measured[wanted.trial] = measured_of(self._config.objective, cells)
        try:
            self._wanted = self._search.send(measured)
        except StopIteration:
            self._wanted = []
        self._plan_cells(self._wanted)
        self._store.keep_plan(self.id, self._stored_plan() if self._wanted else self._plan)

    def _stored_plan(self) -> dict[str, Any]:
        """Return the plan with the cells of an earlier process that this one has not come to yet."""
        pairs = self._plan["pairs"]
        return {**self._plan, "pairs": [*pairs, *(pair for pair in self._pairs_before if pair not in pairs)]}

    def _plan_cells(self, wanted: list[Wanted]) -> None:
        """Add the cells of what is wanted to the plan, and take those that are stored."""
        stored = self._store.cells([self._matchup(each).key for each in wanted])
        if self._is_new:  # where another experiment's cell failed, its time or its machine may have been the reason
            stored = {key: cell for key, cell in stored.items() if cell.status == "done"}
        for entry in self._plan["pairs"]:
            entry.pop("goes_on", None)  # what goes on from here is in the cells that are added
        for each in wanted:
            matchup = self._matchup(each)
            keys = self._cut(each, [key.span for key in stored if key.pair == matchup.key])
            self._keys[each.trial, each.rung] = keys
            entry = {"trial": each.trial, "rung": each.rung, "kind": matchup.kind, "key": matchup.key}
            if part := self._parts.get(matchup.key):
                entry["goes_on"] = part.whole
            self._plan["pairs"].append({**entry, "spans": [list(key.span) for key in keys]})
            for key in keys:
                self._planned[key] = None
                self._words[key] = words_of(each.trial, key.span)
                if key in stored and key not in self._cells:
                    self._take(stored[key], key)

    def _take(self, cell: JobRecord, key: JobKey) -> None:
        """Take a stored cell, or forget one that failed and is to be run again."""
        if cell.status != "done" and self._retry:
            self._store.forget(*key)
        else:
            self._cells[key] = cell
            self._reused += 1

    def _keep(self, key: JobKey, cell: JobRecord) -> None:
        """Take a cell that has just ended; one that went on has the time of its beginning too.

        Where that checkpoint was lost, as on a cluster's other machine, the beginning was trained again, uncounted.
        """
        self._cells[key] = cell
        rung = next((each for each in self._wanted if key in self._keys[each.trial, each.rung]), None)
        if rung is not None and self._config.halving == "steps" and 0 < rung.rung < len(rungs_of(self._config)):
            before = [self._cells[each] for each in self._keys[rung.trial, rung.rung - 1] if each.span == key.span]
            self._counted_twice += sum(min(beginning.cpu_seconds, cell.cpu_seconds) for beginning in before)

    def _cut(self, wanted: Wanted, known: list[SeedRange]) -> list[JobKey]:
        """Cut the seeds of an evaluation into cells: stored ones, and those of smaller rungs, are among them."""
        rungs = rungs_of(self._config)
        ends = [wanted.seeds]
        if self._config.halving == "seeds" and wanted.rung < len(rungs):
            ends = [rung.seeds for rung in rungs[: wanted.rung + 1]]
        spans: list[SeedRange] = []
        for first, last in pairwise([0, *ends]):
            part = SeedRange(wanted.first_seed + first, last - first)
            spans += fitted(part, self._config.seeds_per_cell, [span for span in known if span.first >= part.first])
        return [JobKey(self._matchup(wanted).key, span) for span in spans]

    def _matchup(self, wanted: Wanted) -> Matchup:
        """Return what is run for an evaluation, without its seeds."""
        known = self._matchups.get((wanted.trial, wanted.steps))
        if known is not None:
            return known
        kind = "run" if self._config.table == "agent" else "recall"
        pair = Matchup(wanted.trial, -1, 0, kind, "", with_point(self._config, wanted.point))
        matchup = keyed(pair)
        if kind == "run" and wanted.steps < self._config.steps:
            part = PartOfRun(matchup.key, wanted.steps)
            matchup = keyed(pair, stop_at=part.stop_at)
            self._parts[matchup.key] = part
        self._matchups[wanted.trial, wanted.steps] = matchup
        self._by_key[matchup.key] = matchup
        return matchup

    def _missing(self) -> list[JobKey]:
        keys = dict.fromkeys(key for wanted in self._wanted for key in self._keys[wanted.trial, wanted.rung])
        return [key for key in keys if key not in self._cells]

    def _job(self, key: JobKey) -> Job:
        matchup = self._by_key[key.pair]
        part = self._parts.get(key.pair)
        if part is None:
            return Job(matchup.kind, matchup.settings(key.span), self._words[key])
        goes_on = JobKey(part.whole, key.span)
        return Job(matchup.kind, matchup.settings(key.span), self._words[key], stop_at=part.stop_at, goes_on=goes_on)

    def suspend(self) -> None:
        """Record status and time."""
        self._record("interrupted")

    def _record(self, status: str) -> None:
        self._lease.mark(status, self._jobs.cpu_seconds - self._counted_twice)

    def _snapshot(self, phase: str) -> TuneSnapshot:
        config = self._config
        statuses = [self._cells[key].status for key in self._planned if key in self._cells]
        done = statuses.count("done")
        trials = self._plan["trials"]
        return TuneSnapshot(
            id=self.id,
            what=f"{config.player} in {config.place}",
            search=config.search,
            objective=config.objective,
            phase=phase,
            planned=len(self._planned) if phase == "done" else max(self._n_cells, len(self._planned)),
            done=done,
            running=len(self._jobs.now),
            failed=len(statuses) - done,
            reused=self._reused,
            round=1 + max((trial["round"] for trial in trials), default=0),
            rounds=n_rounds(config),
            seconds=self._lease.seconds,
            best=_best_rows(trials),
            now=self._jobs.now,
            newest=self._jobs.newest,
            warnings=tuple(self._jobs.warnings),
        )


def n_cells(config: TuneConfig) -> int:
    """Return the number of cells of a whole search at most, and of the judgement."""
    total = 2 * len(spans_of(0, config.judge_seeds, config.seeds_per_cell))
    left = n_trials(config)
    while left > 0:
        n = min(left, config.batch)
        before = 0
        for rung, n_alive in zip(rungs_of(config), survivors(config, n), strict=True):
            more = rung.seeds - before if config.halving == "seeds" else rung.seeds
            total += n_alive * len(spans_of(0, more, config.seeds_per_cell))
            before = rung.seeds
        left -= n
    return total


def _best_rows(trials: list[dict[str, Any]]) -> tuple[TrialRow, ...]:
    """Return the best trials, those that were evaluated at a later rung first."""
    order = sorted(
        (trial for trial in trials if trial["values"]),
        key=lambda trial: (-len(trial["values"]), -trial["values"][-1], trial["trial"]),
    )
    return tuple(
        TrialRow(trial["trial"], point_text(trial["point"]), trial["state"], trial["values"][-1])
        for trial in order[:_SHOWN]
    )
