"""Learning rules of Hopfield networks: symmetric weights [N, N] from patterns x [P, N] of -1 and +1, seed by seed.

All of them are pure functions; the last unit may be a constant (held at +1), whose weights are the other units' biases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from memory.hopfield.flow import least_flow
from simulator.core.jit import parallel_for
from simulator.core.protocols import Array

_EXACT = 2**24  # whole numbers up to here are exact in float32


class Learning(NamedTuple):
    """How weights are learned."""

    rule: str  # hebb, storkey, pseudo_inverse, perceptron or flow
    margin: float  # of the perceptron
    passes: int  # at most, of perceptron and flow
    diagonal: bool  # units act on themselves
    constant: bool  # the last unit is held at +1 and is nobody's to learn


def learn(x: Array, learning: Learning) -> Array:
    """Weights [S, N, N] from patterns x int8 [S, P, N].

    float32; float64 where sums of whole numbers could otherwise become inexact.
    """
    n_seeds, _, n = x.shape
    weights = np.empty((n_seeds, n, n), np.float32)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            weights[i] = _one(x[i], learning)

    parallel_for(work, n_seeds)
    if learning.rule == "hebb" and np.abs(weights).sum(2).max() >= _EXACT:
        return weights.astype(np.float64)
    return weights


def _one(x: Array, learning: Learning) -> Array:
    if learning.rule == "perceptron":
        weights = perceptron(x, learning.margin, learning.passes, learning.constant)
    elif learning.rule == "flow":
        weights = least_flow(x, learning.passes, learning.constant)
    else:
        weights = _CLOSED[learning.rule](x)
    if not learning.diagonal:
        np.fill_diagonal(weights, 0.0)
    elif learning.constant:
        weights[-1, -1] = 0.0
    return weights


def hebb(x: Array) -> Array:
    """Sum of outer products, whole numbers: W_ij = sum_mu x_mu_i x_mu_j (Hopfield 1982, equation 2, with a diagonal).

    Exact in float32 below 2**24 patterns.
    """
    real = x.astype(np.float32)
    return real.T @ real


def storkey(x: Array) -> Array:
    """The local, incremental rule of Storkey (1997), "Increasing the capacity of a Hopfield network", equation 4.

    For pattern after pattern, with h_ij = sum_(k not i, j) w_ik x_k, the weights grow by
    (x_i x_j - x_i h_ji - h_ij x_j) / N. As x is -1 or +1 this is w <- (1 + 2 / N) w + (x c^T + c x^T) / N off the
    diagonal, c = x / 2 - a with a_i = sum_(k not i) w_ik x_k: all that has to be kept are the c, and the fields of a
    pattern cost N P steps instead of N^2.
    """
    n_patterns, n = x.shape
    real, others = x.astype(np.float64), np.zeros(x.shape)
    growth = 1.0 + 2.0 / n
    shares, low, own = np.zeros(n_patterns), np.zeros(n), np.zeros(n)  # low: the diagonal that the products would have
    for at, pattern in enumerate(real):
        old, c, weight = real[:at], others[:at], shares[:at]
        field = old.T @ (weight * (c @ pattern)) + c.T @ (weight * (old @ pattern)) - low * pattern
        others[at] = 0.5 * pattern - field
        shares[:at] *= growth
        shares[at] = 1.0 / n
        low = growth * low + 2.0 * pattern * others[at] / n
        own += (1.0 - 2.0 * pattern * field) / n
    weights = (real * shares[:, None]).T @ others
    weights += weights.T.copy()
    np.fill_diagonal(weights, own)
    return weights


def pseudo_inverse(x: Array) -> Array:
    """The projection on what the patterns span (Personnaz, Guyon and Dreyfus 1985); they may be linearly dependent."""
    real = x.astype(np.float64)
    inverse = np.linalg.pinv(real @ real.T, hermitian=True)
    return real.T @ (inverse @ real)


def perceptron(x: Array, margin: float, passes: int, constant: bool = False) -> Array:
    """Correct every unit of every pattern whose field has not yet the margin; symmetric, all patterns at once.

    Gardner 1988, "The space of interactions in neural network models", section 5, for symmetric weights: W_ij grows by
    (e_i + e_j) x_i x_j / N, where e is 1 for a unit with x_i h_i < margin. No diagonal. Ends when there is none, or
    after ``passes``.
    """
    real, n = x.astype(np.float32), x.shape[1]
    weights = np.zeros((n, n), np.float32)
    for _ in range(passes):
        wrong = real * (real * (real @ weights) < margin)
        if constant:
            wrong[:, -1] = 0.0
        if not wrong.any():
            break
        step = wrong.T @ real / np.float32(n)
        weights += step + step.T
        np.fill_diagonal(weights, 0.0)
    return weights


_CLOSED: dict[str, Callable[[Array], Array]] = {"hebb": hebb, "storkey": storkey, "pseudo_inverse": pseudo_inverse}
