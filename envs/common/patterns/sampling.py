"""Sampling of patterns for challenges of recall: for every seed one endless or finite row of distinct ones.

The first patterns of a seed's row are to be stored, the ones after them are held out. A row is the same each time it is
asked for, and its beginning does not depend on how much of it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.memories import PatternSpec, PatternSplit, RetrievalSpec
from simulator.core.notices import notice
from simulator.core.protocols import Array
from simulator.core.stopping import raise_if_stopped

Row = Callable[[np.random.Generator, Array], Array]  # (stream, out [n, N]) -> labels [n]; writes the patterns to out
_CHUNK = 1 << 22  # numbers that are drawn or converted at a time


class Patterns:
    """A challenge: a row of distinct patterns for every seed, by its stream of the purpose "patterns".

    Args:
        name: what an error calls it.
        spec: shape and domain of a pattern.
        max_patterns: number of patterns in all; None: unlimited.
        seed_list: one row for each.
        row: writes the first patterns of a row from a fresh stream, and returns their labels.
        retrieval: how patterns are looked up; None: they are not.
    """

    def __init__(
        self,
        name: str,
        spec: PatternSpec,
        max_patterns: int | None,
        seed_list: Sequence[int],
        row: Row,
        retrieval: RetrievalSpec | None = None,
    ) -> None:
        self.spec = spec
        self.max_patterns = max_patterns
        self.retrieval = retrieval
        self._name = name
        self._seeds = tuple(seed_list)
        self._row = row

    def draw(self, n_stored: int, n_held_out: int = 0) -> PatternSplit:
        """Return patterns for every seed; see :class:`simulator.core.memories.Challenge`.

        Raises:
            ValueError: none to store, or more patterns than there are.
        """
        if n_stored < 1 or n_held_out < 0:
            raise ValueError(
                f"{self._name}: {n_stored} stored and {n_held_out} held-out patterns: expected at least 1 and 0"
            )
        n = n_stored + n_held_out
        if self.max_patterns is not None and n > self.max_patterns:
            asked = f"{n_stored:,} stored and {n_held_out:,} held-out patterns"
            raise ValueError(f"{self._name}: {asked}: expected at most {self.max_patterns:,} in all")
        shape = (len(self._seeds), n, self.spec.n)
        try:
            patterns = np.empty(shape, np.float32)
        except MemoryError:
            raise ValueError(
                f"{self._name}: patterns of shape {shape}: expected no more than fit into memory"
            ) from None
        labels = np.empty((len(self._seeds), n), np.int64)
        for i, stream in enumerate(rng.generators(self._seeds, "patterns")):
            labels[i] = self._row(stream, patterns[i])
        return PatternSplit(
            stored=np.ascontiguousarray(patterns[:, :n_stored]),
            held_out=np.ascontiguousarray(patterns[:, n_stored:]),
            labels=labels[:, :n_stored],
            held_out_labels=labels[:, n_stored:],
        )


class Pool(NamedTuple):
    """A finite set of distinct pictures; a seed's row is a random order of them."""

    values: Array  # [M, N], numbers from 0 to top
    labels: Array  # int64 [M]
    levels: str  # "two" or "grey"
    threshold: float  # pixels above it become +1
    top: float

    def patterns(self, at: Array) -> Array:
        """Return the pictures of these indices as patterns, float32 [len(at), N]."""
        if self.levels == "two":
            return np.where(self.values[at] > self.threshold, np.float32(1), np.float32(-1))
        return (self.values[at] / np.float32(self.top / 2.0) - np.float32(1.0)).astype(np.float32)

    def row(self, stream: np.random.Generator, out: Array) -> Array:
        """Write the first of a random order to ``out`` [n, N], and return their labels."""
        at = stream.permutation(len(self.values))[: len(out)]
        for rows in blocks(len(at), out.shape[1]):
            out[rows] = self.patterns(at[rows])
        return np.asarray(self.labels[at])


def blocks(n: int, width: int) -> Iterator[slice]:
    """Split n rows of so many numbers into blocks that are small beside all of many rows."""
    step = max(1, _CHUNK // max(1, width))
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


def make_pool(pool: Pool) -> Pool:
    """Remove pictures whose patterns equal an earlier one."""
    is_distinct = np.zeros(len(pool.values), np.bool_)
    seen = set[bytes]()
    for rows in blocks(*pool.values.shape):
        raise_if_stopped()
        patterns = pool.patterns(np.arange(rows.start, rows.stop))
        is_distinct[rows] = fresh(patterns, seen, is_bipolar=pool.levels == "two")
    return pool._replace(values=pool.values[is_distinct], labels=pool.labels[is_distinct])


def distinct(name: str, pool: Pool) -> Pool:
    """Remove duplicates in a user's file, with one notice in ``name``'s words."""
    distinct_pool = make_pool(pool)
    n = len(pool.values)
    left = len(pool.values) - len(distinct_pool.values)
    if left:
        as_patterns = f" with levels = two and threshold = {pool.threshold:g}" if pool.levels == "two" else ""
        equal = "is equal to an earlier one" if left == 1 else "are equal to earlier ones"
        notice(name, f"{left:,} of {n:,} pictures {equal}{as_patterns} and left out, {n - left:,} remain")
    return distinct_pool


def fresh(patterns: Array, seen: set[bytes], *, is_bipolar: bool = True) -> Array:
    """Mark the patterns [n, N] that are not in ``seen`` nor equal to an earlier one, bool [n]; add them to ``seen``."""
    keys = np.packbits(patterns > 0, axis=1) if is_bipolar else patterns + np.float32(0)  # there is one zero only
    is_new = np.zeros(len(patterns), np.bool_)
    for i, key in enumerate(map(bytes, np.ascontiguousarray(keys))):
        is_new[i] = key not in seen
        seen.add(key)
    return is_new


def endless(name: str, width: int, make: Callable[[Array, int], Array], n_labels: int = 0) -> Row:
    """Make rows of patterns from random numbers.

    Args:
        name: what an error calls the challenge.
        width: random numbers that a pattern takes.
        make: (uniform numbers float64 [n, width], number of the first pattern) -> patterns [n, N].
        n_labels: the k-th pattern made is of class k modulo this; 0: there are no classes.
    """

    def row(stream: np.random.Generator, out: Array) -> Array:
        n = len(out)
        numbers = []
        seen = set[bytes]()
        n_tried = 0
        left = n
        most = 1000 + 100 * n
        while left:
            if n_tried >= most:
                tries = f"{n - left:,} different ones in {n_tried:,} tries"
                raise ValueError(f"{name}: {n:,} patterns: found {tries}, expected to be asked for fewer")
            batch = min(left, max(1, _CHUNK // width))
            patterns = make(stream.random((batch, width)), n_tried)
            new = fresh(patterns, seen)
            n_new = int(new.sum())
            out[n - left : n - left + n_new] = patterns[new]
            numbers.append(n_tried + np.flatnonzero(new))
            n_tried = n_tried + batch
            left = left - n_new
        number = np.concatenate(numbers)
        return number % n_labels if n_labels else np.full(n, -1)

    return row


def signs(draws: Array, prob: float) -> Array:
    """Return +1 with probability ``prob`` and -1 otherwise, float32, from uniform numbers."""
    return np.where(draws < prob, np.float32(1), np.float32(-1))
