"""An agent whose chosen seeds fail at chosen steps; it acts at random from a stream of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulator.core import rng
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

SUPPORTS_GPU = True


@dataclass(frozen=True)
class Config:
    """Chosen failures."""

    fails: dict[str, bool | int | float | str] = field(default_factory=dict)
    """seed -> environment step at which its loss is not finite"""
    strength: float = 1.0
    """does nothing"""


class BreakingAgent:
    """S agents that act at random; as a policy the action is 1, or 0 in a seed that failed."""

    def __init__(self, n_actions: int, seed_list: list[int], fails: list[int]) -> None:
        self._n, self._fails, self._step = n_actions, np.array(fails, np.int64), 0
        self._generators = rng.generators(seed_list, "exploration")
        self.failed_at = np.zeros(len(seed_list), np.int64)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Return random actions while learning, fixed ones as a policy."""
        if first is not None:
            return np.where(self.failed_at > 0, 0, 1)
        drawn = np.array([int(each.random() * self._n) for each in self._generators])
        return np.where(self.failed_at > 0, 0, drawn)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Count the step, and fail the seeds whose step it is."""
        self._step += 1
        self.failed_at[self._fails == self._step] = self._step
        return {"loss": np.where(self.failed_at > 0, np.nan, 1.0)}

    def policy(self) -> BreakingAgent:
        """Return the agent itself."""
        return self

    def probs(self, obs: Array) -> Array:
        """Return probabilities that are NaN in failed seeds."""
        probs = np.zeros((len(self.failed_at), len(obs), self._n))
        probs[..., 1] = 1.0
        probs[self.failed_at > 0] = np.nan
        return probs

    def values(self, obs: Array) -> None:
        """Return no values."""

    def state(self) -> State:
        """Return the whole state."""
        streams = np.stack([rng.pack_state(each.bit_generator) for each in self._generators])
        return {"step": self._step, "failed_at": self.failed_at.copy(), "streams": streams}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._step, self.failed_at[:] = state["step"], state["failed_at"]
        self._generators = [np.random.Generator(rng.unpack_state(words)) for words in state["streams"]]


def make(spec: EnvSpec, seed_list: list[int], config: Config) -> BreakingAgent:
    """Make agents for numbered actions."""
    space: Any = spec.action
    return BreakingAgent(int(space.n), list(seed_list), [int(config.fails.get(str(seed), 0)) for seed in seed_list])
