"""The best and the given policy's discounted value; gamma = 1 is the total until the episode terminates.

END code 2 does not end a value: it goes on from the state that the outcome led to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulator.core.mdp.markov_chains import discounted, totals
from simulator.core.mdp.model import (
    TERMINATES,
    TRUNCATES,
    FiniteMDP,
    expected_reward,
    policy_rows,
    start_value,
    transitions,
    under,
)
from simulator.core.mdp.policies import even

_NEAR_ONE = (0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-8)
_ROUNDING = 1e-12
_MOST_SWEEPS = 500  # some ten are usual


class Solution(NamedTuple):
    """The optimum of a finite MDP.

    ``values`` are finite wherever gamma is below 1. At gamma = 1 a state that no best episode enters may have minus
    infinity.
    """

    values: np.ndarray  # [N]
    q: np.ndarray  # [N, A]; 0 where the action is not legal
    greedy: np.ndarray  # bool [N, A], every best action
    start_value: float  # the mean value over the starts


class Law(NamedTuple):
    """An environment as the sweeps need it."""

    matrix: Any  # sparse [N * A, N], without the outcomes that end a value
    reward: np.ndarray  # [N, A]
    legal: np.ndarray  # bool [N, A]


def value_iteration(mdp: FiniteMDP, gamma: float, *, epsilon: float = 0.0, tolerance: float = 1e-9) -> Solution:
    """The optimal values, to rounding.

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
    _share("gamma", gamma)
    _share("epsilon", epsilon)
    law = Law(transitions(mdp, (TERMINATES,)), expected_reward(mdp), mdp.legal)
    chosen, near = mdp.legal, np.zeros(len(mdp.legal))
    for discount in (gamma,) if gamma < 1 else _NEAR_ONE:
        chosen, near = _improve(law, discount, epsilon, chosen)
    values = near if gamma < 1 else _undiscounted(mdp, *_follow(law, chosen, epsilon), near)
    q = backup(law, values, gamma)
    greedy = best_actions(law, q, values, gamma, tolerance)
    return Solution(values, q, greedy, start_value(mdp, values))


def policy_evaluation(mdp: FiniteMDP, policy: np.ndarray, gamma: float) -> np.ndarray:
    """The value of every state under ``policy`` [N, A], [N], by one exact linear solve (Puterman 1994, 6.1).

    Raises:
        ValueError: gamma outside [0, 1]; gamma = 1 where the policy's starts have no finite value; a bad policy.
    """
    _share("gamma", gamma)
    rows = policy_rows(mdp, policy)
    chain = under(rows, transitions(mdp, (TERMINATES,)))
    reward = (rows * expected_reward(mdp)).sum(axis=1)
    if gamma < 1:
        return discounted(chain, reward, gamma)
    return _undiscounted(mdp, chain, reward, discounted(chain, reward, _NEAR_ONE[-1]))


def expected_steps(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Mean steps from every state until the episode ends, by END code 1 or 2, [N]; infinity where it may never end."""
    rows = policy_rows(mdp, policy)
    ones = np.ones(len(rows))
    return totals(under(rows, transitions(mdp, (TERMINATES, TRUNCATES))), ones, ones)


def backup(law: Law, values: np.ndarray, gamma: float) -> np.ndarray:
    """Compute q = r + gamma P v, [N, A]; infinite values count only where they can be reached."""
    q = law.reward + gamma * (law.matrix @ np.where(np.isfinite(values), values, 0.0)).reshape(law.reward.shape)
    for endless in (np.inf, -np.inf):
        if (values == endless).any():
            q = np.where((law.matrix @ (values == endless)).reshape(q.shape) > 0, endless, q)
    return np.asarray(q)


def best_actions(law: Law, q: np.ndarray, values: np.ndarray, gamma: float, tolerance: float) -> np.ndarray:
    """Mark, bool [N, A], the legal actions whose q is the largest, up to ``tolerance`` of it and rounding.

    What rounding can do is judged by the size of the terms that q sums up, state by state: the values of a long way
    shrink below any fixed bound.
    """
    masked = np.where(law.legal, q, -np.inf)
    best = masked.max(axis=1, keepdims=True)
    sizes = backup(
        Law(law.matrix, np.abs(law.reward), law.legal), np.abs(np.where(np.isfinite(values), values, 0)), gamma
    )
    slack = tolerance * np.where(np.isfinite(best), np.abs(best), 0.0) + _ROUNDING * sizes.max(axis=1, keepdims=True)
    return np.asarray(law.legal & (masked >= best - slack))


def _improve(law: Law, gamma: float, epsilon: float, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sweep until no action is better than those chosen: which these are, bool [N, A], and their values [N].

    All best actions are chosen, not one of them: where no difference is seen yet the policy goes on to wander.
    """
    tolerance = 1e-15 / (1.0 - gamma)  # the linear solve loses what the discount leaves
    values = discounted(*_follow(law, chosen, epsilon), gamma)
    for _ in range(_MOST_SWEEPS):
        best = best_actions(law, backup(law, values, gamma), values, gamma, tolerance)
        worse = (chosen & ~best).any(axis=1)
        if not worse.any():
            break
        chosen = np.where(worse[:, None], best, chosen)
        values = discounted(*_follow(law, chosen, epsilon), gamma)
    return chosen, values


def _follow(law: Law, chosen: np.ndarray, epsilon: float) -> tuple[Any, np.ndarray]:
    """The chain [N, N] and the reward [N] of taking the chosen actions alike, and with epsilon any legal one."""
    policy = (1.0 - epsilon) * even(chosen) + epsilon * even(law.legal)
    return under(policy, law.matrix), (policy * law.reward).sum(axis=1)


def _undiscounted(mdp: FiniteMDP, chain: Any, reward: np.ndarray, near: np.ndarray) -> np.ndarray:
    values = totals(chain, reward, near)
    if not np.isfinite(start_value(mdp, values)):
        raise ValueError("gamma is 1, but the total reward from the start has no finite value: expected gamma below 1")
    return values


def _share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}, expected 0 to 1")
