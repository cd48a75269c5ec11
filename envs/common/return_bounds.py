"""What episodes of a finite environment return at worst and at best: random play, and the exact optimum."""

from __future__ import annotations

import numpy as np

from simulator.core.mdp.solve import FiniteMDP, evaluate_finite, finite_horizon, uniform_policy

MOST_STATES, MOST_STEPS, MOST_ENTRIES = 2_000, 20_000, 20_000_000  # beyond this an answer would keep its caller waiting
FIRST_HORIZON = 64
LEEWAY = 0.01  # share of the best return that a solved environment may miss


def thresholds(mdp: FiniteMDP, noise: float = 0.0) -> tuple[float | None, float | None]:
    """The mean return of uniformly random play, and the return from which the environment counts as solved.

    Both are None where it would take long.

    Args:
        mdp: the environment, with a limit of steps.
        noise: probability that a player sees another state than the one it is in, and so takes that one's actions.
    """
    n_states, limit = mdp.legal.shape[0], mdp.max_steps
    if limit is None or n_states > MOST_STATES or limit > MOST_STEPS or mdp.prob.size > MOST_ENTRIES:
        return None, None
    floor = _random(mdp, limit, noise)
    return floor, solved_from(best_return(mdp, limit))


def solved_from(best: float) -> float:
    """The return from which an environment counts as solved: its best, less a hundredth."""
    return best - LEEWAY * abs(best)


def best_return(mdp: FiniteMDP, limit: int) -> float:
    """The best mean return of ``limit`` steps; the horizon grows until one step more changes nothing."""
    horizon = FIRST_HORIZON
    while horizon < limit:
        plan = finite_horizon(mdp, horizon)
        if np.array_equal(plan.values[0], plan.values[1]):
            return plan.start_value
        horizon *= 2
    return finite_horizon(mdp, limit).start_value


def _random(mdp: FiniteMDP, limit: int, noise: float) -> float:
    policy = uniform_policy(mdp)  # [N, A]
    if not noise or len(policy) == 1:
        return float(evaluate_finite(mdp, policy, limit))
    others = (policy.sum(axis=0) - policy) / (len(policy) - 1)
    every = FiniteMDP(mdp.prob, mdp.next, mdp.reward, mdp.end, mdp.start, np.ones_like(mdp.legal), mdp.max_steps)
    return float(evaluate_finite(every, (1.0 - noise) * policy + noise * others, limit))
