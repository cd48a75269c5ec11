"""Schedule of a running tournament: planned, finished and added cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from simulator.config.tournament import TournamentConfig
from simulator.store.cell_store import JobKey, JobRecord, SeedRange
from simulator.tournaments.plan import cells_of, spans_of
from simulator.tournaments.summary import named


class JobSchedule:
    """A plan and its finished cells.

    Args:
        plan: in its stored form; grows here.
        records: stored cells of any tournament.
    """

    def __init__(self, plan: dict[str, Any], records: Mapping[JobKey, JobRecord]) -> None:
        self.plan = plan
        self.over = dict(records)
        self._pairs = {pair["key"]: pair for pair in [*plan["references"], *plan["pairs"]]}
        self._order()

    def _order(self) -> None:
        """Order the cells, and count the finished ones; those of random play come first and are not counted."""
        self._jobs = dict.fromkeys(JobKey(pair["key"], span) for pair, span in cells_of(self.plan))
        references = [
            JobKey(pair["key"], SeedRange(*span)) for pair in self.plan["references"] for span in pair["spans"]
        ]
        self._every = dict.fromkeys([*references, *self._jobs])
        statuses = [self.over[job].status for job in self._jobs if job in self.over]
        self.planned = len(self._jobs)
        self.done = statuses.count("done")
        self.failed = statuses.count("failed")

    def missing(self) -> list[JobKey]:
        """Return the missing cells in order, block by block, so that all contestants progress alike."""
        return [job for job in self._every if job not in self.over]

    def broken(self) -> list[JobKey]:
        """Return the failed cells."""
        return [job for job in self._every if job in self.over and self.over[job].status != "done"]

    def keep(self, job: JobKey, cell: JobRecord | None) -> None:
        """Record a finished cell, or with None that it will run again."""
        before = self.over.pop(job, None)
        if cell is not None:
            self.over[job] = cell
        if job in self._jobs:
            for counted, n in ((before, -1), (cell, 1)):
                self.done += n * (counted is not None and counted.status == "done")
                self.failed += n * (counted is not None and counted.status != "done")

    def pair(self, job: JobKey) -> dict[str, Any]:
        """Return the matchup of a job in the plan."""
        return self._pairs[job.pair]

    def words(self, job: JobKey) -> str:
        """Describe a cell: ``dqn in CartPole-v1, seeds 0 to 15``."""
        place = named(self.plan, self.pair(job))
        first, n = job.span
        seeds = f"seeds {first} to {first + n - 1}" if n > 1 else f"seed {first}"
        return f"{place['contestant']} in {place['challenge']}, {seeds}"

    def as_before(self, plan: Mapping[str, Any]) -> None:
        """Grow as the stored tournament had grown."""
        spans = {pair["key"]: pair["spans"] for pair in plan["pairs"]}
        for pair in self.plan["pairs"]:
            pair["spans"] = spans.get(pair["key"], pair["spans"])
        self.plan["rounds"] = plan["rounds"]
        self._order()

    def grow(self, wanted: Collection[str], config: TournamentConfig) -> bool:
        """Add a block of seeds in every challenge for these contestants, and return whether any were left."""
        players = {contestant["label"] for contestant in self.plan["contestants"] if contestant["kind"] == "player"}
        last = config.first_seed + config.max_seeds
        grown = False
        for pair in self.plan["pairs"]:
            labels = {self.plan["contestants"][i]["label"] for i in (pair["contestant"], pair["second"]) if i >= 0}
            labels |= players if pair["second"] >= 0 else set()  # a game is played by all or by none
            end = max(first + n for first, n in pair["spans"])
            if labels & set(wanted) and end < last:
                pair["spans"] += [
                    list(span) for span in spans_of(end, min(config.seeds, last - end), config.seeds_per_cell)
                ]
                grown = True
        if grown:
            self.plan["rounds"].append(sorted(wanted))
            self._order()
        return grown
