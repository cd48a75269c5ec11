"""The identity: recall returns the cue unchanged. The baseline that every other memory must beat.

It stores nothing and gives every pattern the same energy.
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
    """Settings of the identity: none."""


class Identity:
    """S memories that remember nothing; see :class:`simulator.core.memories.Memory`."""

    recall_mode = "single_pass"
    domain = "continuous"
    n_parameters = 0

    def __init__(self, spec: PatternSpec, n_seeds: int) -> None:
        self._spec = spec
        self._n_seeds = n_seeds

    def store(self, patterns: Array) -> None:
        """Check patterns [S, P, N] and discard them.

        Raises:
            ValueError: another shape, or values outside -1 to 1.
        """
        check(patterns, self._n_seeds, self._spec, "pattern")

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Return the cues [S, Q, N]; units that are not known stay 0."""
        values = check(cues, self._n_seeds, self._spec, "cue").copy()
        return Recall(values, np.zeros((*values.shape[:2], 1)), np.zeros(values.shape[:2], np.int64))

    def energy(self, patterns: Array) -> Array:
        """Return 0 for each of the patterns [S, Q, N]; float64 [S, Q]."""
        return np.zeros(check(patterns, self._n_seeds, self._spec, "pattern").shape[:2])

    def state(self) -> State:
        """Return an empty state."""
        return {}

    def restore(self, state: State) -> None:
        """Do nothing: there is no state."""


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> Identity:
    """Make memories for patterns of this spec."""
    return Identity(spec, len(seed_list))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("identity", make, Config())
