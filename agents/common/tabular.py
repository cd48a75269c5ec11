"""What tabular agents share: arrays in and out of checkpoints, actions that exist, and the policies of a table."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from gymnasium import spaces

from agents.common.exploration import argmax
from agents.common.tile_coding import Features
from simulator.core import rng
from simulator.core.files.escaping import shortened
from simulator.core.files.reading import read_npy
from simulator.core.jit import jit
from simulator.core.mdp.solve import greedy_policy, value_iteration
from simulator.core.protocols import Array, EnvSpec, State

LARGEST_TABLES = 2 << 30  # bytes


def n_actions(spec: EnvSpec, agent: str) -> int:
    """How many actions an environment offers.

    Raises:
        ValueError: actions that are not 0, 1, ..., n - 1.
    """
    if not isinstance(spec.action, spaces.Discrete) or int(spec.action.start) != 0:
        raise ValueError(f"{agent} on {spec.id}: action space {spec.action}, expected Discrete actions from 0")
    return int(spec.action.n)


def check_memory(agent: str, spec: EnvSpec, n_bytes: int) -> None:
    """Refuse tables that no machine at hand would hold, before they are made.

    Raises:
        ValueError: more than ``LARGEST_TABLES`` bytes.
    """
    if n_bytes > LARGEST_TABLES:
        raise ValueError(
            f"{agent} on {spec.id}: tables of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most "
            f"{LARGEST_TABLES >> 30}; give fewer seeds, bins or successors, or another observation"
        )


def discount(spec: EnvSpec, gamma: float | None) -> float:
    """The discount per step that was set, or the environment's own."""
    return float(spec.gamma if gamma is None else gamma)


def legal_rows(spec: EnvSpec, n: int) -> Array:
    """Bool [n_observations, A], or one row of True for an environment where every action exists."""
    return (
        np.ones((1, n), np.bool_) if spec.legal_actions is None else np.ascontiguousarray(spec.legal_actions, np.bool_)
    )


def action_lists(legal: Array) -> Array:
    """The actions that exist as lists, int64 [n_observations, 1 + A]: their number, then they, then zeros."""
    listed = np.zeros((len(legal), 1 + legal.shape[1]), np.int64)
    listed[:, 0] = legal.sum(axis=1)
    exist_first = np.argsort(~legal, axis=1, kind="stable")
    listed[:, 1:] = np.where(np.arange(legal.shape[1]) < listed[:, :1], exist_first, 0)
    return listed


def uniform_best(y: Array, legal_actions: Array, seen: Array) -> Array:
    """Probabilities [S, B, A], uniform over the highest outputs y of the actions that exist at ``seen`` [B, K]."""
    listed = (
        legal_actions[seen[:, 0].astype(np.int64)]
        if len(legal_actions) > 1
        else np.repeat(legal_actions, len(seen), axis=0)
    )
    exists = np.zeros(y.shape[1:], np.bool_)
    for row, at in zip(exists, listed, strict=True):
        row[at[1 : 1 + at[0]]] = True
    prefer = np.where(exists, y, -np.inf)
    highest = prefer == prefer.max(axis=-1, keepdims=True)
    return highest / highest.sum(axis=-1, keepdims=True)


def trace_buffers(held: tuple[Array, Array] | None, n_seeds: int, n_steps: int) -> tuple[Array, Array]:
    """Rewards float32 and ends bool, [S, T]: those held where they fit: fresh memory costs time."""
    if held is not None and held[0].shape == (n_seeds, n_steps):
        return held
    return np.empty((n_seeds, n_steps), np.float32), np.empty((n_seeds, n_steps), np.bool_)


def save(arrays: Any) -> State:
    """Copies of a NamedTuple of arrays, by name."""
    return {name: array.copy() for name, array in arrays._asdict().items()}


def load(arrays: Any, state: State) -> None:
    """Fill a NamedTuple of arrays from :func:`save`'s copies; older ones do not say who failed: nobody had."""
    for name, array in arrays._asdict().items():
        array[...] = state.get(name, 0) if name == "failed_at" else state[name]


def policy_files(policy: str) -> list[str]:
    """The file that :func:`given_policy` would read, if there is one."""
    return [] if policy in ("control", "random", "optimal") or not os.path.isfile(policy) else [policy]


def given_policy(spec: EnvSpec, policy: str, gamma: float, legal: Array, n_states: int) -> Array:
    """A policy by name (random, optimal) or from a .npy file, probabilities [N, A].

    Raises:
        ValueError: no such policy, or a file that holds none.
    """
    shape = (n_states, legal.shape[1])
    if policy == "random":
        return np.broadcast_to(legal / legal.sum(axis=1, keepdims=True), shape)
    if policy == "optimal":
        if spec.mdp is None or len(spec.mdp.start) != n_states:
            raise ValueError(f"agent.policy = 'optimal': no finite MDP of what is seen is known for {spec.id}")
        return greedy_policy(value_iteration(spec.mdp, gamma))
    if not os.path.exists(policy):
        raise ValueError(f"agent.policy = {shortened(policy)!r}: expected control, random, optimal or a .npy file")
    given = read_npy(policy)
    fits = given.shape == shape and np.all(given >= 0) and np.allclose(given.sum(axis=1), 1.0)
    if not fits or np.any(given[~np.broadcast_to(legal, shape)] > 0):
        raise ValueError(f"{policy}: expected probabilities {shape} that sum to 1 over actions that exist")
    return given / given.sum(axis=1, keepdims=True)


class GreedyTable:
    """The greedy policy of linear action values; see :class:`simulator.core.protocols.Policy`.

    Args:
        table: float64 [S, F, A], the values, copied.
        legal: bool [n_observations, A], or one row.
        features: how observations become features.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, table: Array, legal: Array, features: Features, seed_list: list[int]) -> None:
        self._table, self._legal, self._features = table, legal, features
        self._stream, self._legal_actions = rng.pcg64_states(seed_list, "ties"), action_lists(legal)
        self._row = np.zeros(table.shape[2])

    def act(self, obs: Array, first: Array) -> Array:
        """One of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._table), np.int64)
        _act_all(self._stream, self._table, (self._features.encode(obs), self._legal_actions), self._row, actions)
        return actions

    def values(self, obs: Array) -> Array:
        """Action values [S, B, A] at obs [B, *obs]; 0 for actions that do not exist."""
        active = self._features.encode(obs)  # [B, k]
        return np.where(self._rows(active), self._table[:, active].sum(axis=2), 0.0)

    def probs(self, obs: Array) -> Array:
        """Uniform over the best actions, [S, B, A]."""
        legal = self._rows(self._features.encode(obs))
        prefer = np.where(legal, self.values(obs), -np.inf)
        best = prefer == prefer.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)

    def _rows(self, active: Array) -> Array:
        return self._legal[active[:, 0] if len(self._legal) > 1 else np.zeros(len(active), np.int64)]


class GivenPolicy:
    """A fixed policy, shown with the state values that were learned for it.

    Args:
        cumulative: float64 [F, A], cumulative action probabilities.
        v: float64 [S, F], the values learned.
        features: how observations become features.
        seed_list: the run's seeds.
    """

    def __init__(self, cumulative: Array, v: Array, features: Features, seed_list: list[int]) -> None:
        self._cumulative, self._v, self._features = cumulative, v, features
        self._generators = rng.generators(seed_list, "ties")

    def act(self, obs: Array, first: Array) -> Array:
        """A draw from the policy at obs [S, *obs], int64 [S]."""
        rows = self._cumulative[self._features.encode(obs)[:, 0]]
        draws = np.array([generator.random() for generator in self._generators])
        return np.minimum((rows <= draws[:, None]).sum(axis=1), rows.shape[1] - 1)

    def values(self, obs: Array) -> Array:
        """The state's value for every action, [S, B, A]: it has none per action."""
        v = self._v[:, self._features.encode(obs)[:, 0]]  # [S, B]
        return np.repeat(v[..., None], self._cumulative.shape[1], axis=-1)

    def probs(self, obs: Array) -> Array:
        """The policy's probabilities, [S, B, A]."""
        rows = np.diff(self._cumulative, axis=1, prepend=0.0)[self._features.encode(obs)[:, 0]]
        return np.repeat(rows[None], len(self._v), axis=0)


@jit
def _act_all(stream, table, seen, row, actions):
    active, legal_actions = seen
    for i in range(len(actions)):
        for action in range(len(row)):
            row[action] = 0.0
            for k in range(active.shape[1]):
                row[action] += table[i, active[i, k], action]
        actions[i] = argmax(stream, i, row, legal_actions[active[i, 0] if legal_actions.shape[0] > 1 else 0])


@jit
def pick_all(stream, prefer, every_move, actions):
    """One of the best of ``prefer`` [S, A] for every seed, written to ``actions`` [S]."""
    for i in range(len(actions)):
        actions[i] = argmax(stream, i, prefer[i], every_move[0])
