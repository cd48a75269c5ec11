"""Acts by the exact optimum of the environment's finite MDP: the ceiling of every table. It learns nothing.

With ``criterion = "finite"`` it follows the best time-dependent policy within the environment's ``max_steps``
(Puterman 1994, section 4.5), which no policy beats in expected return; otherwise the best stationary policy at
``gamma`` (section 6.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.common.tabular import action_lists, discount, pick_all
from simulator.core import rng
from simulator.core.field_types import Share
from simulator.core.mdp.solve import evaluate_finite, finite_horizon, greedy_policy, value_iteration
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

TRAINABLE = False
LARGEST_PLAN = 50_000_000  # entries of a time-dependent policy


@dataclass(frozen=True)
class Config:
    """Settings of the planner."""

    criterion: Literal["finite", "discounted"] = "finite"
    """finite: the best return of an episode within the env's max_steps; discounted: the best discounted return"""
    gamma: Share | None = None
    """discount per step, where an episode has no limit or the criterion is discounted; none: the environment's own"""


class Planner:
    """S followers of one plan; an agent and its own policy.

    Args:
        probs: float64 [H, N, A], what to do at each step of an episode; the last row counts from there on.
        state_of: bytes of an observation -> state.
        expected_return: of an episode under this plan.
        q: float64 [N, A], what the views show.
        seed_list: the run's seeds.
        purpose: of the streams that break ties.
    """

    def __init__(self, plan: _Plan, seed_list: list[int], purpose: str = "exploration") -> None:
        self._plan, self._seeds = plan, seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)
        self._clock = np.zeros(len(seed_list), np.int64)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """One of the best actions, int64 [S]."""
        if first is not None:
            self._clock[first] = 0
        rows = self._plan.probs[np.minimum(self._clock, len(self._plan.probs) - 1), self._states(obs)]
        actions = np.zeros(len(rows), np.int64)
        pick_all(self._stream, rows, action_lists(np.ones((1, rows.shape[1]), np.bool_)), actions)
        if first is not None:
            self._clock += 1
        return actions

    def _states(self, obs: Array) -> Array:
        return np.array([self._plan.state_of[np.ascontiguousarray(one).tobytes()] for one in obs], np.int64)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing; only the episode's clock legal_actions."""
        self._clock = np.where(step.terminated | step.truncated, 0, self._clock + 1)
        return {}

    def policy(self) -> Planner:
        """The same plan on streams and clocks of its own."""
        return Planner(self._plan, self._seeds, "ties")

    def probs(self, obs: Array) -> Array | None:
        """Action probabilities [S, B, A]; None where they depend on the time."""
        if len(self._plan.probs) > 1:
            return None
        return np.repeat(self._plan.probs[:1, self._states(obs)], len(self._seeds), axis=0)

    def values(self, obs: Array) -> Array:
        """Exact action values at the first step of an episode, [S, B, A]."""
        return np.repeat(self._plan.q[None, self._states(obs)], len(self._seeds), axis=0)

    def expected_return(self) -> Array:
        """The exact expected return of an episode, [S]."""
        return np.full(len(self._seeds), self._plan.expected_return)

    def state(self) -> State:
        """Streams and clocks."""
        return {"stream": self._stream.copy(), "clock": self._clock.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._stream[...], self._clock = state["stream"], state["clock"].copy()


@dataclass(frozen=True, eq=False)
class _Plan:
    probs: Array
    state_of: dict[bytes, int]
    expected_return: float
    q: Array


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Planner:
    """Planners for an environment with a finite MDP whose state is seen.

    Raises:
        ValueError: no finite MDP, or an observation that leaves the state open.
    """
    if spec.mdp is None:
        raise ValueError(
            f"planner on {spec.id}: no finite MDP is known for this environment, expected one (engram solve)"
        )
    state_of = _states(spec)
    mdp, horizon, gamma = spec.mdp, spec.mdp.max_steps, discount(spec, config.gamma)
    entries = (horizon or 0) * mdp.legal.size
    if config.criterion == "finite" and 0 < entries <= LARGEST_PLAN:
        best = finite_horizon(mdp, horizon)
        reward_now = value_iteration(mdp, gamma).q
        return Planner(_Plan(greedy_policy(best), state_of, best.start_value, reward_now), list(seed_list))
    stationary = value_iteration(mdp, gamma)
    probs = greedy_policy(stationary)
    expected = float(evaluate_finite(mdp, probs, horizon))
    return Planner(_Plan(probs[None], state_of, expected, stationary.q), list(seed_list))


def _states(spec: EnvSpec) -> dict[bytes, int]:
    """Which state an observation shows."""
    seen = None if spec.state_obs is None else [np.ascontiguousarray(obs).tobytes() for obs in spec.state_obs]
    if seen is None or len(set(seen)) < len(seen):
        raise ValueError(f"planner on {spec.id}: the observation leaves the state open, expected one that shows it")
    return {obs: state for state, obs in enumerate(seen)}


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("planner", make, Config())
