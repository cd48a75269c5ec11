"""The laws of a restricted Boltzmann machine in float64: free energy, partition function, likelihood.

Units are 0 and 1, or Gaussian of unit variance around b + W h. Everything is of one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from memory.common.rbm.layers import Layer
from simulator.core.protocols import Array

MOST_HIDDEN = 20  # of which all states are enumerated
CHUNK = 12  # hidden units whose states are looked at together


class LogZ(NamedTuple):
    """An estimate of the log partition function."""

    value: float
    error: float  # one standard error


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), in the precision of x."""
    found: Array = expit(x)
    return found


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def free_energy(layer: Layer, gaussian: bool, units: Array, sharp: float = 1.0) -> Array:
    """F [*] of visible units [*, N], float64: exp(-F) is the sum of exp(-E) over the hidden units.

    -b'v - sum softplus(c + v W), or |z - b|^2 / 2 instead of -b'v (Hinton 2012, section 16.1). ``sharp`` multiplies
    what goes through the hidden units: 0 cuts them off.
    """
    weights, visible, hidden = (array.astype(np.float64) for array in layer)
    rows = units.astype(np.float64)
    alone = 0.5 * ((rows - visible) ** 2).sum(-1) if gaussian else -rows @ visible
    found: Array = alone - softplus(sharp * (rows @ weights + hidden)).sum(-1)
    return found


def energy(layers: Sequence[Layer], gaussian: bool, units: Array) -> Array:
    """Energy [*] of visible units [*, N] of a stack: of one machine its free energy, of several nearly a bound.

    Hinton, Osindero and Teh 2006, section 4, with mean codes h: sum over the layers below the top of
    -log p(v | h) - entropy of h, and the top's free energy at the mean of its own visible units, where the bound
    averages over them; up to a constant of Gaussian ones.
    """
    total: Array = np.zeros(units.shape[:-1])
    for layer in layers[:-1]:
        weights, visible, hidden = (array.astype(np.float64) for array in layer)
        inputs = units @ weights + hidden
        codes = sigmoid(inputs)
        back = codes @ weights.T + visible
        cost = 0.5 * (units - back) ** 2 if gaussian else softplus(back) - units * back
        total = total + cost.sum(-1) - (softplus(inputs) - inputs * codes).sum(-1)
        units, gaussian = codes, False
    return total + free_energy(layers[-1], gaussian, units)


def exact_log_z(layer: Layer, gaussian: bool) -> float:
    """The log partition function, by all states of the hidden units.

    Raises:
        ValueError: more than 20 of them.
    """
    weights, visible, hidden = (array.astype(np.float64) for array in layer)
    if len(hidden) > MOST_HIDDEN:
        raise ValueError(f"{len(hidden)} hidden units: expected at most {MOST_HIDDEN}, whose states can be enumerated")
    parts = []
    for states in _states(len(hidden)):
        inputs = states @ weights.T  # [2^H, N]
        if gaussian:
            rows = inputs @ visible + 0.5 * (inputs**2).sum(1) + 0.5 * len(visible) * np.log(2.0 * np.pi)
        else:
            rows = softplus(inputs + visible).sum(1)
        parts.append(logsumexp(states @ hidden + rows))
    return float(logsumexp(parts))


def _states(n: int) -> Iterator[Array]:
    """All states of n units of 0 and 1, some thousands at a time."""
    low = min(n, CHUNK)
    first = (np.arange(1 << low)[:, None] >> np.arange(low) & 1).astype(np.float64)
    for high in range(1 << (n - low)):
        rest = np.broadcast_to((high >> np.arange(n - low) & 1).astype(np.float64), (len(first), n - low))
        yield np.concatenate([first, rest], axis=1)


def annealed_log_z(
    layer: Layer, gaussian: bool, base: Array, generator: np.random.Generator, n_chains: int = 200, n_steps: int = 2_000
) -> LogZ:
    """The log partition function by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008, section 4).

    Chains go from independent visible units with biases ``base`` [N] to the machine, in steps of equal size; hidden
    inputs are scaled by beta, and visible biases go over from ``base`` to the machine's.
    """
    machine = Layer(*(array.astype(np.float64) for array in layer))
    start = base.astype(np.float64)
    units = _visible(np.broadcast_to(start, (n_chains, len(start))), gaussian, generator)
    log_weights = np.zeros(n_chains)
    betas = np.linspace(0.0, 1.0, n_steps + 1)
    for before, beta in pairwise(betas):
        log_weights += free_energy(_between(machine, start, before), gaussian, units, before)
        between = _between(machine, start, beta)
        log_weights -= free_energy(between, gaussian, units, beta)
        hidden = sigmoid(beta * (units @ machine.weights + machine.hidden))
        drawn = (generator.random(hidden.shape) < hidden).astype(np.float64)
        units = _visible(beta * (drawn @ machine.weights.T) + between.visible, gaussian, generator)
    first = 0.5 * len(start) * np.log(2.0 * np.pi) if gaussian else softplus(start).sum()
    mean = float(logsumexp(log_weights) - np.log(n_chains))
    spread = np.exp(log_weights - mean).std(ddof=1)  # of the weights, in units of their mean
    return LogZ(float(first + len(machine.hidden) * np.log(2.0) + mean), float(spread / np.sqrt(n_chains)))


def _between(machine: Layer, start: Array, beta: float) -> Layer:
    return machine._replace(visible=(1.0 - beta) * start + beta * machine.visible)


def _visible(inputs: Array, gaussian: bool, generator: np.random.Generator) -> Array:
    """Visible units drawn from their inputs."""
    if gaussian:
        return inputs + generator.standard_normal(inputs.shape)
    return (generator.random(inputs.shape) < sigmoid(inputs)).astype(np.float64)


def log_likelihood(layer: Layer, gaussian: bool, units: Array, log_z: float) -> float:
    """Mean log likelihood of visible units [*, N], in nats each, given the log partition function."""
    return float(-free_energy(layer, gaussian, units).mean() - log_z)
