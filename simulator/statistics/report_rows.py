"""A judgement as plain rows: what :func:`simulator.statistics.analysis` gives back, under every name that was entered.

Shapes: U distinct contestants, Q pairs of them.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.aggregates import plain, triple
from simulator.statistics.comparisons import Compared, Test
from simulator.statistics.division import Division
from simulator.statistics.ranking import cycles, tiers

_NOTHING = {"value": None, "low": None, "high": None}
_TURNED = {"value": "value", "low": "high", "high": "low"}


class Standings(NamedTuple):
    """Who stands where."""

    order: list[str]  # labels, strongest first; those that played nothing last
    place: dict[str, int | None]  # label -> which of the compared contestants, None for one that played nothing
    pair: dict[tuple[int, int], int]  # compared contestants i < j -> pair
    compared: Compared


def stand(division: Division, compared: Compared) -> Standings:
    """Order the labels by strength; equally strong ones by label."""
    at = {int(u): i for i, u in enumerate(division.active)}
    place = {label: at.get(u) for label, u in division.who.items()}
    strength = np.append(np.round(compared.strength[0], 9), -np.inf)
    order = sorted(place, key=lambda label: (-strength[-1 if place[label] is None else place[label]], label))
    pair = {(int(i), int(j)): q for q, (i, j) in enumerate(compared.of)}
    return Standings(order, place, pair, compared)


def ranking(division: Division, standings: Standings, score: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each label; ``score`` holds (value, low, high), each [U], of each statistic over challenges."""
    compared, known = standings.compared, np.isfinite(division.played.scores)
    missing = (known.any(axis=0) & ~known).sum(axis=(1, 2))
    names = np.bincount(list(division.who.values()))
    tier = _tiers(standings)
    rows = []
    for label in standings.order:
        u, at = division.who[label], standings.place[label]
        rows.append(
            {
                "contestant": label,
                "tier": tier.get(label),
                "strength": dict(_NOTHING) if at is None else triple(compared.strength, at),
                "wins": None if at is None else plain(compared.wins[at]),
                "comparisons": None if at is None else plain(compared.comparisons[at]),
                "mean_rank": dict(_NOTHING) if at is None else triple(compared.mean_rank, at),
                "lottery": None if at is None else plain(compared.lottery[at] / names[u]),
                "score": {name: triple(part, u) for name, part in score.items()},
                "left_out": int(missing[u]),
            }
        )
    return rows


def _tiers(standings: Standings) -> dict[str, int]:
    ranked = [label for label in standings.order if standings.place[label] is not None]
    worse = np.zeros((len(ranked), len(ranked)), np.bool_)
    for (i, above), (j, below) in combinations(enumerate(ranked), 2):
        q, sign = _look(standings, above, below)
        if q is not None:
            worse[i, j] = standings.compared.decided[q] and sign * standings.compared.test.difference[q] > 0.0
    return dict(zip(ranked, tiers(worse), strict=True))


def _look(standings: Standings, first: str, second: str) -> tuple[int | None, float]:
    """The pair of two labels, and -1 where it is stored the other way round; None where they are not two."""
    i, j = standings.place[first], standings.place[second]
    if i is None or j is None or i == j:
        return None, 1.0
    return standings.pair[min(i, j), max(i, j)], 1.0 if i < j else -1.0


def pair_rows(standings: Standings) -> list[dict[str, Any]]:
    """Every pair of labels over all challenges, the stronger one first."""
    compared, rows = standings.compared, []
    for first, second in combinations(standings.order, 2):
        q, sign = _look(standings, first, second)
        row = {"first": first, "second": second}
        if q is None:
            rows.append({**row, **_same(standings, first, second)})
            continue
        rows.append(
            {
                **row,
                "probability": turned(triple(compared.probability, q), sign, 1.0),
                "difference": turned(triple(compared.difference, q), sign, 0.0),
                "p": plain(compared.test.p[q]),
                "p_holm": plain(compared.test.p_holm[q]),
                "decided": bool(compared.decided[q]),
                "seeds_needed": compared.test.seeds_needed[q],
            }
        )
    return rows


def turned(found: dict[str, float | None], sign: float, whole: float) -> dict[str, float | None]:
    """An estimate seen from the other side of a pair: ``whole`` less each number."""
    if sign > 0.0:
        return found
    return {name: None if (x := found[_TURNED[name]]) is None else whole - x for name in found}


def _same(standings: Standings, first: str, second: str) -> dict[str, Any]:
    """A pair of names of one contestant, or with one that played nothing."""
    rest = {"decided": False, "seeds_needed": None}
    if None in (standings.place[first], standings.place[second]):
        return {"probability": dict(_NOTHING), "difference": dict(_NOTHING), "p": None, "p_holm": None, **rest}
    equal, none = ({"value": x, "low": x, "high": x} for x in (0.5, 0.0))
    return {"probability": equal, "difference": none, "p": 1.0, "p_holm": 1.0, **rest}


def matrix_rows(standings: Standings, challenge: str, test: Test) -> list[dict[str, Any]]:
    """Every pair of labels in one challenge."""
    rows = []
    for first, second in combinations(standings.order, 2):
        q, sign = _look(standings, first, second)
        row: dict[str, Any] = {"challenge": challenge, "first": first, "second": second}
        if q is None:
            same = _same(standings, first, second)
            row |= {"probability": same["probability"]["value"], "p": same["p"], "p_holm": same["p_holm"]}
        else:
            share = plain(test.probability[q])
            row |= {"probability": share if share is None or sign > 0.0 else 1.0 - share}
            row |= {"p": plain(test.p[q]), "p_holm": plain(test.p_holm[q])}
        rows.append({**row, "seeds_needed": None if q is None else test.seeds_needed[q]})
    return rows


def cycle_rows(standings: Standings) -> list[list[str]]:
    """Majority cycles by label, each from its strongest member on; of several names of one contestant the first."""
    name: dict[int, str] = {}
    for label in standings.order:
        at = standings.place[label]
        if at is not None:
            name.setdefault(at, label)
    by_rank: Array = np.array(list(name), np.int64)
    beats = standings.compared.beats[by_rank][:, by_rank]
    return [[name[int(by_rank[i])] for i in cycle] for cycle in cycles(beats)]
