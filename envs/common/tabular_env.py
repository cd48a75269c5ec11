"""Tabular environments: S copies of a finite MDP, stepped by one compiled call into reused buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulator.core.foreign.casts import action_indices
from simulator.core.jit import jit, specialize
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Scene
from simulator.core.transition_table import (
    GOES_ON,
    TERMINATES,
    TRUNCATES,
    TabularBatch,
    TransitionTable,
    table_reset,
    table_step,
)

SceneOfState = Callable[[int, int], Scene]  # (state, steps of the episode) -> its picture


class TabularEnv:
    """S copies of a finite environment that returns ``table.obs_of_state`` as observations.

    Args:
        spec: description of the environment.
        table: its transitions.
        stream: uint64 [S, 4], a random stream for each copy.
        render: makes a scene from a state.
    """

    def __init__(self, spec: EnvSpec, table: TransitionTable, stream: Array, render: SceneOfState) -> None:
        n_seeds = len(stream)
        self.spec = spec
        self.env_batch = TabularBatch(table, np.zeros(n_seeds, np.int64), np.zeros(n_seeds, np.int64), stream.copy())
        self._render = render
        self._buffers = (_step_buffers(n_seeds), _step_buffers(n_seeds))  # in turn: a step holds until the next but one
        self._turn = 0
        self._actions = np.zeros(n_seeds, np.int64)
        self._led_to = _LedTo(np.zeros(n_seeds, np.int64), np.zeros(n_seeds, np.int64))
        self._step_all = specialize(_step_all, self.env_batch, self._actions, self._buffers[0], self._led_to)

    def exchange(self, spec: EnvSpec, table: TransitionTable, render: SceneOfState) -> None:
        """Go on in another environment of the same states and actions; the copies stay in their states."""
        self.spec = spec
        self.env_batch = self.env_batch._replace(table=table)
        self._render = render

    def reset(self) -> Array:
        """Start an episode in every seed; int64 [S]."""
        _reset_all(self.env_batch)
        return self.observe()

    def step(self, actions: Array) -> Step:
        """Move every copy by its action, int [S]; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space.
        """
        if actions.shape != self._actions.shape or actions.dtype.kind not in "iu":
            actions = action_indices(actions, self._actions.shape, self.spec.id)
        self._actions[:] = actions
        self._turn ^= 1
        step = self._buffers[self._turn]
        invalid = self._step_all(self.env_batch, self._actions, step, self._led_to)
        if invalid >= 0:
            n_actions = self.spec.action.n  # type: ignore[attr-defined]
            invalid_action = f"seed number {invalid} was given action {self._actions[invalid]}"
            raise ValueError(f"{self.spec.id}: {invalid_action}, expected 0 to {n_actions - 1}")
        return step

    def observe(self) -> Array:
        """Return current observations, int64 [S]."""
        return self.env_batch.table.obs_of_state[self.env_batch.state]

    def scene(self, index: int) -> Scene:
        """Draw one copy."""
        return self._render(int(self.env_batch.state[index]), int(self.env_batch.episode_step[index]))

    def last_scene(self, index: int) -> Scene:
        """Draw what the latest step of one copy led to, before a new episode began."""
        return self._render(int(self._led_to.state[index]), int(self._led_to.episode_step[index]))

    def state(self) -> State:
        """Return states, steps of the current episodes, and streams."""
        return {
            "state": self.env_batch.state.copy(),
            "episode_step": self.env_batch.episode_step.copy(),
            "stream": self.env_batch.stream.copy(),
        }

    def restore(self, state: State) -> bool:
        """Continue from ``state``; always exact."""
        self.env_batch.state[:] = state["state"]
        self.env_batch.episode_step[:] = state["episode_step"]
        self.env_batch.stream[:] = state["stream"]
        return True


class _LedTo(NamedTuple):
    """States that the latest step led to, before a new episode began."""

    state: np.ndarray  # int64 [S]
    episode_step: np.ndarray  # int64 [S]


def _step_buffers(n_seeds: int) -> Step:
    return Step(
        obs=np.zeros(n_seeds, np.int64),
        reward=np.zeros(n_seeds, np.float32),
        terminated=np.zeros(n_seeds, np.bool_),
        truncated=np.zeros(n_seeds, np.bool_),
        final_obs=np.zeros(n_seeds, np.int64),
    )


@jit
def _reset_all(env_batch):
    for i in range(len(env_batch.state)):
        table_reset(env_batch, i)


@jit
def _step_all(env_batch, actions, step, led_to):
    """Step every copy; return -1, or the first seed whose action does not exist: then no copy has moved."""
    n_actions = env_batch.table.outcomes.shape[1]
    for i in range(len(actions)):
        if actions[i] < 0 or actions[i] >= n_actions:
            return i
    for i in range(len(actions)):
        led_to.episode_step[i] = env_batch.episode_step[i] + 1
        outcome = table_step(env_batch, i, actions[i])
        led_to.state[i] = outcome.next_state
        next_obs = env_batch.table.obs_of_state[np.uint64(outcome.next_state)]
        step.final_obs[i] = next_obs
        step.obs[i] = next_obs if outcome.end == GOES_ON else env_batch.table.obs_of_state[env_batch.state[i]]
        step.reward[i] = outcome.reward
        step.terminated[i] = outcome.end == TERMINATES
        step.truncated[i] = outcome.end == TRUNCATES
    return -1
