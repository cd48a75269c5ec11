"""Learning rules of Hopfield networks: symmetric weights [N, N] from patterns x [P, N] of -1 and +1.

Five rules, all pure functions of one seed's patterns: ``hebb``, ``storkey``, ``pseudo_inverse``, ``perceptron`` and
minimum probability ``flow``. With biases the last unit is constant, always +1: its weights are the biases of the
others, and its own field is not learned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulator.core.jit import parallel_for
from simulator.core.protocols import Array

_EXACT_FLOAT32 = 2**24  # whole numbers up to here are exact in float32
_SMALLEST_PROJECTION = 1e-9  # far above the rounding errors of a projection, and below its weights
_MAX_RATE_EXPONENT = 50.0  # of the flow: larger ones overflow where the line search steps too far


class LearningRule(NamedTuple):
    """A learning rule and its settings."""

    name: str  # hebb, storkey, pseudo_inverse, perceptron or flow
    margin: float  # of the perceptron
    n_epochs: int  # at most, of perceptron and flow
    zero_diagonal: bool  # units do not act on themselves
    constant_unit: bool  # the last unit is constant


def learn(x: Array, rule: LearningRule) -> Array:
    """Learn weights [S, N, N] from patterns x int8 [S, P, N].

    float32; float64 where sums of whole numbers could otherwise become inexact.
    """
    n_seeds, _, n = x.shape
    weights = np.empty((n_seeds, n, n), np.float32)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            weights[i] = _learn_seed(x[i], rule)

    parallel_for(work, n_seeds)
    if rule.name == "hebb" and np.abs(weights).sum(2).max() >= _EXACT_FLOAT32:
        return weights.astype(np.float64)
    return weights


def _learn_seed(x: Array, rule: LearningRule) -> Array:
    if rule.name == "perceptron":
        weights = perceptron(x, rule.margin, rule.n_epochs, rule.constant_unit)
    elif rule.name == "flow":
        weights = minimum_probability_flow(x, rule.n_epochs, rule.constant_unit)
    else:
        closed_form: dict[str, Callable[[Array], Array]] = {
            "hebb": hebb,
            "storkey": storkey,
            "pseudo_inverse": pseudo_inverse,
        }
        weights = closed_form[rule.name](x)
    if rule.zero_diagonal:
        np.fill_diagonal(weights, 0.0)
    elif rule.constant_unit:
        weights[-1, -1] = 0.0
    return weights


def hebb(x: Array) -> Array:
    """Sum the outer products: W_ij = sum_mu x_mu_i x_mu_j (Hopfield 1982, equation 2, with a diagonal).

    Whole numbers, exact in float32 below 2**24 patterns.
    """
    patterns = x.astype(np.float32)
    return patterns.T @ patterns


def storkey(x: Array) -> Array:
    """Apply the local, incremental rule of Storkey 1997, "Increasing the capacity of a Hopfield network", equation 4.

    For each pattern in turn, with h_ij = sum_(k not i, j) w_ik x_k, the weights grow by
    (x_i x_j - x_i h_ji - h_ij x_j) / N. As x is -1 or +1 this is w <- (1 + 2 / N) w + (x c^T + c x^T) / N off the
    diagonal, where c = x / 2 - a and a_i = sum_(k not i) w_ik x_k. So only the vectors c are kept, and the fields a of
    a pattern cost N P steps instead of N^2.
    """
    n_patterns, n = x.shape
    patterns = x.astype(np.float64)
    corrections = np.zeros(x.shape)  # c of each pattern
    growth = 1.0 + 2.0 / n
    coefficients = np.zeros(n_patterns)  # of each pattern's product in the weights so far
    product_diagonal = np.zeros(n)  # of the sum of products, which the weights do not have
    diagonal = np.zeros(n)  # of the weights
    for mu, pattern in enumerate(patterns):
        earlier = patterns[:mu]
        c = corrections[:mu]
        coefficient = coefficients[:mu]
        field = earlier.T @ (coefficient * (c @ pattern)) + c.T @ (coefficient * (earlier @ pattern))
        field = field - product_diagonal * pattern
        corrections[mu] = 0.5 * pattern - field
        coefficients[:mu] *= growth
        coefficients[mu] = 1.0 / n
        product_diagonal = growth * product_diagonal + 2.0 * pattern * corrections[mu] / n
        diagonal += (1.0 - 2.0 * pattern * field) / n
    weights = (patterns * coefficients[:, None]).T @ corrections
    weights += weights.T.copy()
    np.fill_diagonal(weights, diagonal)
    return weights


def pseudo_inverse(x: Array) -> Array:
    """Project on the span of the patterns (Personnaz, Guyon and Dreyfus 1985); they may be linearly dependent.

    Weights of rounding errors alone become 0: a unit that no other determines keeps what the cue says of it.
    """
    patterns = x.astype(np.float64)
    inverse = np.linalg.pinv(patterns @ patterns.T, hermitian=True)
    weights = patterns.T @ (inverse @ patterns)
    weights[np.abs(weights) < _SMALLEST_PROJECTION] = 0.0
    return weights


def perceptron(x: Array, margin: float, n_epochs: int, constant_unit: bool = False) -> Array:
    """Correct every unit of every pattern whose field is below the margin; symmetric, all patterns at once.

    Gardner 1988, "The space of interactions in neural network models", section 5, for symmetric weights: W_ij grows by
    (e_i + e_j) x_i x_j / N, where e is 1 for a unit with x_i h_i < margin. No diagonal. Ends when there is none, or
    after ``n_epochs``.
    """
    n = x.shape[1]
    patterns = x.astype(np.float32)
    weights = np.zeros((n, n), np.float32)
    for _ in range(n_epochs):
        errors = patterns * (patterns * (patterns @ weights) < margin)
        if constant_unit:
            errors[:, -1] = 0.0
        if not errors.any():
            break
        step = errors.T @ patterns / np.float32(n)
        weights += step + step.T
        np.fill_diagonal(weights, 0.0)
    return weights


class FlowObjective(NamedTuple):
    """Probability flow of weights, per pattern and unit."""

    value: float
    gradient: Array  # [N, N], symmetric: W_ij and W_ji are one parameter, with half of its gradient each


def probability_flow(weights: Array, x: Array, constant_unit: bool = False) -> FlowObjective:
    """Compute K = mean over patterns and units of exp(-x_i h_i), with h = W x, and its gradient.

    Sohl-Dickstein, Battaglino and DeWeese 2011; Hillar, Sohl-Dickstein and Koepsell 2012, equation 5: probability flows
    from a pattern to the states one unit away at the rates exp((E(x) - E(x')) / 2) = exp(-x_i h_i). The objective is
    convex.

    Args:
        weights: float64 [N, N], symmetric, diagonal 0.
        x: float64 [P, N], -1 and +1.
        constant_unit: the last unit never changes, so nothing flows there.
    """
    size = x.size
    rates = np.exp(np.minimum(-x * (x @ weights), _MAX_RATE_EXPONENT))
    if constant_unit:
        rates[:, -1] = 0.0
    one_sided = (x * rates).T @ x / -size
    gradient = 0.5 * (one_sided + one_sided.T)
    np.fill_diagonal(gradient, 0.0)
    return FlowObjective(float(rates.sum() / size), gradient)


def minimum_probability_flow(x: Array, n_epochs: int, constant_unit: bool = False) -> Array:
    """Minimise the probability flow from weights of 0 by at most ``n_epochs`` steps of L-BFGS.

    Weights of little flow make every pattern a minimum of the energy.
    """
    from scipy.optimize import minimize

    n = x.shape[1]
    patterns = x.astype(np.float64)

    def objective(flat_weights: Array) -> tuple[float, Array]:
        flow = probability_flow(flat_weights.reshape(n, n), patterns, constant_unit)
        return flow.value, flow.gradient.ravel()

    options = {"maxiter": n_epochs, "maxcor": 10}
    result = minimize(objective, np.zeros(n * n), jac=True, method="L-BFGS-B", options=options)
    weights = np.asarray(result.x).reshape(n, n)
    return 0.5 * (weights + weights.T)
