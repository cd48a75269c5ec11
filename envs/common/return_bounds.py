"""The return of random play in a finite environment, and the return from which it counts as solved."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from simulator.core.mdp.model import FiniteMDP, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, finite_horizon

MAX_STATES = 2_000  # beyond these an answer would keep its caller waiting
MAX_STEPS = 20_000
MAX_OUTCOMES = 20_000_000
FIRST_HORIZON = 64
TOLERANCE = 0.01  # fraction of the best return that a solved environment may miss


class ReturnBounds(NamedTuple):
    """Mean returns of an episode; None where they would take long to compute."""

    random_score: float | None
    reward_threshold: float | None


def return_bounds(mdp: FiniteMDP, noise: float = 0.0) -> ReturnBounds:
    """Compute the return of random play, and the threshold from which the environment counts as solved.

    Args:
        mdp: the environment, with a limit of steps.
        noise: probability that a player observes another state than its own, and so takes the actions of that state.
    """
    n_states = mdp.legal.shape[0]
    limit = mdp.max_steps
    if limit is None or n_states > MAX_STATES or limit > MAX_STEPS or mdp.prob.size > MAX_OUTCOMES:
        return ReturnBounds(None, None)
    policy = uniform_policy(mdp)  # [N, A]
    if noise and n_states > 1:
        others = (policy.sum(axis=0) - policy) / (n_states - 1)
        policy = (1.0 - noise) * policy + noise * others
        random_score = evaluate_finite(replace(mdp, legal=np.ones_like(mdp.legal)), policy, limit)
    else:
        random_score = evaluate_finite(mdp, policy, limit)
    return ReturnBounds(float(random_score), solved_from(best_return(mdp, limit)))


def solved_from(best: float) -> float:
    """Return the threshold from which an environment counts as solved: its best return, less a hundredth."""
    return best - TOLERANCE * abs(best)


def best_return(mdp: FiniteMDP, limit: int) -> float:
    """Compute the best mean return of ``limit`` steps; the horizon grows until one step more changes nothing."""
    horizon = FIRST_HORIZON
    while horizon < limit:
        plan = finite_horizon(mdp, horizon)
        if np.array_equal(plan.values[0], plan.values[1]):
            return plan.start_value
        horizon *= 2
    return finite_horizon(mdp, limit).start_value
