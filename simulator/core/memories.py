"""Contracts of recall: memories, challenges, and corruption.

Arrays lead with the seed axis ``[S]``; P patterns, Q cues, N units. A pattern is float32 [N], of -1 and +1 (bipolar) or
of values between them; an unknown unit of a cue is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan, prod
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from simulator.core.protocols import Array, State


class PatternSpec(NamedTuple):
    """Shape and domain of a pattern."""

    shape: tuple[int, ...]  # of the picture: (8, 8), or (N,) where there is none
    is_bipolar: bool = True  # only -1 and +1; otherwise values from -1 to 1

    @property
    def n(self) -> int:
        """Number of units N."""
        return prod(self.shape)


class Cues(NamedTuple):
    """Corrupted patterns."""

    values: Array  # float32 [S, Q, N]
    known: Array | None = None  # bool [S, Q, N], mask of units that are certain; None: no mask


class Recall(NamedTuple):
    """Recalled patterns. The energy may include the evidence, and then begins at the initial state of recall."""

    patterns: Array  # float32 [S, Q, N], from -1 to 1
    energy: Array  # float64 [S, Q, 1 + T], at the cue and after each iteration; NaN after the fixed point
    n_iters: Array  # int64 [S, Q], iterations until the fixed point


class Memory(Protocol):
    """S memories of one kind. A memory's file offers ``Config`` and ``make(spec, seeds, config)``.

    Beside these, one that has hidden codes offers ``codes(patterns [S, Q, N]) -> [S, Q, H]``, and one that makes new
    patterns ``generate(n) -> [S, n, N]``.
    """

    recall_mode: str  # "single_pass"; "fixed_point", iterated to convergence; "noise_aware", by the evidence of the cue
    domain: str  # of cues: "bipolar" (-1, +1, and 0 for unknown units) or "continuous" (from -1 to 1)

    @property
    def n_parameters(self) -> int:
        """Number of values stored per seed, once patterns are stored."""

    def store(self, patterns: Array) -> None:
        """Store patterns [S, P, N] in place of those before.

        Raises:
            ValueError: values outside the domain, or more patterns than the memory can store.
        """

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N].

        Args:
            cues: corrupted patterns.
            known: bool [S, Q, N], mask of units to clamp to the cue's values; None: none.
            evidence: float [S, Q, N], half the log likelihood ratio of +1 against -1 by the cue's value of each unit
                alone (for flips of probability p it is beta q with beta = ln((1 - p) / p) / 2). Only a memory whose
                recall_mode is "noise_aware" uses it; None where the corruption does not act on units independently, or
                where nothing is corrupted: recall then uses the cue alone.
        """

    def energy(self, patterns: Array) -> Array:
        """Compute the energy [S, Q] of patterns [S, Q, N]: the lower, the more familiar."""

    def state(self) -> State:
        """Return the whole state: weights or patterns, and random streams."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


class RecallStep(NamedTuple):
    """One moment of the recall of one cue."""

    pattern: Array  # float32 [N], from -1 to 1
    energy: float  # as in :class:`Recall`; NaN where the memory does not compute it between iterations
    iteration: int = 0  # that it belongs to; 0: the cue
    unit: int = -1  # the unit that has just changed; -1: several at once, or none
    temperature: float = nan  # at which units were sampled; NaN where they are not


@runtime_checkable
class StepwiseRecall(Protocol):
    """A memory that shows the states between a cue and its recall."""

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue step by step; changes nothing.

        The first step is the cue. The last has the bits that the next ``recall`` of this cue alone would return, for a
        memory of one seed: random draws are those of that call, and streams are left as they are.

        Args:
            index: number of the seed.
            cue: float32 [N]; known and evidence likewise, [N], as in :meth:`Memory.recall`.
            known: units to clamp to the cue's values.
            evidence: half the log likelihood ratio of each unit.
        """


@runtime_checkable
class StepwiseStore(Protocol):
    """A memory that can be looked at while it learns."""

    def storing(self, patterns: Array) -> Iterator[float]:
        """Store patterns [S, P, N] piece by piece, and end with the bits of ``store``.

        Between two pieces the memory recalls and generates with what it has learned so far.

        Yields:
            The share of the learning that is over, at last 1.
        """


@runtime_checkable
class HasTemperature(Protocol):
    """A memory whose recall has a temperature, which may be set between two recalls.

    Where it falls while recall goes on it is the first one.
    """

    temperature: float


@runtime_checkable
class DecodesCodes(Protocol):
    """A memory that turns hidden codes into patterns."""

    @property
    def code_size(self) -> int:
        """Number of values H of a code."""

    def decode(self, codes: Array) -> Array:
        """Decode codes [S, Q, H] to mean patterns [S, Q, N], from -1 to 1, not rounded to their domain."""


@runtime_checkable
class HasReceptiveFields(Protocol):
    """A memory whose weights are seen as pictures."""

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [U, N] from the N units of a pattern to each of U units, of seed number ``index``.

        A memory that keeps patterns returns them.
        """


@runtime_checkable
class HasLogPartition(Protocol):
    """A memory that is a distribution whose partition function can be enumerated."""

    def log_partition(self, index: int) -> float:
        """Compute log Z of seed number ``index``: a pattern's log probability is -energy - log Z.

        Raises:
            ValueError: too many units to enumerate, or units that have no probability.
        """


@runtime_checkable
class UpdatesAtOnce(Protocol):
    """A memory whose recall can update all units at once, from a state of -1 and +1 to the next."""

    def synchronous_update(self, index: int, states: Array) -> Array:
        """Update all units of states float32 [Q, N] of seed number ``index`` once; changes nothing."""


class Maps(NamedTuple):
    """Pictures of one stage of a convolutional network."""

    name: str
    values: Array  # float32 [C, height, width]


@runtime_checkable
class HasFeatureMaps(Protocol):
    """A memory with convolutions."""

    def kernels(self, index: int) -> list[Maps]:
        """Return the kernels of every convolution of the encoder, of seed number ``index``."""

    def feature_maps(self, index: int, pattern: Array) -> list[Maps]:
        """Return the maps that a pattern [N] leads to, after every convolution, rectification and pooling."""


class DenseLayer(NamedTuple):
    """One layer of an encoder: activation(x weight + bias)."""

    weight: Array  # float32 [in, out]
    bias: Array  # float32 [out]
    activation: str  # "relu", "sigmoid", "tanh" or "linear"


@runtime_checkable
class HasEncoder(Protocol):
    """A memory whose codes are made by dense layers, which others can go on to train."""

    def encoder(self, index: int) -> list[DenseLayer]:
        """Return the layers from a pattern [N] to its code [H], of seed number ``index``."""


class RecallMoment(NamedTuple):
    """One moment of an interactive recall: a step, and what it has to do with the K stored patterns."""

    step: RecallStep
    overlaps: Array  # float64 [K], of the state with each stored pattern
    n: int  # steps before


class PatternSplit(NamedTuple):
    """Patterns of a challenge: those to store, and others held out."""

    stored: Array  # float32 [S, P, N], to be stored
    held_out: Array  # float32 [S, M, N], of the same distribution, never stored
    labels: Array  # int64 [S, P], classes of the stored ones; -1 where there are none
    held_out_labels: Array  # int64 [S, M]


class RetrievalSpec(NamedTuple):
    """Rules by which patterns are looked up: stored ones are ranked by likeness to what was recalled."""

    k: int  # neighbours that precision at k looks at
    topics: tuple[str, ...]  # names of the labels


class Challenge(Protocol):
    """Patterns to recall. A challenge's file offers ``Config`` and ``make(seeds, config)``.

    One that reads files offers ``files(config) -> paths``: their content is part of a benchmark's settings.
    """

    spec: PatternSpec
    max_patterns: int | None  # number of patterns in all; None: unlimited
    retrieval: RetrievalSpec | None  # None: patterns are recalled, not looked up

    def draw(self, n_stored: int, n_held_out: int) -> PatternSplit:
        """Draw patterns for every seed, by its own stream: the same each time, and fewer are the first of more.

        Raises:
            ValueError: more patterns than there are.
        """


class CorruptionModel(Protocol):
    """A corruption with a known likelihood."""

    name: str  # as in settings: "flip:0.2"

    def corrupt(self, patterns: Array, stored: Array, streams: Sequence[np.random.Generator]) -> Cues:
        """Corrupt patterns [S, Q, N], each seed by its stream; a mixture draws from ``stored`` [S, P, N]."""

    def evidence(self, cues: Cues) -> Array | None:
        """Compute half the log likelihood ratio of +1 against -1 of each unit, float64 [S, Q, N].

        None where units are not corrupted independently. Finite: certainty is 2 * CERTAIN nats.
        """

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Compute log p(cue | pattern) for patterns [S, P, N], up to a constant of the cue; float64 [S, Q, P]."""


CERTAIN = 20.0


class RecallPicture(NamedTuple):
    """Some cues of the first seed, for views."""

    shape: tuple[int, ...]
    stored: Array  # [C, N]
    cue: Array  # [C, N]
    restored: Array  # [C, N]
    energy: Array  # [T] of the first of them, at the cue and after every sweep
