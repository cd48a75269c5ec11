"""Scores and reference scores of one division of a tournament, collected from its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.config.tournament import SIDES
from simulator.core.protocols import Array
from simulator.statistics.analysis import DivisionScores, EvaluationCurves
from simulator.store.cell_store import JobKey, JobRecord, SeedRange, TournamentRecord

MEASURED = "measured random play"
Cells = Mapping[JobKey, JobRecord]


class ReferenceScores(NamedTuple):
    """Reference scores of one challenge; numbers, or one for each seed."""

    floor: Any
    floor_is: str
    ceiling: Any
    ceiling_is: str
    threshold: float


def division(record: TournamentRecord, settings: Mapping[str, Any], cells: Cells, kind: str) -> DivisionScores | None:
    """Return the scores of the contestants of one kind, for the analysis; None if there are none."""
    plan = record.plan
    contestant_ids = [i for i, contestant in enumerate(plan["contestants"]) if SIDES[contestant["kind"]] == SIDES[kind]]
    contestant_ids = [i for i in contestant_ids if plan["contestants"][i]["kind"] == kind]
    challenge_ids = [m for m, challenge in enumerate(plan["challenges"]) if challenge["kind"] == SIDES[kind]]
    pairs = [pair for pair in plan["pairs"] if pair["contestant"] in contestant_ids]
    challenge_ids = [m for m in challenge_ids if any(pair["challenge"] == m for pair in pairs)]
    contestant_ids = [i for i in contestant_ids if any(i in (pair["contestant"], pair["second"]) for pair in pairs)]
    if not pairs:
        return None
    seeds = sorted({seed for pair in pairs for first, n in pair["spans"] for seed in range(first, first + n)})
    board = Scoreboard(plan, cells, contestant_ids, challenge_ids, seeds, settings)
    for pair in pairs:
        for span in pair["spans"]:
            board.enter(pair, cells.get(JobKey(pair["key"], SeedRange(*span))), span)
    return board.played()


class Scoreboard:
    """The scores of one division, while its cells are entered."""

    def __init__(
        self,
        plan: Mapping[str, Any],
        cells: Cells,
        contestant_ids: list[int],
        challenge_ids: list[int],
        seeds: list[int],
        settings: Any,
    ) -> None:
        self._plan = plan
        self._cells = cells
        self._settings = settings
        self._contestant_ids = contestant_ids
        self._challenge_ids = challenge_ids
        self._seeds = seeds
        shape = (len(contestant_ids), len(challenge_ids), len(seeds))
        self._sum = np.zeros(shape)
        self._count = np.zeros(shape)
        self._bad = np.zeros(shape, np.bool_)
        self._facts: list[list[tuple[Sequence[int], dict[str, Any]]]] = [[] for _ in self._challenge_ids]
        self._evaluated: list[list[tuple[int, JobRecord]]] = [[] for _ in self._challenge_ids]
        n = len(self._contestant_ids)
        self._wins = np.full((shape[1], shape[2], n, n), np.nan)

    def enter(self, pair: Mapping[str, Any], cell: JobRecord | None, span: Sequence[int]) -> None:
        """Add a cell of a pair; None is a missing one."""
        if cell is None:
            return
        m = self._challenge_ids.index(pair["challenge"])
        seeds = range(span[0], span[0] + span[1])
        at = [self._seeds.index(seed) for seed in seeds]
        sides = [self._contestant_ids.index(pair["contestant"])]
        sides += [self._contestant_ids.index(pair["second"])] if pair["second"] >= 0 else []
        if cell.status != "done":
            self._bad[sides[0], m, at] |= len(sides) == 1  # in a game the seed is left out for all contestants
            return
        self._facts[m].append((at, cell.facts))
        if len(sides) == 2 and sides[0] == sides[1]:  # one match with oneself, of which both sides are one's own
            cell = cell._replace(scores=(cell.scores + cell.second) / 2.0)
            sides = sides[:1]
        for i, scores in zip(sides, (self._scored(m, cell), cell.second), strict=False):
            is_finite = np.isfinite(scores)
            self._sum[i, m, at] += np.where(is_finite, scores, 0.0)
            self._count[i, m, at] += is_finite
            if len(sides) == 1:
                self._bad[i, m, at] |= ~is_finite & ~np.isin(list(seeds), cell.facts.get("not_played") or [])
        if len(sides) == 2:
            self._enter_wins(m, at, sides, cell)
        elif len(cell.steps):
            self._evaluated[m].append((sides[0], cell))

    def _scored(self, m: int, cell: JobRecord) -> Array:
        if self._plan["challenges"][self._challenge_ids[m]]["kind"] == "challenge" and self._score(m) == "exact":
            return np.array(cell.facts["exact"], np.float64)
        return cell.scores

    def _score(self, m: int) -> str:
        label = self._plan["challenges"][self._challenge_ids[m]]["label"]
        return str(self._settings["challenge"][label].get("score", "overlap"))

    def _enter_wins(self, m: int, at: list[int], sides: list[int], cell: JobRecord) -> None:
        points = cell.facts.get("wins")
        i, j = sides
        if points is not None:
            self._wins[m, at, i, j] = points
            self._wins[m, at, j, i] = 1.0 - np.array(points)

    def played(self) -> DivisionScores:
        """Return all entered scores."""
        with np.errstate(invalid="ignore"):
            scores = np.where(self._count > 0, self._sum / self._count, np.nan)
        scores = np.where(self._whole(), scores, np.nan)
        marks = [self._marks(m, scores[:, m]) for m in range(len(self._challenge_ids))]
        floor = np.stack([np.broadcast_to(mark.floor, len(self._seeds)) for mark in marks]).astype(np.float64)
        if self._settings["failed"] == "floor":
            scores = np.where(self._bad & np.isnan(scores), floor[None], scores)
        plan = self._plan
        return DivisionScores(
            tuple(plan["contestants"][i]["label"] for i in self._contestant_ids),
            tuple(plan["challenges"][m]["label"] for m in self._challenge_ids),
            tuple(self._seeds),
            scores,
            floor,
            np.stack([np.broadcast_to(mark.ceiling, len(self._seeds)) for mark in marks]).astype(np.float64),
            tuple(mark.floor_is for mark in marks),
            tuple(mark.ceiling_is for mark in marks),
            np.array([mark.threshold for mark in marks], np.float64),
            tuple(EvaluationCurves(*self._curves(m)) for m in range(len(self._challenge_ids))),
            self._won(scores),
        )

    def _whole(self) -> Array:
        """Mark, bool [C, M, S], the games whose matches were all played: on other seeds opponents would differ."""
        games = np.array([self._plan["challenges"][m]["kind"] == "game" for m in self._challenge_ids])
        expected = np.zeros((len(self._contestant_ids), len(self._challenge_ids)), np.int64)
        for pair in self._plan["pairs"]:
            if pair["second"] >= 0 and pair["challenge"] in self._challenge_ids:
                for i in {pair["contestant"], pair["second"]}:
                    expected[self._contestant_ids.index(i), self._challenge_ids.index(pair["challenge"])] += 1
        complete = (self._count >= expected[:, :, None]).all(axis=0)  # [M, S]
        return np.broadcast_to(complete | ~games[:, None], self._count.shape)

    def _won(self, scores: Array) -> Array | None:
        """Return direct results; where a game has none, by the higher score."""
        if np.isnan(self._wins).all():
            return None
        better = (scores[:, None] > scores[None]) + 0.5 * (scores[:, None] == scores[None])  # [C, C, M, S]
        both = np.isfinite(scores[:, None]) & np.isfinite(scores[None])
        compared = np.where(both, better, np.nan).transpose(2, 3, 0, 1)
        direct = np.isfinite(self._wins).any(axis=(1, 2, 3))
        compared[:, :, range(len(scores)), range(len(scores))] = np.nan
        return np.where(direct[:, None, None, None], self._wins, compared)

    def _marks(self, m: int, scores: Array) -> ReferenceScores:
        facts = [fact for _, fact in self._facts[m]]
        kind = self._plan["challenges"][self._challenge_ids[m]]["kind"]
        threshold = next((fact["threshold"] for fact in facts if fact.get("threshold") is not None), np.nan)
        if kind == "challenge":
            exact = self._score(m) == "exact"
            best = self._by_seed(m, f"ceiling_{self._score(m)}")
            if exact:
                return ReferenceScores(0.0, "nothing recalled", best, "exact ceiling", np.nan)
            return ReferenceScores(self._by_seed(m, "cue"), "corrupted cue", best, "exact ceiling", np.nan)
        floor, floor_is = self._known(m, "floor", "random play")
        if floor_is == "" and (measured := self._measured(m)) is not None:
            floor = measured
            floor_is = MEASURED
        ceiling, ceiling_is = self._known(m, "ceiling", "exact optimum")
        if ceiling_is == "" and np.isfinite(threshold):
            ceiling = threshold
            ceiling_is = "registered threshold"
        with np.errstate(invalid="ignore"):
            means = [row[np.isfinite(row)].mean() for row in scores if np.isfinite(row).any()]
        if floor_is == "":
            floor = min(means, default=np.nan)
            floor_is = "worst measured"
        if ceiling_is == "":
            ceiling = max(means, default=np.nan)
            ceiling_is = "best measured"
        return ReferenceScores(floor, floor_is, ceiling, ceiling_is, float(threshold))

    def _known(self, m: int, name: str, usual: str) -> tuple[Any, str]:
        for _, facts in self._facts[m]:
            if facts.get(name) is not None:
                return facts[name], str(facts.get(f"{name}_is") or usual)
        return np.nan, ""

    def _by_seed(self, m: int, name: str) -> Array:
        values = np.full(len(self._seeds), np.nan)
        for at, facts in self._facts[m]:
            values[at] = facts[name]
        return values

    def _measured(self, m: int) -> float | None:
        """Return the measured mean return of random play."""
        for pair in self._plan["references"]:
            if pair["challenge"] == self._challenge_ids[m]:
                cells = [self._cells.get(JobKey(pair["key"], SeedRange(*span))) for span in pair["spans"]]
                scores = [cell.scores for cell in cells if cell is not None and cell.status == "done"]
                values = np.concatenate([np.zeros(0), *scores])
                values = values[np.isfinite(values)]  # without seeds with truncated episodes
                return float(values.mean()) if len(values) else None
        return None

    def _curves(self, m: int) -> tuple[Array, Array]:
        steps = np.unique(np.concatenate([cell.steps for _, cell in self._evaluated[m]] or [np.zeros(0, np.int64)]))
        curves = np.full((len(self._contestant_ids), len(self._seeds), len(steps)), np.nan)
        for i, cell in self._evaluated[m]:
            at = [self._seeds.index(seed) for seed in range(cell.span[0], sum(cell.span))]
            curves[i, np.array(at)[:, None], np.searchsorted(steps, cell.steps)] = cell.curve
        return steps, curves
