"""Policies as probabilities [N, A]."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from simulator.core.mdp.markov_chains import leads_to
from simulator.core.mdp.model import TERMINATES, TRUNCATES, FiniteMDP, transitions, under


class HasGreedy(Protocol):
    """What a solver returns: ``greedy``, bool [..., N, A], marks every best action."""

    @property
    def greedy(self) -> np.ndarray:
        """Bool [..., N, A]."""


def even(choices: np.ndarray) -> np.ndarray:
    """Equal probabilities for all that is marked in a row of bool [..., N, A]; zeros where nothing is."""
    n = choices.sum(axis=-1, keepdims=True)
    return choices / np.where(n > 0, n, 1)


def uniform_policy(mdp: FiniteMDP) -> np.ndarray:
    """Every legal action alike, [N, A]; a row of zeros where there is none."""
    return even(mdp.legal)


def greedy_policy(solution: HasGreedy) -> np.ndarray:
    """Every best action of ``solution`` alike: [N, A], or [H, N, A] for a plan that depends on the time."""
    return even(solution.greedy)


def epsilon_greedy(mdp: FiniteMDP, policy: np.ndarray, epsilon: float) -> np.ndarray:
    """``policy`` [..., N, A] with probability 1 - epsilon, else any legal action (Sutton and Barto 2018, 2.2)."""
    return (1.0 - epsilon) * policy + epsilon * uniform_policy(mdp)


def met(mdp: FiniteMDP) -> np.ndarray:
    """Mark, bool [N], the states that some policy acts in: where an episode can be while it goes on."""
    chain = under(uniform_policy(mdp), transitions(mdp, (TERMINATES, TRUNCATES)))
    return leads_to(chain.T.tocsr(), mdp.start > 0)
