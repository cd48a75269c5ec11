"""States of a small memory: every fixed point with its basin, kinds of spurious states, cycles of synchronous updates.

A state is a pattern of -1 and +1; with N units there are 2^N of them, and up to 20 units all are recalled. Basins are
those of the memory's own recall: where units are updated one after another in random order, in one such order.

Spurious states (Amit, Gutfreund and Sompolinsky 1985): the inverse -x of a stored pattern has the same energy as it by
Hebb's rule; a mixture is the sign of a sum of an odd number of stored patterns or their inverses; others are none of
these.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from math import comb
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array

MAX_ENUMERATED = 20  # units
BATCH = 1 << 14  # states that are recalled at once
MAX_MIXTURE_UNITS = 50_000_000  # of all mixtures of one number of patterns, beyond which they count as other states
STORED, INVERSE, MIXTURE_3, MIXTURE_5, OTHER = KINDS = ("stored", "inverse", "mixture of 3", "mixture of 5", "other")


class StateKind(NamedTuple):
    """Relation of a state to the stored patterns."""

    kind: str  # one of KINDS
    of: tuple[int, ...]  # patterns, counted from 1; negative: the inverse


class FixedPoint(NamedTuple):
    """A state that recall leaves as it is."""

    state: Array  # float32 [N]
    kind: StateKind
    energy: float
    basin: int  # starts that end here, itself among them


class Landscape(NamedTuple):
    """Fixed points in which recall ends."""

    n_starts: int  # all 2^N states, or random ones
    is_complete: bool  # every state was a start
    fixed_points: list[FixedPoint]  # the largest basin first
    n_unsettled: int  # starts whose end is no fixed point


class Cycle(NamedTuple):
    """States that synchronous updates go through again and again."""

    states: Array  # float32 [L, N]
    basin: int  # states that end in it, its own among them


class Synchronous(NamedTuple):
    """Fixed points and cycles in which synchronous updates of all units end, from every state."""

    n_fixed_points: int
    cycles: list[Cycle]  # longer than 1; the largest basin first


def every_state(n: int) -> Array:
    """Return all states of n units, float32 [2^n, n]; unit 0 changes fastest."""
    return states_of(np.arange(1 << n), n)


def states_of(numbers: Array, n: int) -> Array:
    """Return the states float32 [Q, n] of numbers [Q]: bit i is unit i."""
    return (2.0 * (numbers[:, None] >> np.arange(n) & 1) - 1.0).astype(np.float32)


def numbers_of(states: Array) -> Array:
    """Return the number [Q] of states [Q, n] of -1 and +1 in the order of :func:`every_state`."""
    return np.asarray((states > 0.0) @ (1 << np.arange(states.shape[1])))


def recalled(memory: Any, states: Array) -> Array:
    """Recall states [Q, N] with a memory of one seed, without evidence; the signs [Q, N] of what it recalls.

    The memory's random streams stay where they were.
    """
    before = memory.state()
    ends = [memory.recall(states[None, start : start + BATCH]).patterns[0] for start in range(0, len(states), BATCH)]
    memory.restore(before)
    return np.where(np.concatenate(ends) >= 0.0, np.float32(1.0), np.float32(-1.0))


def landscape(memory: Any, stored: Array, starts: Array | None = None) -> Landscape:
    """Recall every state of a memory of at most 20 units, or the given starts [Q, N], and gather the fixed points."""
    n = stored.shape[1]
    every = every_state(n) if starts is None else starts
    ends, basins = np.unique(recalled(memory, every), axis=0, return_counts=True)
    is_fixed = (recalled(memory, ends) == ends).all(axis=1)
    kinds = kind_finder(stored)
    energies = memory.energy(ends[None])[0]
    points = [FixedPoint(ends[k], kinds(ends[k]), float(energies[k]), int(basins[k])) for k in np.flatnonzero(is_fixed)]
    points.sort(key=lambda point: (-point.basin, KINDS.index(point.kind.kind), point.kind.of))
    return Landscape(len(every), starts is None, points, int(basins[~is_fixed].sum()))


def mixtures_told(n_patterns: int, n_units: int) -> dict[int, str]:
    """Return the numbers of patterns whose mixtures are told from other states, with their kinds; 1 among them."""
    sizes = {1: STORED, 3: MIXTURE_3, 5: MIXTURE_5}
    return {
        n_mixed: kind
        for n_mixed, kind in sizes.items()
        if n_mixed == 1 or comb(n_patterns, n_mixed) * 2**n_mixed * n_units <= MAX_MIXTURE_UNITS
    }


def kind_finder(stored: Array) -> Callable[[Array], StateKind]:
    """Return a function that tells what a state [N] has to do with stored patterns [P, N]."""
    known: dict[bytes, StateKind] = {}
    for at, pattern in enumerate(stored, 1):  # before the inverses, of which one may be stored too
        known.setdefault(pattern.astype(np.int8).tobytes(), StateKind(STORED, (at,)))
    for n_mixed, kind in mixtures_told(*stored.shape).items():
        _add_mixtures(known, stored, n_mixed, kind)

    def find(state: Array) -> StateKind:
        return known.get(state.astype(np.int8).tobytes(), StateKind(OTHER, ()))

    return find


def _add_mixtures(known: dict[bytes, StateKind], stored: Array, n_mixed: int, kind: str) -> None:
    """Add the signs of all sums of so many patterns or inverses; those that are there already stay what they are."""
    signs = np.array(list(itertools.product((1, -1), repeat=n_mixed)), np.int64)
    for chosen in itertools.combinations(range(len(stored)), n_mixed):
        mixtures = np.sign(signs @ stored[list(chosen)]).astype(np.int8)  # an odd number of signs is never 0
        for row, mixture in zip(signs, mixtures, strict=True):
            of = tuple(int(sign) * (at + 1) for sign, at in zip(row, chosen, strict=True))
            name = INVERSE if n_mixed == 1 and of[0] < 0 else kind
            known.setdefault(mixture.tobytes(), StateKind(name, of))


def corrected(memory: Any, stored: Array) -> tuple[int, int]:
    """Count the one-bit errors of stored patterns [P, N] that recall corrects, and all of them."""
    n_patterns, n = stored.shape
    flips = 1.0 - 2.0 * np.eye(n, dtype=np.float32)
    n_right = 0
    step = max(1, BATCH // n)  # patterns at a time: all cues of many large ones do not fit into memory
    for start in range(0, n_patterns, step):
        patterns = stored[start : start + step]
        cues = (patterns[:, None] * flips).reshape(-1, n)
        n_right += int((recalled(memory, cues) == np.repeat(patterns, n, axis=0)).all(axis=1).sum())
    return n_right, n_patterns * n


def synchronous(step: Callable[[Array], Array], n: int) -> Synchronous:
    """Follow synchronous updates from every state of n units.

    Args:
        step: one update of all units, states [Q, n] -> [Q, n].
        n: units, at most 20.
    """
    numbers = np.arange(1 << n)
    parts = [numbers_of(step(states_of(numbers[start : start + BATCH], n))) for start in range(0, 1 << n, BATCH)]
    following = np.concatenate(parts)
    ends = following
    for _ in range(n + 1):  # after 2^(n + 1) updates every state is on its cycle
        ends = ends[ends]
    basin_of: Mapping[int, int] = dict(
        zip(*(part.tolist() for part in np.unique(ends, return_counts=True)), strict=True)
    )
    cycles = []
    seen: set[int] = set()
    n_fixed = 0
    for first in basin_of:
        if first in seen:
            continue
        members = [first]
        while (following_one := int(following[members[-1]])) != first:
            members.append(following_one)
        seen.update(members)
        if len(members) == 1:
            n_fixed += 1
        else:
            cycles.append(Cycle(states_of(np.array(members), n), sum(basin_of.get(member, 0) for member in members)))
    cycles.sort(key=lambda cycle: -cycle.basin)
    return Synchronous(n_fixed, cycles)
