"""Prioritized replay: sampling of stored transitions by priority, and importance weights.

Schaul et al. 2016, sections 3.3 and 3.4. Proportional: P(k) = p_k**alpha / sum, by a sum tree. Rank-based:
P(k) = rank(k)**-alpha / sum, ranks read off a heap, which is nearly sorted, as in the paper. Samples are stratified,
one from each of B equal parts; weights are (n P(k))**-beta over the batch's largest, n the current size of the replay.
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

UNIFORM = 0
PROPORTIONAL = 1
RANK = 2


@dataclass(frozen=True)
class PrioritySettings:
    """Priority of a transition as a function of its TD error; counts only with prioritized replay."""

    kind: Literal["proportional", "rank"] = "proportional"
    """proportional: to |TD error| + eps; rank: to one over the rank of |TD error| in the replay"""
    alpha: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.6
    """exponent of the priority; 0: uniform sampling"""
    beta: Share = 0.4
    """exponent of the importance weights, at the first environment step"""
    beta_steps: StepsOfRun = None
    """environment steps in which beta rises, linearly, to 1; none: as many as the run has; 0 keeps it constant"""
    eps: Positive = 1e-6
    """added to |TD error|, in units of value, so that every transition can be sampled"""


class Priorities(NamedTuple):
    """Priorities of N transitions per seed. Arrays that the kind does not use have a length of 1."""

    kind: int
    alpha: float
    eps: float
    tree: Array  # float64 [S, 2 M], M >= N a power of 2: node k is the sum of 2 k and 2 k + 1, leaves from M on
    max_priority: Array  # float64 [S], the largest |TD error| + eps so far, 1 at first: that of a new transition
    abs_td_error: Array  # float64 [S, N], |TD error| + eps of every transition, for ranks
    heap: Array  # int64 [S, N], transitions, the largest TD error first
    heap_position: Array  # int64 [S, N], of every transition
    cumulative: Array  # float64 [1 + N], sums of rank**-alpha


def make_priorities(settings: PrioritySettings | None, n_seeds: int, capacity: int) -> Priorities:
    """Make the priorities of an empty replay; None samples uniformly."""
    kind = UNIFORM if settings is None else PROPORTIONAL if settings.kind == "proportional" else RANK
    settings = settings or PrioritySettings()
    n_ranked = capacity if kind == RANK else 1
    cumulative = np.zeros(1 + (capacity if kind == RANK else 0))
    cumulative[1:] = np.cumsum(np.arange(1.0, len(cumulative)) ** -settings.alpha)
    return Priorities(
        kind=kind,
        alpha=float(settings.alpha),
        eps=float(settings.eps),
        tree=np.zeros((n_seeds, 2 * _n_leaves(capacity) if kind == PROPORTIONAL else 1)),
        max_priority=np.ones(n_seeds),
        abs_td_error=np.zeros((n_seeds, n_ranked)),
        heap=np.zeros((n_seeds, n_ranked), np.int64),
        heap_position=np.zeros((n_seeds, n_ranked), np.int64),
        cumulative=cumulative,
    )


def _n_leaves(capacity: int) -> int:
    return 1 << max(capacity - 1, 0).bit_length()


def save_priorities(priorities: Priorities) -> State:
    """Copy the priorities of every seed."""
    names = ("tree", "max_priority", "abs_td_error", "heap", "heap_position")
    return {name: getattr(priorities, name).copy() for name in names}


def load_priorities(priorities: Priorities, state: State) -> None:
    """Continue from :func:`save_priorities`' copies."""
    for name, array in state.items():
        getattr(priorities, name)[...] = array


def priority_bytes(settings: PrioritySettings | None, capacity: int) -> int:
    """Return the memory of one seed's priorities in bytes."""
    if settings is None:
        return 0
    return 16 * _n_leaves(capacity) if settings.kind == "proportional" else 24 * capacity


@jit_inline
def add_priority(priorities, i, slot, n_before):
    """Give the new transition ``slot`` of seed i the largest priority; ``n_before`` were added before it."""
    if priorities.kind == RANK and n_before < priorities.heap.shape[1]:
        priorities.heap[i, n_before] = slot
        priorities.heap_position[i, slot] = n_before
        priorities.abs_td_error[i, slot] = -1.0
    if priorities.kind != UNIFORM:
        _set_priority(priorities, i, slot, priorities.max_priority[i], min(n_before + 1, priorities.heap.shape[1]))


@jit_inline
def update_priority(priorities, i, slot, td_error, size):
    """Set the priority of transition ``slot`` of seed i from its unclipped TD error; ``size`` is the replay's."""
    if priorities.kind != UNIFORM:
        value = abs(np.float64(td_error)) + priorities.eps
        priorities.max_priority[i] = max(priorities.max_priority[i], value)
        _set_priority(priorities, i, slot, value, size)


@jit_inline
def _set_priority(priorities, i, slot, value, size):
    if priorities.kind == PROPORTIONAL:
        tree = priorities.tree[i]
        node = slot + priorities.tree.shape[1] // 2
        tree[node] = value**priorities.alpha
        node //= 2
        while node >= 1:
            tree[node] = tree[2 * node] + tree[2 * node + 1]
            node //= 2
    else:
        heap = priorities.heap[i]
        position = priorities.heap_position[i]
        key = priorities.abs_td_error[i]
        key[slot] = value
        _sift_up(heap, position, key, position[slot])
        _sift_down(heap, position, key, position[slot], size)


@jit_inline
def _sift_up(heap, position, key, node):
    while node > 0 and key[heap[node]] > key[heap[(node - 1) // 2]]:
        _swap(heap, position, node, (node - 1) // 2)
        node = (node - 1) // 2


@jit_inline
def _sift_down(heap, position, key, node, size):
    child = 2 * node + 1
    while child < size:
        if child + 1 < size and key[heap[child + 1]] > key[heap[child]]:
            child += 1
        if key[heap[child]] <= key[heap[node]]:
            break
        _swap(heap, position, node, child)
        node = child
        child = 2 * child + 1


@jit_inline
def _swap(heap, position, a, b):
    heap[a], heap[b] = heap[b], heap[a]
    position[heap[a]] = a
    position[heap[b]] = b


@jit_inline
def sample(priorities, streams, i, size, beta, indices, weights):
    """Fill ``indices`` [B] with sampled transitions of seed i, and ``weights`` [B] with their importance weights."""
    n = len(indices)
    max_weight = 0.0
    for j in range(n):
        probability = 1.0 / size
        if priorities.kind == UNIFORM:
            indices[j] = below(streams, i, size)
        elif priorities.kind == PROPORTIONAL:
            total = priorities.tree[i, 1]
            indices[j] = _find_prefix_sum(priorities.tree[i], total * (j + uniform(streams, i)) / n, size)
            probability = priorities.tree[i, priorities.tree.shape[1] // 2 + indices[j]] / total
        else:
            total = priorities.cumulative[size]
            rank = _find_rank(priorities.cumulative, total * (j + uniform(streams, i)) / n, size)
            indices[j] = priorities.heap[i, rank - 1]
            probability = (priorities.cumulative[rank] - priorities.cumulative[rank - 1]) / total
        weight = (size * probability) ** -beta if priorities.kind != UNIFORM else 1.0
        weights[j] = weight
        max_weight = max(max_weight, weight)
    for j in range(n):
        weights[j] /= np.float32(max_weight)


@jit_inline
def _find_prefix_sum(tree, prefix_sum, size):
    """Find the leaf at which the sum of all leaves up to it first exceeds ``prefix_sum``."""
    n_leaves = len(tree) // 2
    node = 1
    while node < n_leaves:
        node *= 2
        if prefix_sum >= tree[node] and tree[node + 1] > 0.0:  # rounding must not lead to an empty leaf
            prefix_sum -= tree[node]
            node += 1
    return min(node - n_leaves, size - 1)


@jit_inline
def _find_rank(cumulative, prefix_sum, size):
    """Find the first rank, from 1 to ``size``, whose cumulative sum exceeds ``prefix_sum``."""
    low = 1
    high = size
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > prefix_sum:
            high = middle
        else:
            low = middle + 1
    return low
