"""Bonus by a pseudo-count of the nearest observations met before (Badia et al. 2020, "Never give up").

    K(x, y) = epsilon / (|x - y|^2 / d^2 + epsilon)        d^2: running mean of squared distances to the k nearest
    n(x)    = sum of K(x, y) over the k nearest y in memory
    bonus   = (1 / sqrt(1 + n) - 1 / sqrt(1 + k)) / (1 - 1 / sqrt(1 + k))

It is 1 where nothing is near, and 0 where k observations in memory are alike: it saturates. The memory holds the latest
``capacity`` observations and forgets those before. Observations are compared by random projections of them.

Departures: Badia et al. learn what they compare, begin an empty memory with every episode, and pay 1 / sqrt(n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.common.inside import MAX_BARS, bonus_panel, spread
from agents.common.intrinsic import IntrinsicConfig
from agents.common.projection import RandomProjection
from simulator.core import rng
from simulator.core.field_types import Count, CountOrZero, Positive
from simulator.core.jit import jit, parallel_for
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel

SOCKETS = ("intrinsic",)


@dataclass(frozen=True)
class Config(IntrinsicConfig):
    """Settings of the pseudo-count."""

    capacity: Count = 1_000
    """observations that the memory holds, the latest ones"""
    n_neighbors: Count = 10
    """k: the nearest observations that are counted"""
    epsilon: Positive = 1e-3
    """squared distance at which an observation counts half, as a fraction of the mean one to the k nearest"""
    projection: CountOrZero = 16
    """components of the random projections that are compared; 0: observations as they are"""


class NearestState(NamedTuple):
    """Memories of S learners."""

    keys: Array  # float32 [S, C, D], a ring
    n_added: Array  # int64 [S]
    distance: Array  # float64 [S], mean of squared distances to the k nearest
    n_distances: Array  # int64 [S], visits behind that mean


@jit
def visit_all(first_seed, last_seed, state, key, nearest, epsilon, novelty):
    """Write how new ``key`` float32 [S, D] is, and remember it; ``nearest`` [S, k] is working space."""
    capacity = state.keys.shape[1]
    n_neighbors = nearest.shape[1]
    least = 1.0 / np.sqrt(1.0 + n_neighbors)
    for i in range(first_seed, last_seed):
        size = min(state.n_added[i], capacity)
        n_near = min(size, n_neighbors)
        _nearest_distances(state.keys[i], size, key[i], nearest[i])
        if n_near > 0:
            mean = 0.0
            for k in range(n_near):
                mean += nearest[i, k] / n_near
            state.n_distances[i] += 1
            state.distance[i] += (mean - state.distance[i]) / state.n_distances[i]
        count = 0.0
        for k in range(n_near):
            scaled = nearest[i, k] / state.distance[i] if state.distance[i] > 0.0 else 0.0
            count += epsilon / (scaled + epsilon)
        novelty[i] = (1.0 / np.sqrt(1.0 + count) - least) / (1.0 - least)
        slot = state.n_added[i] % capacity
        for d in range(key.shape[1]):
            state.keys[i, slot, d] = key[i, d]
        state.n_added[i] += 1


@jit
def _nearest_distances(keys, size, key, nearest):
    """Write the least squared distances of a key to the first ``size`` keys, in order."""
    for k in range(len(nearest)):
        nearest[k] = np.inf
    for c in range(size):
        distance = 0.0
        for d in range(len(key)):
            apart = np.float64(keys[c, d] - key[d])
            distance += apart * apart
        k = len(nearest) - 1
        if distance < nearest[k]:
            while k > 0 and nearest[k - 1] > distance:
                nearest[k] = nearest[k - 1]
                k -= 1
            nearest[k] = distance


class NearestObservations:
    """Memories of S learners; see :class:`agents.common.intrinsic.Novelty`."""

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        n_seeds = len(seed_list)
        self._project = RandomProjection(spec, "nearest", rng.generators(seed_list, "intrinsic"), config.projection)
        self._epsilon = float(config.epsilon)
        self._state = NearestState(
            keys=np.zeros((n_seeds, config.capacity, self._project.n), np.float32),
            n_added=np.zeros(n_seeds, np.int64),
            distance=np.zeros(n_seeds),
            n_distances=np.zeros(n_seeds, np.int64),
        )
        self._nearest = np.zeros((n_seeds, config.n_neighbors))

    def visit(self, obs: Array) -> Array:
        """Return how new obs [S, *obs] are, from 1 to 0, float64 [S], and remember them."""
        key = np.ascontiguousarray(self._project(obs))
        novelty = np.zeros(len(key))

        def visit(first: int, last: int) -> None:
            visit_all(first, last, self._state, key, self._nearest, self._epsilon, novelty)

        parallel_for(visit, len(key))
        return novelty

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make a panel of the novelty of one seed's states, where observations are discrete."""
        n_classes = self._project.n_classes
        if not n_classes:
            return ()
        states = spread(0, n_classes, MAX_BARS)
        return (bonus_panel(states, n_classes, self._novelty(self._project.of_classes(states, index), index)),)

    def _novelty(self, keys: Array, index: int) -> Array:
        """Return how new keys [B, D] are to one seed, as :func:`visit_all` would find them; float64 [B]."""
        state = self._state
        n_neighbors = self._nearest.shape[1]
        size = min(int(state.n_added[index]), state.keys.shape[1])
        known = state.keys[index, :size].astype(np.float64)
        squared = (keys.astype(np.float64) ** 2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2.0 * keys @ known.T
        n_near = min(size, n_neighbors)
        near = np.maximum(np.partition(squared, n_near - 1, axis=1)[:, :n_near] if n_near else squared, 0.0)
        distance = state.distance[index]
        count = (self._epsilon / (near / (distance if distance > 0.0 else 1.0) + self._epsilon)).sum(axis=1)
        if distance <= 0.0:
            count = np.full(len(keys), float(n_near))
        least = 1.0 / np.sqrt(1.0 + n_neighbors)
        novelty: Array = (1.0 / np.sqrt(1.0 + count) - least) / (1.0 - least)
        return novelty

    def state(self) -> State:
        """Return the memories."""
        return {name: array.copy() for name, array in self._state._asdict().items()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        for name, array in self._state._asdict().items():
            array[...] = state[name]


class Nearest(NamedTuple):
    """The component; see :class:`agents.common.intrinsic.IntrinsicComponent`."""

    config: Config

    def for_env(self, spec: EnvSpec, seed_list: Sequence[int]) -> NearestObservations:
        """Make empty memories of an environment's observations.

        Raises:
            ValueError: observations that are no numbers.
        """
        return NearestObservations(spec, seed_list, self.config)


def make(config: Config) -> Nearest:
    """Make the component for an agent."""
    return Nearest(config)
