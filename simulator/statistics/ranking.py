"""Who is better over many challenges: strengths, a lottery that no duplicate can sway, cycles, and tiers.

Shapes: C contestants, B resamples. Wins [C, C] count the comparisons that the row won against the column, ties half.
"""

from __future__ import annotations

import numpy as np

from simulator.core.protocols import Array

_STEPS = 100
_CLOSE = 1e-5  # of the last step; what is left after it is about its square
_CHUNK = 1_000  # refits at once


def credited(wins: Array, weights: Array | None = None) -> Array:
    """Wins [..., C, C] with 1 / C of a win added to each side of every pair.

    Without it a contestant that always wins would be infinitely strong, and groups that never met could not be
    compared. All pairs together are credited C - 1 comparisons, one per free strength, as many as Firth's correction
    (1993) of this likelihood; of two contestants it makes the log-odds Anscombe's log((w + 1/2) / (l + 1/2)).

    Args:
        wins: comparisons won.
        weights: what each credit is multiplied by, of the shape of wins; None: 1.
    """
    c = wins.shape[-1]
    credit = (1.0 - np.eye(c)) / c
    return np.asarray(wins + (credit if weights is None else credit * weights))


def bradley_terry(wins: Array) -> Array:
    """Strengths of maximal likelihood (Bradley and Terry 1952) by choix, of the wins of :func:`credited`.

    P(i beats j) = 1 / (1 + exp(strength_j - strength_i)).

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
    except RuntimeError:  # slow where hardly anybody met; Newton's method is not
        start = np.zeros(len(wins))
    return np.asarray(np.round(refit(wins[None], start)[0], 12) + 0.0)  # no rounding error between equals


def refit(wins: Array, start: Array, rng: np.random.Generator | None = None) -> Array:
    """The same for many resamples at once, by Newton's method from a common start.

    A step whose changes range over r > 1 is damped by log(1 + r) / r: the log-likelihood's third derivative is at most
    r times its second, which makes such steps safe and smaller ones converge quadratically (Bach 2010, Self-concordant
    analysis for logistic regression).

    Args:
        wins: [B, C, C].
        start: [C].
        rng: gives every credit of every resample a weight of its own, exponential of mean 1, as the Bayesian bootstrap
            (Rubin 1981) weighs observations: a contestant that won every time wins every time in every resample, and
            would seem to be known exactly. None: all weights are 1.

    Returns:
        Log-odds, float64 [B, C], each of mean 0.
    """
    if wins.shape[1] < 2:
        return np.zeros(wins.shape[:2])
    strengths = np.tile(start - start.mean(), (len(wins), 1))
    for first in range(0, len(wins), _CHUNK):
        part = slice(first, first + _CHUNK)
        weights = None if rng is None else rng.standard_exponential(wins[part].shape)
        strengths[part] = _newton(credited(wins[part], weights), strengths[part])
    return strengths


def _newton(wins: Array, strengths: Array) -> Array:
    met, won = wins + wins.swapaxes(1, 2), wins.sum(axis=2)  # [B, C, C], [B, C]
    diagonal = np.arange(wins.shape[1])
    for _ in range(_STEPS):
        expected = 1.0 / (1.0 + np.exp(strengths[:, None, :] - strengths[:, :, None]))
        slope = won - (met * expected).sum(axis=2)
        bend = -met * expected * expected.swapaxes(1, 2)
        bend[:, diagonal, diagonal] = -bend.sum(axis=2)
        bend += bend[:, diagonal, diagonal].mean(axis=1)[:, None, None] / len(diagonal)  # a common shift means nothing
        step = np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
        step -= step.mean(axis=1, keepdims=True)
        size = np.ptp(step, axis=1, keepdims=True)
        strengths = strengths + step * np.where(size > 1.0, np.log1p(size) / np.maximum(size, 1.0), 1.0)
        if size.max(initial=0.0) < _CLOSE:
            break
    return strengths


def lottery(margins: Array) -> Array:
    """The maximal lottery (Fishburn 1984): shares that no contestant beats by majority, the most even of these.

    It solves p >= 0, sum p = 1, p @ margins >= 0; the shares of a contestant entered twice add up to what it has alone
    (Brandl, Brandt and Seedig 2016). Among several answers the one of least norm is taken, by least distance
    programming (Lawson and Hanson 1974, chapter 23) over scipy's nnls, so there is one answer only.

    Args:
        margins: antisymmetric [C, C], positive where the row beats the column.

    Returns:
        Shares, float64 [C].
    """
    from scipy.optimize import nnls

    c = len(margins)
    if c < 2:
        return np.ones(c)
    scaled = margins / max(np.abs(margins).max(), 1e-300)
    held = np.concatenate([scaled.T, np.eye(c), np.ones((1, c))])  # held @ p >= (0, ..., 0, 1)
    ask = np.concatenate([held.T, np.eye(1, 2 * c + 1, 2 * c)])
    aim = np.eye(1, c + 1, c)[0]
    rest = ask @ nnls(ask, aim)[0] - aim
    shares = np.maximum(-rest[:c] / rest[c], 0.0)
    shares[shares < 1e-9] = 0.0
    return np.asarray(shares / shares.sum())


def cycles(beats: Array) -> list[list[int]]:
    """Majority cycles: each list beats its next member, and its last member the first.

    Every contestant that is in one (that is, in a strongly connected component of more than one) is in one of them;
    they are the shortest through their first members.

    Args:
        beats: bool [C, C], the row beats the column by majority.
    """
    from scipy.sparse.csgraph import connected_components, shortest_path

    if len(beats) < 3:
        return []
    _, component = connected_components(beats, connection="strong")
    steps, before = shortest_path(np.ascontiguousarray(beats, np.float64), unweighted=True, return_predecessors=True)
    found: list[list[int]] = []
    for i in range(len(beats)):
        others = np.flatnonzero((component == component[i]) & beats[:, i])
        if not len(others) or any(i in cycle for cycle in found):
            continue
        at, cycle = int(others[np.argmin(steps[i, others])]), []
        while at != i:
            cycle.append(at)
            at = int(before[i, at])
        found.append([i, *cycle[::-1]])
    return found


def tiers(worse: Array) -> list[int]:
    """Tiers 1, 2, ... of contestants in the order of a ranking.

    A new tier begins where everybody below is decidedly worse than everybody above. So two contestants in different
    tiers are always told apart by the data, and two that are not always share one, with all that stand between them.

    Args:
        worse: bool [C, C], best first: the column is decidedly worse than the row.
    """
    found = [1] * len(worse)
    for k in range(1, len(worse)):
        found[k] = found[k - 1] + int(worse[:k, k:].all())
    return found
