"""Prioritized replay: which stored transition is drawn, and what its draw weighs.

Schaul et al. 2016, sections 3.3 and 3.4. Proportional: P(i) = p_i**alpha / sum, by a tree of sums. Rank-based:
P(i) = rank(i)**-alpha / sum, ranks read off a heap, which is nearly sorted, as in the paper. Draws are stratified, one
from each of B equal parts; weights are (n P(i))**-beta over the batch's largest, n the current fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from simulator.core.field_types import Positive, Share, StepsOfRun
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, State
from simulator.core.rng_compiled import below, uniform

UNIFORM, PROPORTIONAL, RANK = range(3)


@dataclass(frozen=True)
class PrioritySettings:
    """How the priority of a transition follows its TD error; counts only with prioritized replay."""

    kind: Literal["proportional", "rank"] = "proportional"
    """proportional: to |TD error| + eps; rank: to one over the rank of |TD error| in the replay"""
    alpha: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.6
    """exponent of the priority; 0: every transition alike"""
    beta: Share = 0.4
    """exponent of the correction for drawing unevenly, at the first environment step"""
    beta_steps: StepsOfRun = None
    """environment steps in which beta rises, linearly, to 1; none: as many as the run has; 0 keeps it"""
    eps: Positive = 1e-6
    """added to |TD error|, in units of value, so that no transition is never drawn"""


class Priorities(NamedTuple):
    """What is needed to draw from N transitions per seed. Arrays that the kind does not use have a length of 1."""

    kind: int
    alpha: float
    eps: float
    tree: Array  # float64 [S, 2 M], M >= N a power of 2: node k is the sum of 2 k and 2 k + 1, leaves from M on
    largest: Array  # float64 [S], the largest |TD error| + eps so far, 1 at first: what a new transition gets
    key: Array  # float64 [S, N], |TD error| of every transition, for ranks
    heap: Array  # int64 [S, N], transitions, the largest key first
    place: Array  # int64 [S, N], where in the heap a transition is
    cumulative: Array  # float64 [1 + N], sums of rank**-alpha


def make_priorities(settings: PrioritySettings | None, n_seeds: int, capacity: int) -> Priorities:
    """Nothing stored yet; None draws uniformly."""
    kind = UNIFORM if settings is None else PROPORTIONAL if settings.kind == "proportional" else RANK
    leaves = 1 << max(capacity - 1, 0).bit_length()
    given = settings or PrioritySettings()
    tree = np.zeros((n_seeds, 2 * leaves if kind == PROPORTIONAL else 1))
    ranked = (n_seeds, capacity if kind == RANK else 1)
    sums = np.zeros(1 + (capacity if kind == RANK else 0))
    sums[1:] = np.cumsum(np.arange(1.0, len(sums)) ** -given.alpha)
    numbers = (kind, float(given.alpha), float(given.eps))
    heap = (np.zeros(ranked), np.zeros(ranked, np.int64), np.zeros(ranked, np.int64))
    return Priorities(*numbers, tree, np.ones(n_seeds), *heap, sums)


def save_priorities(priorities: Priorities) -> State:
    """Copies of what is remembered of every seed."""
    return {name: getattr(priorities, name).copy() for name in ("tree", "largest", "key", "heap", "place")}


def load_priorities(priorities: Priorities, state: State) -> None:
    """Go on from :func:`save_priorities`' copies."""
    for name, array in state.items():
        getattr(priorities, name)[...] = array


def bytes_of(kind: str, capacity: int) -> int:
    """Memory of one seed, in bytes; ``kind`` as in the settings, or empty."""
    return {"": 0, "proportional": 16 * (1 << max(capacity - 1, 0).bit_length()), "rank": 24 * capacity}[kind]


@jit_inline
def admit(priorities, i, at, count):
    """Transition ``at`` of seed i is new: it gets the largest priority; ``count`` were pushed before it."""
    if priorities.kind == RANK and count < priorities.heap.shape[1]:
        priorities.heap[i, count], priorities.place[i, at] = at, count
        priorities.key[i, at] = -1.0
    if priorities.kind != UNIFORM:
        _set(priorities, i, at, priorities.largest[i], min(count + 1, priorities.heap.shape[1]))


@jit_inline
def revise(priorities, i, at, td_error, fill):
    """Transition ``at`` was learned from with this TD error, unclipped."""
    if priorities.kind != UNIFORM:
        value = abs(np.float64(td_error)) + priorities.eps
        priorities.largest[i] = max(priorities.largest[i], value)
        _set(priorities, i, at, value, fill)


@jit_inline
def _set(priorities, i, at, value, fill):
    if priorities.kind == PROPORTIONAL:
        tree, node = priorities.tree[i], at + priorities.tree.shape[1] // 2
        tree[node] = value**priorities.alpha
        node //= 2
        while node >= 1:
            tree[node] = tree[2 * node] + tree[2 * node + 1]
            node //= 2
    else:
        heap, place, key = priorities.heap[i], priorities.place[i], priorities.key[i]
        key[at] = value
        _rise(heap, place, key, place[at])
        _sink(heap, place, key, place[at], fill)


@jit_inline
def _rise(heap, place, key, spot):
    while spot > 0 and key[heap[spot]] > key[heap[(spot - 1) // 2]]:
        _swap(heap, place, spot, (spot - 1) // 2)
        spot = (spot - 1) // 2


@jit_inline
def _sink(heap, place, key, spot, fill):
    below_it = 2 * spot + 1
    while below_it < fill:
        if below_it + 1 < fill and key[heap[below_it + 1]] > key[heap[below_it]]:
            below_it += 1
        if key[heap[below_it]] <= key[heap[spot]]:
            break
        _swap(heap, place, spot, below_it)
        spot, below_it = below_it, 2 * below_it + 1


@jit_inline
def _swap(heap, place, a, b):
    heap[a], heap[b] = heap[b], heap[a]
    place[heap[a]], place[heap[b]] = a, b


@jit_inline
def draw(priorities, streams, i, how, picked, weights):
    """Fill ``picked`` [B] with transitions of seed i, ``weights`` [B] with what they weigh; ``how``: (fill, beta)."""
    fill, beta = how
    n, heaviest = len(picked), 0.0
    for j in range(n):
        share = 1.0 / fill
        if priorities.kind == UNIFORM:
            picked[j] = below(streams, i, fill)
        elif priorities.kind == PROPORTIONAL:
            total = priorities.tree[i, 1]
            picked[j] = _descend(priorities.tree[i], total * (j + uniform(streams, i)) / n, fill)
            share = priorities.tree[i, priorities.tree.shape[1] // 2 + picked[j]] / total
        else:
            total = priorities.cumulative[fill]
            rank = _bisect(priorities.cumulative, total * (j + uniform(streams, i)) / n, fill)
            picked[j] = priorities.heap[i, rank - 1]
            share = (priorities.cumulative[rank] - priorities.cumulative[rank - 1]) / total
        weight = (fill * share) ** -beta if priorities.kind != UNIFORM else 1.0
        weights[j] = weight
        heaviest = max(heaviest, weight)
    for j in range(n):
        weights[j] /= np.float32(heaviest)


@jit_inline
def _descend(tree, left, fill):
    """The leaf below which the sum of all leaves before it and its own first exceeds ``left``."""
    leaves, node = len(tree) // 2, 1
    while node < leaves:
        node *= 2
        if left >= tree[node] and tree[node + 1] > 0.0:  # rounding must not lead to a leaf that is empty
            left -= tree[node]
            node += 1
    return min(node - leaves, fill - 1)


@jit_inline
def _bisect(cumulative, left, fill):
    """The first rank, from 1 to ``fill``, whose cumulative sum exceeds ``left``."""
    low, high = 1, fill
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > left:
            high = middle
        else:
            low = middle + 1
    return low
