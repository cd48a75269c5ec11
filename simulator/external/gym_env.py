"""Worlds of ours as those from outside see them: one seed, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from simulator.core.protocols import Array, World


class WorldEnv(gymnasium.Env[Any, Any]):
    """One seed's world as a Gymnasium environment. Its streams are its own: a seed given to ``reset`` changes nothing.

    The world begins the next episode by itself, in the step that ends one; ``reset`` shows its first view.
    """

    def __init__(self, world: World) -> None:
        self.observation_space, self.action_space = world.spec.observation, world.spec.action
        self._world, self._begun = world, False
        self.steps = 0  # taken so far

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first view of the next episode."""
        super().reset(seed=seed)
        obs = self._world.observe() if self._begun else self._world.reset()
        self._begun = True
        return _single(obs), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move."""
        step = self._world.step(np.asarray(action)[None])
        self.steps += 1
        ends = bool(step.terminated[0]), bool(step.truncated[0])
        return _single(step.final_obs), float(step.reward[0]), *ends, {}


def _single(obs: Array) -> Any:
    return np.array(obs[0])
