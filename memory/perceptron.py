"""Perceptrons: a network without symmetry, in which every unit learns by itself to be right in every pattern.

Rosenblatt 1958, "The perceptron"; Cover 1965, "Geometrical and statistical properties of systems of linear
inequalities"; Gardner 1988, "The space of interactions in neural network models".

* Learning: unit i is a perceptron that sees all others. While x_i h_i <= margin in some pattern, w_ij grows by
  x_i x_j / N, for all such patterns at once. If there are weights that store all patterns, this ends (Novikoff 1962),
  and after at most ``n_epochs`` otherwise.
* Capacity: P random patterns can be stored in one unit with the probability C(P, N - 1) / 2^P, where C(P, D) counts
  the ways in which a plane through the origin divides P points in D dimensions (Cover 1965): half of all sets at
  P = 2 (N - 1). Hopfield's network by Hebb's rule holds 0.138 N.
* Recall: all units at once take the sign of their field, until nothing changes or two states alternate. Without
  symmetry there is no energy that falls, and longer cycles end after ``max_iters``.
* Energy: -sum_i s_i h_i / |w_i|, minus the sum of Gardner's stabilities; it need not fall during recall.

Departure: Gardner's margin is relative to |w_i|; here it is that of the field x_i h_i itself, as in ``hopfield`` with
rule = perceptron, whose weights are symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np

from memory.common.validation import check, check_evidence, check_known
from simulator.core.field_types import Count, NonNegative
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """Settings of perceptrons."""

    margin: NonNegative = 8.0
    """least x_i h_i of every unit in every pattern; a correction by a pattern adds (N - 1) / N, about 1, to its own"""
    n_epochs: Count = 1_000
    """epochs of learning at most"""
    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "fixed_point"
    """single_pass: one update of all units; fixed_point: updates until nothing changes; noise_aware: the same with the
    evidence of the cue as an external field, where the corruption gives any"""
    max_iters: Count = 100
    """updates at most, with fixed_point and noise_aware"""
    cue_field: NonNegative = 0.2
    """external field per unit of evidence, in units of the root mean square field of the stored patterns, with
    recall_mode = noise_aware"""


PRESETS = {
    "perceptron-noise-aware": {
        "description": "hears the corruption: the evidence of the cue is a field",
        "memory": {"recall_mode": "noise_aware"},
    },
}


def storable_fraction(n_patterns: int, n_inputs: int) -> float:
    """Return Cover's fraction C(P, D) / 2^P of the dichotomies of P points in D dimensions that a plane makes.

    C(P, D) = 2 sum_(k < D) binomial(P - 1, k), for points in general position and planes through the origin.
    """
    return 2 * sum(comb(n_patterns - 1, k) for k in range(n_inputs)) / 2**n_patterns


def learn(patterns: Array, margin: float, n_epochs: int) -> Array:
    """Learn weights float32 [N, N], row i those of unit i, with diagonal 0, from patterns [P, N] of -1 and +1."""
    n = patterns.shape[1]
    x = patterns.astype(np.float32)
    weights = np.zeros((n, n), np.float32)
    for _ in range(n_epochs):
        errors = x * (x * (x @ weights.T) <= np.float32(margin))  # [P, N]
        if not errors.any():
            break
        weights += errors.T @ x / np.float32(n)
        np.fill_diagonal(weights, 0.0)
    return weights


def _updated(states: Array, weights: Array, external: Array | np.float32) -> Array:
    """Give the units of states [..., Q, N] the signs of their fields; a unit without a field keeps its state."""
    fields = states @ weights.swapaxes(-1, -2) + external
    return np.where(fields == 0.0, states, np.sign(fields)).astype(np.float32)


class Perceptrons:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, spec: PatternSpec, n_seeds: int, config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._config = config
        self._weights = np.zeros((n_seeds, spec.n, spec.n), np.float32)
        self._field_scale = np.zeros(n_seeds)  # root mean square field of the stored patterns; 0: nothing is stored

    @property
    def n_parameters(self) -> int:
        """Weights of one seed."""
        return self._spec.n * (self._spec.n - 1)

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] of -1 and +1, in place of those before.

        Raises:
            ValueError: other values.
        """
        values = check(patterns, len(self._weights), self._spec, "pattern", domain="bipolar")

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                self._weights[i] = learn(values[i], float(self._config.margin), self._config.n_epochs)
                fields = values[i] @ self._weights[i].T
                self._field_scale[i] = max(float(np.sqrt(np.square(fields).mean())), np.finfo(np.float32).tiny)

        parallel_for(work, len(values))

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Update cues [S, Q, N] of -1, +1 and 0; a unit without a field keeps its state, 0 too.

        Raises:
            ValueError: other values, or nothing is stored.
        """
        values = check(cues, len(self._weights), self._spec, "cue", domain="cue")
        mask = check_known(known, values)
        self._require_patterns()
        external = np.zeros((len(values), 1, 1), np.float32)
        if self.recall_mode == "noise_aware" and evidence is not None:
            strength = self._config.cue_field * self._field_scale[:, None, None]
            external = (strength * check_evidence(evidence, values, "perceptron")).astype(np.float32)
        max_iters = 1 if self.recall_mode == "single_pass" else self._config.max_iters
        before = np.zeros_like(values)
        states = values
        energies = [self._energy(states)]
        n_iters = np.zeros(states.shape[:2], np.int64)
        is_moving = np.ones(states.shape[:2], np.bool_)
        for _ in range(max_iters):
            new = np.where(mask, states, _updated(states, self._weights, external))
            is_fixed = (new == states).all(2)
            is_cycle = (new == before).all(2)
            moves = is_moving & ~is_fixed
            before, states = states, np.where(moves[:, :, None], new, states)
            n_iters += moves
            energies.append(np.where(moves, self._energy(states), np.nan))
            is_moving = moves & ~is_cycle
            if not is_moving.any():
                break
        return Recall(states, np.stack(energies, 2), n_iters)

    def energy(self, patterns: Array) -> Array:
        """Compute -sum_i s_i h_i / |w_i| at patterns [S, Q, N] of -1, +1 and 0; float64 [S, Q]."""
        values = check(patterns, len(self._weights), self._spec, "pattern", domain="cue")
        self._require_patterns()
        return self._energy(values)

    def _energy(self, states: Array) -> Array:
        norms = np.sqrt(np.square(self._weights, dtype=np.float64).sum(2))
        stabilities = states * (states @ self._weights.transpose(0, 2, 1)) / np.maximum(norms, 1e-12)[:, None]
        return np.asarray(-stabilities.sum(2))

    def synchronous_update(self, index: int, states: Array) -> Array:
        """Update all units of states [Q, N] once, without evidence."""
        self._require_patterns()
        return _updated(states, self._weights[index], np.float32(0.0))

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [N, N] of seed number ``index``: row i leads to unit i."""
        return self._weights[index]

    def state(self) -> State:
        """Return the weights, and the scale of the fields."""
        return {"weights": self._weights.copy(), "field_scale": self._field_scale.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._weights = np.array(state["weights"])
        self._field_scale = np.array(state["field_scale"])

    def _require_patterns(self) -> None:
        if not self._field_scale.all():
            raise ValueError("perceptron: nothing is stored yet, expected patterns before cues")


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> Perceptrons:
    """Make networks for patterns of this spec; they store -1 and +1."""
    return Perceptrons(spec, len(seed_list), config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("perceptron", make, Config())
