"""An agent that fails in a chosen call, and may overwrite the arrays that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step


@dataclass(frozen=True)
class Config:
    """The failing call and the kind of failure."""

    breaks: str = "nothing"
    """make, act, learn, policy, policy.act or state"""
    at: int = 0
    """how many calls go well before"""
    how: str = "raise"
    """raise, exit or interrupt"""
    spoils: bool = False
    """it changes whatever it is handed"""


RAISES = {"raise": ZeroDivisionError, "exit": SystemExit, "interrupt": KeyboardInterrupt}


class Walker:
    """An agent whose action is the clipped observation, or 0."""

    def __init__(self, spec: EnvSpec, n_seeds: int, config: Config, place: str = "") -> None:
        self._spec, self._n, self._config, self._place, self._calls = spec, n_seeds, config, place, 0
        self._do("make")

    def _do(self, call: str) -> None:
        if self._place + call != self._config.breaks:
            return
        self._calls += 1
        if self._calls > self._config.at:
            raise RAISES[self._config.how]("oh")

    def act(self, obs: Array, first: Any = None) -> Any:
        self._do("act")
        shape = (self._n, *(self._spec.action.shape or ()))
        actions = np.zeros(shape, self._spec.action.dtype)
        if actions.dtype.kind == "f":
            actions[:] = np.clip(obs[:, : shape[1]], -1.0, 1.0)
        if self._config.spoils:
            obs *= 0
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        self._do("learn")
        if self._config.spoils:
            for each in (obs, actions, step.obs, step.final_obs, step.reward, step.terminated, step.truncated):
                each[...] = 0
        return {}

    def policy(self) -> Walker:
        self._do("policy")
        return Walker(self._spec, self._n, self._config, "policy.")

    def probs(self, obs: Array) -> None:
        return None

    def values(self, obs: Array) -> None:
        return None

    def state(self) -> State:
        self._do("state")
        return {}

    def restore(self, state: State) -> None:
        pass


def make(spec: EnvSpec, seeds: list[int], config: Config) -> Walker:
    return Walker(spec, len(seeds), config)
