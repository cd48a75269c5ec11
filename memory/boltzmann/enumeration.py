"""Boltzmann machines of few units by enumeration, float64: the law, its moments, and the gradient of the likelihood.

Units are -1 and +1, E(s) = -s'W s / 2 - b's with W symmetric and of zero diagonal, and P(s) = exp(-E(s)) / Z (Ackley,
Hinton and Sejnowski 1985). Everything is of one seed; visible units come first, hidden ones after them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from simulator.core.protocols import Array

MOST_UNITS = 20


class Moments(NamedTuple):
    """What a law gives on average."""

    log_z: float
    mean: Array  # [n], of every unit
    second: Array  # [n, n], of every product of two


def states_of(n: int) -> Array:
    """All states of n units, float64 [2^n, n]; unit 0 changes fastest."""
    return 2.0 * (np.arange(1 << n)[:, None] >> np.arange(n) & 1) - 1.0


def energy(weights: Array, bias: Array, states: Array) -> Array:
    """E [*] of states [*, n]; 0 stands for a unit of which nothing is known."""
    found: Array = -0.5 * ((states @ weights) * states).sum(-1) - states @ bias
    return found


def moments(weights: Array, bias: Array) -> Moments:
    """Log partition function, means and second moments.

    The units are split in halves, of which every state of one meets every state of the other in one matrix, so that
    20 units take a matrix of 1,024 by 1,024 and three products.

    Raises:
        ValueError: more than 20 units.
    """
    n = len(bias)
    if n > MOST_UNITS:
        raise ValueError(f"{n} units: expected at most {MOST_UNITS}, whose states can be enumerated")
    half = n // 2
    left, right = states_of(half), states_of(n - half)
    parts = energy(weights[:half, :half], bias[:half], left), energy(weights[half:, half:], bias[half:], right)
    log_p = left @ weights[:half, half:] @ right.T - parts[0][:, None] - parts[1][None, :]
    log_z = float(logsumexp(log_p))
    p = np.exp(log_p - log_z)
    rows, columns, both = p.sum(1), p.sum(0), left.T @ p @ right
    second = np.block([[left.T * rows @ left, both], [both.T, right.T * columns @ right]])
    return Moments(log_z, np.concatenate([rows @ left, columns @ right]), second)


def clamped(weights: Array, bias: Array, patterns: Array) -> tuple[Array, Moments]:
    """Free energies [P] of patterns [P, N], and the moments of all units with the visible ones clamped to them.

    The free energy sums the hidden units out; ``log_z`` of the moments is the mean of its negative.
    """
    n_visible = patterns.shape[1]
    hidden = states_of(len(bias) - n_visible)
    alone = energy(weights[:n_visible, :n_visible], bias[:n_visible], patterns)
    among = energy(weights[n_visible:, n_visible:], bias[n_visible:], hidden)
    log_p = patterns @ weights[:n_visible, n_visible:] @ hidden.T - among - alone[:, None]  # [P, 2^H]
    free = -logsumexp(log_p, axis=1)
    p = np.exp(log_p + free[:, None])
    codes = p @ hidden
    both, share = patterns.T @ codes / len(patterns), p.mean(0)
    seen = patterns.T @ patterns / len(patterns)
    second = np.block([[seen, both], [both.T, hidden.T * share @ hidden]])
    return free, Moments(float(-free.mean()), np.concatenate([patterns.mean(0), codes.mean(0)]), second)


def log_likelihood(weights: Array, bias: Array, patterns: Array) -> float:
    """Mean log likelihood of patterns [P, N], in nats each."""
    return clamped(weights, bias, patterns)[1].log_z - moments(weights, bias).log_z


def gradient(weights: Array, bias: Array, patterns: Array) -> tuple[Array, Array]:
    """Gradient of the mean log likelihood by every weight [n, n] and bias [n]: positive minus negative phase.

    A weight stands at two places of the matrix; its gradient, at both, is that of the pair.
    """
    positive, negative = clamped(weights, bias, patterns)[1], moments(weights, bias)
    slope = positive.second - negative.second
    np.fill_diagonal(slope, 0.0)
    return slope, positive.mean - negative.mean
