"""One division of a tournament, judged: what every contestant scored, who is better, and how sure that is.

Everything over challenges is over distinct contestants and distinct challenges: one that was entered twice, with the
same results to the bit, counts once, and both names get its numbers. Intervals are expanded percentile bootstrap
intervals (:mod:`simulator.statistics.bootstrap`) over seeds, the same resampled seeds for every contestant; those of
probabilities and ranks are adjusted Wald intervals (:func:`simulator.statistics.paired_tests.share`).

A judgement is plain numbers, strings, lists and dicts, with None where there is no number:

* ``ranking``: contestants, best first, by ``strength`` (Bradley-Terry, log-odds of mean 0) with ``tier``, ``wins``
  (paired comparisons won, ties half) of ``comparisons``, ``mean_rank``, ``lottery``, ``score`` over challenges, and
  ``left_out``: seeds that others have in a challenge and this one lacks.
* ``scores``: every contestant in every challenge. ``profiles``, ``curves``: with pointwise intervals.
* ``pairs``: the first stands above the second in the ranking; ``probability`` that the first does better on a seed
  (ties half), ``difference`` of mean normalised scores (first less second), ``p`` of a paired permutation test of it,
  ``p_holm``, ``decided``, and ``seeds_needed``: seeds per challenge in all at which the test would tell the two
  apart with a chance of 80 % if the difference that was seen were the true one; None where there is no difference.
* ``matrix``: the same in each challenge by itself, Holm's correction within the challenge.
* ``cycles``: majority cycles. ``tiers_note``: what a tier means.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.aggregates import Draws, bands, cells, learning, overall, profiles, row
from simulator.statistics.bootstrap import drawn
from simulator.statistics.comparisons import Compared, compare, outcomes, tested
from simulator.statistics.division import Division, Played, divide, scale
from simulator.statistics.estimates import normalise
from simulator.statistics.paired_tests import difference, pairs
from simulator.statistics.report_rows import Standings, cycle_rows, matrix_rows, pair_rows, ranking, stand

__all__ = ["Played", "judge", "undecided"]


def judge(played: Played, level: float = 0.95, resamples: int = 2_000, seed: int = 0, looks: int = 1) -> dict[str, Any]:
    """Judge one division; the same bits every time, in whatever order the contestants come.

    Args:
        played: scores, floors, ceilings, curves; anything may be missing (nan). Where a ceiling is not above its
            floor, scores that reach the ceiling count 1 and others 0.
        level: of the intervals, between 0 and 1; pairs are decided at 1 - level.
        resamples: bootstrap samples.
        seed: of the resampling.
        looks: how often a tournament may be judged before it ends. Each look spends (1 - level) / looks
            (Bonferroni), so that stopping as soon as pairs are decided keeps the chance of any wrong decision.

    Returns:
        What the head of this module says.

    Raises:
        ValueError: shapes that do not fit, labels that are not distinct, or settings out of range.
    """
    if not 0.0 < level < 1.0 or resamples < 1 or looks < 1:
        raise ValueError(
            f"level {level}, resamples {resamples}, looks {looks}: expected 0 < level < 1, 1 or more, 1 or more"
        )
    from threadpoolctl import threadpool_limits

    division = divide(played)
    with threadpool_limits(1, "blas"):  # the matrices are small: more threads would only wait for each other
        return _judged(division, played.challenges, Draws(level, _drawn(division, resamples, seed), seed), looks)


def _drawn(division: Division, resamples: int, seed: int) -> Array:
    """Seeds drawn again, of those that anybody has in a challenge."""
    return drawn(np.isfinite(division.played.scores).any(axis=0), resamples, seed)


def _judged(division: Division, challenges: tuple[str, ...], draws: Draws, looks: int) -> dict[str, Any]:
    alpha = (1.0 - draws.level) / looks
    standings = stand(division, _compared(division, draws, alpha))
    scores, score = _scores(division, standings, draws, challenges)
    return {
        "ranking": ranking(division, standings, score),
        "scores": scores,
        "pairs": pair_rows(standings),
        "matrix": _matrix(division, standings, draws, alpha, challenges),
        "profiles": _profiles(division, standings, draws),
        "curves": _curves(division, standings, draws, challenges),
        "cycles": cycle_rows(standings),
        "tiers_note": _note(alpha, looks),
    }


def undecided(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs of a judgement that more seeds could still tell apart: not decided, and not equal in what was seen."""
    return [
        (pair["first"], pair["second"])
        for pair in result["pairs"]
        if not pair["decided"] and pair["seeds_needed"] is not None
    ]


def _compared(division: Division, draws: Draws, alpha: float) -> Compared:
    active, wins = division.active, _wins(division)
    copies = np.bincount(list(division.who.values()), minlength=len(division.normalised))[active]
    return compare(division.normalised[active], wins, draws, copies.astype(np.float64), alpha)


def _wins(division: Division) -> Array | None:
    """Direct results of those that played, or None."""
    wins, active = division.played.wins, division.active
    return None if wins is None else wins[:, :, active][:, :, :, active]


def _scores(
    division: Division, standings: Standings, draws: Draws, challenges: tuple[str, ...]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of every label in every challenge, and the statistics over challenges."""
    alone, (floor, ceiling) = division.played, scale(division.played)
    found, learned = [], []
    for m, (steps, curve) in enumerate(alone.curves):
        found.append(cells(alone.scores[:, m], floor[m], ceiling[m], draws, m))
        normalised = normalise(curve, floor[m][:, None], ceiling[m][:, None])
        learned.append(learning(steps, normalised, curve, float(alone.threshold[m]), draws, m))
    rows = [
        {"contestant": label, "challenge": name, **row(found[m], learned[m], alone.scores[:, m], division.who[label])}
        for label in standings.order
        for m, name in zip(division.where, challenges, strict=True)
    ]
    return rows, overall(division.normalised, found, draws)


def _matrix(
    division: Division, standings: Standings, draws: Draws, alpha: float, challenges: tuple[str, ...]
) -> list[dict[str, Any]]:
    of = pairs(len(division.active))
    normalised, wins = division.normalised[division.active], _wins(division)
    gaps, won = difference(normalised, of), outcomes(normalised, wins, of)
    each = [tested(gaps[:, [m]], won[:, [m]], draws, alpha) for m in range(gaps.shape[1])]
    rows = [matrix_rows(standings, name, each[m]) for m, name in zip(division.where, challenges, strict=True)]
    return [row for part in rows for row in part]


def _profiles(division: Division, standings: Standings, draws: Draws) -> dict[str, Any]:
    found = profiles(division.normalised, draws)
    lines = {
        key: [[None if np.isnan(x) else float(x) for x in part] for part in found[key]]
        for key in found
        if key != "taus"
    }
    return {
        "taus": found["taus"].tolist(),
        "contestants": [
            {"contestant": label, **{key: part[division.who[label]] for key, part in lines.items()}}
            for label in standings.order
        ],
    }


def _curves(
    division: Division, standings: Standings, draws: Draws, challenges: tuple[str, ...]
) -> list[dict[str, Any]]:
    found = [bands(steps, curve, draws, m) for m, (steps, curve) in enumerate(division.played.curves)]
    return [
        {"challenge": name, "contestant": label, **found[m][division.who[label]]}
        for m, name in zip(division.where, challenges, strict=True)
        if len(division.played.curves[m][0])
        for label in standings.order
    ]


def _note(alpha: float, looks: int) -> str:
    spent = f", one of {looks} looks" if looks > 1 else ""
    return (
        "Two contestants stand in different tiers only where the data tell everybody in the upper tier from everybody "
        f"in the lower one: a paired permutation test, corrected by Holm over all pairs, at level {alpha:.4g}{spent}, "
        "and an interval of the probability of improvement that excludes 1/2; within a tier not every pair is decided."
    )
