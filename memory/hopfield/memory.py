"""The Hopfield network as a memory: settings, learning and recall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memory.common import asynchronous
from memory.common.asynchronous import NO_TABLE, OVERLAPS, WEIGHTS, AsyncNetwork, AsyncState, one_seed
from memory.common.validation import check, check_evidence, check_known, one_cue
from memory.hopfield import synchronous
from memory.hopfield.learning_rules import LearningRule, learn
from simulator.core import rng
from simulator.core.field_types import Count, NonNegative
from simulator.core.memories import PatternSpec, Recall, RecallStep
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """Settings of a Hopfield network."""

    rule: Literal["hebb", "storkey", "pseudo_inverse", "perceptron", "flow"] = "hebb"
    """learning rule"""
    update: Literal["asynchronous", "synchronous"] = "asynchronous"
    """asynchronous: units are updated one after another, in a random order for every sweep; synchronous: all at once"""
    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "fixed_point"
    """single_pass: one sweep; fixed_point: sweeps until nothing changes; noise_aware: the same with the evidence of the
    cue as an external field, where the corruption gives any"""
    max_iters: Count = 100
    """sweeps at most, with fixed_point and noise_aware"""
    bias: bool = False
    """each unit has a bias"""
    zero_diagonal: bool = True
    """units do not act on themselves"""
    scale: Literal["units", "patterns", "none"] = "units"
    """divisor of the sum of outer products, with rule = hebb: changes energies, and the weight of the evidence"""
    cue_field: NonNegative = 1.0
    """external field per unit of evidence, with recall_mode = noise_aware"""
    margin: NonNegative = 8.0
    """least field of every unit of every pattern, in corrections, with rule = perceptron; more than 0"""
    n_epochs: Count = 200
    """epochs of learning at most, with rule = perceptron or flow"""


CUE_FIELDS = {"storkey": 0.3, "pseudo_inverse": 0.2, "perceptron": 3.0, "flow": 3.0}  # of noise-aware presets
PRESETS = {
    f"hopfield-{rule.replace('_', '-')}": {"description": description, "memory": {"rule": rule}}
    for rule, description in (
        ("storkey", "Storkey's local rule: more capacity than Hebb's"),
        ("pseudo_inverse", "projection on the patterns: stores correlated ones too"),
        ("perceptron", "weights corrected until every pattern is stable with a margin"),
        ("flow", "minimum probability flow: every pattern becomes a minimum of the energy"),
    )
} | {
    f"hopfield-{rule.replace('_', '-')}-noise-aware": {
        "description": "the same, and the evidence of the cue is a field",
        "memory": {"rule": rule, "recall_mode": "noise_aware", "cue_field": cue_field},
    }
    for rule, cue_field in CUE_FIELDS.items()
}


class Hopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, spec: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        if config.rule == "perceptron" and not config.margin:
            why = "weights of 0 meet it, and every state is a fixed point"
            raise ValueError(f"hopfield: margin = 0 with rule = perceptron, expected more than 0: {why}")
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._config = config
        self._streams = rng.pcg64_states(seed_list, "recall")
        self._n_units = spec.n + config.bias  # with the constant unit
        n_seeds = len(seed_list)
        self._set_network(np.zeros((n_seeds, self._n_units, 0), np.int8), np.zeros((n_seeds, 0, 0), np.float32), 0)

    @property
    def n_parameters(self) -> int:
        """Weights of one seed, in whatever form they are kept: pairs of units, biases, and the diagonal if any."""
        n = self._spec.n
        return n * (n - 1) // 2 + n * self._config.bias + n * (not self._config.zero_diagonal)

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] of -1 and +1, in place of those before.

        Raises:
            ValueError: other values, or patterns that span all states for the pseudo-inverse.
        """
        n_seeds = len(self._streams)
        values = check(patterns, n_seeds, self._spec, "pattern", domain="bipolar")
        x = self._append_constant(values.astype(np.int8), 1)
        n_patterns = x.shape[1]
        config = self._config
        if config.rule == "pseudo_inverse" and n_patterns >= self._spec.n:
            self._refuse_spanning(values)
        if config.rule == "hebb" and n_patterns < self._n_units / 2:
            columns = np.ascontiguousarray(x.transpose(0, 2, 1))
            self._set_network(columns, np.zeros((n_seeds, 0, 0), np.float32), n_patterns)
        else:
            rule = LearningRule(config.rule, float(config.margin), config.n_epochs, config.zero_diagonal, config.bias)
            self._set_network(np.zeros((n_seeds, self._n_units, 0), np.int8), learn(x, rule), n_patterns)

    def _refuse_spanning(self, patterns: Array) -> None:
        """Refuse patterns [S, P, N] for the pseudo-inverse where N of them are linearly independent.

        Raises:
            ValueError: they are; their projection is the identity.
        """
        if np.linalg.matrix_rank(patterns.astype(np.float64)).max() == self._spec.n:
            expected = f"expected fewer than the {self._spec.n} units with rule = pseudo_inverse"
            raise ValueError(
                f"hopfield: {patterns.shape[1]} patterns, {expected}, or linearly dependent ones: from there on every "
                "state is a fixed point"
            )

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Update cues [S, Q, N] of -1, +1 and 0 to a fixed point; units that are still 0 then have no field.

        Raises:
            ValueError: other values, or nothing is stored.
        """
        values = check(cues, len(self._streams), self._spec, "cue", domain="cue")
        return self._settle(self._net, self._initial_state(self._net, values, known, evidence))

    def _initial_state(
        self, net: AsyncNetwork, values: Array, known: Array | None, evidence: Array | None
    ) -> AsyncState:
        """Make the state of recall at cues [S, Q, N] of a network of S seeds."""
        config = self._config
        self._require_patterns()
        external_field = np.zeros((len(values), 1, self._n_units))
        if self.recall_mode == "noise_aware" and evidence is not None:
            field = check_evidence(evidence, values, "hopfield").astype(np.float64) * (config.cue_field / self._scale)
            external_field = self._append_constant(field, 0.0)
        states = self._append_constant(values.astype(np.int8), 1)
        max_iters = 1 if self.recall_mode == "single_pass" else config.max_iters
        is_asynchronous = config.update == "asynchronous"
        return AsyncState(
            states=states,
            clamped=self._append_constant(check_known(known, values), True),
            external_field=external_field,
            local_field=synchronous.local_fields(net, states) if is_asynchronous else np.zeros((1, 1, 1)),
            energy=np.full((*states.shape[:2], 1 + max_iters), np.nan),
            n_iters=np.zeros(states.shape[:2], np.int64),
        )

    def _settle(self, net: AsyncNetwork, state: AsyncState) -> Recall:
        if self._config.update == "asynchronous":
            asynchronous.settle(net, state, self._streams)
        else:
            synchronous.settle(net, state)
        patterns = state.states[:, :, : self._spec.n].astype(np.float32)
        return Recall(patterns, self._scale * (state.energy + self._constant_unit_energy), state.n_iters)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue unit by unit, or iteration by iteration with update = synchronous."""
        values = check(np.asarray(cue)[None, None], 1, self._spec, "cue", domain="cue")
        net = one_seed(self._net, index)
        state = self._initial_state(net, values, one_cue(known), one_cue(evidence))
        if self._config.update == "synchronous":
            yield from self._iterations(net, state, values[0, 0])
            return
        for flip in asynchronous.flips(net, state, self._streams[index : index + 1]):
            pattern = state.states[0, 0, : self._spec.n].astype(np.float32)
            energy = float(self._scale * (flip.energy + self._constant_unit_energy))
            yield RecallStep(pattern, energy, flip.iteration, flip.unit)

    def _iterations(self, net: AsyncNetwork, state: AsyncState, cue: Array) -> Iterator[RecallStep]:
        """Settle a cue by synchronous updates, again and again, one iteration further each time."""
        whole = self._settle(net, _copy_for(state, state.energy.shape[2] - 1))
        n_iters = int(whole.n_iters[0, 0])
        yield RecallStep(cue, float(whole.energy[0, 0, 0]))
        for n in range(1, n_iters):
            part = self._settle(net, _copy_for(state, n))
            yield RecallStep(part.patterns[0, 0], float(whole.energy[0, 0, n]), n)
        if n_iters:
            yield RecallStep(whole.patterns[0, 0], float(whole.energy[0, 0, n_iters]), n_iters)

    def synchronous_update(self, index: int, states: Array) -> Array:
        """Update all units of states [Q, N] of -1 and +1 once, without evidence, whatever recall does."""
        values = check(np.asarray(states)[None], 1, self._spec, "state", domain="cue")
        net = one_seed(self._net, index)
        state = _copy_for(self._initial_state(net, values, None, None), 1)
        synchronous.settle(net, state)
        return state.states[0, :, : self._spec.n].astype(np.float32)

    def energy(self, patterns: Array) -> Array:
        """Compute E = -s.W s / 2 - b.s at patterns [S, Q, N] of -1, +1 and 0; float64 [S, Q]."""
        values = check(patterns, len(self._streams), self._spec, "pattern", domain="cue")
        self._require_patterns()
        states = self._append_constant(values.astype(np.int8), 1)
        return self._scale * (synchronous.energies(self._net, states) + self._constant_unit_energy)

    def weights(self) -> Array:
        """Return the weights float64 [S, N, N]; with biases [S, N + 1, N + 1], last row and column."""
        self._require_patterns()
        return self._scale * synchronous.dense_weights(self._net, self._config.bias)

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [N, N] of seed number ``index``, without biases."""
        n = self._spec.n
        return self.weights()[index, :n, :n]

    def state(self) -> State:
        """Return patterns by unit or weights, whichever is kept."""
        return {"columns": self._net.columns, "weights": self._net.weights, "n_patterns": self._n_patterns}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._set_network(np.array(state["columns"]), np.array(state["weights"]), int(state["n_patterns"]))

    def _set_network(self, columns: Array, weights: Array, n_patterns: int) -> None:
        """Keep patterns by unit or weights; the other of the two is empty."""
        config = self._config
        kind = WEIGHTS if weights.size else OVERLAPS
        self._net = AsyncNetwork(kind, columns, weights, config.zero_diagonal, NO_TABLE, False)
        self._n_patterns = n_patterns
        acts_on_itself = config.bias and not config.zero_diagonal and kind == OVERLAPS
        self._constant_unit_energy = 0.5 * n_patterns * acts_on_itself
        divisors = {"units": self._spec.n, "patterns": max(n_patterns, 1), "none": 1}
        self._scale = 1.0 / divisors[config.scale] if config.rule == "hebb" else 1.0

    def _require_patterns(self) -> None:
        if not self._n_patterns:
            raise ValueError("hopfield: nothing is stored yet, expected patterns before cues")

    def _append_constant(self, values: Array, constant: float) -> Array:
        """Append to values [S, Q, N] that of the constant unit, where there are biases."""
        if not self._config.bias:
            return values
        return np.concatenate([values, np.full((*values.shape[:2], 1), constant, values.dtype)], axis=2)


def _copy_for(state: AsyncState, max_iters: int) -> AsyncState:
    """Copy an initial state, to be settled for other iterations at most."""
    energy = np.full((*state.energy.shape[:2], 1 + max_iters), np.nan)
    return state._replace(states=state.states.copy(), energy=energy, n_iters=np.zeros_like(state.n_iters))


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> Hopfield:
    """Make networks for patterns of this spec; they store -1 and +1.

    Raises:
        ValueError: a perceptron without a margin.
    """
    return Hopfield(spec, seed_list, config)
