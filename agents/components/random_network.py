"""Bonus by random network distillation (Burda et al. 2019): how badly a network predicts a random one.

    e(x)  = mean over outputs of (f(x) - g(x))^2        g: random and fixed; f: trained on e at every visit
    bonus = e / running mean of e over all visits so far

Where f has met x often, it has learned g(x) and the bonus falls: about 1 is an average visit. Vectors and images are
standardised by the running mean and variance of what was met, and clipped to +-5; discrete observations are one-hot.

Departures: one update at every visit, on that visit alone; dense networks; the error is divided by its mean and not by
the deviation of its discounted sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod, sqrt
from typing import NamedTuple

import numpy as np

from agents.common.inside import MAX_BARS, bonus_panel, spread
from agents.common.intrinsic import IntrinsicConfig
from agents.common.networks.dense import (
    CompiledNetwork,
    Net,
    NetworkSettings,
    Width,
    backward,
    forward,
    make_net,
    outputs_at,
)
from agents.common.networks.optimizers import OptimizerSettings, clip_and_update
from agents.common.networks.panels import outputs_of
from agents.common.spaces import is_image, make_observation_adapter
from simulator.core import rng
from simulator.core.jit import jit, parallel_for
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel

SOCKETS = ("intrinsic",)
_CLIP = 5.0  # of standardised observations


@dataclass(frozen=True)
class Config(IntrinsicConfig):
    """Settings of random network distillation."""

    n_outputs: Width = 16
    """outputs of both networks"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=(64,)))
    """both networks"""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """optimiser of the network that predicts; learning_rate none: 1e-3"""


class Moments(NamedTuple):
    """Running moments of observations and errors, of S learners."""

    mean: Array  # float64 [S, F], of observations
    square: Array  # float64 [S, F], sum of squared deviations
    error: Array  # float64 [S], mean of e
    n_visits: Array  # int64 [S]


@jit
def standardize(moments, i, obs, x):
    """Take an observation [F] of seed i into its moments, and write it standardised as float32 x [1, F]."""
    n = moments.n_visits[i] + 1
    for f in range(len(obs)):
        apart = obs[f] - moments.mean[i, f]
        moments.mean[i, f] += apart / n
        moments.square[i, f] += apart * (obs[f] - moments.mean[i, f])
        deviation = np.sqrt(moments.square[i, f] / n)
        scaled = (obs[f] - moments.mean[i, f]) / deviation if deviation > 1e-8 else 0.0
        x[0, f] = min(max(scaled, -_CLIP), _CLIP)


@jit
def visit_all(first_seed, last_seed, moments, target, predictor, optimizer, x, dy, novelty):
    """Write how new x float32 [S, 1, F] is, and train ``predictor`` on it; ``dy`` [S, 1, out] is working space."""
    n_outputs = dy.shape[2]
    for i in range(first_seed, last_seed):
        forward(target, i, i, x[i])
        forward(predictor, i, i, x[i])
        at = outputs_at(target, 1)
        error = 0.0
        for k in range(n_outputs):
            apart = predictor.outputs[i, at + k] - target.outputs[i, at + k]
            error += np.float64(apart) * apart / n_outputs
            dy[i, 0, k] = np.float32(2.0 / n_outputs) * apart
        moments.n_visits[i] += 1
        moments.error[i] += (error - moments.error[i]) / moments.n_visits[i]
        novelty[i] = error / moments.error[i] if moments.error[i] > 0.0 else 0.0
        backward(predictor, i, i, x[i], dy[i])
        clip_and_update(optimizer, i, predictor.params[i], predictor.gradient[i], 1.0)


class Distillation:
    """Networks of S learners; see :class:`agents.common.intrinsic.Novelty`."""

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        n_seeds = len(seed_list)
        self._adapter = None if is_image(spec) else make_observation_adapter(spec, "random_network", normalize=True)
        n_inputs = prod(spec.observation.shape or (1,)) if self._adapter is None else self._adapter.n_inputs
        self._n_classes = 0 if self._adapter is None else self._adapter.n_classes
        sizes = (n_inputs, *config.network.hidden, config.n_outputs)
        tanh = config.network.activation == "tanh"
        nets = [make_net(sizes, tanh, seed_list, 1) for _ in range(2)]
        for i, generator in enumerate(rng.generators(seed_list, "intrinsic")):
            for net in nets:
                net.params[i] = _initial_weights(sizes, generator)
        self._target = CompiledNetwork(nets[0])
        self._predictor = CompiledNetwork(nets[1], config.optimizer.filled(1e-3))
        n_moments = 0 if self._n_classes else n_inputs
        self._moments = Moments(
            mean=np.zeros((n_seeds, n_moments)),
            square=np.zeros((n_seeds, n_moments)),
            error=np.zeros(n_seeds),
            n_visits=np.zeros(n_seeds, np.int64),
        )
        self._x = np.zeros((n_seeds, 1, n_inputs), np.float32)
        self._dy = np.zeros((n_seeds, 1, config.n_outputs), np.float32)

    def visit(self, obs: Array) -> Array:
        """Return how new obs [S, *obs] are, about 1 for the average one, float64 [S], and learn them."""
        self._write_inputs(obs)
        novelty = np.zeros(len(self._x))
        target: Net = self._target.net
        predictor: Net = self._predictor.net
        optimizer = self._predictor.optimizer

        def visit(first: int, last: int) -> None:
            visit_all(first, last, self._moments, target, predictor, optimizer, self._x, self._dy, novelty)

        parallel_for(visit, len(self._x))
        return novelty

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make a panel of the novelty of one seed's states, where observations are discrete."""
        error = self._moments.error[index]
        if not self._n_classes or error <= 0.0:
            return ()
        states = spread(0, self._n_classes, MAX_BARS)
        x = (states[:, None] == np.arange(self._n_classes)).astype(np.float32)
        target, predicted = (outputs_of(network.net, index, x) for network in (self._target, self._predictor))
        return (bonus_panel(states, self._n_classes, ((predicted - target) ** 2).mean(axis=1) / error),)

    def _write_inputs(self, obs: Array) -> None:
        if self._n_classes:
            self._x[:] = 0.0
            self._x[np.arange(len(obs)), 0, np.asarray(obs, np.int64)] = 1.0
            return
        rows = np.asarray(obs, np.float32).reshape(len(obs), -1) if self._adapter is None else self._adapter.encode(obs)
        for i, row in enumerate(rows.astype(np.float64)):
            standardize(self._moments, i, row, self._x[i])

    def state(self) -> State:
        """Return the networks, the optimiser and the moments."""
        moments = {name: array.copy() for name, array in self._moments._asdict().items()}
        return {"target": self._target.state(), "predictor": self._predictor.state(), **moments}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._target.restore(state["target"])
        self._predictor.restore(state["predictor"])
        for name, array in self._moments._asdict().items():
            array[...] = state[name]


def _initial_weights(sizes: Sequence[int], generator: np.random.Generator) -> Array:
    """Draw the weights of one network, uniform in +-1 / sqrt(inputs of the layer)."""
    layers = [generator.uniform(-1.0 / sqrt(n), 1.0 / sqrt(n), (n + 1) * m) for n, m in pairwise(sizes)]
    return np.concatenate(layers).astype(np.float32)


class RandomNetwork(NamedTuple):
    """The component; see :class:`agents.common.intrinsic.IntrinsicComponent`."""

    config: Config

    def for_env(self, spec: EnvSpec, seed_list: Sequence[int]) -> Distillation:
        """Make networks of an environment's observations.

        Raises:
            ValueError: observations that are no numbers, or a constant that the update rule does not have.
        """
        check_rule(self.config.optimizer, "agent.intrinsic.optimizer")
        return Distillation(spec, seed_list, self.config)


def make(config: Config) -> RandomNetwork:
    """Make the component for an agent."""
    return RandomNetwork(config)
