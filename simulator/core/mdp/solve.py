"""Finite Markov decision processes and their exact solvers: the door to ``simulator.core.mdp``.

====================  =================================================================================================
discounted            ``value_iteration``, ``policy_evaluation``; gamma = 1 is the total until the episode terminates
limited steps         ``finite_horizon`` (time-dependent), ``evaluate_finite``
per step, for ever    ``average_reward``, ``stationary_distribution``
about policies        ``uniform_policy``, ``greedy_policy``, ``epsilon_greedy``, ``regret``, ``expected_steps``
====================  =================================================================================================

Sources: Puterman, Markov Decision Processes, 1994; Sutton and Barto, Reinforcement Learning, 2nd edition, 2018.
"""

from __future__ import annotations

from simulator.core.mdp.average_reward import LongRun, average_reward, stationary_distribution
from simulator.core.mdp.finite_horizon import Plan, evaluate_finite, finite_horizon, regret
from simulator.core.mdp.model import GOES_ON, TERMINATES, TRUNCATES, FiniteMDP, checked, start_value
from simulator.core.mdp.policies import epsilon_greedy, greedy_policy, met, uniform_policy
from simulator.core.mdp.value_iteration import Solution, expected_steps, policy_evaluation, value_iteration

__all__ = [
    "GOES_ON",
    "TERMINATES",
    "TRUNCATES",
    "FiniteMDP",
    "LongRun",
    "Plan",
    "Solution",
    "average_reward",
    "checked",
    "epsilon_greedy",
    "evaluate_finite",
    "expected_steps",
    "finite_horizon",
    "greedy_policy",
    "met",
    "policy_evaluation",
    "regret",
    "start_value",
    "stationary_distribution",
    "uniform_policy",
    "value_iteration",
]
