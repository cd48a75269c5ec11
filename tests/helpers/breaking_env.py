"""An environment in plain Python that returns a non-finite observation or reward at a chosen step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Scene


@dataclass(frozen=True)
class Config:
    """The non-finite value and its place."""

    what: str = "nothing"
    """nothing, reward, seen or final"""
    value: str = "nan"
    """what it is then"""
    at: int = 0
    """environment step of the second seed in which it happens, counted from 1"""
    solved: float = 5.0
    """mean return from which it counts as solved"""


class Clock:
    """Episodes of four steps in the first seed, five in the second, and so on; action 1 earns 1, action 0 earns 0."""

    def __init__(self, seeds: list[int], config: Config) -> None:
        box = spaces.Box(-1.0, 100.0, (2,), np.float32)
        self.spec = EnvSpec("clock", box, spaces.Discrete(2), 50, reward_threshold=config.solved)
        self._config, self._limits = config, 4 + np.arange(len(seeds))
        self._time, self._taken = np.zeros(len(seeds), np.int64), 0

    def reset(self) -> Array:
        """Return the first observation."""
        obs = self.observe()
        return self._spoil("seen", obs)

    def observe(self) -> Array:
        """Return the time, twice."""
        return np.stack([self._time, self._time], axis=1).astype(np.float32)

    def step(self, actions: Array) -> Step:
        """Advance the time."""
        self._time, self._taken = self._time + 1, self._taken + 1
        final, ended = self.observe(), self._time == self._limits
        self._time = np.where(ended, 0, self._time)
        reward = self._spoil("reward", np.asarray(actions, np.float32))
        obs, final = self._spoil("seen", self.observe()), self._spoil("final", final)
        return Step(obs, reward, ended, np.zeros_like(ended), final)

    def _spoil(self, what: str, values: Array) -> Array:
        if what == self._config.what and self._taken == self._config.at and len(values) > 1:
            values = values.copy()
            values[1] = float(self._config.value)
        return values

    def scene(self, index: int) -> Scene:
        """Return an empty scene."""
        return Scene("clock")

    def state(self) -> State:
        """Return the whole state."""
        return {"time": self._time.copy(), "taken": self._taken}

    def restore(self, state: State) -> bool:
        """Continue from ``state``."""
        self._time, self._taken = np.array(state["time"]), state["taken"]
        return True


def make(seeds: list[int], config: Config) -> Clock:
    """Make one clock per seed."""
    return Clock(seeds, config)
