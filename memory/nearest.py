"""The stored pattern that is nearest to the cue: the ceiling of restoring whole patterns.

With recall_mode = single_pass that is the pattern at the least squared distance over the units of which the cue says
anything: those that are known where there is a mask, and otherwise those that are not 0. For patterns of -1 and +1 it
is the largest overlap, and the most likely pattern after independent flips of any one probability below one half. With
recall_mode = noise_aware the evidence of every unit is weighed: of patterns of -1 and +1 the most likely one for any
corruption that does its work unit by unit, all patterns being equally likely. Of patterns that are equally near the
first is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

_CHUNK = 256  # cues at a time


@dataclass(frozen=True)
class Config:
    """Settings of the nearest pattern."""

    recall_mode: Literal["single_pass", "noise_aware"] = "single_pass"
    """nearest to the cue as it is, or most likely by the evidence of every unit, where the corruption says something"""


class Nearest:
    """S lists of patterns; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, units: PatternSpec, n_seeds: int, config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._units, self._patterns = units, np.zeros((n_seeds, 0, units.n), np.float32)

    @property
    def n_parameters(self) -> int:
        """The numbers of the patterns."""
        return int(self._patterns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N].

        Raises:
            ValueError: numbers that are not from -1 to 1.
        """
        self._patterns = check(patterns, len(self._patterns), self._units, "pattern").copy()

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """The nearest stored pattern of every cue [S, Q, N].

        Raises:
            ValueError: nothing is stored.
        """
        found = check(cues, len(self._patterns), self._units, "cue")
        self._ready()
        held = check_known(known, found)
        mask = found != 0.0 if known is None else held
        heard = self.recall_mode == "noise_aware" and evidence is not None  # otherwise as with "single_pass"
        best, before = self._look(found, mask, check_evidence(evidence, found, "nearest") if heard else None)
        patterns = np.take_along_axis(self._patterns, best[:, :, None], axis=1)
        energy = np.stack([before, np.zeros_like(before)], axis=2)
        return Recall(hold(patterns, found, held), energy, np.ones(best.shape, np.int64))

    def energy(self, patterns: Array) -> Array:
        """A quarter of the squared distance to the nearest stored pattern: of -1 and +1, the units that differ."""
        found = check(patterns, len(self._patterns), self._units, "pattern")
        self._ready()
        return self._look(found, np.ones(found.shape, np.bool_), None)[1]

    def state(self) -> State:
        """The patterns."""
        return {"patterns": self._patterns}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._patterns = np.array(state["patterns"])

    def _ready(self) -> None:
        if not self._patterns.size:
            raise ValueError("nearest: nothing is stored yet, expected patterns before cues")

    def _look(self, found: Array, mask: Array, evidence: Array | None) -> tuple[Array, Array]:
        """Which pattern is nearest to each cue, and how far the nearest by distance is; [S, Q] both."""
        best, least = np.empty(found.shape[:2], np.int64), np.empty(found.shape[:2])

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, found.shape[1], _CHUNK):
                    at = (i, slice(start, start + _CHUNK))
                    far = distances(found[at] * mask[at], mask[at], self._patterns[i])
                    least[at] = far.min(1)
                    best[at] = (far if evidence is None else -agreement(evidence[at], self._patterns[i])).argmin(1)

        parallel_for(work, len(found))
        return best, least


def distances(told: Array, mask: Array, patterns: Array) -> Array:
    """A quarter of sum over mask (q - x)^2, float64 [Q, P]: told [Q, N] is 0 outside the mask, patterns [P, N].

    Whole numbers up to 2**24 are exact, so ties between patterns of -1 and +1 are real.
    """
    both = told @ patterns.T
    squares = mask.astype(np.float32) @ np.square(patterns).T
    own = np.einsum("qn,qn->q", told, told, dtype=np.float64)
    found: Array = 0.25 * (own[:, None] + squares - 2.0 * both.astype(np.float64))
    return found


def agreement(evidence: Array, patterns: Array) -> Array:
    """Log likelihoods but for a constant: evidence [Q, N] . patterns [P, N], float64 [Q, P], so that ties are real."""
    found: Array = evidence.astype(np.float64) @ patterns.T.astype(np.float64)
    return found


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Nearest:
    """Lists for patterns of these units."""
    return Nearest(units, len(seed_list), config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("nearest", make, Config())
