"""Behaviour cloning: does what somebody did, as far as that was shown (Pomerleau 1991; Bain and Sammut 1995).

Supervised learning of an action from an observation. Where both are discrete it counts which action was taken at each
observation and takes the most frequent one; an observation that was never shown gets a random legal action. Elsewhere a
network is fitted by minibatches, to the cross-entropy of discrete actions or to the squared error of others. It learns
before it acts, and nothing afterwards: it never sees a reward.

``held_out_accuracy`` is the fraction of held-out steps at which it does as shown, a tie counting as its part of the
tied actions: a fifth of the episodes, at least one, drawn by each seed, is left out of a first fit. Where a single
episode was shown, a fifth of its steps is, which are much like their neighbours. Of actions that are numbers there is
``held_out_error``, the root of the mean squared error in units of half their range.

Pomerleau 1991, Efficient training of artificial neural networks for autonomous navigation; Bain and Sammut 1995, A
framework for behavioural cloning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.common.exploration import argmax
from agents.common.networks.dense import NetworkSettings, backward, forward, make_net, outputs_at
from agents.common.networks.optimizers import OptimizerSettings, clip_and_update, make_optimizer
from agents.common.spaces import (
    ActionAdapter,
    ObservationAdapter,
    action_lists,
    make_action_adapter,
    make_observation_adapter,
)
from agents.common.tabular import check_memory
from simulator.core import rng
from simulator.core.demonstrations import Demonstrations, read_demonstrations
from simulator.core.field_types import Count
from simulator.core.jit import jit, parallel_for
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

TRAINABLE = False
HELD_OUT = 5  # one episode, or step, of so many is held out
NOT_MEASURED = -1.0  # in place of a score on held-out steps, where none were held out
_NAME = "behaviour_cloning"


@dataclass(frozen=True)
class Config:
    """Settings of a clone."""

    demonstrations: str = ""
    """file of what was shown, as engram play --teach writes it; empty: nothing was, so it acts at random"""
    updates: Count = 2_000
    """minibatches that the network is fitted by; a table takes none"""
    batch_size: Count = 64
    """steps in a minibatch"""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    """network between observations and actions"""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """its optimiser; learning rate 0.001"""


class TrainingSet(NamedTuple):
    """Demonstrated decisions, as numbers to fit."""

    x: Array  # [T, F] inputs float32 of a network, or [T] classes int64 of a table
    target: Array  # actions int64 [T, 1], or float32 [T, D] numbers in units of half their range
    legal: Array  # bool [T, A]
    episode: Array  # int64 [T]


class Minibatch(NamedTuple):
    """Working space for B steps."""

    x: Array  # float32 [B, F]
    dy: Array  # float32 [B, A] gradient at the outputs


class Clone:
    """S clones; an agent and its own policy.

    Args:
        fitted: what they do.
        seed_list: the run's seeds.
        purpose: of the streams that break ties.
    """

    def __init__(self, fitted: ActionCounts | Networks, seed_list: list[int], purpose: str = "exploration") -> None:
        self._fitted = fitted
        self._seeds = seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Return what was most often done at obs [S, *obs], ties at random; [S, *action]."""
        actions = self._fitted.actions
        y = self._fitted.outputs(obs, own=True)[:, 0]  # [S, A]
        if not actions.discrete:
            return actions.decode(y)
        index = np.zeros(len(y), np.int64)
        rows = self._fitted.legal_rows_at(obs)
        _most_frequent(self._stream, y.astype(np.float64), action_lists(actions.legal), rows, index)
        return actions.decode(index[:, None])

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing any more; the score of the first fit on held-out steps, the same each time."""
        score = self._fitted.held_out
        name = "held_out_accuracy" if self._fitted.actions.discrete else "held_out_error"
        return {} if (score < 0.0).all() else {name: score.copy()}

    def policy(self) -> Clone:
        """Return the same clones on streams of their own."""
        return Clone(self._fitted, self._seeds, "ties")

    def probs(self, obs: Array) -> Array | None:
        """Return action probabilities [S, B, A], uniform over ties; None for actions that are numbers."""
        if not self._fitted.actions.discrete:
            return None
        return _probabilities(self._fitted.outputs(obs), self._fitted.actions.legal[self._fitted.legal_rows_at(obs)])

    def values(self, obs: Array) -> None:
        """Return None: there are no values."""

    def state(self) -> State:
        """Return what was fitted, and the streams."""
        return {
            "fitted": self._fitted.weights.copy(),
            "held_out": self._fitted.held_out.copy(),
            "stream": self._stream.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._fitted.weights[...] = state["fitted"]
        self._fitted.held_out[...] = state["held_out"]
        self._stream[...] = state["stream"]


def _probabilities(y: Array, legal: Array) -> Array:
    """Return probabilities [S, B, A], uniform over the highest outputs y of the legal actions [B, A]."""
    preference = np.where(legal, y, -np.inf)
    best = preference == preference.max(axis=-1, keepdims=True)
    probs: Array = best / best.sum(axis=-1, keepdims=True)
    return probs


@jit
def _most_frequent(stream, y, legal_actions, rows, index):
    for i in range(len(index)):
        index[i] = argmax(stream, i, y[i], legal_actions[rows[i]])


def _legal_rows_at(obs: Array, legal: Array) -> Array:
    """Return the rows of a table of legal actions at obs [B, *obs], int64 [B]."""
    return np.asarray(obs, np.int64).reshape(len(obs)) if len(legal) > 1 else np.zeros(len(obs), np.int64)


class ActionCounts:
    """Counts of the actions shown at each observation, which all seeds share.

    Args:
        spec: the environment, of discrete observations and actions.
        actions: its actions.
        n_seeds: number of seeds.
    """

    def __init__(self, spec: EnvSpec, actions: ActionAdapter, n_seeds: int) -> None:
        n_classes = int(spec.observation.n)  # type: ignore[attr-defined]
        check_memory(_NAME, spec, 8 * n_classes * actions.n_outputs)
        self.actions = actions
        self.weights = np.zeros((n_classes, actions.n_outputs), np.int64)
        self.held_out = np.full(n_seeds, NOT_MEASURED)

    def inputs(self, obs: Array) -> Array:
        """Return the classes [T] of observations."""
        return np.asarray(obs, np.int64).reshape(len(obs))

    def fit(self, data: TrainingSet, shown: list[Array]) -> None:
        """Count the steps [T'] of ``shown``; the counts are the same for every seed."""
        self.weights[...] = 0
        np.add.at(self.weights, (data.x[shown[0]], data.target[shown[0], 0]), 1)

    def score(self, data: TrainingSet, held_out: list[Array]) -> None:
        """Note each seed's accuracy on steps that are left out of its counts."""
        everything = [np.arange(len(data.x))]
        self.fit(data, everything)
        for i, steps in enumerate(held_out):
            rest = self.weights.copy()
            np.subtract.at(rest, (data.x[steps], data.target[steps, 0]), 1)
            probs = _probabilities(rest[data.x[steps]][None], data.legal[steps])[0]
            self.held_out[i] = probs[np.arange(len(steps)), data.target[steps, 0]].mean()

    def outputs(self, obs: Array, *, own: bool = False) -> Array:
        """Return counts [S, B, A] at obs [B, *obs]; ``own``: [S, 1, A], where seed s is at obs[s]."""
        counts = self.weights[self.inputs(obs)]
        return counts[:, None] if own else np.repeat(counts[None], len(self.held_out), axis=0)

    def legal_rows_at(self, obs: Array) -> Array:
        """Return the rows of the legal actions at obs [B]."""
        return _legal_rows_at(obs, self.actions.legal)


class Networks:
    """A network for each seed.

    Args:
        spec: the environment.
        seen: its observations.
        actions: its actions.
        seed_list: the run's seeds.
        config: the settings.
    """

    def __init__(
        self, spec: EnvSpec, seen: ObservationAdapter, actions: ActionAdapter, seed_list: list[int], config: Config
    ) -> None:
        self.actions = actions
        self._seen = seen
        self._seeds = seed_list
        self._config = config
        self._sizes = [seen.n_inputs, *config.network.hidden, actions.n_outputs]
        self._net = make_net(self._sizes, config.network.activation == "tanh", seed_list, config.batch_size)
        self.weights = self._net.params  # float32 [S, P]
        self.weights[...] = 0.0  # until something is shown: all actions alike
        self.held_out = np.full(len(seed_list), NOT_MEASURED)

    def inputs(self, obs: Array) -> Array:
        """Return inputs float32 [B, F] of observations [B, *obs]."""
        x = self._seen.encode(obs)
        if not self._seen.n_classes:
            return np.ascontiguousarray(x, np.float32)
        return np.eye(self._seen.n_classes, dtype=np.float32)[x[:, 0].astype(np.int64)]

    def fit(self, data: TrainingSet, shown: list[Array]) -> None:
        """Fit seed i to the steps [T'] of ``shown[i]``, from random weights of its own stream."""
        config = self._config
        first = make_net(self._sizes, config.network.activation == "tanh", self._seeds, 1)
        self.weights[...] = first.params
        optimizer = make_optimizer(config.optimizer.filled(1e-3), *self.weights.shape)
        batches = [
            generator.integers(0, len(steps), (config.updates, min(config.batch_size, len(steps))))
            for generator, steps in zip(rng.generators(self._seeds, "replay"), shown, strict=True)
        ]

        def work(first_seed: int, last_seed: int) -> None:
            for i in range(first_seed, last_seed):
                rows = shown[i][batches[i]]
                x, dy = (np.zeros((rows.shape[1], n), np.float32) for n in (self._sizes[0], self._sizes[-1]))
                _fit(self._net, optimizer, i, data, rows, self.actions.discrete, Minibatch(x, dy))

        parallel_for(work, len(self._seeds))

    def score(self, data: TrainingSet, held_out: list[Array]) -> None:
        """Note each seed's accuracy, or error, on steps that a first fit leaves out."""
        everything = np.arange(len(data.x))
        self.fit(data, [np.setdiff1d(everything, steps) for steps in held_out])
        for i, steps in enumerate(held_out):
            y = self._forward(i, data.x[steps])
            if self.actions.discrete:
                probs = _probabilities(y[None], data.legal[steps])[0]
                self.held_out[i] = probs[np.arange(len(steps)), data.target[steps, 0]].mean()
            else:
                self.held_out[i] = np.sqrt(((y - data.target[steps]) ** 2).mean())

    def outputs(self, obs: Array, *, own: bool = False) -> Array:
        """Return outputs [S, B, A] at obs [B, *obs]; ``own``: [S, 1, A], where seed s is at obs[s]."""
        x = self.inputs(obs)
        n_seeds = len(self._seeds)
        return np.stack([self._forward(i, x[i : i + 1] if own else x) for i in range(n_seeds)])

    def legal_rows_at(self, obs: Array) -> Array:
        """Return the rows of the legal actions at obs [B]."""
        return _legal_rows_at(obs, self.actions.legal)

    def _forward(self, i: int, x: Array) -> Array:
        """Return the outputs [B, A] of seed i at x [B, F], in parts that the working space holds."""
        y = np.empty((len(x), self._sizes[-1]), np.float32)
        for at in range(0, len(x), self._config.batch_size):
            part = x[at : at + self._config.batch_size]
            forward(self._net, i, i, part)
            start = len(part) * sum(self._sizes[1:-1])
            flat = self._net.outputs[i, start : start + part.shape[0] * y.shape[1]]
            y[at : at + len(part)] = flat.reshape(len(part), -1)
        return y


@jit
def _fit(net, optimizer, i, data, rows, discrete, batch):
    """Step the weights of seed i once for each minibatch, ``rows`` [updates, B] of the data."""
    x, dy = batch
    n_rows, n_outputs = dy.shape
    for update in range(rows.shape[0]):
        for r in range(n_rows):
            for k in range(x.shape[1]):
                x[r, k] = data.x[rows[update, r], k]
        forward(net, i, i, x)
        start = outputs_at(net, n_rows)
        for r in range(n_rows):
            y = net.outputs[i, start + r * n_outputs : start + (r + 1) * n_outputs]
            step = rows[update, r]
            if discrete:
                _softmax_gradient(y, data.legal[step], data.target[step, 0], dy[r])
            else:
                for c in range(n_outputs):
                    dy[r, c] = y[c] - data.target[step, c]
            for c in range(n_outputs):
                dy[r, c] /= np.float32(n_rows)
        backward(net, i, i, x, dy)
        clip_and_update(optimizer, i, net.params[i], net.gradient[i], 1.0)


@jit
def _softmax_gradient(y, legal, action, dy):
    """Write the gradient of the cross-entropy of an action under a softmax over the legal ones."""
    highest = -np.inf
    for c in range(len(y)):
        if legal[c]:
            highest = max(highest, y[c])
    total = 0.0
    for c in range(len(y)):
        dy[c] = np.exp(y[c] - highest) if legal[c] else np.float32(0.0)
        total += dy[c]
    for c in range(len(y)):
        dy[c] = dy[c] / total - (np.float32(1.0) if c == action else np.float32(0.0))


def _held_out(episode: Array, seed_list: list[int]) -> list[Array]:
    """Draw each seed's held-out steps: whole episodes, or steps of the only one; empty where one step was shown."""
    names = np.unique(episode)
    whole = len(names) > 1
    units = names if whole else np.arange(len(episode))
    n_out = max(1, len(units) // HELD_OUT) if len(units) > 1 else 0
    drawn = [generator.permutation(units)[:n_out] for generator in rng.generators(seed_list, "permutation")]
    return [np.flatnonzero(np.isin(episode, out)) if whole else np.sort(out) for out in drawn]


def _training_set(fitted: ActionCounts | Networks, spec: EnvSpec, path: str, shown: Demonstrations) -> TrainingSet:
    """Check that demonstrations are of this environment, and make them a training set.

    Raises:
        ValueError: observations or actions of another shape, or out of range; one line.
    """
    place = f"{_NAME} on {spec.id}: {path}"
    for name, array, space in (("obs", shown.obs, spec.observation), ("actions", shown.actions, spec.action)):
        if array.shape[1:] != (space.shape or ()) or not all(space.contains(row) for row in array.astype(space.dtype)):
            raise ValueError(f"{place}: {name} {list(array.shape)} of another environment, expected some of {space}")
    actions = fitted.actions
    target = shown.actions.astype(np.int64)[:, None] if actions.discrete else _units(spec.action, shown.actions)
    legal = actions.legal[fitted.legal_rows_at(shown.obs)]
    return TrainingSet(fitted.inputs(shown.obs), target, legal, shown.episode)


def _units(space: Any, actions: Array) -> Array:
    """Return actions of a Box in units of half its range around its middle, float32 [T, D]; see ``ActionAdapter``."""
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    middle = np.where(bounded, (space.low + space.high) / 2.0, 0.0)
    half = np.where(bounded, (space.high - space.low) / 2.0, 1.0)
    return np.ascontiguousarray((actions - middle) / half, np.float32).reshape(len(actions), prod(space.shape))


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Clone:
    """Make clones for discrete or vector observations, fitted to the demonstrations.

    Raises:
        ValueError: spaces or a setting that it cannot take, or demonstrations that cannot be read or are of another
            environment.
    """
    check_rule(config.optimizer, "agent.optimizer")
    seeds = list(seed_list)
    actions = make_action_adapter(spec, _NAME)
    seen = make_observation_adapter(spec, _NAME, normalize=True)
    fitted: ActionCounts | Networks
    if isinstance(spec.observation, spaces.Discrete) and actions.discrete:
        fitted = ActionCounts(spec, actions, len(seeds))
    else:
        fitted = Networks(spec, seen, actions, seeds, config)
    if config.demonstrations:
        data = _training_set(fitted, spec, config.demonstrations, read_demonstrations(config.demonstrations))
        held_out = _held_out(data.episode, seeds)
        if len(held_out[0]):
            fitted.score(data, held_out)
        fitted.fit(data, [np.arange(len(data.x))] * len(seeds))
    return Clone(fitted, seeds)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent(_NAME)
