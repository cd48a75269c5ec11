"""Free energy, partition function and likelihood of restricted Boltzmann machines, in float64.

Units are 0 and 1, or Gaussian of unit variance around b + W h. Every function takes the parameters of one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from memory.common.rbm.layers import RBMParams
from simulator.core.protocols import Array

MAX_ENUMERATED_HIDDEN = 20
CHUNK_HIDDEN = 12  # hidden units whose states are enumerated at once


class LogZEstimate(NamedTuple):
    """An estimate of the log partition function."""

    value: float
    error: float  # one standard error


def sigmoid(x: Array) -> Array:
    """Compute 1 / (1 + exp(-x)), in the precision of x."""
    return np.asarray(expit(x))


def softplus(x: Array) -> Array:
    """Compute log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def free_energy(params: RBMParams, gaussian: bool, visible: Array, hidden_scale: float = 1.0) -> Array:
    """Compute F [*] of visible units [*, N], float64: exp(-F) is the sum of exp(-E) over the hidden units.

    F = -b'v - sum softplus(c + v W), or |z - b|^2 / 2 instead of -b'v (Hinton 2012, section 16.1).

    Args:
        params: one machine.
        gaussian: visible units are Gaussian.
        visible: visible units [*, N].
        hidden_scale: multiplies the inputs of the hidden units; 0 disconnects them.
    """
    weights, visible_bias, hidden_bias = (array.astype(np.float64) for array in params)
    v = visible.astype(np.float64)
    visible_part = 0.5 * ((v - visible_bias) ** 2).sum(-1) if gaussian else -v @ visible_bias
    hidden_part = softplus(hidden_scale * (v @ weights + hidden_bias)).sum(-1)
    return np.asarray(visible_part - hidden_part)


def stack_energy(layers: Sequence[RBMParams], gaussian: bool, visible: Array) -> Array:
    """Compute the energy [*] of visible units [*, N]: of one machine its free energy, of several nearly a bound.

    Hinton, Osindero and Teh 2006, section 4, with mean codes h: the sum over the layers below the top of
    -log p(v | h) - entropy(h), plus the top's free energy at the mean of its own visible units, where the bound
    averages over them; up to a constant of Gaussian units.
    """
    units = visible
    total: Array = np.zeros(visible.shape[:-1])
    for layer in layers[:-1]:
        weights, visible_bias, hidden_bias = (array.astype(np.float64) for array in layer)
        inputs = units @ weights + hidden_bias
        codes = sigmoid(inputs)
        reconstruction = codes @ weights.T + visible_bias
        if gaussian:
            cost = 0.5 * (units - reconstruction) ** 2
        else:
            cost = softplus(reconstruction) - units * reconstruction
        total = total + cost.sum(-1) - (softplus(inputs) - inputs * codes).sum(-1)
        units = codes
        gaussian = False
    return total + free_energy(layers[-1], gaussian, units)


def exact_log_z(params: RBMParams, gaussian: bool) -> float:
    """Compute the log partition function by enumerating the hidden states.

    Raises:
        ValueError: more than 20 hidden units.
    """
    weights, visible_bias, hidden_bias = (array.astype(np.float64) for array in params)
    n_hidden = len(hidden_bias)
    if n_hidden > MAX_ENUMERATED_HIDDEN:
        raise ValueError(f"{n_hidden} hidden units: expected at most {MAX_ENUMERATED_HIDDEN}, so as to enumerate them")
    parts = []
    for hidden in _enumerate_states(n_hidden):
        inputs = hidden @ weights.T  # [2^H, N]
        if gaussian:
            log_sums = inputs @ visible_bias + 0.5 * (inputs**2).sum(1) + 0.5 * len(visible_bias) * np.log(2.0 * np.pi)
        else:
            log_sums = softplus(inputs + visible_bias).sum(1)
        parts.append(logsumexp(hidden @ hidden_bias + log_sums))
    return float(logsumexp(parts))


def _enumerate_states(n: int) -> Iterator[Array]:
    """Yield all states of n units of 0 and 1, some thousands at a time."""
    n_low = min(n, CHUNK_HIDDEN)
    n_high = n - n_low
    low = (np.arange(1 << n_low)[:, None] >> np.arange(n_low) & 1).astype(np.float64)
    for number in range(1 << n_high):
        high = np.broadcast_to((number >> np.arange(n_high) & 1).astype(np.float64), (len(low), n_high))
        yield np.concatenate([low, high], axis=1)


def annealed_log_z(
    params: RBMParams,
    gaussian: bool,
    base_bias: Array,
    generator: np.random.Generator,
    n_chains: int = 200,
    n_steps: int = 2_000,
) -> LogZEstimate:
    """Estimate the log partition function by annealed importance sampling.

    Neal 2001; Salakhutdinov and Murray 2008, section 4. Chains go from independent visible units to the machine in
    steps of equal size: hidden inputs are scaled by beta, and visible biases are interpolated.

    Args:
        params: one machine.
        gaussian: visible units are Gaussian.
        base_bias: visible biases [N] of the independent units.
        generator: random numbers.
        n_chains: chains.
        n_steps: temperatures.
    """
    target = RBMParams(*(array.astype(np.float64) for array in params))
    base = base_bias.astype(np.float64)

    def intermediate(beta: float) -> RBMParams:
        return target._replace(visible_bias=(1.0 - beta) * base + beta * target.visible_bias)

    visible = _sample_visible_units(np.broadcast_to(base, (n_chains, len(base))), gaussian, generator)
    log_weights = np.zeros(n_chains)
    for previous_beta, beta in pairwise(np.linspace(0.0, 1.0, n_steps + 1)):
        machine = intermediate(beta)
        log_weights += free_energy(intermediate(previous_beta), gaussian, visible, previous_beta)
        log_weights -= free_energy(machine, gaussian, visible, beta)
        hidden_probs = sigmoid(beta * (visible @ target.weights + target.hidden_bias))
        hidden = (generator.random(hidden_probs.shape) < hidden_probs).astype(np.float64)
        visible = _sample_visible_units(beta * (hidden @ target.weights.T) + machine.visible_bias, gaussian, generator)
    visible_log_z = 0.5 * len(base) * np.log(2.0 * np.pi) if gaussian else softplus(base).sum()
    base_log_z = visible_log_z + len(target.hidden_bias) * np.log(2.0)
    mean = float(logsumexp(log_weights) - np.log(n_chains))
    relative_std = np.exp(log_weights - mean).std(ddof=1)
    return LogZEstimate(float(base_log_z + mean), float(relative_std / np.sqrt(n_chains)))


def _sample_visible_units(inputs: Array, gaussian: bool, generator: np.random.Generator) -> Array:
    if gaussian:
        return inputs + generator.standard_normal(inputs.shape)
    return (generator.random(inputs.shape) < sigmoid(inputs)).astype(np.float64)


def log_likelihood(params: RBMParams, gaussian: bool, visible: Array, log_z: float) -> float:
    """Compute the mean log likelihood of visible units [*, N], in nats, given the log partition function."""
    return float(-free_energy(params, gaussian, visible).mean() - log_z)
