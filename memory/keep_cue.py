"""Gives the cue back as it is: what a memory has to beat.

It stores nothing and finds everything equally familiar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory.common.validation import check
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """It has no settings."""


class KeepCue:
    """S memories that remember nothing; see :class:`simulator.core.memories.Memory`."""

    recall_mode = "single_pass"
    domain = "continuous"
    n_parameters = 0

    def __init__(self, units: PatternSpec, n_seeds: int) -> None:
        self._units, self._n_seeds = units, n_seeds

    def store(self, patterns: Array) -> None:
        """Look at patterns [S, P, N] and forget them.

        Raises:
            ValueError: numbers that are not from -1 to 1.
        """
        check(patterns, self._n_seeds, self._units, "pattern")

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """The cues [S, Q, N]; units that are not known stay 0."""
        found = check(cues, self._n_seeds, self._units, "cue").copy()
        return Recall(found, np.zeros((*found.shape[:2], 1)), np.zeros(found.shape[:2], np.int64))

    def energy(self, patterns: Array) -> Array:
        """0 everywhere."""
        return np.zeros(check(patterns, self._n_seeds, self._units, "pattern").shape[:2])

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """There is nothing to go on from."""


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> KeepCue:
    """Memories for patterns of these units."""
    return KeepCue(units, len(seed_list))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("keep_cue", make, Config())
