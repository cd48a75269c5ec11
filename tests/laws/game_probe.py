"""One side of an iterated prisoner's dilemma as an environment, for agents that play games only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simulator.core import registry
from simulator.core.protocols import Array, State, Step
from simulator.core.scene import Scene


@dataclass(frozen=True)
class Config:
    """No settings."""


class GameEnv:
    """The game as the first side of S games sees it; the other side's streams belong to the environment."""

    def __init__(self, seed_list: list[int]) -> None:
        game, other = registry.load("games", "iterated_matrix"), registry.load("agents", "memory_one")
        self._game = game.make(seed_list, replace(game.Config(), noise=0.1, continuation=0.8))
        self.spec = replace(self._game.specs[0], id="probe-game")
        coin = replace(other.Config(), opening=0.5, cc=0.7, dd=0.2)
        self._other = other.make(self._game.specs[1], seed_list, coin).policy()

    def reset(self) -> Array:
        self._obs, self._seen = self._game.reset()
        return self._obs

    def step(self, actions: Array) -> Step:
        step, answer = self._game.step(actions, self._other.act(self._seen, np.zeros(len(actions), np.bool_)))
        self._obs, self._seen = step.obs, answer.obs
        return step

    def observe(self) -> Array:
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        return Scene("probe")

    def state(self) -> State:
        return {"game": self._game.state(), "other": self._other.state()}

    def restore(self, state: State) -> bool:
        self._obs, self._seen = self._game.restore(state["game"])
        self._other.restore(state["other"])
        return True


def make(seed_list: list[int], config: Config) -> GameEnv:
    """Make the first side for these seeds."""
    return GameEnv(list(seed_list))
