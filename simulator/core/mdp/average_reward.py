"""Average reward per step in the long run.

An episode that terminates begins again from the start distribution.
End code 2 is no end here: an absorbing goal is stayed in.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from simulator.core.mdp.markov_chains import occupation, reachable_from, solve_linear
from simulator.core.mdp.model import TERMINATES, FiniteMDP, expected_reward, policy_chain, policy_rows, transitions

_APERIODIC_MIX = 0.5  # of every step is really taken, which makes any chain aperiodic
_EVALUATE_EVERY = 64  # sweeps between two exact evaluations of the greedy policy
_SWEEPS_BEFORE_CHECK = 4096  # sweeps, before it is asked whether the span still shrinks


class AverageRewardSolution(NamedTuple):
    """The best average reward."""

    gain: float  # reward per step
    bias: np.ndarray  # [N] relative value of a state, with mean 0 over the starts; 0 if unreachable
    q: np.ndarray  # [N, A] relative value of an action; 0 if illegal or unreachable
    greedy: np.ndarray  # bool [N, A], every action that attains the optimality equation


class _ContinuingChain(NamedTuple):
    """The reachable part of an environment, which episodes never leave: they begin again."""

    matrix: Any  # sparse [M * A, M], without the steps that terminate
    reward: np.ndarray  # [M, A]
    legal: np.ndarray  # bool [M, A]
    restart: np.ndarray  # [M, A], probability that the episode begins again
    start: np.ndarray  # [M]


def average_reward(mdp: FiniteMDP, *, tolerance: float = 1e-10) -> AverageRewardSolution:
    """Compute the best reward per step, by relative value iteration until the span of a sweep's change is small.

    Puterman 1994, 8.5.5, on the aperiodic transform of 8.5.4; half the span left bounds the error of the gain. Now and
    then the values are replaced by the exact ones of the greedy policy (8.6, policy iteration), which spares a slow
    environment most of the sweeps and leaves the stopping rule as it is.

    Args:
        mdp: the environment; its ``max_steps`` do not count.
        tolerance: the span at which to stop, relative to the largest reward.

    Raises:
        ValueError: the sweeps do not converge, because the best gain depends on the state (or nearly so).
    """
    reached, chain = _continuing_chain(mdp)
    values = np.zeros(len(chain.reward))
    span_before = np.inf
    min_span = tolerance * max(np.abs(chain.reward).max(), 1e-300)
    for sweep in itertools.count(1):
        q, change = _sweep(chain, values)
        span = np.ptp(change)
        if span <= min_span:
            break
        values = values + _APERIODIC_MIX * (change - change.mean())
        if sweep % _EVALUATE_EVERY == 0 and sweep < _SWEEPS_BEFORE_CHECK:
            values = _greedy_values(chain, q, change, values)
        if sweep >= _SWEEPS_BEFORE_CHECK and sweep & (sweep - 1) == 0:
            if span > 0.99 * span_before:
                raise ValueError(
                    f"average reward: not converged after {sweep} sweeps; the best gain depends on the state"
                )
            span_before = span
    gain = float(change.max() + change.min()) / 2
    shift = chain.start @ values
    bias = np.zeros(len(reached))
    bias[reached] = values - shift
    relative_q = np.zeros(mdp.legal.shape)
    relative_q[reached] = np.where(chain.legal, q - gain - shift, 0.0)
    slack = 10 * span + 1e-9 * np.abs(bias).max()  # no action is surer than the values are
    legal = mdp.legal & reached[:, None]
    best = np.where(legal, relative_q, -np.inf).max(axis=1, keepdims=True)
    return AverageRewardSolution(gain, bias, relative_q, legal & (relative_q >= best - slack))


def stationary_distribution(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Compute the fraction of steps that ``policy`` [N, A] spends in every state in the long run, [N].

    From the start distribution, exactly (Puterman 1994, A.4), periodic or not. The restart is one more node of the
    chain, whose visits take no time: so the matrix stays sparse.

    Raises:
        ValueError: a bad policy.
    """
    rows = policy_rows(mdp, policy)
    chain = policy_chain(rows, transitions(mdp, (TERMINATES,)))
    restart = 1.0 - np.asarray(chain.sum(axis=1)).ravel()
    restart[restart < 1e-12] = 0.0
    starts = sparse.csr_matrix(np.append(mdp.start, 0.0))
    with_restart = sparse.vstack([sparse.hstack([chain, sparse.csr_matrix(restart[:, None])]), starts]).tocsr()
    fraction = occupation(with_restart, len(restart))[:-1]
    return np.asarray(fraction / fraction.sum())


def _continuing_chain(mdp: FiniteMDP) -> tuple[np.ndarray, _ContinuingChain]:
    """Mark the states that some episode comes to, bool [N], and return the chain there."""
    matrix = transitions(mdp, (TERMINATES,))
    n_states, n_actions = mdp.legal.shape
    edges = matrix.tocoo()
    graph = sparse.csr_matrix((np.ones(len(edges.row)), (edges.row // n_actions, edges.col)), (n_states, n_states))
    reached = reachable_from(graph, mdp.start > 0)
    matrix = matrix[np.repeat(reached, n_actions)][:, reached]
    legal = mdp.legal[reached]
    restart = np.where(legal, 1.0 - np.asarray(matrix.sum(axis=1)).reshape(legal.shape), 0.0)
    return reached, _ContinuingChain(matrix, expected_reward(mdp)[reached], legal, restart, mdp.start[reached])


def _sweep(chain: _ContinuingChain, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return q [M, A] after one backup of ``values``, and by how much the best of it is above them, [M]."""
    q = chain.reward + (chain.matrix @ values).reshape(chain.legal.shape) + chain.restart * (chain.start @ values)
    best = np.where(chain.legal.any(axis=1), np.where(chain.legal, q, -np.inf).max(axis=1), values)
    return q, best - values


def _greedy_values(chain: _ContinuingChain, q: np.ndarray, change: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the exact relative values of the policy greedy in q, or ``values`` where they are no improvement."""
    choice = np.where(chain.legal, q, -np.inf).argmax(axis=1)
    picked = np.arange(len(choice)) * chain.legal.shape[1] + choice
    stay = sparse.identity(len(choice)) - chain.matrix[picked]
    ones = sparse.csr_matrix(np.ones((len(choice), 1)))
    system = sparse.bmat([[stay, ones], [sparse.csr_matrix(chain.start[None, :]), None]])
    try:
        exact = solve_linear(system, np.append(chain.reward.ravel()[picked], 0.0))[:-1]
    except RuntimeError:  # singular: the gain of this policy depends on the state
        return values
    worst = _sweep(chain, exact)[1].min()  # a lower bound of the best gain, which must not fall
    return exact if worst >= change.min() - 1e-9 * np.abs(chain.reward).max() else values
