"""Scores of one division of a tournament: validated, in a fixed order, normalised, without duplicates.

Shapes: C contestants, M challenges, S seeds, K evaluations along a run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.estimates import normalise


class EvaluationCurves(NamedTuple):
    """Scores along the runs of one challenge."""

    steps: Array  # int64 [K]; K may be 0
    scores: Array  # float64 [C, S, K]


class DivisionScores(NamedTuple):
    """Scores of one division, the input of the analysis."""

    contestants: tuple[str, ...]  # [C] labels
    challenges: tuple[str, ...]  # [M] labels
    seeds: tuple[int, ...]  # [S]
    scores: Array  # float64 [C, M, S]; NaN: not played, or failed and left out
    floor: Array  # random score, float64 [M, S]; NaN where unknown: the worst measured mean takes its place
    ceiling: Array  # reference score, float64 [M, S]; NaN where unknown: the best measured mean takes its place
    floor_is: tuple[str, ...]  # [M] source of the floor, for readers
    ceiling_is: tuple[str, ...]  # [M]
    threshold: Array  # float64 [M], NaN where there is none
    curves: tuple[EvaluationCurves, ...]  # [M]
    wins: Array | None = None  # float64 [M, S, C, C] fraction of points i took from j, NaN where they did not meet


class ScoreScale(NamedTuple):
    """Scores that are normalised to 0 and to 1, each [M, S]."""

    floor: Array
    ceiling: Array


class Division(NamedTuple):
    """Distinct contestants and challenges of a division, with their labels."""

    distinct: DivisionScores  # contestants by label; contestants and challenges are distinct
    normalised: Array  # [C, M, S]
    active: Array  # contestants that have any score, int64
    contestant_of: dict[str, int]  # label -> distinct contestant
    challenge_of: tuple[int, ...]  # challenge as given -> distinct challenge


def divide(scores: DivisionScores) -> Division:
    """Validate a division and bring it into the order in which it is analysed.

    Contestants are ordered by their labels, so that no bit depends on the order they came in. Two that have the same
    scores and curves to the bit are one contestant with two names, and challenges likewise; where direct results are
    given, contestants are never merged.

    Raises:
        ValueError: shapes that do not fit, or labels that are not distinct.
    """
    _check(scores)
    ordered = _by_label(scores)
    rows = _row_keys(ordered) if ordered.wins is None else list(range(len(ordered.contestants)))
    columns = _column_keys(ordered)
    first_row = {key: i for i, key in reversed(list(enumerate(rows)))}
    first_column = {key: m for m, key in reversed(list(enumerate(columns)))}
    kept_rows = sorted(first_row.values())
    kept_columns = sorted(first_column.values())
    distinct = _select(ordered, kept_rows, kept_columns)
    scale = score_scale(distinct)
    return Division(
        distinct=distinct,
        normalised=normalise(distinct.scores, scale.floor, scale.ceiling),
        active=np.flatnonzero(np.isfinite(distinct.scores).any(axis=(1, 2))),
        contestant_of={
            label: kept_rows.index(first_row[key]) for label, key in zip(ordered.contestants, rows, strict=True)
        },
        challenge_of=tuple(kept_columns.index(first_column[key]) for key in columns),
    )


def score_scale(division: DivisionScores) -> ScoreScale:
    """Return floor and ceiling, with the worst and the best measured mean where they are unknown."""
    is_finite = np.isfinite(division.scores)
    total = np.where(is_finite, division.scores, 0.0).sum(axis=2)
    n = is_finite.sum(axis=2)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)  # [C, M]
    worst = np.where(n > 0, mean, np.inf).min(axis=0, initial=np.inf)[:, None]
    best = np.where(n > 0, mean, -np.inf).max(axis=0, initial=-np.inf)[:, None]
    return ScoreScale(
        np.where(np.isnan(division.floor), worst, division.floor),
        np.where(np.isnan(division.ceiling), best, division.ceiling),
    )


def _check(scores: DivisionScores) -> None:
    c = len(scores.contestants)
    m = len(scores.challenges)
    s = len(scores.seeds)
    for name, labels in (("contestants", scores.contestants), ("challenges", scores.challenges)):
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        if repeated or not labels:
            raise ValueError(f"{name} {', '.join(repeated) or 'none'}: expected one or more labels, each once")
    expected = {"scores": (c, m, s), "floor": (m, s), "ceiling": (m, s), "threshold": (m,)}
    if scores.wins is not None:
        expected["wins"] = (m, s, c, c)
    for name, shape in expected.items():
        if np.shape(getattr(scores, name)) != shape:
            raise ValueError(f"{name} of shape {np.shape(getattr(scores, name))}: expected {shape}")
    if len(scores.curves) != m:
        raise ValueError(f"{len(scores.curves)} curves: expected one for each of {m} challenges")
    for label, (steps, curve) in zip(scores.challenges, scores.curves, strict=True):
        if np.shape(curve) != (c, s, len(steps)):
            raise ValueError(f"curve of {label} of shape {np.shape(curve)}: expected {(c, s, len(steps))}")


def _by_label(scores: DivisionScores) -> DivisionScores:
    order = np.array(sorted(range(len(scores.contestants)), key=lambda i: scores.contestants[i]), np.int64)
    return scores._replace(
        contestants=tuple(scores.contestants[i] for i in order),
        scores=_canonical(scores.scores)[order],
        floor=_canonical(scores.floor),
        ceiling=_canonical(scores.ceiling),
        threshold=_canonical(scores.threshold),
        curves=tuple(
            EvaluationCurves(np.asarray(steps, np.int64), _canonical(curve)[order]) for steps, curve in scores.curves
        ),
        wins=None if scores.wins is None else _canonical(scores.wins)[:, :, order][:, :, :, order],
    )


def _canonical(values: Array) -> Array:
    """Replace what is not finite by one NaN and -0.0 by 0.0, so that equal values have equal bits."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values + 0.0, np.nan)


def _row_keys(division: DivisionScores) -> list[bytes]:
    return [
        division.scores[i].tobytes() + b"".join(curve.scores[i].tobytes() for curve in division.curves)
        for i in range(len(division.contestants))
    ]


def _column_keys(division: DivisionScores) -> list[bytes]:
    keys = []
    for m, curve in enumerate(division.curves):
        parts = [division.scores[:, m], division.floor[m], division.ceiling[m], division.threshold[m], *curve]
        parts += [] if division.wins is None else [division.wins[m]]
        keys.append(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    return keys


def _select(division: DivisionScores, rows: list[int], columns: list[int]) -> DivisionScores:
    return DivisionScores(
        contestants=tuple(division.contestants[i] for i in rows),
        challenges=tuple(division.challenges[m] for m in columns),
        seeds=division.seeds,
        scores=division.scores[rows][:, columns],
        floor=division.floor[columns],
        ceiling=division.ceiling[columns],
        floor_is=tuple(division.floor_is[m] for m in columns),
        ceiling_is=tuple(division.ceiling_is[m] for m in columns),
        threshold=division.threshold[columns],
        curves=tuple(division.curves[m]._replace(scores=division.curves[m].scores[rows]) for m in columns),
        wins=None if division.wins is None else division.wins[columns],
    )
