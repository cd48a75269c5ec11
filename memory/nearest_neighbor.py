"""Nearest neighbour: recall returns the stored pattern closest to the cue. The ceiling of exact recall.

With recall_mode = single_pass that is the pattern of least squared distance over the units of which the cue says
anything: the known ones where there is a mask, otherwise those that are not 0. For patterns of -1 and +1 it has the
largest overlap, and is the most likely one after independent flips of any probability below one half.

With recall_mode = noise_aware it is the pattern that agrees most with the evidence of the units, sum_i e_i x_i: for
patterns of -1 and +1, equally likely, the maximum-likelihood one under any corruption that acts on each unit
independently. Of patterns that are equally close the first is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

_CHUNK = 256  # cues at a time


@dataclass(frozen=True)
class Config:
    """Settings of the nearest neighbour."""

    recall_mode: Literal["single_pass", "noise_aware"] = "single_pass"
    """single_pass: closest to the cue as it is; noise_aware: most likely by the evidence of every unit, where the
    corruption gives any"""


class Neighbors(NamedTuple):
    """The stored pattern chosen for each cue."""

    index: Array  # int64 [S, Q]
    distance: Array  # float64 [S, Q], a quarter of the least squared distance over all stored patterns


class NearestNeighbor:
    """S lists of patterns; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, spec: PatternSpec, n_seeds: int, config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._patterns = np.zeros((n_seeds, 0, spec.n), np.float32)

    @property
    def n_parameters(self) -> int:
        """Number of values stored per seed."""
        return int(self._patterns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N].

        Raises:
            ValueError: another shape, or values outside -1 to 1.
        """
        self._patterns = check(patterns, len(self._patterns), self._spec, "pattern").copy()

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Return the closest stored pattern of each cue [S, Q, N].

        Raises:
            ValueError: another shape, values outside -1 to 1, or nothing is stored.
        """
        values = check(cues, len(self._patterns), self._spec, "cue")
        self._require_patterns()
        held = check_known(known, values)
        mask = values != 0.0 if known is None else held
        if self.recall_mode == "noise_aware" and evidence is not None:
            neighbors = self._neighbors(values, mask, check_evidence(evidence, values, "nearest_neighbor"))
        else:
            neighbors = self._neighbors(values, mask)
        patterns = np.take_along_axis(self._patterns, neighbors.index[:, :, None], axis=1)
        energy = np.stack([neighbors.distance, np.zeros_like(neighbors.distance)], axis=2)
        return Recall(hold(patterns, values, held), energy, np.ones(neighbors.index.shape, np.int64))

    def energy(self, patterns: Array) -> Array:
        """Return a quarter of the squared distance to the closest stored pattern; float64 [S, Q].

        For patterns of -1 and +1 that is the number of units that differ.
        """
        values = check(patterns, len(self._patterns), self._spec, "pattern")
        self._require_patterns()
        return self._neighbors(values, np.ones(values.shape, np.bool_)).distance

    def receptive_fields(self, index: int) -> Array:
        """Return the patterns [P, N] of seed number ``index``."""
        return self._patterns[index]

    def state(self) -> State:
        """Return the patterns."""
        return {"patterns": self._patterns}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._patterns = np.array(state["patterns"])

    def _require_patterns(self) -> None:
        if not self._patterns.size:
            raise ValueError("nearest_neighbor: nothing is stored yet, expected patterns before cues")

    def _neighbors(self, values: Array, mask: Array, evidence: Array | None = None) -> Neighbors:
        """Find the neighbours of values [S, Q, N]: by the evidence where there is any, else by distance."""
        neighbors = Neighbors(np.empty(values.shape[:2], np.int64), np.empty(values.shape[:2]))

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, values.shape[1], _CHUNK):
                    at = (i, slice(start, start + _CHUNK))
                    distance = distances(values[at] * mask[at], mask[at], self._patterns[i])
                    neighbors.distance[at] = distance.min(1)
                    if evidence is None:
                        neighbors.index[at] = distance.argmin(1)
                    else:
                        neighbors.index[at] = (-agreement(evidence[at], self._patterns[i])).argmin(1)

        parallel_for(work, len(values))
        return neighbors


def distances(masked: Array, mask: Array, patterns: Array) -> Array:
    """Compute sum_(i in mask) (q_i - x_i)^2 / 4 for queries q and patterns x; float64 [Q, P].

    Whole numbers up to 2**24 are exact, so ties between patterns of -1 and +1 are real.

    Args:
        masked: float32 [Q, N], queries, 0 outside the mask.
        mask: bool [Q, N].
        patterns: float32 [P, N].
    """
    products = masked @ patterns.T
    pattern_squares = mask.astype(np.float32) @ np.square(patterns).T
    query_squares = np.einsum("qn,qn->q", masked, masked, dtype=np.float64)
    squared: Array = query_squares[:, None] + pattern_squares - 2.0 * products.astype(np.float64)
    return 0.25 * squared


def agreement(evidence: Array, patterns: Array) -> Array:
    """Compute the log likelihoods, up to a constant: evidence [Q, N] . patterns [P, N], float64 [Q, P]."""
    return np.asarray(evidence.astype(np.float64) @ patterns.T.astype(np.float64))


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NearestNeighbor:
    """Make memories for patterns of this spec."""
    return NearestNeighbor(spec, len(seed_list), config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("nearest_neighbor", make, Config())
