"""Exact solvers of finite Markov decision processes.

====================  =================================================================================================
discounted            ``value_iteration``, ``policy_evaluation``; gamma = 1 is the total until the episode terminates
finite horizon        ``finite_horizon`` (time-dependent), ``evaluate_finite``
per step, for ever    :mod:`simulator.core.mdp.average_reward`
about policies        ``regret``, ``expected_steps``, ``reachable``
====================  =================================================================================================

Discounted values do not end by end code 2: they go on from the state that the outcome led to. Within a finite horizon
an episode ends by end code 1 or 2, and nothing counts after it.

Sources: Puterman, Markov Decision Processes, 1994; Sutton and Barto, Reinforcement Learning, 2nd edition, 2018.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulator.core.mdp.markov_chains import discounted_value, reachable_from, total_reward
from simulator.core.mdp.model import (
    TERMINATES,
    TRUNCATES,
    FiniteMDP,
    expected_reward,
    policy_chain,
    policy_chains,
    policy_rows,
    start_value,
    transitions,
    uniform_over,
    uniform_policy,
)

_NEAR_ONE = (0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-8)
_ROUNDING = 1e-12
_MAX_SWEEPS = 500  # some ten are usual
_EPISODE_ENDS = (TERMINATES, TRUNCATES)
_STEPS_FOLLOWED = 1_000  # simulated steps of unlimited episodes; the remainder is solved exactly
_STEPS_AT_ONCE = 64  # of compiled code


class Solution(NamedTuple):
    """The optimum of a finite MDP.

    ``values`` are finite wherever gamma is below 1. At gamma = 1 a state that no best episode enters may have minus
    infinity.
    """

    values: np.ndarray  # [N]
    q: np.ndarray  # [N, A]; 0 where the action is not legal
    greedy: np.ndarray  # bool [N, A], every best action
    start_value: float  # the mean value over the starts


class BellmanOperator(NamedTuple):
    """The transitions and rewards of a Bellman backup."""

    matrix: Any  # sparse [N * A, N], without the outcomes that end a value
    reward: np.ndarray  # [N, A]
    legal: np.ndarray  # bool [N, A]


def value_iteration(mdp: FiniteMDP, gamma: float, *, epsilon: float = 0.0, tolerance: float = 1e-9) -> Solution:
    """Compute the optimal values, to rounding.

    Every sweep of value iteration (Puterman 1994, 6.3) is followed by the exact value of its greedy policy (6.4), so
    a few sweeps do at any gamma. At gamma = 1 the policy is the one that stays best as gamma approaches 1 (Blackwell
    optimality, 10.1.2), and its total is then computed at gamma = 1 itself.

    Args:
        mdp: the environment.
        gamma: discount, 0 to 1.
        epsilon: above 0: the best among the policies that take any legal action with this probability
            (Sutton and Barto 2018, 5.4); q and greedy are about the action chosen with the rest.
        tolerance: relative difference up to which two actions are equally good.

    Raises:
        ValueError: gamma or epsilon outside [0, 1]; gamma = 1 where the starts have no finite value.
    """
    _check_fraction("gamma", gamma)
    _check_fraction("epsilon", epsilon)
    operator = BellmanOperator(transitions(mdp, (TERMINATES,)), expected_reward(mdp), mdp.legal)
    chosen = mdp.legal
    values = np.zeros(len(mdp.legal))
    for discount in (gamma,) if gamma < 1 else _NEAR_ONE:
        chosen, values = _policy_iteration(operator, discount, epsilon, chosen)
    if gamma == 1:
        chain, reward = _chain_and_reward(operator, chosen, epsilon)
        values = _undiscounted_value(mdp, chain, reward, values)
    q = backup(operator, values, gamma)
    greedy = best_actions(operator, q, values, gamma, tolerance)
    return Solution(values, q, greedy, start_value(mdp, values))


def policy_evaluation(mdp: FiniteMDP, policy: np.ndarray, gamma: float) -> np.ndarray:
    """Compute the value of every state under ``policy`` [N, A], [N], by one linear solve (Puterman 1994, 6.1).

    Raises:
        ValueError: gamma outside [0, 1]; gamma = 1 where the policy's starts have no finite value; a bad policy.
    """
    _check_fraction("gamma", gamma)
    rows = policy_rows(mdp, policy)
    chain = policy_chain(rows, transitions(mdp, (TERMINATES,)))
    reward = (rows * expected_reward(mdp)).sum(axis=1)
    if gamma < 1:
        return discounted_value(chain, reward, gamma)
    return _undiscounted_value(mdp, chain, reward, discounted_value(chain, reward, _NEAR_ONE[-1]))


def expected_steps(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Compute the mean steps until the episode ends, by end code 1 or 2, [N]; infinity where it may never end."""
    rows = policy_rows(mdp, policy)
    ones = np.ones(len(rows))
    return total_reward(policy_chain(rows, transitions(mdp, _EPISODE_ENDS)), ones, ones)


def backup(operator: BellmanOperator, values: np.ndarray, gamma: float) -> np.ndarray:
    """Compute q = r + gamma P v, [N, A]; infinite values count only where they can be reached."""
    next_values = operator.matrix @ np.where(np.isfinite(values), values, 0.0)
    q = operator.reward + gamma * next_values.reshape(operator.reward.shape)
    for endless in (np.inf, -np.inf):
        if (values == endless).any():
            q = np.where((operator.matrix @ (values == endless)).reshape(q.shape) > 0, endless, q)
    return np.asarray(q)


def best_actions(
    operator: BellmanOperator, q: np.ndarray, values: np.ndarray, gamma: float, tolerance: float
) -> np.ndarray:
    """Mark, bool [N, A], the legal actions whose q is the largest, up to ``tolerance`` of it and rounding.

    The error of rounding is bounded by the size of the terms that q sums up, state by state: the values of a long way
    shrink below any fixed bound.
    """
    masked = np.where(operator.legal, q, -np.inf)
    best = masked.max(axis=1, keepdims=True)
    finite = np.where(np.isfinite(values), values, 0.0)
    sizes = backup(operator._replace(reward=np.abs(operator.reward)), np.abs(finite), gamma)
    slack = tolerance * np.where(np.isfinite(best), np.abs(best), 0.0) + _ROUNDING * sizes.max(axis=1, keepdims=True)
    return np.asarray(operator.legal & (masked >= best - slack))


def _policy_iteration(
    operator: BellmanOperator, gamma: float, epsilon: float, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate until no action is better than those chosen; return these, bool [N, A], and their values [N].

    All best actions are chosen, not one of them: where no difference is seen yet the policy goes on to wander.
    """
    tolerance = 1e-15 / (1.0 - gamma)  # the linear solve loses what the discount leaves
    values = discounted_value(*_chain_and_reward(operator, chosen, epsilon), gamma)
    for _ in range(_MAX_SWEEPS):
        best = best_actions(operator, backup(operator, values, gamma), values, gamma, tolerance)
        worse = (chosen & ~best).any(axis=1)
        if not worse.any():
            break
        chosen = np.where(worse[:, None], best, chosen)
        values = discounted_value(*_chain_and_reward(operator, chosen, epsilon), gamma)
    return chosen, values


def _chain_and_reward(operator: BellmanOperator, chosen: np.ndarray, epsilon: float) -> tuple[Any, np.ndarray]:
    """Return the chain [N, N] and the reward [N] of the chosen actions alike, and with epsilon of any legal one."""
    policy = (1.0 - epsilon) * uniform_over(chosen) + epsilon * uniform_over(operator.legal)
    return policy_chain(policy, operator.matrix), (policy * operator.reward).sum(axis=1)


def _undiscounted_value(mdp: FiniteMDP, chain: Any, reward: np.ndarray, near: np.ndarray) -> np.ndarray:
    values = total_reward(chain, reward, near)
    if not np.isfinite(start_value(mdp, values)):
        raise ValueError("gamma is 1, but the total reward from the start has no finite value: expected gamma below 1")
    return values


class Plan(NamedTuple):
    """The best time-dependent policy of H steps."""

    values: np.ndarray  # [H + 1, N] best return from step t on; the last row is 0
    greedy: np.ndarray  # bool [H, N, A], every best action at step t
    start_value: float  # the mean value over the starts


def finite_horizon(mdp: FiniteMDP, horizon: int, gamma: float = 1.0, *, tolerance: float = 1e-9) -> Plan:
    """Compute the best time-dependent policy of ``horizon`` steps, by backward induction (Puterman 1994, 4.5).

    Raises:
        ValueError: a horizon below 0, gamma outside [0, 1].
    """
    _check_horizon(horizon, gamma)
    operator = BellmanOperator(transitions(mdp, _EPISODE_ENDS), expected_reward(mdp), mdp.legal)
    has_action = np.asarray(mdp.legal.any(axis=1))
    values = np.zeros((horizon + 1, len(has_action)))
    greedy = np.zeros((horizon, *mdp.legal.shape), bool)
    for t in reversed(range(horizon)):
        q = backup(operator, values[t + 1], gamma)
        values[t] = np.where(has_action, np.where(mdp.legal, q, -np.inf).max(axis=1), 0.0)
        greedy[t] = best_actions(operator, q, values[t + 1], gamma, tolerance)
        if np.array_equal(values[t], values[t + 1]):  # one more step changes nothing, so neither do all others
            values[:t] = values[t]
            greedy[:t] = greedy[t]
            break
    return Plan(values, greedy, start_value(mdp, values[0]))


def evaluate_finite(mdp: FiniteMDP, policy: np.ndarray, horizon: int | None, gamma: float = 1.0) -> np.ndarray:
    """Compute the expected return of an episode of at most ``horizon`` steps from the start distribution.

    Args:
        mdp: the environment.
        policy: [..., N, A] probabilities; [H, N, A] is read as H policies, not as one that depends on the time.
        horizon: steps after which the episode is cut; None: never. Then a policy whose return has no finite value
            has an infinite one.
        gamma: discount, 0 to 1.

    Returns:
        float64, of the policy's leading shape.

    Raises:
        ValueError: a horizon below 0, gamma outside [0, 1], a bad policy.
    """
    _check_horizon(horizon or 0, gamma)
    matrix = transitions(mdp, _EPISODE_ENDS)
    reward = expected_reward(mdp)
    rows = policy_rows(mdp, policy)
    chains = policy_chains(rows.reshape(-1, *reward.shape), matrix)
    rewards = (rows * reward).sum(axis=-1).reshape(-1, len(reward))  # [S, N]
    returns, is_unfinished = _follow_starts(
        mdp, chains, rewards, _STEPS_FOLLOWED if horizon is None else horizon, gamma
    )
    if horizon is None:
        for i in np.flatnonzero(is_unfinished):
            block = slice(i * len(reward), (i + 1) * len(reward))
            chain = chains[block, block]
            values = (
                discounted_value(chain, rewards[i], gamma)
                if gamma < 1
                else total_reward(chain, rewards[i], discounted_value(chain, rewards[i], 1 - 1e-8))
            )
            returns[i] = start_value(mdp, values)
    return returns.reshape(rows.shape[:-2])


def regret(mdp: FiniteMDP, policy: np.ndarray, *, gamma: float = 1.0, horizon: int | None = None) -> float:
    """Compute the return that ``policy`` [N, A] loses to the best one from the start.

    Within ``horizon`` steps where that is given, else for ever (by the discounted value).

    Raises:
        ValueError: what the solvers refuse; see :func:`value_iteration` and :func:`finite_horizon`.
    """
    if horizon is None:
        best = value_iteration(mdp, gamma).start_value
        return best - start_value(mdp, policy_evaluation(mdp, policy, gamma))
    return finite_horizon(mdp, horizon, gamma).start_value - float(evaluate_finite(mdp, policy, horizon, gamma))


def _follow_starts(
    mdp: FiniteMDP, chains: Any, rewards: np.ndarray, horizon: int, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Follow the starts through every chain at once until the horizon, or until no episode goes on.

    Returns:
        The returns, [S], and the chains in which some episode still goes on, bool [S].
    """
    from simulator.core.mdp.occupancy import follow_chain  # compiled: whoever only solves does not load numba

    backwards = chains.T.tocsr()
    occupancy = np.tile(mdp.start, len(rewards))  # discounted probability of every state now
    returns = np.zeros(len(rewards))
    steps = np.empty((_STEPS_AT_ONCE, len(occupancy)))
    n_done = 0
    while n_done < horizon:
        some = steps[: horizon - n_done]
        n = follow_chain(backwards.indptr, backwards.indices, backwards.data, gamma, occupancy, some)
        for reward_t in (some[:n].reshape(n, *rewards.shape) * rewards).sum(axis=2):  # [S]
            returns += reward_t
        n_done += n
        if not occupancy.any():
            break
    return returns, np.asarray(occupancy.reshape(rewards.shape).any(axis=1))


def _check_horizon(horizon: int, gamma: float) -> None:
    if horizon < 0:
        raise ValueError(f"horizon is {horizon}, expected a number of steps of at least 0")
    _check_fraction("gamma", gamma)


def reachable(mdp: FiniteMDP) -> np.ndarray:
    """Mark, bool [N], the states that some policy acts in: an episode can be there while it goes on."""
    return reachable_from(policy_chain(uniform_policy(mdp), transitions(mdp, _EPISODE_ENDS)), mdp.start > 0)


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}, expected 0 to 1")
