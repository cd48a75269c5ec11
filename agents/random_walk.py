"""Random walk: uniformly random actions, the baseline of every table. It learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from agents.common.spaces import action_lists, legal_rows
from agents.common.tabular import trace_buffers
from simulator.core import rng
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, Rollout, State, Step
from simulator.core.rng_compiled import below
from simulator.core.transition_table import GOES_ON, TabularBatch, table_step

TRAINABLE = False


@dataclass(frozen=True)
class Config:
    """A random walk has no settings."""


class RandomWalk:
    """S random agents with discrete actions; an agent and its own policy."""

    def __init__(self, legal: Array, discrete_obs: bool, seed_list: list[int], purpose: str = "exploration") -> None:
        self._legal = legal  # bool [n_observations or 1, A]
        self._legal_actions = action_lists(legal)
        self._discrete_obs = discrete_obs
        self._seeds = seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)
        self._buffers = trace_buffers(None, len(seed_list), 1)
        if discrete_obs:
            self.rollout = self._rollout

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Return one of the legal actions, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        _act_all(self._stream, self._legal_actions, self._rows(obs), actions)
        return actions

    def _rows(self, obs: Array) -> Array:
        return np.asarray(obs, np.int64) if len(self._legal) > 1 else np.zeros(len(obs), np.int64)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def _rollout(self, env_batch: TabularBatch, n: int) -> Rollout:
        """Play n steps of a tabular environment in one call."""
        reward, ended = self._buffers = trace_buffers(self._buffers, len(self._seeds), n)

        def play(first: int, last: int) -> None:
            _play_rollout(first, last, self._stream, self._legal_actions, env_batch, reward, ended)

        parallel_for(play, len(self._seeds))
        return Rollout(reward, ended, {})

    def policy(self) -> RandomWalk:
        """Return the same walk on streams of its own."""
        return RandomWalk(self._legal, self._discrete_obs, self._seeds, "ties")

    def probs(self, obs: Array) -> Array:
        """Return probabilities [S, B, A], uniform over the legal actions."""
        legal = self._legal[self._rows(obs)]
        return np.repeat((legal / legal.sum(axis=-1, keepdims=True))[None], len(self._seeds), axis=0)

    def values(self, obs: Array) -> None:
        """Return None: there are no values."""

    def state(self) -> State:
        """Return the streams."""
        return {"stream": self._stream.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._stream[...] = state["stream"]


class RandomMotion:
    """S random agents with any other action space (boxes, several switches)."""

    def __init__(self, space: spaces.Space[Any], seed_list: list[int], purpose: str = "exploration") -> None:
        self._space = space
        self._seeds = seed_list
        self._generators = rng.generators(seed_list, purpose)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Sample the space for every seed, [S, *action]."""
        return np.stack([_sample(self._space, generator) for generator in self._generators])

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def policy(self) -> RandomMotion:
        """Return the same walk on streams of its own."""
        return RandomMotion(self._space, self._seeds, "ties")

    def probs(self, obs: Array) -> None:
        """Return None: there is no table of probabilities."""

    def values(self, obs: Array) -> None:
        """Return None: there are no values."""

    def state(self) -> State:
        """Return the streams."""
        return {"stream": np.stack([rng.pack_state(generator.bit_generator) for generator in self._generators])}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._generators = [np.random.Generator(rng.unpack_state(words)) for words in state["stream"]]


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> RandomWalk | RandomMotion:
    """Make walkers for any environment with discrete, multi-discrete, multi-binary or box actions.

    Raises:
        ValueError: another kind of action space.
    """
    if isinstance(spec.action, spaces.Discrete) and int(spec.action.start) == 0:
        discrete_obs = isinstance(spec.observation, spaces.Discrete)
        return RandomWalk(legal_rows(spec, int(spec.action.n)), discrete_obs, list(seed_list))
    if isinstance(spec.action, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box):
        return RandomMotion(spec.action, list(seed_list))
    raise ValueError(f"random_walk on {spec.id}: action space {spec.action}, expected a discrete or box space")


def _sample(space: spaces.Space[Any], generator: np.random.Generator) -> Array:
    """Sample uniformly, by doubles only: so a stream is its 128-bit state and nothing buffered beside it."""
    draw = generator.random(space.shape)
    if isinstance(space, spaces.Box):
        low = np.clip(space.low, -1e6, 1e6)
        high = np.clip(space.high, -1e6, 1e6)
        return (low + draw * (high - low)).astype(space.dtype)
    start = getattr(space, "start", 0)
    sizes = {spaces.Discrete: "n", spaces.MultiDiscrete: "nvec"}.get(type(space))
    n = getattr(space, sizes) if sizes else 2
    return (start + np.floor(draw * n)).astype(space.dtype)


@jit_inline
def _random_action(stream, i, actions):
    return actions[1 + below(stream, i, actions[0])]


@jit
def _act_all(stream, legal_actions, rows, actions):
    for i in range(len(actions)):
        actions[i] = _random_action(stream, i, legal_actions[rows[i]])


@jit
def _play_rollout(first_seed, last_seed, stream, legal_actions, env_batch, reward, ended):
    for i in range(first_seed, last_seed):
        for t in range(reward.shape[1]):
            obs = env_batch.table.obs_of_state[env_batch.state[i]]
            action = _random_action(stream, i, legal_actions[obs if legal_actions.shape[0] > 1 else 0])
            step = table_step(env_batch, i, action)
            reward[i, t] = step.reward
            ended[i, t] = step.end != GOES_ON


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("random_walk")
