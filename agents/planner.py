"""Planner: the exact optimum of the environment's finite MDP, the reference of every table. It learns nothing.

With ``criterion = "finite"`` it follows the best time-dependent policy within the environment's ``max_steps``
(Puterman 1994, section 4.5), which no policy beats in expected return; otherwise the best stationary policy at
``gamma`` (section 6.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.common.exploration import argmax
from agents.common.inside import learned_rows, table_panel
from agents.common.spaces import action_lists, discount
from simulator.core import rng
from simulator.core.field_types import Share
from simulator.core.jit import jit
from simulator.core.mdp.model import greedy_policy
from simulator.core.mdp.solve import evaluate_finite, finite_horizon, value_iteration
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step
from simulator.core.scene import Panel, TextPanel

TRAINABLE = False
MAX_PLAN_ENTRIES = 50_000_000  # entries of a time-dependent policy


@dataclass(frozen=True)
class Config:
    """Settings of the planner."""

    criterion: Literal["finite", "discounted"] = "finite"
    """finite: the best return of an episode within the env's max_steps; discounted: the best discounted return"""
    gamma: Share | None = None
    """discount per step, where an episode has no limit or the criterion is discounted; none: the environment's own"""


@dataclass(frozen=True, eq=False)
class _Plan:
    """A policy that may depend on the step of the episode.

    Attributes:
        probs: float64 [H, N, A], action probabilities at each step of an episode; the last row counts from there on.
        state_of: bytes of an observation -> state.
        expected_return: of an episode under this plan.
        q: float64 [N, A], action values for the views.
    """

    probs: Array
    state_of: dict[bytes, int]
    expected_return: float
    q: Array

    def states(self, obs: Array) -> Array:
        """Return the states that observations [B, *obs] show, int64 [B]."""
        return np.array([self.state_of[np.ascontiguousarray(one).tobytes()] for one in obs], np.int64)


class Planner:
    """S followers of one plan; an agent and its own policy.

    Attributes:
        knows_env: True: the plan is made from the environment's finite MDP as it began.

    Args:
        plan: the policy that all follow.
        seed_list: the run's seeds.
        purpose: of the streams that break ties.
    """

    knows_env = True

    def __init__(self, plan: _Plan, seed_list: list[int], purpose: str = "exploration") -> None:
        self._plan = plan
        self._seeds = seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)
        self._episode_step = np.zeros(len(seed_list), np.int64)
        self._legal_actions = action_lists(np.ones((1, plan.probs.shape[2]), np.bool_))

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Return one of the best actions, int64 [S]."""
        if first is not None:
            self._episode_step[first] = 0
        rows = np.minimum(self._episode_step, len(self._plan.probs) - 1)
        probs = self._plan.probs[rows, self._plan.states(obs)]
        actions = np.zeros(len(probs), np.int64)
        _most_probable(self._stream, probs, self._legal_actions, actions)
        if first is not None:
            self._episode_step += 1
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing; only count the steps of the episode."""
        self._episode_step = np.where(step.terminated | step.truncated, 0, self._episode_step + 1)
        return {}

    def policy(self) -> Planner:
        """Return the same plan on streams and step counts of its own."""
        return Planner(self._plan, self._seeds, "ties")

    def probs(self, obs: Array) -> Array | None:
        """Return action probabilities [S, B, A]; None if they depend on the time."""
        if len(self._plan.probs) > 1:
            return None
        return np.repeat(self._plan.probs[:1, self._plan.states(obs)], len(self._seeds), axis=0)

    def values(self, obs: Array) -> Array:
        """Return exact action values at the first step of an episode, [S, B, A]."""
        return np.repeat(self._plan.q[None, self._plan.states(obs)], len(self._seeds), axis=0)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of the exact action values and of the step of one seed's episode."""
        rows = learned_rows(self._plan.q)
        facts = {
            "expected return of an episode": f"{self._plan.expected_return:.6g}",
            "steps of this episode so far": f"{int(self._episode_step[index]):,}",
        }
        q = np.where(np.isfinite(self._plan.q), self._plan.q, np.nan)
        return (table_panel("exact Q-table at the first step of an episode", q, rows), TextPanel("plan", facts))

    def expected_return(self) -> Array:
        """Return the exact expected return of an episode, [S]."""
        return np.full(len(self._seeds), self._plan.expected_return)

    def state(self) -> State:
        """Return streams and steps of the current episodes."""
        return {"stream": self._stream.copy(), "episode_step": self._episode_step.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._stream[...] = state["stream"]
        self._episode_step = state["episode_step"].copy()


@jit
def _most_probable(stream, probs, legal_actions, actions):
    """Write one of the most probable actions of ``probs`` [S, A] to ``actions`` [S]; ties are broken at random."""
    for i in range(len(actions)):
        actions[i] = argmax(stream, i, probs[i], legal_actions[0])


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Planner:
    """Make planners for an environment with a finite MDP whose observations show the state.

    Raises:
        ValueError: no finite MDP, or observations that leave the state open.
    """
    mdp = spec.mdp
    if mdp is None:
        raise ValueError(
            f"planner on {spec.id}: no finite MDP is known for this environment, expected one (engram solve)"
        )
    observations = [] if spec.state_obs is None else [np.ascontiguousarray(obs).tobytes() for obs in spec.state_obs]
    state_of = {obs: state for state, obs in enumerate(observations)}
    if spec.state_obs is None or len(state_of) < len(observations):
        raise ValueError(f"planner on {spec.id}: the observation leaves the state open, expected one that shows it")
    horizon = mdp.max_steps
    stationary = value_iteration(mdp, discount(spec, config.gamma))
    if config.criterion == "finite" and horizon and horizon * mdp.legal.size <= MAX_PLAN_ENTRIES:
        best = finite_horizon(mdp, horizon)
        return Planner(_Plan(greedy_policy(best), state_of, best.start_value, stationary.q), list(seed_list))
    probs = greedy_policy(stationary)
    expected_return = float(evaluate_finite(mdp, probs, horizon))
    return Planner(_Plan(probs[None], state_of, expected_return, stationary.q), list(seed_list))


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("planner")
