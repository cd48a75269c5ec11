"""One division of a tournament as numbers: checked, in a fixed order, normalised, and with duplicates found.

Shapes: C contestants, M challenges, S seeds, K evaluations along a run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.estimates import normalise


class Played(NamedTuple):
    """One division, ready to be judged."""

    contestants: tuple[str, ...]  # [C] labels
    challenges: tuple[str, ...]  # [M] labels
    seeds: tuple[int, ...]  # [S]
    scores: Array  # float64 [C, M, S]; nan: not played, or failed and left out
    floor: Array  # float64 [M, S]; nan where unknown: the worst measured mean takes its place
    ceiling: Array  # float64 [M, S]; nan where unknown: the best measured mean takes its place
    floor_is: tuple[str, ...]  # [M] what the floor is, for whoever reads it
    ceiling_is: tuple[str, ...]  # [M]
    threshold: Array  # float64 [M], nan where there is none
    curves: tuple[tuple[Array, Array], ...]  # per challenge: steps int64 [K], scores [C, S, K]; K may be 0
    wins: Array | None = None  # float64 [M, S, C, C] share of points i took from j, nan where they did not meet


class Division(NamedTuple):
    """What is distinct of a division, and which name stands for what."""

    played: Played  # contestants by label; neither they nor the challenges come twice
    normalised: Array  # [C, M, S]
    active: Array  # contestants that have any score, int64
    who: dict[str, int]  # label -> contestant
    where: tuple[int, ...]  # for every challenge that was given, which distinct one it is


def divide(played: Played) -> Division:
    """Check a division and bring it into the order in which it is judged.

    Contestants go by their labels, so that no bit depends on the order they came in. Two that have the same scores and
    curves to the bit are one contestant with two names, and challenges likewise; where direct results are given,
    contestants are never merged.

    Raises:
        ValueError: shapes that do not fit, or labels that are not distinct.
    """
    _check(played)
    given = _by_label(played)
    rows = _row_keys(given) if given.wins is None else list(range(len(given.contestants)))
    columns = _column_keys(given)
    first_row, first_column = {key: i for i, key in _reversed(rows)}, {key: m for m, key in _reversed(columns)}
    keep, kept = sorted(first_row.values()), sorted(first_column.values())
    alone = _taken(given, keep, kept)
    floor, ceiling = scale(alone)
    return Division(
        alone,
        normalise(alone.scores, floor, ceiling),
        np.flatnonzero(np.isfinite(alone.scores).any(axis=(1, 2))),
        {label: keep.index(first_row[key]) for label, key in zip(given.contestants, rows, strict=True)},
        tuple(kept.index(first_column[key]) for key in columns),
    )


def scale(played: Played) -> tuple[Array, Array]:
    """Floor and ceiling, each [M, S], with the worst and the best measured mean where they are not known."""
    known = np.isfinite(played.scores)
    total, n = np.where(known, played.scores, 0.0).sum(axis=2), known.sum(axis=2)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)  # [C, M]
    low = np.where(n > 0, mean, np.inf).min(axis=0, initial=np.inf)[:, None]
    high = np.where(n > 0, mean, -np.inf).max(axis=0, initial=-np.inf)[:, None]
    return np.where(np.isnan(played.floor), low, played.floor), np.where(np.isnan(played.ceiling), high, played.ceiling)


def _check(played: Played) -> None:
    c, m, s = len(played.contestants), len(played.challenges), len(played.seeds)
    for name, labels in (("contestants", played.contestants), ("challenges", played.challenges)):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice or not labels:
            raise ValueError(f"{name} {', '.join(twice) or 'none'}: expected one or more labels, each once")
    expected = {"scores": (c, m, s), "floor": (m, s), "ceiling": (m, s), "threshold": (m,)}
    if played.wins is not None:
        expected["wins"] = (m, s, c, c)
    for name, shape in expected.items():
        if np.shape(getattr(played, name)) != shape:
            raise ValueError(f"{name} of shape {np.shape(getattr(played, name))}: expected {shape}")
    if len(played.curves) != m:
        raise ValueError(f"{len(played.curves)} curves: expected one for each of {m} challenges")
    for label, (steps, curve) in zip(played.challenges, played.curves, strict=True):
        if np.shape(curve) != (c, s, len(steps)):
            raise ValueError(f"curve of {label} of shape {np.shape(curve)}: expected {(c, s, len(steps))}")


def _by_label(played: Played) -> Played:
    order = np.array(sorted(range(len(played.contestants)), key=lambda i: played.contestants[i]), np.int64)
    wins = None if played.wins is None else _known(played.wins)[:, :, order][:, :, :, order]
    return played._replace(
        contestants=tuple(played.contestants[i] for i in order),
        scores=_known(played.scores)[order],
        floor=_known(played.floor),
        ceiling=_known(played.ceiling),
        threshold=_known(played.threshold),
        curves=tuple((np.asarray(steps, np.int64), _known(curve)[order]) for steps, curve in played.curves),
        wins=wins,
    )


def _known(values: Array) -> Array:
    """Numbers as they are, anything else the one nan, and no zero with a sign: so equal values have equal bits."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values + 0.0, np.nan)


def _row_keys(played: Played) -> list[bytes]:
    return [
        played.scores[i].tobytes() + b"".join(curve[i].tobytes() for _, curve in played.curves)
        for i in range(len(played.contestants))
    ]


def _column_keys(played: Played) -> list[bytes]:
    keys = []
    for m, (steps, curve) in enumerate(played.curves):
        parts = [played.scores[:, m], played.floor[m], played.ceiling[m], played.threshold[m], steps, curve]
        parts += [] if played.wins is None else [played.wins[m]]
        keys.append(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    return keys


def _reversed(keys: list[bytes] | list[int]) -> list[tuple[int, bytes | int]]:
    """Positions and keys from the last to the first, so that in a dict the first stays."""
    return list(enumerate(keys))[::-1]


def _taken(played: Played, rows: list[int], columns: list[int]) -> Played:
    return Played(
        contestants=tuple(played.contestants[i] for i in rows),
        challenges=tuple(played.challenges[m] for m in columns),
        seeds=played.seeds,
        scores=played.scores[rows][:, columns],
        floor=played.floor[columns],
        ceiling=played.ceiling[columns],
        floor_is=tuple(played.floor_is[m] for m in columns),
        ceiling_is=tuple(played.ceiling_is[m] for m in columns),
        threshold=played.threshold[columns],
        curves=tuple((played.curves[m][0], played.curves[m][1][rows]) for m in columns),
        wins=None if played.wins is None else played.wins[columns],
    )
