"""Parts of tabular agents: legal actions, checkpointed state, and the greedy policy of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.common.exploration import argmax
from agents.common.spaces import action_lists
from agents.common.tile_coding import Features
from simulator.core import rng
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, PolicyArrays, State

MAX_TABLE_BYTES = 2 << 30


def check_memory(agent: str, spec: EnvSpec, n_bytes: int) -> None:
    """Refuse tables that are too large, before they are made.

    Raises:
        ValueError: more than ``MAX_TABLE_BYTES``.
    """
    if n_bytes > MAX_TABLE_BYTES:
        raise ValueError(
            f"{agent} on {spec.id}: tables of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most "
            f"{MAX_TABLE_BYTES >> 30}; give fewer seeds, bins or successors, or another observation"
        )


def _uniform_over_best(values: Array) -> Array:
    best = values == values.max(axis=-1, keepdims=True)
    return best / best.sum(axis=-1, keepdims=True)


def activation_of(features: Features, obs: Array, active: Array) -> Array:
    """Return how active the features [B, K] of obs [B, *obs] are, float64 [B, K]."""
    return np.ones(active.shape) if features.activations is None else features.activations(obs)


def trace_buffers(held: tuple[Array, Array] | None, n_seeds: int, n_steps: int) -> tuple[Array, Array]:
    """Return buffers of rewards float32 and ends bool, [S, T]: those held where they fit (new memory costs time)."""
    if held is not None and held[0].shape == (n_seeds, n_steps):
        return held
    return np.empty((n_seeds, n_steps), np.float32), np.empty((n_seeds, n_steps), np.bool_)


def save(arrays: Any) -> State:
    """Copy a NamedTuple of arrays, by name."""
    return {name: array.copy() for name, array in arrays._asdict().items()}


def load(arrays: Any, state: State) -> None:
    """Fill a NamedTuple of arrays from :func:`save`'s copies; without ``failed_at`` no seed has failed."""
    for name, array in arrays._asdict().items():
        array[...] = state.get(name, 0) if name == "failed_at" else state[name]


class GreedyTable:
    """The greedy policy of linear action values; see :class:`simulator.core.protocols.Policy`.

    Args:
        q: float64 [S, F, A], the values of every feature.
        legal: bool [n_observations, A], or one row.
        features: encoding of observations as features.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, q: Array, legal: Array, features: Features, seed_list: list[int]) -> None:
        self._q = q
        self._legal = legal
        self._features = features
        self._stream = rng.pcg64_states(seed_list, "ties")
        self._legal_actions = action_lists(legal)
        self._values_buffer = np.zeros(q.shape[2])

    def act(self, obs: Array, first: Array) -> Array:
        """Return one of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._q), np.int64)
        active = self._features.encode(obs)
        activation = activation_of(self._features, obs, active)
        _greedy_actions(self._stream, self._q, active, activation, self._legal_actions, self._values_buffer, actions)
        return actions

    def values(self, obs: Array) -> Array:
        """Return action values [S, B, A] at obs [B, *obs]; 0 for illegal actions."""
        active = self._features.encode(obs)  # [B, K]
        weights = self._q[:, active]  # [S, B, K, A]
        if self._features.activations is not None:
            weights = weights * self._features.activations(obs)[:, :, None]
        return np.where(self._legal_at(active), weights.sum(axis=2), 0.0)

    def probs(self, obs: Array) -> Array:
        """Return probabilities [S, B, A], uniform over the best actions."""
        legal = self._legal_at(self._features.encode(obs))
        return _uniform_over_best(np.where(legal, self.values(obs), -np.inf))

    def arrays(self) -> PolicyArrays:
        """Return the table, the legal actions, and the encoding of observations; linear values as a network's layer."""
        if self._features.activations is not None:
            n_numbers = self._q.shape[1] - 1
            weights = {"network.0.weight": self._q[:, 1:].transpose(0, 2, 1), "network.0.bias": self._q[:, 0]}
            how: dict[str, Array | str] = {"output": "argmax", "activation": "relu", "legal": self._legal}
            how |= {"encoding": "vector", "offset": np.zeros(n_numbers), "factor": np.ones(n_numbers)}
            return PolicyArrays("network", weights, how)
        return PolicyArrays("table", {"q": self._q}, {"legal": self._legal, **self._features.arrays})

    def _legal_at(self, active: Array) -> Array:
        return self._legal[active[:, 0] if len(self._legal) > 1 else np.zeros(len(active), np.int64)]


@jit
def _greedy_actions(stream, q, active, activation, legal_actions, values, actions):
    for i in range(len(actions)):
        for action in range(len(values)):
            values[action] = 0.0
            for k in range(active.shape[1]):
                values[action] += q[i, active[i, k], action] * activation[i, k]
        actions[i] = argmax(stream, i, values, legal_actions[active[i, 0] if legal_actions.shape[0] > 1 else 0])
