"""Grudger: cooperates until the other side defects once, then defects for the rest of the episode.

The unforgiving strategy of iterated games (Friedman 1971, A non-cooperative equilibrium for supergames). It goes by
what the other did, not by outcomes: a defection of its own that noise brought about starts no grudge, and one of the
other's is never forgotten, even if it was a slip. So it is no memory-one strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.core.games.game import CD, COOPERATE, DD, DEFECT, START, is_iterated
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

TRAINABLE = False


@dataclass(frozen=True)
class Config:
    """A grudger has no settings."""


class Grudger:
    """S grudgers; an agent and its own policy."""

    def __init__(self, n_seeds: int) -> None:
        self._grudge = np.zeros(n_seeds, np.bool_)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Cooperate or defect at obs [S], int64 [S]; an episode begins at the start."""
        outcome = np.asarray(obs)
        self._grudge = (self._grudge & (outcome != START)) | (outcome == CD) | (outcome == DD)
        return np.where(self._grudge, DEFECT, COOPERATE)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def policy(self) -> Grudger:
        """Return the same strategy with a memory of its own."""
        return Grudger(len(self._grudge))

    def probs(self, obs: Array) -> None:
        """Return None: actions depend on more than the observation."""

    def values(self, obs: Array) -> None:
        """Return None: there are no values."""

    def state(self) -> State:
        """Return the sides that have defected."""
        return {"grudge": self._grudge.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._grudge = state["grudge"].copy()


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Grudger:
    """Make players of an iterated game of two actions.

    Raises:
        ValueError: any other environment.
    """
    if not is_iterated(spec):
        spaces_text = f"observation {spec.observation}, action {spec.action}"
        raise ValueError(f"grudger on {spec.id}: {spaces_text}, expected a side of an iterated game of two actions")
    return Grudger(len(seed_list))


if __name__ == "__main__":
    grudger = Grudger(1)
    print("grudger: the outcome seen, its own action first, and its answer")
    for name, seen in (("start", START), ("CD", CD), ("CC", 1), ("start", START)):
        print(f"  {name:5s} -> {'CD'[int(grudger.act(np.array([seen]))[0])]}")
