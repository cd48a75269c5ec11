"""A finite Markov decision process, its policies, and the sparse matrices that its solvers work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

GOES_ON = 0  # values of ``FiniteMDP.end``
TERMINATES = 1
TRUNCATES = 2


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
    """Check ``mdp`` and return it: for environments to call where they build one.

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
    _check("prob", "at least 0", mdp.prob, mdp.prob < 0)
    _check("the sum of prob of a legal action", "1", sums, ~(np.abs(sums - 1) < 1e-9))
    _check("next", f"0 to {shape[0] - 1}", mdp.next, (mdp.next < 0) | (mdp.next >= shape[0]))
    _check("reward", "a finite number", mdp.reward, ~np.isfinite(mdp.reward))
    _check("end", "0, 1 or 2", mdp.end, mdp.end > TRUNCATES)
    _check("start", "at least 0", mdp.start, mdp.start < 0)
    if not abs(mdp.start.sum() - 1) < 1e-9:
        raise ValueError(f"finite MDP: start sums to {mdp.start.sum()}, expected 1")
    stuck = np.asarray(~mdp.legal.any(axis=1))
    into = stuck[mdp.next] & mdp.legal[..., None] & (mdp.prob > 0) & (mdp.end == GOES_ON)
    _check("next", "a state with a legal action", mdp.next, into)
    _check("start", "0 where no action is legal", mdp.start, stuck & (mdp.start > 0))
    return mdp


def _check(name: str, expected: str, values: np.ndarray, invalid: np.ndarray) -> None:
    """Raise an error that names the first entry of ``values`` that is marked in ``wrong``."""
    if invalid.any():
        place = tuple(int(i) for i in np.argwhere(invalid)[0])
        raise ValueError(f"finite MDP: {name} at {place} is {values[place]}, expected {expected}")


def transitions(mdp: FiniteMDP, ends: tuple[int, ...]) -> Any:
    """Return P as a sparse matrix [N * A, N], without outcomes whose end code is in ``ends`` and illegal actions."""
    n_states, n_actions, _ = mdp.prob.shape
    used = mdp.legal[..., None] & (mdp.prob > 0) & ~np.isin(mdp.end, ends)
    state, action, _ = np.nonzero(used)
    entries = (mdp.prob[used], (state * n_actions + action, mdp.next[used]))
    return sparse.csr_matrix(entries, shape=(n_states * n_actions, n_states))


def expected_reward(mdp: FiniteMDP) -> np.ndarray:
    """Return the mean reward of every state and action, [N, A]; 0 where the action is not legal."""
    return np.where(mdp.legal, np.einsum("nak,nak->na", mdp.prob, mdp.reward), 0.0)


def policy_rows(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Check a policy [..., N, A] and return it as float64 whose rows sum to 1 exactly.

    Raises:
        ValueError: a wrong shape, a negative or illegal choice, a row that does not sum to 1.
    """
    rows = np.asarray(policy, np.float64)
    if rows.shape[-2:] != mdp.legal.shape:
        raise ValueError(f"policy: the shape is {rows.shape}, expected {mdp.legal.shape} at the end")
    sums = rows.sum(axis=-1, keepdims=True)
    invalid = (rows < 0).any(axis=-1) | (rows * ~mdp.legal > 0).any(axis=-1) | ~(np.abs(sums[..., 0] - 1) < 1e-5)
    invalid &= mdp.legal.any(axis=-1)
    if invalid.any():
        place = tuple(int(i) for i in np.argwhere(invalid)[0])
        raise ValueError(
            f"policy: row {place} is {rows[place]}, expected probabilities over legal actions that sum to 1"
        )
    return rows / np.where(sums > 0, sums, 1.0)


def policy_chain(policy: np.ndarray, matrix: Any) -> Any:
    """Return the Markov chain [N, N] that a policy [N, A] makes of transitions [N * A, N]."""
    return policy_chains(policy[None], matrix)


def policy_chains(policies: np.ndarray, matrix: Any) -> Any:
    """Return the chains of policies [S, N, A] as the blocks of one matrix [S * N, S * N]."""
    n_policies, n_states, n_actions = policies.shape
    n_rows = n_policies * n_states
    columns = np.tile(np.arange(n_states * n_actions), n_policies)
    starts = np.arange(0, len(columns) + 1, n_actions)
    weights = sparse.csr_matrix((policies.ravel(), columns, starts), shape=(n_rows, n_states * n_actions))
    chains = (weights @ matrix).tocsr()
    chains.eliminate_zeros()
    block = np.repeat(np.arange(n_rows) // n_states * n_states, np.diff(chains.indptr))
    return sparse.csr_matrix((chains.data, chains.indices + block, chains.indptr), shape=(n_rows, n_rows))


def start_value(mdp: FiniteMDP, values: np.ndarray) -> float:
    """Return the mean of ``values`` [N] over the start distribution; other states do not count, even if infinite."""
    starts = mdp.start > 0
    return float(mdp.start[starts] @ values[starts])


class HasGreedy(Protocol):
    """A solution: ``greedy``, bool [..., N, A], marks every best action."""

    @property
    def greedy(self) -> np.ndarray:
        """Bool [..., N, A]."""


def uniform_over(choices: np.ndarray) -> np.ndarray:
    """Return equal probabilities for all that is marked in a row of bool [..., N, A]; zeros where nothing is."""
    n = choices.sum(axis=-1, keepdims=True)
    return choices / np.where(n > 0, n, 1)


def uniform_policy(mdp: FiniteMDP) -> np.ndarray:
    """Return the random policy [N, A]: every legal action alike; a row of zeros where there is none."""
    return uniform_over(mdp.legal)


def greedy_policy(solution: HasGreedy) -> np.ndarray:
    """Return every best action of ``solution`` alike: [N, A], or [H, N, A] for a plan that depends on the time."""
    return uniform_over(solution.greedy)


def epsilon_greedy(mdp: FiniteMDP, policy: np.ndarray, epsilon: float) -> np.ndarray:
    """Mix ``policy`` [..., N, A] with the random policy, by probability epsilon (Sutton and Barto 2018, 2.2)."""
    return (1.0 - epsilon) * policy + epsilon * uniform_policy(mdp)
