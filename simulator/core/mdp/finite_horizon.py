"""What can be earned in a limited number of steps. An episode ends by END code 1 or 2; nothing counts after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

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
from simulator.core.mdp.value_iteration import Law, backup, best_actions, policy_evaluation, value_iteration

_ENDS = (TERMINATES, TRUNCATES)
SHORT = 1_000  # steps within which episodes without a limit are followed step by step; longer ones are solved for


class Plan(NamedTuple):
    """The best play of H steps, which depends on the time."""

    values: np.ndarray  # [H + 1, N] best return from step t on; the last row is 0
    greedy: np.ndarray  # bool [H, N, A], every best action at step t
    start_value: float  # the mean value over the starts


def finite_horizon(mdp: FiniteMDP, horizon: int, gamma: float = 1.0, *, tolerance: float = 1e-9) -> Plan:
    """The best time-dependent policy of ``horizon`` steps, by backward induction (Puterman 1994, 4.5).

    Raises:
        ValueError: a horizon below 0, gamma outside [0, 1].
    """
    _check(horizon, gamma)
    law = Law(transitions(mdp, _ENDS), expected_reward(mdp), mdp.legal)
    choices = np.asarray(mdp.legal.any(axis=1))
    values, greedy = np.zeros((horizon + 1, len(choices))), np.zeros((horizon, *mdp.legal.shape), bool)
    for t in reversed(range(horizon)):
        q = backup(law, values[t + 1], gamma)
        values[t] = np.where(choices, np.where(mdp.legal, q, -np.inf).max(axis=1), 0.0)
        greedy[t] = best_actions(law, q, values[t + 1], gamma, tolerance)
    return Plan(values, greedy, start_value(mdp, values[0]))


def evaluate_finite(mdp: FiniteMDP, policy: np.ndarray, horizon: int | None, gamma: float = 1.0) -> np.ndarray:
    """The expected return of an episode of at most ``horizon`` steps from the start distribution.

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
    _check(horizon or 0, gamma)
    matrix, reward, rows = transitions(mdp, _ENDS), expected_reward(mdp), policy_rows(mdp, policy)
    chains = [under(one, matrix) for one in rows.reshape(-1, *reward.shape)]
    gains = (rows * reward).sum(axis=-1).reshape(-1, len(reward))  # [S, N]
    found, goes_on = _forward(mdp, chains, gains, SHORT if horizon is None else horizon, gamma)
    if horizon is None:
        for i in np.flatnonzero(goes_on):
            found[i] = start_value(mdp, _endless(chains[i], gains[i], gamma))
    return found.reshape(rows.shape[:-2])


def regret(mdp: FiniteMDP, policy: np.ndarray, *, gamma: float = 1.0, horizon: int | None = None) -> float:
    """How much less ``policy`` [N, A] earns from the start than the best one does.

    Within ``horizon`` steps where that is given, else for ever (by the discounted value).

    Raises:
        ValueError: what the solvers refuse; see :func:`value_iteration` and :func:`finite_horizon`.
    """
    if horizon is None:
        best = value_iteration(mdp, gamma).start_value
        return best - start_value(mdp, policy_evaluation(mdp, policy, gamma))
    return finite_horizon(mdp, horizon, gamma).start_value - float(evaluate_finite(mdp, policy, horizon, gamma))


def _forward(
    mdp: FiniteMDP, chains: list[Any], gains: np.ndarray, horizon: int, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Follow the starts through every chain at once until the horizon, or until no episode goes on.

    Returns:
        The returns, [S], and in which chains some episode still goes on, bool [S].
    """
    backwards = sparse.block_diag([chain.T for chain in chains], format="csr")
    here = np.tile(mdp.start, len(chains))  # the chance to be in a state now, discounted
    found = np.zeros(len(chains))
    for _ in range(horizon):
        found += (here.reshape(gains.shape) * gains).sum(axis=1)
        here = gamma * (backwards @ here)
        if not here.any():
            break
    return found, np.asarray(here.reshape(gains.shape).any(axis=1))


def _endless(chain: Any, gain: np.ndarray, gamma: float) -> np.ndarray:
    if gamma < 1:
        return discounted(chain, gain, gamma)
    return totals(chain, gain, discounted(chain, gain, 1 - 1e-8))


def _check(horizon: int, gamma: float) -> None:
    if horizon < 0:
        raise ValueError(f"horizon is {horizon}, expected a number of steps of at least 0")
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma is {gamma}, expected 0 to 1")
