"""The contracts of recall: memories, the challenges they meet, and the corruption in between.

Arrays lead with the seed axis ``[S]``; P patterns, Q cues, N units. A pattern is float32 with N numbers, -1 and +1 or
anything between; what is not known of a cue is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, Protocol

import numpy as np

from simulator.core.protocols import Array, State


class PatternSpec(NamedTuple):
    """What a pattern is made of."""

    shape: tuple[int, ...]  # of its picture: (8, 8), or (N,) where there is none
    is_bipolar: bool = True  # only -1 and +1; otherwise numbers from -1 to 1

    @property
    def n(self) -> int:
        """Number of units N."""
        return prod(self.shape)


class Cues(NamedTuple):
    """Corrupted patterns."""

    values: Array  # float32 [S, Q, N]
    known: Array | None = None  # bool [S, Q, N], units that can be trusted; None: nobody says which


class Recall(NamedTuple):
    """What a memory made of cues. An energy may count evidence in, and begin where recall does."""

    patterns: Array  # float32 [S, Q, N], from -1 to 1
    energy: Array  # float64 [S, Q, 1 + T], at the cue and after each sweep; nan from where the cue had come to rest
    sweeps: Array  # int64 [S, Q], sweeps or passes used


class Memory(Protocol):
    """S memories of one kind. A memory's file offers ``Config`` and ``make(units, seeds, config)``.

    One that has an inner code offers ``codes(patterns [S, Q, N]) -> [S, Q, H]`` beside these; one that makes new
    patterns of its own offers ``generate(n) -> [S, n, N]``.
    """

    recall_mode: str  # "single_pass", one pass; "fixed_point", until it rests; "noise_aware", with the cue as evidence
    domain: str  # of its cues: "bipolar" (-1, +1, and 0 where nothing is known) or "continuous" (from -1 to 1)

    @property
    def n_parameters(self) -> int:
        """Numbers that it keeps per seed once patterns are stored."""

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N] in place of what was kept before.

        Raises:
            ValueError: values that it cannot hold, or more patterns than it can.
        """

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N].

        Args:
            cues: corrupted patterns.
            known: bool [S, Q, N], units to be held at the cue's values; None: none is.
            evidence: float [S, Q, N], what a cue says of every unit by itself if one knows the corruption: half the
                log odds of +1 against -1 (for flips of probability p it is beta q with beta = ln((1 - p) / p) / 2).
                Only a memory whose recall_mode is "noise_aware" uses it; None where the corruption is not one unit at
                a time, or where nothing is corrupted: then it goes by the cue alone.
        """

    def energy(self, patterns: Array) -> Array:
        """Energy [S, Q] at patterns [S, Q, N]: the lower, the more familiar."""

    def state(self) -> State:
        """Everything: weights or patterns, and streams."""

    def restore(self, state: State) -> None:
        """Go on from ``state``."""


class PatternSplit(NamedTuple):
    """Patterns of a challenge."""

    stored: Array  # float32 [S, P, N], to be stored
    novel: Array  # float32 [S, M, N], of the same kind and never stored
    labels: Array  # int64 [S, P], classes of the stored ones; -1 where there are none
    novel_labels: Array  # int64 [S, M]


class Challenge(Protocol):
    """Patterns to recall. A challenge's file offers ``Config`` and ``make(seeds, config)``.

    One that reads files offers ``files(config) -> paths``: their content is part of a benchmark's settings.
    """

    units: PatternSpec
    most: int | None  # patterns that there are in all; None: as many as one likes

    def draw(self, n_stored: int, n_novel: int) -> PatternSplit:
        """Patterns for every seed, by a stream of its own; the same each time, and the first ones whatever n.

        Raises:
            ValueError: more patterns than there are.
        """


class CorruptionModel(Protocol):
    """A kind of corruption, of which the likelihood is known."""

    name: str  # as it was asked for: "flip:0.2"

    def corrupt(self, patterns: Array, stored: Array, streams: Sequence[np.random.Generator]) -> Cues:
        """Cues of patterns [S, Q, N], each seed by its stream; ``stored`` [S, P, N] is what a mixture draws from."""

    def evidence(self, cues: Cues) -> Array | None:
        """Half the log odds of +1 against -1 by each unit alone, float64 [S, Q, N]; None: units are not independent.

        Finite: what is certain has the odds of e to the 2 * CERTAIN.
        """

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Log likelihood of each cue under each pattern [S, P, N], up to a constant of the cue; float64 [S, Q, P]."""


CERTAIN = 20.0


class RecallPicture(NamedTuple):
    """A few cues of the first seed."""

    shape: tuple[int, ...]
    stored: Array  # [C, N]
    cue: Array  # [C, N]
    restored: Array  # [C, N]
    energy: Array  # [T] of the first of them, at the cue and after every sweep
