"""The hopfield memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memory.common import asynchronous
from memory.common.asynchronous import OVERLAPS, WEIGHTS, Net, Walk
from memory.common.validation import check, check_evidence, check_known
from memory.hopfield import synchronous
from memory.hopfield.learning_rules import Learning, learn
from simulator.core import rng
from simulator.core.field_types import Count, NonNegative
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """Settings of a Hopfield network."""

    rule: Literal["hebb", "storkey", "pseudo_inverse", "perceptron", "flow"] = "hebb"
    """how weights are learned"""
    update: Literal["asynchronous", "synchronous"] = "asynchronous"
    """units turn one after the other, in a random order for every sweep, or all at once"""
    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "fixed_point"
    """one sweep; sweeps until it rests; or the same with the evidence of the cue as a further field, where the
    corruption says something of single units"""
    sweeps: Count = 100
    """sweeps at most, with fixed_point and noise_aware"""
    bias: bool = False
    """units have a bias each"""
    zero_diagonal: bool = True
    """units do not act on themselves"""
    scale: Literal["units", "patterns", "none"] = "units"
    """what the sum of outer products is divided by, with rule = hebb: changes energies, and what evidence weighs"""
    cue_field: NonNegative = 1.0
    """field per unit of evidence, with recall_mode = noise_aware"""
    margin: NonNegative = 8.0
    """field that the perceptron asks of every unit of every pattern, in corrections; more than 0"""
    passes: Count = 200
    """passes over the patterns at most, with rule = perceptron or flow"""


PRESETS = {
    f"hopfield-{name.replace('_', '-')}": {"description": about, "memory": {"rule": name}}
    for name, about in (
        ("storkey", "Storkey's local rule: holds more than Hebb's"),
        ("pseudo_inverse", "the projection on the patterns: holds correlated ones too"),
        ("perceptron", "weights corrected until every pattern is stable with a margin"),
        ("flow", "minimum probability flow: every pattern becomes a minimum of the energy"),
    )
}


class Hopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, units: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        if config.rule == "perceptron" and not config.margin:
            none = "weights of 0 meet it, and every state is at rest"
            raise ValueError(f"hopfield: margin = 0 with rule = perceptron, expected more than 0: {none}")
        self.recall_mode: str = config.recall_mode
        self._units, self._config = units, config
        self._streams = rng.pcg64_states(seed_list, "recall")
        self._n, n_seeds = units.n + config.bias, len(seed_list)
        diagonal = not config.zero_diagonal
        self._learning = Learning(config.rule, float(config.margin), config.passes, diagonal, config.bias)
        self._keep(np.zeros((n_seeds, self._n, 0), np.int8), np.zeros((n_seeds, 0, 0), np.float32), 0)

    @property
    def n_parameters(self) -> int:
        """Weights of the network, however they are kept: pairs of units, biases, and the diagonal if there is one."""
        n = self._units.n
        return n * (n - 1) // 2 + n * self._config.bias + n * (not self._config.zero_diagonal)

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] of -1 and +1, in place of those before.

        Raises:
            ValueError: other values, or N patterns and more for the pseudo-inverse.
        """
        n_seeds = len(self._streams)
        x = self._whole(check(patterns, n_seeds, self._units, "pattern", domain="bipolar"))
        n_patterns, rule = x.shape[1], self._config.rule
        if rule == "pseudo_inverse" and n_patterns >= self._units.n:
            fewer = f"expected fewer than the {self._units.n} units with rule = pseudo_inverse"
            raise ValueError(f"hopfield: {n_patterns} patterns, {fewer}: from there on every state is at rest")
        if rule == "hebb" and n_patterns < self._n / 2:
            self._keep(np.ascontiguousarray(x.transpose(0, 2, 1)), np.zeros((n_seeds, 0, 0), np.float32), n_patterns)
        else:
            self._keep(np.zeros((n_seeds, self._n, 0), np.int8), learn(x, self._learning), n_patterns)

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Let cues [S, Q, N] of -1, +1 and 0 come to rest; units that are 0 to the end have no field.

        Raises:
            ValueError: other values, or nothing is stored.
        """
        found = check(cues, len(self._streams), self._units, "cue", domain="cue")
        self._ready()
        push = np.zeros((len(found), 1, self._n))
        if self.recall_mode == "noise_aware" and evidence is not None:  # otherwise as with "fixed_point"
            given = check_evidence(evidence, found, "hopfield")
            push = self._with_constant(given.astype(np.float64) * (self._config.cue_field / self._scale), 0.0)
        states, held = self._whole(found), self._with_constant(check_known(known, found), True)
        n_sweeps = 1 if self.recall_mode == "single_pass" else self._config.sweeps
        energy = np.full((*states.shape[:2], 1 + n_sweeps), np.nan)
        walk = Walk(states, held, push, np.zeros((1, 1, 1), np.float32), energy, np.zeros(states.shape[:2], np.int64))
        if self._config.update == "synchronous":
            synchronous.settle(self._net, walk)
        else:
            fields = synchronous.fields(self._net, states)
            asynchronous.settle(self._net, walk._replace(fields=fields), self._streams)
        patterns = states[:, :, : self._units.n].astype(np.float32)
        return Recall(patterns, self._scale * (energy + self._apart), walk.sweeps)

    def energy(self, patterns: Array) -> Array:
        """-s.W s / 2 - b.s at patterns [S, Q, N] of -1, +1 and 0."""
        x = self._whole(check(patterns, len(self._streams), self._units, "pattern", domain="cue"))
        self._ready()
        return self._scale * (synchronous.energies(self._net, x) + self._apart)

    def weights(self) -> Array:
        """The weights float64 [S, N, N]; with biases [S, N + 1, N + 1], the last row and column of which they are."""
        self._ready()
        return self._scale * synchronous.formed(self._net, self._config.bias)

    def state(self) -> State:
        """Patterns by unit, or weights, whichever is kept."""
        return {"columns": self._net.columns, "weights": self._net.weights, "n_patterns": self._n_patterns}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._keep(np.array(state["columns"]), np.array(state["weights"]), int(state["n_patterns"]))

    def _keep(self, columns: Array, weights: Array, n_patterns: int) -> None:
        """Hold either patterns by unit or weights; the other of the two is empty."""
        free, kind = self._config.zero_diagonal, WEIGHTS if weights.size else OVERLAPS
        self._net, self._n_patterns = Net(kind, columns, weights, free, np.zeros((4, 1)), False), n_patterns
        own = self._config.bias and not free and kind == OVERLAPS
        self._apart = 0.5 * n_patterns * own  # what the constant would have on itself
        divisors = {"units": self._units.n, "patterns": max(n_patterns, 1), "none": 1}
        self._scale = 1.0 / divisors[self._config.scale] if self._config.rule == "hebb" else 1.0

    def _ready(self) -> None:
        if not self._n_patterns:
            raise ValueError("hopfield: nothing is stored yet, expected patterns before cues")

    def _whole(self, values: Array) -> Array:
        return self._with_constant(values.astype(np.int8), 1)

    def _with_constant(self, values: Array, constant: float) -> Array:
        """Values [S, Q, N] and, where there are biases, those of the unit that is always +1."""
        if not self._config.bias:
            return values
        return np.concatenate([values, np.full((*values.shape[:2], 1), constant, values.dtype)], axis=2)


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Hopfield:
    """Networks for patterns of these units; they hold -1 and +1.

    Raises:
        ValueError: a perceptron without a margin.
    """
    return Hopfield(units, seed_list, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("hopfield", make, Config())
