"""Boltzmann machines of few units by enumeration, float64: partition function, moments, gradient of the likelihood.

Units are -1 and +1, E(s) = -s'W s / 2 - b's with W symmetric and of zero diagonal, and P(s) = exp(-E(s)) / Z (Ackley,
Hinton and Sejnowski 1985). Everything is of one seed; visible units come first, hidden ones after them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from simulator.core.protocols import Array

MAX_ENUMERATED_UNITS = 20


class BoltzmannMoments(NamedTuple):
    """Expectations under a distribution of states."""

    log_z: float  # log partition function
    mean: Array  # [n], <s_i>
    second: Array  # [n, n], <s_i s_j>


class ClampedPhase(NamedTuple):
    """Expectations with the visible units clamped to patterns."""

    free_energy: Array  # [P], of each pattern, hidden units summed out
    moments: BoltzmannMoments  # over patterns and hidden states; log_z is minus the mean free energy


class LikelihoodGradient(NamedTuple):
    """Gradient of the mean log likelihood."""

    weights: Array  # [n, n], symmetric: both places of a weight hold the gradient of the pair
    bias: Array  # [n]


def enumerate_states(n: int) -> Array:
    """Return all states of n units, float64 [2^n, n]; unit 0 changes fastest."""
    return 2.0 * (np.arange(1 << n)[:, None] >> np.arange(n) & 1) - 1.0


def energy(weights: Array, bias: Array, states: Array) -> Array:
    """Compute E [*] of states [*, n]; units of 0 are unknown and do not count."""
    pairs = ((states @ weights) * states).sum(-1)
    return np.asarray(-0.5 * pairs - states @ bias)


def free_moments(weights: Array, bias: Array) -> BoltzmannMoments:
    """Compute the expectations of the machine running freely (negative phase).

    The units are split in halves; every state of one meets every state of the other in one matrix, so 20 units take a
    matrix of 1,024 by 1,024 and three products.

    Raises:
        ValueError: more than 20 units.
    """
    n = len(bias)
    if n > MAX_ENUMERATED_UNITS:
        raise ValueError(f"{n} units: expected at most {MAX_ENUMERATED_UNITS}, so as to enumerate them")
    half = n // 2
    left = enumerate_states(half)
    right = enumerate_states(n - half)
    left_energy = energy(weights[:half, :half], bias[:half], left)
    right_energy = energy(weights[half:, half:], bias[half:], right)
    log_p = left @ weights[:half, half:] @ right.T - left_energy[:, None] - right_energy[None, :]
    log_z = float(logsumexp(log_p))
    p = np.exp(log_p - log_z)
    p_left = p.sum(1)
    p_right = p.sum(0)
    cross = left.T @ p @ right
    second = np.block([[left.T * p_left @ left, cross], [cross.T, right.T * p_right @ right]])
    return BoltzmannMoments(log_z, np.concatenate([p_left @ left, p_right @ right]), second)


def clamped_phase(weights: Array, bias: Array, patterns: Array) -> ClampedPhase:
    """Compute the expectations with the visible units clamped to patterns [P, N] (positive phase)."""
    n_patterns, n_visible = patterns.shape
    hidden = enumerate_states(len(bias) - n_visible)
    visible_energy = energy(weights[:n_visible, :n_visible], bias[:n_visible], patterns)
    hidden_energy = energy(weights[n_visible:, n_visible:], bias[n_visible:], hidden)
    log_p = patterns @ weights[:n_visible, n_visible:] @ hidden.T - hidden_energy - visible_energy[:, None]  # [P, 2^H]
    free_energy = -logsumexp(log_p, axis=1)
    p = np.exp(log_p + free_energy[:, None])
    codes = p @ hidden  # [P, H]
    cross = patterns.T @ codes / n_patterns
    second = np.block(
        [[patterns.T @ patterns / n_patterns, cross], [cross.T, hidden.T * p.mean(0) @ hidden]],
    )
    mean = np.concatenate([patterns.mean(0), codes.mean(0)])
    return ClampedPhase(free_energy, BoltzmannMoments(float(-free_energy.mean()), mean, second))


def log_likelihood(weights: Array, bias: Array, patterns: Array) -> float:
    """Compute the mean log likelihood of patterns [P, N], in nats."""
    return clamped_phase(weights, bias, patterns).moments.log_z - free_moments(weights, bias).log_z


def likelihood_gradient(weights: Array, bias: Array, patterns: Array) -> LikelihoodGradient:
    """Compute the gradient of the mean log likelihood of patterns [P, N]: positive minus negative phase."""
    positive = clamped_phase(weights, bias, patterns).moments
    negative = free_moments(weights, bias)
    weights_grad = positive.second - negative.second
    np.fill_diagonal(weights_grad, 0.0)
    return LikelihoodGradient(weights_grad, positive.mean - negative.mean)
