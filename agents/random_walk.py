"""Uniformly random actions: the floor of every table. It learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from agents.common.tabular import action_lists, legal_rows, trace_buffers
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
    """S walkers among numbered actions; an agent and its own policy."""

    def __init__(self, legal: Array, discrete_obs: bool, seed_list: list[int], purpose: str = "exploration") -> None:
        self._legal, self._legal_actions, self._seeds = legal, action_lists(legal), seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)
        self._discrete_obs, self._trace = discrete_obs, trace_buffers(None, len(seed_list), 1)
        if discrete_obs:
            self.rollout = self._stretch

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """One of the actions that exist, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        _act_all(self._stream, self._legal_actions, self._rows(obs), actions)
        return actions

    def _rows(self, obs: Array) -> Array:
        return np.asarray(obs, np.int64) if len(self._legal) > 1 else np.zeros(len(obs), np.int64)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def _stretch(self, env_batch: TabularBatch, n: int) -> Rollout:
        """N steps of an environment by table in one call."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)
        work = (self._stream, self._legal_actions, env_batch, reward, ended)
        parallel_for(lambda first, last: _stretch_block((first, last), *work), len(self._seeds))
        return Rollout(reward, ended, {})

    def policy(self) -> RandomWalk:
        """The same walk on streams of its own."""
        return RandomWalk(self._legal, self._discrete_obs, self._seeds, "ties")

    def probs(self, obs: Array) -> Array:
        """Uniform over the actions that exist, [S, B, A]."""
        legal = self._legal[self._rows(obs)]
        return np.repeat((legal / legal.sum(axis=-1, keepdims=True))[None], len(self._seeds), axis=0)

    def values(self, obs: Array) -> None:
        """It values nothing."""

    def state(self) -> State:
        """The streams."""
        return {"stream": self._stream.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._stream[...] = state["stream"]


class RandomMotion:
    """S walkers in any other action space (boxes, several switches)."""

    def __init__(self, space: spaces.Space, seed_list: list[int], purpose: str = "exploration") -> None:
        self._space, self._seeds = space, seed_list
        self._generators = rng.generators(seed_list, purpose)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """A sample of the space for every seed, [S, *action]."""
        return np.stack([_sample(self._space, generator) for generator in self._generators])

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def policy(self) -> RandomMotion:
        """The same walk on streams of its own."""
        return RandomMotion(self._space, self._seeds, "ties")

    def probs(self, obs: Array) -> None:
        """Not a table of probabilities."""

    def values(self, obs: Array) -> None:
        """It values nothing."""

    def state(self) -> State:
        """The streams."""
        return {"stream": np.stack([rng.pack_state(generator.bit_generator) for generator in self._generators])}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._generators = [np.random.Generator(rng.unpack_state(words)) for words in state["stream"]]


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> RandomWalk | RandomMotion:
    """Walkers for any environment with discrete, multi-discrete, multi-binary or box actions.

    Raises:
        ValueError: another kind of action space.
    """
    if isinstance(spec.action, spaces.Discrete) and int(spec.action.start) == 0:
        discrete_obs = isinstance(spec.observation, spaces.Discrete)
        return RandomWalk(legal_rows(spec, int(spec.action.n)), discrete_obs, list(seed_list))
    if isinstance(spec.action, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box):
        return RandomMotion(spec.action, list(seed_list))
    raise ValueError(f"random_walk on {spec.id}: action space {spec.action}, expected a discrete or box space")


def _sample(space: spaces.Space, generator: np.random.Generator) -> Array:
    """A uniform sample by doubles only, so that a stream is its 128-bit state and nothing buffered beside it."""
    draw = generator.random(space.shape)
    if isinstance(space, spaces.Box):
        low, high = np.clip(space.low, -1e6, 1e6), np.clip(space.high, -1e6, 1e6)
        return (low + draw * (high - low)).astype(space.dtype)
    start = getattr(space, "start", 0)
    sizes = {spaces.Discrete: "n", spaces.MultiDiscrete: "nvec"}.get(type(space))
    n = getattr(space, sizes) if sizes else 2
    return (start + np.floor(draw * n)).astype(space.dtype)


@jit_inline
def _act_lane(stream, i, move):
    return move[1 + below(stream, i, move[0])]


@jit
def _act_all(stream, listed, rows, actions):
    for i in range(len(actions)):
        actions[i] = _act_lane(stream, i, listed[rows[i]])


@jit
def _stretch_block(block, stream, listed, env_batch, reward, ended):
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            at = env_batch.table.see[env_batch.place[i]]
            action = _act_lane(stream, i, listed[at if listed.shape[0] > 1 else 0])
            _, gain, end = table_step(env_batch, i, action)
            reward[i, t], ended[i, t] = gain, end != GOES_ON


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("random_walk", make, Config())
