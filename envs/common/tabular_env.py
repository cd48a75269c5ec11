"""Any environment by table: S walkers, stepped by one compiled call into buffers that are used again."""

from __future__ import annotations

from collections.abc import Callable

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

Draw = Callable[[int, int], Scene]  # (state, steps of the episode) -> what can be drawn


class TableEnv:
    """S copies of a finite environment, seen as the index that ``table.see`` gives.

    Args:
        spec: what the environment is.
        table: its law.
        stream: uint64 [S, 4], a random stream for each copy.
        draw: makes a scene from a state.
    """

    def __init__(self, spec: EnvSpec, table: TransitionTable, stream: Array, draw: Draw) -> None:
        self.spec, self._draw, self._n = spec, draw, len(stream)
        self.env_batch = TabularBatch(table, np.zeros(self._n, np.int64), np.zeros(self._n, np.int64), stream.copy())
        self._steps = (_buffers(self._n), _buffers(self._n))
        self._actions, self._turn = np.zeros(self._n, np.int64), 0
        self._enter = specialize(_step_all, self.env_batch, self._actions, self._steps[0])

    def reset(self) -> Array:
        """Start an episode in every seed; int64 [S]."""
        _reset_all(self.env_batch)
        return self.observe()

    def step(self, actions: Array) -> Step:
        """Move every walker by its action, int [S]; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space.
        """
        if actions.shape != self._actions.shape or actions.dtype.kind not in "iu":
            actions = action_indices(actions, self._actions.shape, self.spec.id)
        self._actions[:] = actions
        self._turn ^= 1
        step = self._steps[self._turn]
        wrong = self._enter(self.env_batch, self._actions, step)
        if wrong >= 0:
            raise ValueError(_refusal(self.spec, wrong, self._actions[wrong]))
        return step

    def observe(self) -> Array:
        """What is seen now, int64 [S]."""
        return self.env_batch.table.see[self.env_batch.place]

    def scene(self, index: int) -> Scene:
        """What can be drawn of one walker."""
        return self._draw(int(self.env_batch.place[index]), int(self.env_batch.clock[index]))

    def state(self) -> State:
        """Places, clocks and streams."""
        return {
            "place": self.env_batch.place.copy(),
            "clock": self.env_batch.clock.copy(),
            "stream": self.env_batch.stream.copy(),
        }

    def restore(self, state: State) -> bool:
        """Go on from ``state``; always exact."""
        for name in ("place", "clock", "stream"):
            getattr(self.env_batch, name)[:] = state[name]
        return True


def _buffers(n: int) -> Step:
    return Step(*(np.zeros(n, kind) for kind in (np.int64, np.float32, np.bool_, np.bool_, np.int64)))


def _refusal(spec: EnvSpec, seed: int, action: int) -> str:
    n = spec.action.n  # type: ignore[attr-defined]
    return f"{spec.id}: seed number {seed} was given action {action}, expected 0 to {n - 1}"


@jit
def _reset_all(env_batch):
    for i in range(len(env_batch.place)):
        table_reset(env_batch, i)


@jit
def _step_all(env_batch, actions, step):
    """Step every walker; the first seed whose action does not exist, or -1. Nothing moves where one is wrong."""
    n_actions = env_batch.table.outcomes.shape[1]
    for i in range(len(actions)):
        if actions[i] < 0 or actions[i] >= n_actions:
            return i
    for i in range(len(actions)):
        led_to, reward, end = table_step(env_batch, i, actions[i])
        seen = env_batch.table.see[np.uint64(led_to)]
        step.final_obs[i] = seen
        step.obs[i] = seen if end == GOES_ON else env_batch.table.see[env_batch.place[i]]
        step.reward[i] = reward
        step.terminated[i] = end == TERMINATES
        step.truncated[i] = end == TRUNCATES
    return -1
