"""Minimum probability flow for Hopfield networks (Sohl-Dickstein, Battaglino and DeWeese 2011; Hillar et al. 2012).

Probability flows from the patterns to the states one unit away at a rate of exp((E(x) - E(x')) / 2) = exp(-x_i h_i).
Weights with little flow make every pattern a minimum. The objective is convex.
"""

from __future__ import annotations

import numpy as np

from simulator.core.protocols import Array

_STEEP = 50.0  # fields beyond this have no flow that counts, or more than a step of the search can use


def flow(weights: Array, x: Array, constant: bool = False) -> tuple[float, Array]:
    """The flow per pattern and unit, and its gradient [N, N] with respect to the symmetric weights without a diagonal.

    K = mean over patterns of sum_i exp(-x_i h_i), over the number of units; h = W x (Hillar, Sohl-Dickstein and
    Koepsell 2012, equation 5). The gradient counts W_ij and W_ji as one number, half of which stands in each.

    Args:
        weights: float64 [N, N], symmetric, diagonal 0.
        x: float64 [P, N], -1 and +1.
        constant: the last unit never changes, so nothing flows there.
    """
    size = x.size
    rates = np.exp(np.minimum(-x * (x @ weights), _STEEP))
    if constant:
        rates[:, -1] = 0.0
    half = (x * rates).T @ x / -size
    gradient = 0.5 * (half + half.T)
    np.fill_diagonal(gradient, 0.0)
    return float(rates.sum() / size), gradient


def least_flow(x: Array, passes: int, constant: bool = False) -> Array:
    """Weights [N, N] of least flow, from zero, after at most ``passes`` steps of L-BFGS."""
    from scipy.optimize import minimize

    real, n = x.astype(np.float64), x.shape[1]

    def objective(flat: Array) -> tuple[float, Array]:
        value, gradient = flow(flat.reshape(n, n), real, constant)
        return value, gradient.ravel()

    found = minimize(objective, np.zeros(n * n), jac=True, method="L-BFGS-B", options={"maxiter": passes, "maxcor": 10})
    weights = np.asarray(found.x).reshape(n, n)
    return 0.5 * (weights + weights.T)
