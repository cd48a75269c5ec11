"""Average reward per step in the long run.

An episode that terminates begins again from the start distribution.
END code 2 is no end here: an absorbing goal is stayed in.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from simulator.core.mdp.markov_chains import occupation, solve
from simulator.core.mdp.model import TERMINATES, FiniteMDP, expected_reward, policy_rows, transitions, under

_LAZY = 0.5  # of every step is really taken, which makes any chain aperiodic
_LEAP_EVERY = 64  # sweeps between two exact evaluations of the greedy policy
_PATIENCE = 4096  # sweeps, before it is asked whether the span still shrinks


class LongRun(NamedTuple):
    """The best average reward."""

    gain: float  # reward per step
    bias: np.ndarray  # [N] relative value of a state, with mean 0 over the starts; 0 where no episode comes
    q: np.ndarray  # [N, A] relative value of an action; 0 where it is not legal or no episode comes
    greedy: np.ndarray  # bool [N, A], every action that attains the optimality equation


class _Endless(NamedTuple):
    """The part of an environment that episodes come to, as the sweeps need it."""

    matrix: Any  # sparse [M * A, M], without the steps that terminate
    reward: np.ndarray  # [M, A]
    legal: np.ndarray  # bool [M, A]
    again: np.ndarray  # [M, A], the chance to begin again
    start: np.ndarray  # [M]


def average_reward(mdp: FiniteMDP, *, tolerance: float = 1e-10) -> LongRun:
    """The best reward per step, by relative value iteration until the span of a sweep's change is small.

    Puterman 1994, 8.5.5, on the aperiodic transform of 8.5.4; half the span left bounds the error of the gain. Now and
    then the values leap to the exact ones of the greedy policy (8.6, policy iteration), which spares a slow environment
    most of the sweeps and leaves the stopping rule as it is.

    Args:
        mdp: the environment; its ``max_steps`` do not count.
        tolerance: the span at which to stop, relative to the largest reward.

    Raises:
        ValueError: the sweeps do not settle, because the best gain depends on where one is (or nearly so).
    """
    met, law = _law(mdp)
    values, span_before = np.zeros(len(law.reward)), np.inf
    smallest = tolerance * max(np.abs(law.reward).max(), 1e-300)
    for sweep in itertools.count(1):
        q, change = _sweep(law, values)
        span = np.ptp(change)
        if span <= smallest:
            break
        values = values + _LAZY * (change - change.mean())
        if sweep % _LEAP_EVERY == 0 and sweep < _PATIENCE:
            values = _leap(law, q, change, values)
        if sweep >= _PATIENCE and sweep & (sweep - 1) == 0:
            if span > 0.99 * span_before:
                raise ValueError(f"average reward: no end after {sweep} sweeps; the best gain depends on the state")
            span_before = span
    gain, shift = float(change.max() + change.min()) / 2, law.start @ values
    bias, whole = np.zeros(len(met)), np.zeros(mdp.legal.shape)
    bias[met], whole[met] = values - shift, np.where(law.legal, q - gain - shift, 0.0)
    slack = 10 * span + 1e-9 * np.abs(bias).max()  # no action is surer than the values are
    known = mdp.legal & met[:, None]
    best = np.where(known, whole, -np.inf).max(axis=1, keepdims=True)
    return LongRun(gain, bias, whole, known & (whole >= best - slack))


def stationary_distribution(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """The share of steps that ``policy`` [N, A] spends in every state in the long run, [N].

    From the start distribution, exactly (Puterman 1994, A.4), periodic or not. The restart is one more node of the
    chain, whose visits take no time: so the matrix stays sparse.

    Raises:
        ValueError: a bad policy.
    """
    rows = policy_rows(mdp, policy)
    chain = under(rows, transitions(mdp, (TERMINATES,)))
    again = 1.0 - np.asarray(chain.sum(axis=1)).ravel()
    again[again < 1e-12] = 0.0
    restart = sparse.csr_matrix(np.append(mdp.start, 0.0))
    whole = sparse.vstack([sparse.hstack([chain, sparse.csr_matrix(again[:, None])]), restart]).tocsr()
    share = occupation(whole, len(again))[:-1]
    return np.asarray(share / share.sum())


def _law(mdp: FiniteMDP) -> tuple[np.ndarray, _Endless]:
    """Which states some episode comes to, bool [N], and the law there."""
    matrix, (n_states, n_actions) = transitions(mdp, (TERMINATES,)), mdp.legal.shape
    edges, starts = matrix.tocoo(), np.flatnonzero(mdp.start)
    rows = np.concatenate([edges.row // n_actions, np.full(len(starts), n_states)])  # one more node leads to the starts
    columns = np.concatenate([edges.col, starts])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_states + 1, n_states + 1))
    met = np.zeros(n_states + 1, bool)
    met[breadth_first_order(graph, n_states, return_predecessors=False)] = True
    met = met[:n_states]
    matrix, legal = matrix[np.repeat(met, n_actions)][:, met], mdp.legal[met]
    again = 1.0 - np.asarray(matrix.sum(axis=1)).reshape(legal.shape)
    return met, _Endless(matrix, expected_reward(mdp)[met], legal, np.where(legal, again, 0.0), mdp.start[met])


def _sweep(law: _Endless, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q [M, A] after one backup of ``values``, and by how much the best of it is above them, [M]."""
    q = law.reward + (law.matrix @ values).reshape(law.legal.shape) + law.again * (law.start @ values)
    best = np.where(law.legal.any(axis=1), np.where(law.legal, q, -np.inf).max(axis=1), values)
    return q, best - values


def _leap(law: _Endless, q: np.ndarray, change: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The exact relative values of the policy greedy in q, or ``values`` where they are no step forward."""
    choice = np.where(law.legal, q, -np.inf).argmax(axis=1)
    picked = np.arange(len(choice)) * law.legal.shape[1] + choice
    stay = sparse.identity(len(choice)) - law.matrix[picked]
    ones, start = np.ones((len(choice), 1)), law.start[None, :]
    system = sparse.bmat([[stay, sparse.csr_matrix(ones)], [sparse.csr_matrix(start), None]])
    try:
        exact = solve(system, np.append(law.reward.ravel()[picked], 0.0))[:-1]
    except RuntimeError:  # singular: the gain of this policy depends on the state
        return values
    worst = _sweep(law, exact)[1].min()  # a lower bound of the best gain, which must not fall
    return exact if worst >= change.min() - 1e-9 * np.abs(law.reward).max() else values
