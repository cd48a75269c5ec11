"""The scores of one division of a tournament, put together from its cells, and what they are measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.config.tournament_entries import SIDES
from simulator.core.protocols import Array
from simulator.statistics.analysis import DivisionScores, EvaluationCurves
from simulator.store.cell_store import Cell, TournamentRecord

MEASURED = "measured random play"
Cells = Mapping[tuple[str, tuple[int, int]], Cell]


class Marks(NamedTuple):
    """What scores of one challenge are measured by; numbers, or one for each seed."""

    floor: Any
    floor_is: str
    ceiling: Any
    ceiling_is: str
    threshold: float


def division(record: TournamentRecord, settings: Mapping[str, Any], cells: Cells, kind: str) -> DivisionScores | None:
    """The contestants of one kind with their scores, to be analysed; None where there are none."""
    plan = record.plan
    who = [i for i, each in enumerate(plan["contestants"]) if SIDES[each["kind"]] == SIDES[kind]]
    who = [i for i in who if plan["contestants"][i]["kind"] == kind]
    what = [m for m, each in enumerate(plan["challenges"]) if each["kind"] == SIDES[kind]]
    pairs = [pair for pair in plan["pairs"] if pair["contestant"] in who]
    what = [m for m in what if any(pair["challenge"] == m for pair in pairs)]
    who = [i for i in who if any(i in (pair["contestant"], pair["second"]) for pair in pairs)]
    if not pairs:
        return None
    seeds = sorted({seed for pair in pairs for first, n in pair["spans"] for seed in range(first, first + n)})
    board = _Board(plan, cells, (who, what, seeds), settings)
    for pair in pairs:
        for span in pair["spans"]:
            board.enter(pair, cells.get((pair["key"], tuple(span))), span)
    return board.played()


class _Board:
    """The scores of one division, while its cells are entered."""

    def __init__(
        self, plan: Mapping[str, Any], cells: Cells, axes: tuple[list[int], list[int], list[int]], settings: Any
    ) -> None:
        self._plan, self._cells, self._settings = plan, cells, settings
        self._who, self._what, self._seeds = axes
        shape = tuple(map(len, axes))
        self._sum, self._count = np.zeros(shape), np.zeros(shape)
        self._bad = np.zeros(shape, np.bool_)
        self._facts: list[list[tuple[Sequence[int], dict[str, Any]]]] = [[] for _ in self._what]
        self._evaluated: list[list[tuple[int, Cell]]] = [[] for _ in self._what]
        n = len(self._who)
        self._wins = np.full((shape[1], shape[2], n, n), np.nan)

    def enter(self, pair: Mapping[str, Any], cell: Cell | None, span: Sequence[int]) -> None:
        """Take in a cell of a pair, or that it is missing."""
        if cell is None:
            return
        m, seeds = self._what.index(pair["challenge"]), range(span[0], span[0] + span[1])
        at = [self._seeds.index(seed) for seed in seeds]
        sides = [self._who.index(pair["contestant"])]
        sides += [self._who.index(pair["second"])] if pair["second"] >= 0 else []
        if cell.status != "done":
            self._bad[sides[0], m, at] |= len(sides) == 1  # of a game everybody's seed is left out
            return
        self._facts[m].append((at, cell.facts))
        if len(sides) == 2 and sides[0] == sides[1]:  # one match with oneself, of which both sides are one's own
            cell, sides = cell._replace(scores=(cell.scores + cell.second) / 2.0), sides[:1]
        for i, scores in zip(sides, (self._scored(m, cell), cell.second), strict=False):
            known = np.isfinite(scores)
            self._sum[i, m, at] += np.where(known, scores, 0.0)
            self._count[i, m, at] += known
            if len(sides) == 1:
                self._bad[i, m, at] |= ~known & ~np.isin(list(seeds), cell.facts.get("not_played") or [])
        if len(sides) == 2:
            self._enter_wins(m, at, sides, cell)
        elif len(cell.steps):
            self._evaluated[m].append((sides[0], cell))

    def _scored(self, m: int, cell: Cell) -> Array:
        if self._plan["challenges"][self._what[m]]["kind"] == "challenge" and self._score(m) == "exact":
            return np.array(cell.facts["exact"], np.float64)
        return cell.scores

    def _score(self, m: int) -> str:
        label = self._plan["challenges"][self._what[m]]["label"]
        return str(self._settings["challenge"][label].get("score", "overlap"))

    def _enter_wins(self, m: int, at: list[int], sides: list[int], cell: Cell) -> None:
        share = cell.facts.get("wins")
        i, j = sides
        if share is not None:
            self._wins[m, at, i, j], self._wins[m, at, j, i] = share, 1.0 - np.array(share)

    def played(self) -> DivisionScores:
        """Everything that was entered."""
        with np.errstate(invalid="ignore"):
            scores = np.where(self._count > 0, self._sum / self._count, np.nan)
        scores = np.where(self._whole(), scores, np.nan)
        marks = [self._marks(m, scores[:, m]) for m in range(len(self._what))]
        floor = np.stack([np.broadcast_to(each.floor, len(self._seeds)) for each in marks]).astype(np.float64)
        if self._settings["failed"] == "floor":
            scores = np.where(self._bad & np.isnan(scores), floor[None], scores)
        plan = self._plan
        return DivisionScores(
            tuple(plan["contestants"][i]["label"] for i in self._who),
            tuple(plan["challenges"][m]["label"] for m in self._what),
            tuple(self._seeds),
            scores,
            floor,
            np.stack([np.broadcast_to(each.ceiling, len(self._seeds)) for each in marks]).astype(np.float64),
            tuple(each.floor_is for each in marks),
            tuple(each.ceiling_is for each in marks),
            np.array([each.threshold for each in marks], np.float64),
            tuple(EvaluationCurves(*self._curves(m)) for m in range(len(self._what))),
            self._won(scores),
        )

    def _whole(self) -> Array:
        """Where everybody's matches of a game were played, bool [C, M, S]: on other seeds opponents would differ."""
        games = np.array([self._plan["challenges"][m]["kind"] == "game" for m in self._what])
        expected = np.zeros((len(self._who), len(self._what)), np.int64)
        for pair in self._plan["pairs"]:
            if pair["second"] >= 0 and pair["challenge"] in self._what:
                for i in {pair["contestant"], pair["second"]}:
                    expected[self._who.index(i), self._what.index(pair["challenge"])] += 1
        complete = (self._count >= expected[:, :, None]).all(axis=0)  # [M, S]
        return np.broadcast_to(complete | ~games[:, None], self._count.shape)

    def _won(self, scores: Array) -> Array | None:
        """Direct results; where a game has none, by who scored more."""
        if np.isnan(self._wins).all():
            return None
        better = (scores[:, None] > scores[None]) + 0.5 * (scores[:, None] == scores[None])  # [C, C, M, S]
        both = np.isfinite(scores[:, None]) & np.isfinite(scores[None])
        compared = np.where(both, better, np.nan).transpose(2, 3, 0, 1)
        direct = np.isfinite(self._wins).any(axis=(1, 2, 3))
        compared[:, :, range(len(scores)), range(len(scores))] = np.nan
        return np.where(direct[:, None, None, None], self._wins, compared)

    def _marks(self, m: int, scores: Array) -> Marks:
        facts = [each for _, each in self._facts[m]]
        kind = self._plan["challenges"][self._what[m]]["kind"]
        threshold = next((each["threshold"] for each in facts if each.get("threshold") is not None), np.nan)
        if kind == "challenge":
            exact = self._score(m) == "exact"
            low = (0.0, "nothing recalled") if exact else (self._by_seed(m, "cue"), "corrupted cue")
            return Marks(*low, self._by_seed(m, f"ceiling_{self._score(m)}"), "exact ceiling", np.nan)
        floor, floor_is = self._known(m, "floor", "random play")
        if floor_is == "" and (measured := self._measured(m)) is not None:
            floor, floor_is = measured, MEASURED
        ceiling, ceiling_is = self._known(m, "ceiling", "exact optimum")
        if ceiling_is == "" and np.isfinite(threshold):
            ceiling, ceiling_is = threshold, "registered threshold"
        with np.errstate(invalid="ignore"):
            means = [row[np.isfinite(row)].mean() for row in scores if np.isfinite(row).any()]
        if floor_is == "":
            floor, floor_is = min(means, default=np.nan), "worst measured"
        if ceiling_is == "":
            ceiling, ceiling_is = max(means, default=np.nan), "best measured"
        return Marks(floor, floor_is, ceiling, ceiling_is, float(threshold))

    def _known(self, m: int, name: str, usual: str) -> tuple[Any, str]:
        for _, facts in self._facts[m]:
            if facts.get(name) is not None:
                return facts[name], str(facts.get(f"{name}_is") or usual)
        return np.nan, ""

    def _by_seed(self, m: int, name: str) -> Array:
        found = np.full(len(self._seeds), np.nan)
        for at, facts in self._facts[m]:
            found[at] = facts[name]
        return found

    def _measured(self, m: int) -> float | None:
        """Mean return of random play, by the cells beside the tournament."""
        for pair in self._plan["references"]:
            if pair["challenge"] == self._what[m]:
                cells = [self._cells.get((pair["key"], tuple(span))) for span in pair["spans"]]
                scores = [cell.scores for cell in cells if cell is not None and cell.status == "done"]
                known = np.concatenate([np.zeros(0), *scores])
                known = known[np.isfinite(known)]  # without seeds whose episodes were cut
                return float(known.mean()) if len(known) else None
        return None

    def _curves(self, m: int) -> tuple[Array, Array]:
        steps = np.unique(np.concatenate([cell.steps for _, cell in self._evaluated[m]] or [np.zeros(0, np.int64)]))
        curves = np.full((len(self._who), len(self._seeds), len(steps)), np.nan)
        for i, cell in self._evaluated[m]:
            at = [self._seeds.index(seed) for seed in range(cell.span[0], sum(cell.span))]
            curves[np.ix_([i], at, np.searchsorted(steps, cell.steps))] = cell.curve[None]
        return steps, curves
