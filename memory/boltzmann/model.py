"""The general Boltzmann machine as a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from scipy.special import entr

from memory.boltzmann.enumeration import clamped, energy
from memory.boltzmann.gibbs import Chains, anneal, cooling, make_chains
from memory.boltzmann.training import LearnSettings, Machine, is_exact, learn
from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core import rng
from simulator.core.field_types import Count, CountOrZero, Positive
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

ENUMERATED = 12  # hidden units that are summed out exactly
MEAN_FIELD = 50  # passes of mean field where they are more
ODDS = 2.0  # the greatest visible bias that learning begins with
ROWS = 256  # chains that are moved at once
LARGEST = 2 << 30  # bytes


@dataclass(frozen=True)
class RecallSettings:
    """How a Boltzmann machine looks for what a cue was, and makes patterns."""

    sweeps: Count = 60
    """sweeps of a chain, every unit once in each"""
    tries: Count = 4
    """chains per cue, of which the one that ends at the lowest energy counts, evidence included"""
    hot: Positive = 3.0
    """temperature of the first sweep with noise_aware, and when making patterns"""
    warm: Positive = 0.5
    """temperature of the first sweep with fixed_point, where nothing but the beginning speaks for the cue"""
    cold: Annotated[float, Meta(ge=1e-3)] = 0.1
    """temperature of the last sweep; it falls geometrically"""


@dataclass(frozen=True)
class Design:
    """What a machine is made from."""

    recall_mode: Literal["fixed_point", "noise_aware"]
    n_hidden: CountOrZero
    weight_size: float
    learn: LearnSettings
    recall: RecallSettings


class BoltzmannMemory:
    """S machines; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, units: PatternSpec, seed_list: Sequence[int], design: Design) -> None:
        self._units, self._seeds, self._design, self.recall_mode = units, list(seed_list), design, design.recall_mode
        n, n_seeds = units.n + design.n_hidden, len(self._seeds)
        if not units.is_bipolar:
            raise ValueError("boltzmann: patterns of real numbers, expected two-valued units")
        if 4 * n * n * n_seeds > LARGEST:
            size = 4 * n * n * n_seeds / 2**30
            raise ValueError(f"boltzmann: weights of {size:,.1f} GiB for all seeds, expected at most 2")
        is_exact(design.learn, n)
        self._machine = Machine(np.zeros((n_seeds, n, n), np.float32), np.zeros((n_seeds, n), np.float32))
        self._stream = rng.pcg64_states(self._seeds, "recall")

    @property
    def n_parameters(self) -> int:
        """Weights of pairs and biases of one seed."""
        n = self._machine.bias.shape[1]
        return n * (n + 1) // 2

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] from the beginning.

        Raises:
            ValueError: another shape, or entries other than -1 and +1.
        """
        found = check(patterns, len(self._seeds), self._units, "pattern", domain="bipolar")
        self._begin(found)
        streams, learning = rng.pcg64_states(self._seeds, "training"), self._design.learn

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                learn(self._of(i), found[i], streams[i : i + 1], learning)

        parallel_for(work, len(found))

    def _begin(self, patterns: Array) -> None:
        """Biases that give the patterns' means, and weights of hidden units by each seed's own stream."""
        weights, bias = self._machine
        n, n_visible = bias.shape[1], self._units.n
        weights[:], bias[:] = 0.0, 0.0
        mean = np.clip(patterns.mean(1), -1.0 + 1e-6, 1.0 - 1e-6)
        bias[:, :n_visible] = np.clip(np.arctanh(mean), -ODDS, ODDS)
        for matrix, generator in zip(weights, rng.generators(self._seeds, "weights"), strict=True):
            drawn = np.triu(generator.standard_normal((n, n)), 1) * self._design.weight_size
            drawn[:n_visible, :n_visible] = 0.0
            matrix[:] = drawn + drawn.T

    def _of(self, i: int) -> Machine:
        return Machine(self._machine.weights[i], self._machine.bias[i])

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; patterns come back as -1 and +1.

        The trace holds energies of the whole state, hidden units included; at the cue they count as 0, as do visible
        units of which nothing is known.

        Raises:
            ValueError: another shape, or entries other than -1, 0 and +1.
        """
        found, how = check(cues, len(self._seeds), self._units, "cue", domain="cue"), self._design.recall
        mask, field = check_known(known, found), np.zeros_like(found)
        hot = how.warm
        if self.recall_mode == "noise_aware" and evidence is not None:  # otherwise as with "fixed_point"
            field, hot = check_evidence(evidence, found, "boltzmann"), how.hot
        restored, trace = np.empty_like(found), np.empty((*found.shape[:2], 1 + how.sweeps))
        n_cues = max(1, ROWS // how.tries)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, found.shape[1], n_cues):
                    block = (i, slice(start, start + n_cues))
                    given = (found[block], mask[block], field[block])
                    restored[block], trace[block] = self._search(i, given, hot)

        parallel_for(work, len(found))
        sweeps = np.full(found.shape[:2], how.sweeps, np.int64)
        return Recall(hold(restored, found, mask), trace, sweeps)

    def _search(self, i: int, given: tuple[Array, Array, Array], hot: float) -> tuple[Array, Array]:
        """States and traces of the best chains of seed i, which begin at the temperature ``hot``."""
        how, n, machine = self._design.recall, self._units.n, self._of(i)
        cues, known, field = (np.repeat(array, how.tries, axis=0) for array in given)
        chains = self._scattered(i, len(cues))
        chains.states[:, :n] = np.where(cues != 0.0, cues, chains.states[:, :n])
        chains.held[:, :n], chains.field[:, :n] = known & (cues != 0.0), field
        trace = np.empty((len(cues), 1 + how.sweeps))
        blank = np.zeros((len(cues), chains.states.shape[1]))
        blank[:, :n] = cues
        trace[:, 0] = energy(machine.weights.astype(np.float64), machine.bias.astype(np.float64), blank)
        temperatures = cooling(hot, how.cold, how.sweeps)
        anneal(machine.weights, machine.bias, chains, temperatures, trace, self._stream[i : i + 1])
        ends = trace[:, -1] - (chains.states * chains.field).sum(1, dtype=np.float64)
        best = ends.reshape(-1, how.tries).argmin(1) + how.tries * np.arange(len(given[0]))
        return chains.states[best, :n], trace[best]

    def _scattered(self, i: int, n_rows: int) -> Chains:
        """Chains at random states."""
        chains = make_chains(n_rows, self._machine.bias.shape[1])
        bits = np.random.Generator(rng.unpack_state(self._stream[i]))
        chains.states[:] = np.where(bits.random(chains.states.shape) < 0.5, 1.0, -1.0)
        self._stream[i] = rng.pack_state(bits.bit_generator)  # type: ignore[arg-type]
        return chains

    def energy(self, patterns: Array) -> Array:
        """Free energy [S, Q] of patterns [S, Q, N]: hidden units are summed out, or bounded by mean field if many."""
        found = check(patterns, len(self._seeds), self._units, "pattern").astype(np.float64)
        return np.array([self._free(i, rows)[0] for i, rows in enumerate(found)])

    def _free(self, i: int, rows: Array) -> tuple[Array, Array]:
        """Free energies [Q] and mean hidden units [Q, H] of seed i; codes by mean field."""
        weights, bias = (array.astype(np.float64) for array in self._of(i))
        n = self._units.n
        codes = np.zeros((len(rows), len(bias) - n))
        if not codes.shape[1]:
            return energy(weights, bias, rows), codes
        for _ in range(MEAN_FIELD):
            inputs = rows @ weights[:n, n:] + codes @ weights[n:, n:] + bias[n:]
            codes = 0.5 * codes + 0.5 * np.tanh(inputs)
        if codes.shape[1] <= ENUMERATED:
            return clamped(weights, bias, rows)[0], codes
        up = 0.5 * (1.0 + codes)
        whole = energy(weights, bias, np.concatenate([rows, codes], axis=1))
        return whole - (entr(up) + entr(1.0 - up)).sum(1), codes

    def codes(self, patterns: Array) -> Array:
        """Mean hidden units [S, Q, H], from -1 to 1, at patterns [S, Q, N]; none where none is hidden."""
        found = check(patterns, len(self._seeds), self._units, "pattern").astype(np.float64)
        return np.array([self._free(i, rows)[1] for i, rows in enumerate(found)], np.float32)

    def generate(self, n: int) -> Array:
        """Patterns [S, n, N] of its own: chains from anywhere, annealed to temperature 1."""
        how, made = self._design.recall, []
        temperatures = cooling(max(how.hot, 1.0), 1.0, 5 * how.sweeps)
        for i in range(len(self._seeds)):
            chains, machine = self._scattered(i, n), self._of(i)
            trace = np.empty((n, 1 + len(temperatures)))
            anneal(machine.weights, machine.bias, chains, temperatures, trace, self._stream[i : i + 1])
            made.append(chains.states[:, : self._units.n])
        return np.array(made, np.float32)

    def state(self) -> State:
        """Weights, biases and streams."""
        return {
            **{name: array.copy() for name, array in self._machine._asdict().items()},
            "stream": self._stream.copy(),
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for name, array in self._machine._asdict().items():
            array[...] = state[name]
        self._stream[...] = state["stream"]
