"""Rankings over many challenges: Bradley-Terry strengths, the maximal lottery, majority cycles, and tiers.

Shapes: C contestants, B resamples. Wins [C, C] count the comparisons that the row won against the column, ties half.
"""

from __future__ import annotations

import numpy as np

from simulator.core.protocols import Array

_MAX_NEWTON_STEPS = 100
_TOL = 1e-5  # of the last Newton step; the remaining error is about its square
_REFITS_AT_ONCE = 1_000


def credited(wins: Array, weights: Array | None = None) -> Array:
    """Add 1 / C of a win to each side of every pair of wins [..., C, C].

    Without it a contestant that always wins would be infinitely strong, and groups that never met could not be
    compared. All pairs together are credited C - 1 comparisons, one per free strength, as many as Firth's correction
    (1993) of this likelihood; of two contestants it makes the log-odds Anscombe's log((w + 1/2) / (l + 1/2)).

    Args:
        wins: comparisons won.
        weights: factors of the credits, of the shape of wins; None: 1.
    """
    c = wins.shape[-1]
    credit = (1.0 - np.eye(c)) / c
    return np.asarray(wins + (credit if weights is None else credit * weights))


def bradley_terry(wins: Array) -> Array:
    """Fit Bradley-Terry strengths (1952) by maximum likelihood to the wins of :func:`credited`.

    P(i beats j) = 1 / (1 + exp(strength_j - strength_i)). The library choix finds the start, Newton's method the end.

    Args:
        wins: [C, C].

    Returns:
        Log-odds, float64 [C], of mean 0.
    """
    import choix

    if len(wins) < 2:
        return np.zeros(len(wins))
    try:
        start = choix.ilsr_pairwise_dense(credited(wins), max_iter=200)
    except RuntimeError:  # it converges slowly where few have met; Newton's method does not
        start = np.zeros(len(wins))
    return np.asarray(np.round(refit(wins[None], start)[0], 12) + 0.0)  # no rounding error between equals


def refit(wins: Array, start: Array, rng: np.random.Generator | None = None) -> Array:
    """Fit the strengths of many resamples at once, by Newton's method from a common start.

    A step whose changes range over r > 1 is damped by log(1 + r) / r: the log-likelihood's third derivative is at most
    r times its second, which makes such steps safe and smaller ones converge quadratically (Bach 2010, Self-concordant
    analysis for logistic regression).

    Args:
        wins: [B, C, C].
        start: [C].
        rng: draws a weight for every credit of every resample, exponential of mean 1, as the Bayesian bootstrap (Rubin
            1981) weighs observations: a contestant that won every time wins every time in every resample, and would
            seem to be known exactly. None: all weights are 1.

    Returns:
        Log-odds, float64 [B, C], each of mean 0.
    """
    if wins.shape[1] < 2:
        return np.zeros(wins.shape[:2])
    strengths = np.tile(start - start.mean(), (len(wins), 1))
    for first in range(0, len(wins), _REFITS_AT_ONCE):
        part = slice(first, first + _REFITS_AT_ONCE)
        weights = None if rng is None else rng.standard_exponential(wins[part].shape)
        strengths[part] = _newton(credited(wins[part], weights), strengths[part])
    return strengths


def _newton(wins: Array, strengths: Array) -> Array:
    n = wins + wins.swapaxes(1, 2)  # comparisons [B, C, C]
    n_won = wins.sum(axis=2)  # [B, C]
    diagonal = np.arange(wins.shape[1])
    for _ in range(_MAX_NEWTON_STEPS):
        expected = 1.0 / (1.0 + np.exp(strengths[:, None, :] - strengths[:, :, None]))
        gradient = n_won - (n * expected).sum(axis=2)
        hessian = -n * expected * expected.swapaxes(1, 2)  # of the negative log-likelihood
        hessian[:, diagonal, diagonal] = -hessian.sum(axis=2)
        trace_mean = hessian[:, diagonal, diagonal].mean(axis=1)
        hessian += trace_mean[:, None, None] / len(diagonal)  # a common shift of all strengths changes nothing
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        step -= step.mean(axis=1, keepdims=True)
        size = np.ptp(step, axis=1, keepdims=True)
        strengths = strengths + step * np.where(size > 1.0, np.log1p(size) / np.maximum(size, 1.0), 1.0)
        if size.max(initial=0.0) < _TOL:
            break
    return strengths


def maximal_lottery(margins: Array) -> Array:
    """Compute the maximal lottery (Fishburn 1984): the most even probabilities that no contestant beats.

    It solves p >= 0, sum p = 1, p @ margins >= 0; the probabilities of a contestant entered twice add up to that of
    entering it once (Brandl, Brandt and Seedig 2016). Among several solutions the one of least norm is taken, by
    least distance programming (Lawson and Hanson 1974, chapter 23) over ``scipy.optimize.nnls``: it is unique.

    Args:
        margins: antisymmetric [C, C], positive where the row beats the column.

    Returns:
        Probabilities, float64 [C].
    """
    from scipy.optimize import nnls

    c = len(margins)
    if c < 2:
        return np.ones(c)
    scaled = margins / max(np.abs(margins).max(), 1e-300)
    constraints = np.concatenate([scaled.T, np.eye(c), np.ones((1, c))])  # constraints @ p >= (0, ..., 0, 1)
    dual = np.concatenate([constraints.T, np.eye(1, 2 * c + 1, 2 * c)])
    target = np.eye(1, c + 1, c)[0]
    residual = dual @ nnls(dual, target)[0] - target
    probabilities = np.maximum(-residual[:c] / residual[c], 0.0)
    probabilities[probabilities < 1e-9] = 0.0
    return np.asarray(probabilities / probabilities.sum())


def majority_cycles(beats: Array) -> list[list[int]]:
    """Find majority cycles: each member of a list beats the next one, and the last beats the first.

    Every contestant that is in one (that is, in a strongly connected component of more than one) is in one of them;
    they are the shortest through their first members.

    Args:
        beats: bool [C, C], the row beats the column by majority.
    """
    from scipy.sparse.csgraph import connected_components, shortest_path

    if len(beats) < 3:
        return []
    _, component = connected_components(beats, connection="strong")
    distance, previous = shortest_path(
        np.ascontiguousarray(beats, np.float64), unweighted=True, return_predecessors=True
    )
    cycles: list[list[int]] = []
    for i in range(len(beats)):
        beaten_by = np.flatnonzero((component == component[i]) & beats[:, i])
        if not len(beaten_by) or any(i in cycle for cycle in cycles):
            continue
        member = int(beaten_by[np.argmin(distance[i, beaten_by])])
        path = []
        while member != i:
            path.append(member)
            member = int(previous[i, member])
        cycles.append([i, *path[::-1]])
    return cycles


def tiers(worse: Array) -> list[int]:
    """Group contestants in the order of a ranking into tiers 1, 2, ...

    A new tier begins where every contestant below is significantly worse than every one above. So contestants of
    different tiers differ significantly, and two that do not differ share a tier, with all that stand between them.

    Args:
        worse: bool [C, C], best first: the column is significantly worse than the row.
    """
    tier = [1] * len(worse)
    for k in range(1, len(worse)):
        tier[k] = tier[k - 1] + int(worse[:k, k:].all())
    return tier
