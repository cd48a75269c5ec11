"""Environments of ours as those from outside see them: one seed, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from simulator.core.protocols import Array, Env


class ExportedEnv(gymnasium.Env[Any, Any]):
    """One seed's environment as a Gymnasium environment.

    Its streams are its own: a seed given to ``reset`` changes nothing.

    The environment begins the next episode by itself, in the step that ends one; ``reset`` shows its first view.
    """

    def __init__(self, env: Env) -> None:
        self.observation_space, self.action_space = env.spec.observation, env.spec.action
        self._env, self._begun = env, False
        self.steps = 0  # taken so far

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first view of the next episode."""
        super().reset(seed=seed)
        obs = self._env.observe() if self._begun else self._env.reset()
        self._begun = True
        return _single(obs), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move."""
        step = self._env.step(np.asarray(action)[None])
        self.steps += 1
        ends = bool(step.terminated[0]), bool(step.truncated[0])
        return _single(step.final_obs), float(step.reward[0]), *ends, {}


def _single(obs: Array) -> Any:
    return np.array(obs[0])
