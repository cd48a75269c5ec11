"""Greedy evaluation on streams of its own, and exact evaluation where the world is a finite MDP.

An evaluation never changes a learner: it plays a policy that the agent gives away, in a world of its own that starts
from the same state of its streams every time, so that evaluations of different moments are paired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simulator.core import seeds
from simulator.core.mdp import FiniteMDP, evaluate_finite, finite_horizon, met, value_iteration
from simulator.core.protocols import Agent, Array, Evaluation, Policy, Spec, World

LIMIT = 1_000  # steps after which an evaluation episode is cut where the world itself sets no limit
LARGEST = 50_000_000  # time x state x action entries up to which an exact answer is computed


class Evaluator:
    """Evaluates the agents of one run.

    Args:
        make: a world's ``make(seeds, settings)``.
        settings: the world's ``Config``.
        seed_list: the run's seeds.
        episodes: how many each seed plays.
    """

    def __init__(self, make: Callable[..., World], settings: Any, seed_list: Sequence[int], episodes: int) -> None:
        own = seeds.integers(seed_list, "evaluation")
        self._world = make(own, settings)
        if self._world.spec.max_steps is None and any(f.name == "max_steps" for f in dataclasses.fields(settings)):
            self._world = make(own, dataclasses.replace(settings, max_steps=LIMIT))
        self._remake = lambda: make(own, settings)
        self._first = self._world.reset()
        self._start, self._episodes = self._world.state(), episodes

    def evaluate(self, agent: Agent, step: int, *, last: bool = True) -> Evaluation:
        """Judge the agent's greedy policy as of now, after ``step`` training steps.

        Every episode is played only for the last evaluation of a run: one on the way plays a tenth of them, or none
        where the exact answer is known.
        """
        exact = _exact(agent.policy(), self._world.spec)
        if last:
            returns = self._play(agent.policy(), self._episodes)
            return Evaluation(step, returns, exact, _value_error(agent, self._world.spec))
        n_episodes = max(1, self._episodes // 10) if exact is None else 0
        return Evaluation(step, self._play(agent.policy(), n_episodes), exact)

    def _play(self, policy: Policy, n_episodes: int) -> Array:
        if n_episodes == 0:
            return np.zeros((len(self._first), 0))
        if self._start is None or not self._world.restore(self._start):
            self._world = self._remake()
            self._world.reset()
        return _play(policy, self._world, self._world.observe(), n_episodes)


def _play(policy: Policy, world: World, obs: Array, n_episodes: int) -> Array:
    """Returns [S, E] of the first E episodes of every seed.

    Where a world without any limit of steps does not come to an end, what is missing counts as what was earned so far.
    """
    n = len(obs)
    returns, running = np.full((n, n_episodes), np.nan), np.zeros(n)
    count, first = np.zeros(n, np.int64), np.ones(n, np.bool_)
    for _ in range(n_episodes * (world.spec.max_steps or LIMIT)):
        step = world.step(policy.act(obs, first))
        running += step.reward
        obs, first = step.obs, step.terminated | step.truncated
        if first.any():
            done = np.flatnonzero(first & (count < n_episodes))
            returns[done, count[done]] = running[done]
            count[done] += 1
            running[first] = 0.0
            if count.min() == n_episodes:
                break
    return np.where(np.isnan(returns), running[:, None], returns)


def _exact(policy: Policy, spec: Spec) -> Array | None:
    """The expected return of an episode, [S], or None where it cannot be computed."""
    if hasattr(policy, "expected_return"):
        return np.asarray(policy.expected_return())
    if spec.mdp is None or spec.state_obs is None or _work(spec.mdp) > LARGEST:
        return None
    probs = policy.probs(spec.state_obs)
    return None if probs is None else evaluate_finite(spec.mdp, probs, _horizon(spec.mdp))


def _value_error(agent: Agent, spec: Spec) -> Array | None:
    """How far the learned action values are from the exact ones, [S], over legal moves in states that can be met."""
    if spec.mdp is None or spec.state_obs is None or not hasattr(agent, "gamma") or _work(spec.mdp) > LARGEST:
        return None
    values = agent.policy().values(spec.state_obs)  # [S, N, A]
    try:
        best = value_iteration(spec.mdp, agent.gamma).q
    except ValueError:  # no finite value at this discount
        return None
    learned = met(spec.mdp)[:, None] & spec.mdp.legal
    return None if values is None else np.abs(values - best)[:, learned].max(axis=1)


def optimum(spec: Spec) -> float | None:
    """The best possible expected return of an episode, or None where it is not known."""
    if spec.mdp is None or _work(spec.mdp) > LARGEST:
        return None
    if spec.mdp.max_steps:
        return finite_horizon(spec.mdp, spec.mdp.max_steps).start_value
    try:
        return value_iteration(spec.mdp, 1.0).start_value
    except ValueError:
        return None


def _work(mdp: FiniteMDP) -> int:
    return int(_horizon(mdp) * mdp.legal.size)


def _horizon(mdp: FiniteMDP) -> int:
    return mdp.max_steps or LIMIT
