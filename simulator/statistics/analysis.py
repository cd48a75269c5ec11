"""Statistical analysis of one division of a tournament: scores, ranking, pairwise tests, profiles and curves.

Everything over challenges is over distinct contestants and distinct challenges: one that was entered twice, with the
same results to the bit, counts once, and both names get its numbers. Intervals are expanded percentile bootstrap
intervals over seeds, the same resampled seeds for every contestant (:mod:`simulator.statistics.bootstrap`); those of
probabilities and ranks are adjusted Wald intervals (:func:`simulator.statistics.paired_tests.proportion_ci`).

The result is plain numbers, strings, lists and dicts, with None for NaN:

* ``ranking``: contestants, best first, by ``strength`` (Bradley-Terry, log-odds of mean 0) with ``tier``, ``wins``
  (paired comparisons won, ties half) of ``comparisons``, ``mean_rank``, ``lottery`` (maximal-lottery share), ``score``
  over challenges, and ``n_excluded``: seeds that others have in a challenge and this one lacks.
* ``scores``: every contestant in every challenge: ``seeds`` (their number), ``raw`` and ``normalised`` statistics,
  ``auc`` (area under the normalised learning curve), ``steps_to_threshold``, ``solved_fraction`` and
  ``solved_after_first`` (fraction of later evaluations at the threshold). ``profiles``, ``curves``: with pointwise
  intervals.
* ``pairs``: the first stands above the second in the ranking; ``probability`` of improvement (that the first does
  better on a seed, ties half), ``difference`` of mean normalised scores (first less second), ``p`` of a paired
  permutation test of it, ``p_holm``, ``decided``, and ``seeds_needed``: seeds per challenge at which the test would be
  significant with a power of 80 % if the observed difference were the true one; None where there is no difference.
* ``matrix``: the same in each challenge by itself, with Holm's correction within the challenge.
* ``cycles``: majority cycles. ``tiers_note``: the meaning of tiers.

Shapes: U distinct contestants, M challenges, S seeds, Q pairs.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.aggregates import (
    ChallengeStatistics,
    LearningSpeed,
    SharedBootstrap,
    challenge_statistics,
    curve_bands,
    learning_speed,
    overall,
    performance_profiles,
)
from simulator.statistics.bootstrap import STATISTICS, resample_counts
from simulator.statistics.comparisons import Comparison, PairTests, compare, outcomes, pairwise_tests
from simulator.statistics.division import Division, DivisionScores, EvaluationCurves, divide, score_scale
from simulator.statistics.estimates import N_BOOTSTRAP, Estimate, normalise
from simulator.statistics.paired_tests import differences, pair_index
from simulator.statistics.ranking import majority_cycles, tiers

__all__ = ["DivisionScores", "EvaluationCurves", "analyze", "rank", "undecided"]


def analyze(
    division_scores: DivisionScores,
    confidence: float = 0.95,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    n_interim_analyses: int = 1,
) -> dict[str, Any]:
    """Analyse one division; the same bits every time, in whatever order the contestants come.

    Args:
        division_scores: scores, floors, ceilings, curves; anything may be missing (NaN). Where a ceiling is not above
            its floor, scores that reach the ceiling count 1 and others 0.
        confidence: of the intervals, between 0 and 1; pairs are decided at level 1 - confidence.
        n_bootstrap: bootstrap resamples.
        seed: of the resampling.
        n_interim_analyses: number of analyses that a tournament may have before it ends. Each spends
            (1 - confidence) / n_interim_analyses (Bonferroni), so that stopping as soon as pairs are decided keeps the
            probability of any wrong decision.

    Returns:
        See the head of this module.

    Raises:
        ValueError: shapes that do not fit, labels that are not distinct, or settings out of range.
    """
    if not 0.0 < confidence < 1.0 or n_bootstrap < 1 or n_interim_analyses < 1:
        raise ValueError(
            f"confidence {confidence}, n_bootstrap {n_bootstrap}, n_interim_analyses {n_interim_analyses}: "
            "expected 0 < confidence < 1, 1 or more, 1 or more"
        )
    from threadpoolctl import threadpool_limits

    division = divide(division_scores)
    alpha = (1.0 - confidence) / n_interim_analyses
    with threadpool_limits(1, "blas"):  # the matrices are small: more threads would only wait for each other
        present = np.any(np.isfinite(division.distinct.scores), axis=0)
        shared = SharedBootstrap(confidence, resample_counts(present, n_bootstrap, seed), seed)
        standings = _stand(division, _compare(division, shared, alpha))
        challenges = _challenges(division, shared)
        over_challenges = overall(division.normalised, [challenge.scores for challenge in challenges], shared)
        return {
            "ranking": _ranking_rows(division, standings, over_challenges),
            "scores": _score_rows(division, standings, challenges, division_scores.challenges),
            "pairs": _pair_rows(standings),
            "matrix": _matrix_rows(division, standings, shared, alpha, division_scores.challenges),
            "profiles": _profile_rows(division, standings, shared),
            "curves": _curve_rows(division, standings, shared, division_scores.challenges),
            "cycles": _cycle_rows(standings),
            "tiers_note": _tiers_note(alpha, n_interim_analyses),
        }


def rank(
    division_scores: DivisionScores,
    confidence: float = 0.95,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    n_interim_analyses: int = 1,
) -> list[dict[str, Any]]:
    """Return the ``ranking`` of :func:`analyze` alone, to the bit, for a leaderboard that is made again and again."""
    from threadpoolctl import threadpool_limits

    division = divide(division_scores)
    with threadpool_limits(1, "blas"):
        present = np.any(np.isfinite(division.distinct.scores), axis=0)
        shared = SharedBootstrap(confidence, resample_counts(present, n_bootstrap, seed), seed)
        standings = _stand(division, _compare(division, shared, (1.0 - confidence) / n_interim_analyses))
        distinct = division.distinct
        floor, ceiling = score_scale(distinct)
        scores = [
            challenge_statistics(distinct.scores[:, m], floor[m], ceiling[m], shared, m)
            for m in range(len(distinct.curves))
        ]
        return _ranking_rows(division, standings, overall(division.normalised, scores, shared))


def undecided(result: dict[str, Any]) -> list[tuple[str, str]]:
    """List the pairs of an analysis that more seeds could still decide: not decided, and not equal so far."""
    return [
        (pair["first"], pair["second"])
        for pair in result["pairs"]
        if not pair["decided"] and pair["seeds_needed"] is not None
    ]


def _direct_wins(division: Division) -> Array | None:
    """Return the direct results of the active contestants, or None."""
    wins = division.distinct.wins
    active = division.active
    return None if wins is None else wins[:, :, active][:, :, :, active]


def _compare(division: Division, shared: SharedBootstrap, alpha: float) -> Comparison:
    active = division.active
    n_names = np.bincount(list(division.contestant_of.values()), minlength=len(division.normalised))[active]
    return compare(division.normalised[active], _direct_wins(division), shared, n_names.astype(np.float64), alpha)


class ChallengeResult(NamedTuple):
    """Statistics of one distinct challenge."""

    scores: ChallengeStatistics
    learning: LearningSpeed


def _challenges(division: Division, shared: SharedBootstrap) -> list[ChallengeResult]:
    distinct = division.distinct
    floor, ceiling = score_scale(distinct)
    challenges = []
    for m, (steps, curve) in enumerate(distinct.curves):
        scores = challenge_statistics(distinct.scores[:, m], floor[m], ceiling[m], shared, m)
        normalised = normalise(curve, floor[m][:, None], ceiling[m][:, None])
        threshold = float(distinct.threshold[m])
        challenges.append(ChallengeResult(scores, learning_speed(steps, normalised, curve, threshold, shared, m)))
    return challenges


class PairView(NamedTuple):
    """A stored pair of contestants, from the view of the first label."""

    q: int
    reversed: bool  # stored as (second, first)


class Standings(NamedTuple):
    """The order of the labels, and their places among the compared contestants."""

    labels: list[str]  # strongest first; those that played nothing last
    place: dict[str, int | None]  # label -> compared contestant, None for one that played nothing
    pair: dict[tuple[int, int], int]  # compared contestants i < j -> pair
    comparison: Comparison

    def view(self, first: str, second: str) -> PairView | None:
        """Return the pair of two labels; None where they are not two compared contestants."""
        i = self.place[first]
        j = self.place[second]
        if i is None or j is None or i == j:
            return None
        return PairView(self.pair[min(i, j), max(i, j)], i > j)


def _stand(division: Division, comparison: Comparison) -> Standings:
    """Order the labels by strength; equally strong ones by label."""
    place_of = {int(u): i for i, u in enumerate(division.active)}
    place = {label: place_of.get(u) for label, u in division.contestant_of.items()}
    strength = np.append(np.round(comparison.strength.value, 9), -np.inf)
    labels = sorted(place, key=lambda label: (-strength[-1 if place[label] is None else place[label]], label))
    pair = {(int(i), int(j)): q for q, (i, j) in enumerate(comparison.pairs)}
    return Standings(labels, place, pair, comparison)


def _number(value: Any) -> float | None:
    """Convert to a float, NaN and infinity to None."""
    return float(value) if value is not None and np.isfinite(value) else None


def _estimate_row(estimate: Estimate, i: int, name: str = "value") -> dict[str, float | None]:
    """Return entry i of an estimate as a dict."""
    return {name: _number(estimate.value[i]), "low": _number(estimate.low[i]), "high": _number(estimate.high[i])}


_NOTHING = {"value": None, "low": None, "high": None}
_MIRROR = {"value": "value", "low": "high", "high": "low"}


def _mirrored(row: dict[str, float | None], total: float) -> dict[str, float | None]:
    """Turn an estimate of (i, j) into that of (j, i): ``total`` less each number."""
    return {name: None if (x := row[_MIRROR[name]]) is None else total - x for name in row}


def _ranking_rows(
    division: Division, standings: Standings, over_challenges: dict[str, Estimate]
) -> list[dict[str, Any]]:
    """Return one row for each label, best first."""
    comparison = standings.comparison
    is_finite = np.isfinite(division.distinct.scores)
    n_missing = (is_finite.any(axis=0) & ~is_finite).sum(axis=(1, 2))
    n_names = np.bincount(list(division.contestant_of.values()))
    tier = _tier_of(standings)
    rows = []
    for label in standings.labels:
        u = division.contestant_of[label]
        i = standings.place[label]
        rows.append(
            {
                "contestant": label,
                "tier": tier.get(label),
                "strength": dict(_NOTHING) if i is None else _estimate_row(comparison.strength, i),
                "wins": None if i is None else _number(comparison.wins[i]),
                "comparisons": None if i is None else _number(comparison.n_comparisons[i]),
                "mean_rank": dict(_NOTHING) if i is None else _estimate_row(comparison.mean_rank, i),
                "lottery": None if i is None else _number(comparison.lottery[i] / n_names[u]),
                "score": {name: _estimate_row(part, u) for name, part in over_challenges.items()},
                "n_excluded": int(n_missing[u]),
            }
        )
    return rows


def _tier_of(standings: Standings) -> dict[str, int]:
    ranked = [label for label in standings.labels if standings.place[label] is not None]
    worse = np.zeros((len(ranked), len(ranked)), np.bool_)
    comparison = standings.comparison
    for (i, above), (j, below) in combinations(enumerate(ranked), 2):
        view = standings.view(above, below)
        if view is not None:
            difference = comparison.tests.difference[view.q]
            ahead = difference < 0.0 if view.reversed else difference > 0.0
            worse[i, j] = comparison.decided[view.q] and ahead
    return dict(zip(ranked, tiers(worse), strict=True))


def _score_rows(
    division: Division, standings: Standings, challenges: list[ChallengeResult], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return one row for each label in each challenge as given."""
    rows = []
    for label in standings.labels:
        i = division.contestant_of[label]
        for m, name in zip(division.challenge_of, names, strict=True):
            scores, learning = challenges[m]
            seeds = division.distinct.scores[i, m]
            raw = {name: _estimate_row(scores.raw[name], i) for name in STATISTICS if name != "optimality_gap"}
            rows.append(
                {
                    "contestant": label,
                    "challenge": name,
                    "seeds": int(np.isfinite(seeds).sum()),
                    "raw": {**raw, "per_seed": [_number(x) for x in seeds]},
                    "normalised": {name: _estimate_row(scores.normalised[name], i) for name in STATISTICS},
                    "auc": _estimate_row(learning.auc, i),
                    "steps_to_threshold": _estimate_row(learning.steps_to_threshold, i, "median"),
                    "solved_fraction": _number(learning.solved_fraction[i]),
                    "solved_after_first": _estimate_row(learning.solved_after_first, i, "mean"),
                }
            )
    return rows


def _pair_rows(standings: Standings) -> list[dict[str, Any]]:
    """Return every pair of labels over all challenges, the stronger one first."""
    comparison = standings.comparison
    rows = []
    for first, second in combinations(standings.labels, 2):
        view = standings.view(first, second)
        if view is None:
            rows.append({"first": first, "second": second, **_no_pair(standings, first, second)})
            continue
        q = view.q
        probability = _estimate_row(comparison.probability, q)
        difference = _estimate_row(comparison.difference, q)
        rows.append(
            {
                "first": first,
                "second": second,
                "probability": _mirrored(probability, 1.0) if view.reversed else probability,
                "difference": _mirrored(difference, 0.0) if view.reversed else difference,
                "p": _number(comparison.tests.p[q]),
                "p_holm": _number(comparison.tests.p_holm[q]),
                "decided": bool(comparison.decided[q]),
                "seeds_needed": comparison.tests.seeds_needed[q],
            }
        )
    return rows


def _no_pair(standings: Standings, first: str, second: str) -> dict[str, Any]:
    """Return the row of two names of one contestant, or of a name that played nothing."""
    rest = {"decided": False, "seeds_needed": None}
    if None in (standings.place[first], standings.place[second]):
        return {"probability": dict(_NOTHING), "difference": dict(_NOTHING), "p": None, "p_holm": None, **rest}
    even = {"value": 0.5, "low": 0.5, "high": 0.5}
    zero = {"value": 0.0, "low": 0.0, "high": 0.0}
    return {"probability": even, "difference": zero, "p": 1.0, "p_holm": 1.0, **rest}


def _matrix_rows(
    division: Division, standings: Standings, shared: SharedBootstrap, alpha: float, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return every pair of labels in each challenge."""
    pairs = pair_index(len(division.active))
    normalised = division.normalised[division.active]
    gaps = differences(normalised, pairs)
    won = outcomes(normalised, _direct_wins(division), pairs)
    tests = [pairwise_tests(gaps[:, [m]], won[:, [m]], shared, alpha) for m in range(gaps.shape[1])]
    return [
        {"challenge": name, "first": first, "second": second, **_matrix_cell(standings, tests[m], first, second)}
        for m, name in zip(division.challenge_of, names, strict=True)
        for first, second in combinations(standings.labels, 2)
    ]


def _matrix_cell(standings: Standings, tests: PairTests, first: str, second: str) -> dict[str, Any]:
    view = standings.view(first, second)
    if view is None:
        row = _no_pair(standings, first, second)
        probability = row["probability"]["value"]
        return {"probability": probability, **{key: row[key] for key in ("p", "p_holm", "seeds_needed")}}
    probability = _number(tests.probability[view.q])
    return {
        "probability": 1.0 - probability if view.reversed and probability is not None else probability,
        "p": _number(tests.p[view.q]),
        "p_holm": _number(tests.p_holm[view.q]),
        "seeds_needed": tests.seeds_needed[view.q],
    }


def _profile_rows(division: Division, standings: Standings, shared: SharedBootstrap) -> dict[str, Any]:
    profiles = performance_profiles(division.normalised, shared)
    lines = {
        name: [[None if np.isnan(x) else float(x) for x in row] for row in part]
        for name, part in profiles.fraction._asdict().items()
    }
    return {
        "taus": profiles.taus.tolist(),
        "contestants": [
            {"contestant": label, **{name: rows[division.contestant_of[label]] for name, rows in lines.items()}}
            for label in standings.labels
        ],
    }


def _curve_rows(
    division: Division, standings: Standings, shared: SharedBootstrap, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the interquartile mean at each evaluation, for each label in each challenge that was evaluated."""
    bands = [curve_bands(curve.scores, shared, m) for m, curve in enumerate(division.distinct.curves)]
    rows = []
    for m, name in zip(division.challenge_of, names, strict=True):
        steps = [int(step) for step in division.distinct.curves[m].steps]
        for label in standings.labels if steps else ():
            i = division.contestant_of[label]
            band = {key: [_number(x) for x in part[i]] for key, part in bands[m]._asdict().items()}
            iqm = band.pop("value")
            rows.append({"challenge": name, "contestant": label, "steps": steps, "iqm": iqm, **band})
    return rows


def _cycle_rows(standings: Standings) -> list[list[str]]:
    """Return majority cycles by label, each from its strongest member on; the first of several names of one."""
    name: dict[int, str] = {}
    for label in standings.labels:
        place = standings.place[label]
        if place is not None:
            name.setdefault(place, label)
    by_rank: Array = np.array(list(name), np.int64)
    beats = standings.comparison.beats[by_rank][:, by_rank]
    return [[name[int(by_rank[i])] for i in cycle] for cycle in majority_cycles(beats)]


def _tiers_note(alpha: float, n_interim_analyses: int) -> str:
    spent = f", one of {n_interim_analyses} interim analyses" if n_interim_analyses > 1 else ""
    return (
        "Every contestant of a higher tier is significantly better than every one of a lower tier: by a paired "
        f"permutation test with Holm's correction over all pairs, at level {alpha:.4g}{spent}, and by a confidence "
        "interval of the probability of improvement that excludes 1/2. A tier as a whole has no such order, though "
        "some pairs within it may differ significantly."
    )
