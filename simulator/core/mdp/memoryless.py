"""The best return without memory, where actions do not decide what is seen."""

from __future__ import annotations

import numpy as np

from simulator.core.mdp.model import TERMINATES, TRUNCATES, FiniteMDP, expected_reward, transitions
from simulator.core.protocols import Array


def memoryless_return(mdp: FiniteMDP, state_obs: Array) -> float | None:
    """Compute the best mean return of an episode for policies of the latest observation alone, random ones too.

    It is exact, but known only where no action changes which state follows while the episode goes on: then every
    observation's best action can be chosen by itself, weighted by how often each state is visited. In general the
    question is NP-hard (Littman, Memoryless policies: theoretical limitations and practical results, 1994).

    Args:
        mdp: the environment, with a limit of steps.
        state_obs: [N, *obs] what is seen in each state.

    Returns:
        The return, or None where actions do decide, or without a limit.
    """
    n_states, n_actions = mdp.legal.shape
    goes_on = transitions(mdp, (TERMINATES, TRUNCATES))
    chain = goes_on[::n_actions]
    if mdp.max_steps is None or not mdp.legal.all():
        return None
    if any(abs(goes_on[action::n_actions] - chain).sum() > 0 for action in range(1, n_actions)):
        return None
    state_probability = mdp.start
    visits = np.zeros(n_states)
    for _ in range(mdp.max_steps):
        visits += state_probability
        state_probability = state_probability @ chain
        if not state_probability.any():
            break
    _, obs_of_state = np.unique(state_obs.reshape(n_states, -1), axis=0, return_inverse=True)
    reward_of_obs = np.zeros((obs_of_state.max() + 1, n_actions))
    np.add.at(reward_of_obs, obs_of_state.ravel(), visits[:, None] * expected_reward(mdp))
    return float(reward_of_obs.max(axis=1).sum())
