"""A stack of restricted Boltzmann machines as a memory: what `rbm` and `deep_belief` are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from memory.common.rbm.config import LearnSettings, RecallSettings, Way
from memory.common.rbm.contrastive_divergence import train
from memory.common.rbm.layers import Stack, begin_biases, draw_weights, make_stack, of_seed, to_patterns, to_units
from memory.common.rbm.likelihood import energy, sigmoid
from memory.common.rbm.recall import POLISH, Room, anneal, make_room, polish, settle
from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core import rng
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

USUAL = 64  # visible units for which the learning rate is meant
LEAST_DEVIATION = 0.05  # of a Gaussian unit that is the same in every pattern
SPAN = 5  # sweeps of a chain that makes patterns, in those of a recall
LARGEST = 4 << 30  # bytes
ROWS = 256  # states that are worked on at once: they stay in the cache


@dataclass(frozen=True)
class Design:
    """What a memory of this kind is made from."""

    name: str
    hidden: tuple[int, ...]  # units of every layer
    gaussian: bool
    deviation: float  # of Gaussian units, as a share of each unit's own; 0: 1 for all
    size: float  # standard deviation of the first weights
    recall_mode: Way
    learn: LearnSettings
    recall: RecallSettings


def design(name: str, hidden: tuple[int, ...], units: PatternSpec, config: Any) -> Design:
    """What the settings of `rbm` or `deep_belief` ask for, for patterns of these units."""
    gaussian = config.visible == "gaussian" or (config.visible == "auto" and not units.is_bipolar)
    ways = (config.recall_mode, config.learn, config.recall)
    return Design(name, hidden, gaussian, config.deviation, config.weight_size, *ways)


class _Given(NamedTuple):
    """Cues as the visible units of a stack hold them, [S, Q, N] each."""

    cues: Array
    known: Array
    field: Array
    grip: Array


class _Found(NamedTuple):
    """States that cues led to."""

    units: Array  # float32 [S, Q, N]
    energy: Array  # float64 [S, Q, 1 + T]
    sweeps: Array  # int64 [S, Q]


class StackMemory:
    """S stacks; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, units: PatternSpec, seed_list: Sequence[int], design: Design) -> None:
        self._units, self._seeds, self._design, self.recall_mode = units, list(seed_list), design, design.recall_mode
        sizes = (units.n, *design.hidden)
        n_bytes = 4 * len(self._seeds) * sum(n * m for n, m in pairwise(sizes))
        if n_bytes > LARGEST:
            raise ValueError(f"{design.name}: weights of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most 4")
        self._stack = make_stack(sizes, design.gaussian, len(self._seeds))
        self._stream = rng.pcg64_states(self._seeds, "recall")

    @property
    def n_parameters(self) -> int:
        """Weights and biases of one seed, and the deviations of its Gaussian units."""
        layers = sum(array[0].size for layer in self._stack.layers for array in layer)
        return layers + self._units.n * self._design.gaussian

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] from random weights on, layer by layer.

        Raises:
            ValueError: another shape, or values outside the alphabet.
        """
        domain = "bipolar" if self._units.is_bipolar else "continuous"
        found = check(patterns, len(self._seeds), self._units, "pattern", domain=domain)
        stack, streams = self._stack, rng.pcg64_states(self._seeds, "training")
        draw_weights(stack, self._seeds, self._design.size)
        if stack.gaussian:
            share = self._design.deviation
            stack.deviation[:] = np.maximum(share * found.std(1), LEAST_DEVIATION) if share else 1.0
        data = to_units(stack, found)
        for at, layer in enumerate(stack.layers):
            gaussian = stack.gaussian and at == 0
            begin_biases(layer, gaussian, data)
            learn = self._design.learn
            rate = learn.learning_rate * min(1.0, USUAL / data.shape[2])
            train(layer, gaussian, data, streams, replace(learn, learning_rate=rate))
            data = sigmoid(data @ layer.weights + layer.hidden[:, None])

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; two-valued patterns come back as -1 and +1.

        Raises:
            ValueError: another shape, or values outside the alphabet.
        """
        found = check(cues, len(self._seeds), self._units, "cue")
        given = self._given(found, check_known(known, found), evidence)
        if self._listens(evidence):
            rounded = self._units.is_bipolar and not self._design.gaussian
            ends = _search(self._stack, given, self._stream, self._design.recall, rounded)
        else:
            n = 1 if self.recall_mode == "single_pass" else self._design.recall.sweeps
            ends = _settle(self._stack, given, n)
        restored = to_patterns(self._stack, ends.units, self._units.is_bipolar)
        return Recall(hold(restored, found, given.known), ends.energy, ends.sweeps)

    def _listens(self, evidence: Array | None) -> bool:
        """Whether evidence counts: a corruption that says nothing of single units is met as with "fixed_point"."""
        return self.recall_mode == "noise_aware" and evidence is not None

    def _given(self, cues: Array, known: Array, evidence: Array | None) -> _Given:
        """Cues in units of the stack, and what they say of each unit by itself."""
        none, units = np.zeros_like(cues), to_units(self._stack, cues)
        if not self._listens(evidence):
            return _Given(units, known, none, none)
        odds = check_evidence(evidence, cues, self._design.name)
        if not self._stack.gaussian:
            return _Given(units, known, 2.0 * odds, none)
        deviation = self._stack.deviation[:, None]
        precision = np.divide(odds, cues, out=none, where=np.abs(cues) > 1e-6)
        return _Given(units, known, odds * deviation, np.maximum(precision, 0.0) * deviation**2)

    def energy(self, patterns: Array) -> Array:
        """Free energy [S, Q] of patterns [S, Q, N]; of several layers a bound of it."""
        found = to_units(self._stack, check(patterns, len(self._seeds), self._units, "pattern")).astype(np.float64)
        layers = [of_seed(self._stack, i) for i in range(len(self._seeds))]
        return np.array([energy(each, self._stack.gaussian, rows) for each, rows in zip(layers, found, strict=True)])

    def codes(self, patterns: Array) -> Array:
        """Probabilities [S, Q, H] of the top layer's units at patterns [S, Q, N]."""
        rows = to_units(self._stack, check(patterns, len(self._seeds), self._units, "pattern"))
        for layer in self._stack.layers:
            rows = sigmoid(rows @ layer.weights + layer.hidden[:, None])
        return rows

    def generate(self, n: int) -> Array:
        """Patterns [S, n, N] of its own, from annealed chains that begin anywhere."""
        how = self._design.recall
        made = _sample(self._stack, n, self._stream, how, SPAN * how.sweeps)
        return to_patterns(self._stack, made, self._units.is_bipolar)

    def state(self) -> State:
        """Weights, biases, deviations and streams."""
        layers = [[array.copy() for array in layer] for layer in self._stack.layers]
        return {"layers": layers, "deviation": self._stack.deviation.copy(), "stream": self._stream.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for layer, saved in zip(self._stack.layers, state["layers"], strict=True):
            for array, values in zip(layer, saved, strict=True):
                array[...] = values
        self._stack.deviation[...], self._stream[...] = state["deviation"], state["stream"]


def _settle(stack: Stack, given: _Given, n_passes: int) -> _Found:
    """Mean field from the cues on until nothing moves, or for so many passes."""
    found = _empty(given, n_passes)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            for start in range(0, given.cues.shape[1], ROWS):
                block = (i, slice(start, start + ROWS))
                room = _fill(stack, given, block, 1, n_passes)
                settle(of_seed(stack, i), stack.gaussian, room, n_passes, np.zeros((1, 4), np.uint64))
                found.units[block], found.energy[block] = room.states[0], room.trace
                found.sweeps[block] = room.used

    parallel_for(work, len(given.cues))
    return found


def _search(stack: Stack, given: _Given, streams: Array, how: RecallSettings, rounded: bool) -> _Found:
    """Annealed Gibbs sampling from the cues on, several times for each, and the end of lowest energy, field included.

    ``rounded``: units end at their likelier value. The trace is that of the chain that counts.
    """
    n_sweeps = how.sweeps + POLISH
    found, n_cues = _empty(given, n_sweeps), max(1, ROWS // how.tries)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            for start in range(0, given.cues.shape[1], n_cues):
                block = (i, slice(start, start + n_cues))
                room = _fill(stack, given, block, how.tries, n_sweeps)
                anneal(of_seed(stack, i), stack.gaussian, room, (how.sweeps, float(how.hot)), streams[i : i + 1])
                polish(of_seed(stack, i), stack.gaussian, room, (how.sweeps, rounded), streams[i : i + 1])
                n = len(room.energy) // how.tries
                best = room.energy.reshape(n, how.tries).argmin(1) + how.tries * np.arange(n)
                found.units[block], found.energy[block] = room.states[0][best], room.trace[best]
                found.sweeps[block] = n_sweeps

    parallel_for(work, len(given.cues))
    return found


def _sample(stack: Stack, n: int, streams: Array, how: RecallSettings, n_sweeps: int) -> Array:
    """N states of the visible units from annealed chains that begin anywhere, float32 [S, n, N]."""
    shape = (len(stack.deviation), n, stack.deviation.shape[1])
    none = np.zeros(shape, np.float32)
    given = _Given(np.full(shape, 0.0 if stack.gaussian else 0.5, np.float32), none.astype(np.bool_), none, none)
    made = np.empty(shape, np.float32)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            room = _fill(stack, given, (i, slice(None)), 1, n_sweeps)
            anneal(of_seed(stack, i), stack.gaussian, room, (n_sweeps, float(how.hot)), streams[i : i + 1])
            made[i] = room.states[0]

    parallel_for(work, len(made))
    return made


def _empty(given: _Given, n_sweeps: int) -> _Found:
    shape = given.cues.shape[:2]
    return _Found(np.empty_like(given.cues), np.empty((*shape, 1 + n_sweeps)), np.zeros(shape, np.int64))


def _fill(stack: Stack, given: _Given, block: tuple[int, slice], copies: int, n_sweeps: int) -> Room:
    """Room for a block of one seed's cues, each so many times."""
    parts = [np.repeat(array[block], copies, axis=0) for array in given]
    room = make_room(stack, len(parts[0]), n_sweeps)
    for out, part in zip((room.cues, room.known, room.field, room.grip), parts, strict=True):
        out[...] = part
    room.states[0][...] = room.cues
    return room
