"""A finite Markov decision process as a record, and as the sparse matrices that its solvers work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

GOES_ON, TERMINATES, TRUNCATES = 0, 1, 2
"""What ``FiniteMDP.end`` says of an outcome."""


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A finite MDP as the K possible outcomes of every state and action.

    An outcome that is not used has probability 0. ``end`` is 0 where the episode goes on, 1 where it terminates (no
    value follows), 2 where it is cut but the value of ``next`` counts (an absorbing goal).

    Attributes:
        prob: float64 [N, A, K]
        next: int64 [N, A, K]
        reward: float64 [N, A, K]
        end: uint8 [N, A, K]
        start: float64 [N], the probability of each state to be the first of an episode.
        legal: bool [N, A]; an action that is not legal is never chosen and never in a maximum.
        max_steps: steps after which an episode is cut, or None.
    """

    prob: np.ndarray
    next: np.ndarray
    reward: np.ndarray
    end: np.ndarray
    start: np.ndarray
    legal: np.ndarray
    max_steps: int | None = None


def checked(mdp: FiniteMDP) -> FiniteMDP:
    """The same ``mdp``, once it is known to be sound: for environments to call where they build one.

    Raises:
        ValueError: an array of the wrong shape, a probability below 0, probabilities of a legal action or of the
            starts that do not sum to 1, a next state that does not exist, an END code above 2, an episode that
            comes to a state without a legal action.
    """
    shape = mdp.prob.shape
    for name, want in (("next", shape), ("reward", shape), ("end", shape), ("start", shape[:1]), ("legal", shape[:2])):
        have = getattr(mdp, name).shape
        if have != want:
            raise ValueError(f"finite MDP: {name} has the shape {have}, expected {want}")
    sums = np.where(mdp.legal, mdp.prob.sum(axis=-1), 1.0)
    _refuse("prob", "at least 0", mdp.prob, mdp.prob < 0)
    _refuse("the sum of prob of a legal action", "1", sums, ~(np.abs(sums - 1) < 1e-9))
    _refuse("next", f"0 to {shape[0] - 1}", mdp.next, (mdp.next < 0) | (mdp.next >= shape[0]))
    _refuse("reward", "a finite number", mdp.reward, ~np.isfinite(mdp.reward))
    _refuse("end", "0, 1 or 2", mdp.end, mdp.end > TRUNCATES)
    _refuse("start", "at least 0", mdp.start, mdp.start < 0)
    if not abs(mdp.start.sum() - 1) < 1e-9:
        raise ValueError(f"finite MDP: start sums to {mdp.start.sum()}, expected 1")
    stuck = np.asarray(~mdp.legal.any(axis=1))
    into = stuck[mdp.next] & mdp.legal[..., None] & (mdp.prob > 0) & (mdp.end == GOES_ON)
    _refuse("next", "a state with a legal action", mdp.next, into)
    _refuse("start", "0 where no action is legal", mdp.start, stuck & (mdp.start > 0))
    return mdp


def _refuse(name: str, expected: str, values: np.ndarray, wrong: np.ndarray) -> None:
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"finite MDP: {name} at {place} is {values[place]}, expected {expected}")


def transitions(mdp: FiniteMDP, ends: tuple[int, ...]) -> Any:
    """P as a sparse matrix [N * A, N] of the outcomes whose END code is not in ``ends``; illegal rows are empty."""
    n_states, n_actions, _ = mdp.prob.shape
    kept = mdp.legal[..., None] & (mdp.prob > 0) & ~np.isin(mdp.end, ends)
    state, action, _ = np.nonzero(kept)
    entries = (mdp.prob[kept], (state * n_actions + action, mdp.next[kept]))
    return sparse.csr_matrix(entries, shape=(n_states * n_actions, n_states))


def expected_reward(mdp: FiniteMDP) -> np.ndarray:
    """The mean reward of every state and action, [N, A]; 0 where the action is not legal."""
    return np.where(mdp.legal, np.einsum("nak,nak->na", mdp.prob, mdp.reward), 0.0)


def policy_rows(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """The policy [..., N, A] as float64 whose rows sum to 1 exactly.

    Raises:
        ValueError: a wrong shape, a negative or illegal choice, a row that does not sum to 1.
    """
    rows = np.asarray(policy, np.float64)
    if rows.shape[-2:] != mdp.legal.shape:
        raise ValueError(f"policy: the shape is {rows.shape}, expected {mdp.legal.shape} at the end")
    sums = rows.sum(axis=-1, keepdims=True)
    wrong = (rows < 0).any(axis=-1) | (rows * ~mdp.legal > 0).any(axis=-1) | ~(np.abs(sums[..., 0] - 1) < 1e-5)
    wrong &= mdp.legal.any(axis=-1)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"policy: row {place} is {rows[place]}, expected probabilities over legal actions that sum to 1"
        )
    return rows / np.where(sums > 0, sums, 1.0)


def under(policy: np.ndarray, matrix: Any) -> Any:
    """The chain [N, N] that a policy [N, A] makes of transitions [N * A, N]."""
    n_states, n_actions = policy.shape
    rows, columns = np.repeat(np.arange(n_states), n_actions), np.arange(n_states * n_actions)
    weights = sparse.csr_matrix((policy.ravel(), (rows, columns)), shape=(n_states, n_states * n_actions))
    chain = (weights @ matrix).tocsr()
    chain.eliminate_zeros()
    return chain


def start_value(mdp: FiniteMDP, values: np.ndarray) -> float:
    """The mean of ``values`` [N] over the start distribution; what is no start does not count, even if infinite."""
    starts = mdp.start > 0
    return float(mdp.start[starts] @ values[starts])
