"""Greedy evaluation on streams of its own, and exact evaluation where the environment is a finite MDP.

An evaluation never changes a learner: it runs a frozen policy of the agent in an environment of its own, whose random
streams start from the same state every time, so that evaluations at different steps are paired.

Episodes last until the environment ends them. An environment without a step limit may never end one, so an episode is
truncated after ``max_steps`` steps. It has no return, and its seed has no score then. It also ends the evaluation of
its seed, because an environment cannot be asked to abandon an episode: a seed costs at most ``max_steps`` steps more
than its finished episodes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.episodes import cut_after, cut_seeds, errors_name_run_seeds, naming_run_seeds
from simulator.core.foreign.faults import PlayerError
from simulator.core.jit import jit
from simulator.core.mdp.model import FiniteMDP, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, finite_horizon, reachable, value_iteration
from simulator.core.notices import notice
from simulator.core.protocols import Agent, Array, CarryingPolicy, Env, EnvSpec, Evaluation, Policy

POLL_SECONDS = 0.1  # seconds
MIN_STEPS = 16
MAX_STEPS_BETWEEN_POLLS = 256  # steps of a seed that are played before the returns are added up
MAX_STEPS_OF_ALL_SEEDS = 500_000  # the same for all seeds together
MAX_EXACT_ENTRIES = 50_000_000  # time x state x action entries up to which an exact answer is computed
ENDLESS_COST = 1_000  # steps that an exact answer without a limit of steps is counted as


class Evaluator:
    """Evaluates the agents of one run.

    Args:
        make: an environment's ``make(seeds, settings)``.
        settings: the environment's ``Config``.
        seed_list: the run's seeds.
        episodes: number of episodes per seed.
        max_steps: steps after which an unfinished episode is truncated; 0: the environment's own limit, but at least
            ``MAX_STEPS``.
    """

    def __init__(
        self,
        make: Callable[..., Env],
        settings: Any,
        seed_list: Sequence[int],
        episodes: int,
        max_steps: int = 0,
    ) -> None:
        eval_seeds = rng.derived_seeds(seed_list, "evaluation")
        self.seeds = tuple(seed_list)
        self._own = tuple(eval_seeds)
        self._episodes = episodes
        self._remake = lambda: make(eval_seeds, settings)
        with errors_name_run_seeds(self._own, self.seeds):
            self._env = make(eval_seeds, settings)
            self._first = self._env.reset()
            self._start = self._env.state()
        self.max_steps = cut_after(self._env.spec.max_steps, max_steps)
        self._exact_q: dict[float, ExactQ | None] = {}  # by the agent's discount

    def evaluate(self, agent: Agent, step: int, *, last: bool = True) -> Evaluation:
        """Return the result of :meth:`evaluating`."""
        *_, evaluation = self.evaluating(agent, step, last=last)
        assert evaluation is not None
        return evaluation

    def evaluating(
        self, agent: Agent, step: int, *, last: bool = True, failed: Array | None = None
    ) -> Iterator[Evaluation | None]:
        """Evaluate the agent's current greedy policy.

        All episodes are run only in the last evaluation of a run: earlier ones run a tenth of them, or none where the
        expected return is exact.

        Args:
            agent: evaluated; its learning state is unchanged, also if the iterator is closed early.
            step: training steps so far.
            last: whether this is the run's last evaluation.
            failed: bool [S], seeds that are not evaluated; default: those that the agent says have failed.

        Yields:
            None from time to time, and the evaluation at the end.

        Raises:
            ValueError: the environment gave a reward that is not finite.
        """
        out = np.asarray(getattr(agent, "failed_at", np.zeros(len(self._first)))) > 0 if failed is None else failed
        spec = self._env.spec
        with self._errors_name_evaluation(step):
            exact = _exact(agent.policy(), spec, out)
            n_episodes = self._episodes if last else max(1, self._episodes // 10) if exact is None else 0
            returns = np.full((len(out), n_episodes), np.nan)
            yield from self._play(agent.policy(), returns, out)
            if cut_seeds(returns, out).any():
                said = (
                    f"an evaluation episode had not ended after {self.max_steps:,} steps and was cut, it is no return"
                )
                notice(spec.id, f"{said}; eval_max_steps sets another number")
            value_error = self._value_error(agent, out)
        yield Evaluation(step, returns, exact, value_error)

    def _value_error(self, agent: Agent, failed: Array) -> Array | None:
        """Compute the maximum of |Q - Q*| per seed, [S], over legal actions in reachable states; Q* only once."""
        spec = self._env.spec
        gamma = getattr(agent, "gamma", math.nan)
        if gamma not in self._exact_q:
            self._exact_q[gamma] = exact_q(agent, spec)
        exact = self._exact_q[gamma]
        if exact is None or spec.state_obs is None:
            return None
        values = agent.policy().values(spec.state_obs)
        return None if values is None else np.where(failed, np.nan, exact.error(values))

    def _play(self, policy: Policy, returns: Array, failed: Array) -> Iterator[None]:
        """Fill in the returns [S, E] of the first E episodes of every seed that has not failed.

        Truncated episodes and those after them stay NaN.
        """
        if not returns.size:
            return
        if self._start is None or not self._env.restore(self._start):
            self._env = self._remake()
            self._env.reset()
        obs = self._env.observe()
        first = np.ones(len(failed), np.bool_)
        episodes = _Episodes(
            np.zeros(len(failed)), np.zeros(len(failed), np.int64), np.zeros(len(failed), np.int64), failed.copy()
        )
        carrying = policy if isinstance(policy, CarryingPolicy) else None
        n = MIN_STEPS
        while not episodes.over.all():
            began = time.perf_counter()
            reward = np.empty((n, len(first)))
            ended = np.empty((n, len(first)), np.bool_)
            for t in range(n):
                step = self._env.step(policy.act(obs, first))
                if carrying is not None:
                    carrying.see_reward(step.reward)
                obs = step.obs
                first = step.terminated | step.truncated
                reward[t] = step.reward
                ended[t] = first
            not_finite = _tally(
                episodes,
                returns,
                self.max_steps,
                failed,
                np.ascontiguousarray(reward.T),
                np.ascontiguousarray(ended.T),
            )
            if not_finite >= 0:
                raise ValueError(
                    f"seed {self.seeds[not_finite]} got a reward that is not finite, expected finite rewards"
                )
            n_max = min(MAX_STEPS_BETWEEN_POLLS, max(1, MAX_STEPS_OF_ALL_SEEDS // len(failed)))
            n = next_size(n, time.perf_counter() - began, n_max)
            yield

    @contextmanager
    def _errors_name_evaluation(self, step: int) -> Iterator[None]:
        """Say of an error that it happened in an evaluation, and in which of the run's seeds."""
        try:
            yield
        except ValueError as error:
            name = self._env.spec.id
            said = naming_run_seeds(str(error), self._own, self.seeds).removeprefix(f"{name}: ")
            line = f"{name}: evaluation after step {step:,}: {said}"
            raise PlayerError(line, error.fault if isinstance(error, PlayerError) else None) from error


class _Episodes(NamedTuple):
    """The running episodes of every seed, [S]."""

    gain: Array  # float64, the return so far
    length: Array  # int64, steps of it
    count: Array  # type: ignore[assignment]  # int64, episodes that ended before it
    over: Array  # bool: no more is played for this seed


def next_size(n: int, seconds: float, n_max: int) -> int:
    """Return the number of steps before the next poll, about ten times a second; it changes no result."""
    if seconds > POLL_SECONDS:
        return max(n // 2, 1)
    return min(2 * n, n_max) if seconds < POLL_SECONDS / 3 else n


@jit
def _tally(episodes, returns, max_steps, failed, reward, ended):
    """Add T steps to the episodes of every seed; return the first seed with a non-finite reward, or -1."""
    gain, length, count, done = episodes
    for i in range(reward.shape[0]):
        for t in range(reward.shape[1]):
            if done[i]:
                break
            if not np.isfinite(reward[i, t]):
                return i
            gain[i] += reward[i, t]
            length[i] += 1
            if ended[i, t]:
                returns[i, count[i]] = gain[i]
                count[i] += 1
                gain[i] = 0.0
                length[i] = 0
                done[i] = count[i] == returns.shape[1]
            elif length[i] >= max_steps:
                done[i] = True
    return -1


def _exact(policy: Policy, spec: EnvSpec, failed: Array) -> Array | None:
    """Compute the expected return of an episode, [S]; None if it cannot be computed.

    In an environment without a step limit it is infinite for a policy that may collect rewards for ever.
    """
    if hasattr(policy, "expected_return"):
        return np.where(failed, np.nan, policy.expected_return())
    if spec.mdp is None or spec.state_obs is None or _work(spec.mdp) > MAX_EXACT_ENTRIES:
        return None
    probs = policy.probs(spec.state_obs)
    if probs is None:
        return None
    if failed.any():  # a broken network may not return probabilities
        probs = np.where(failed[:, None, None], uniform_policy(spec.mdp), probs)
    return np.where(failed, np.nan, evaluate_finite(spec.mdp, probs, spec.mdp.max_steps))


class ExactQ(NamedTuple):
    """The exact action values of an environment at an agent's discount."""

    q: Array  # float64 [N, A]
    is_learned: Array  # bool [N, A]: legal actions in reachable states

    def error(self, values: Array) -> Array:
        """Return the maximum of |Q - Q*|, [S], of learned values [S, N, A]."""
        return np.asarray(np.abs(values - self.q)[:, self.is_learned].max(axis=1))


def exact_q(agent: Agent, spec: EnvSpec) -> ExactQ | None:
    """Compute Q*; None where it cannot be computed, or where the agent has no discount or no action values."""
    if spec.mdp is None or spec.state_obs is None or not hasattr(agent, "gamma") or _work(spec.mdp) > MAX_EXACT_ENTRIES:
        return None
    if agent.policy().values(spec.state_obs[:1]) is None:
        return None
    try:
        best = value_iteration(spec.mdp, agent.gamma).q
    except ValueError:  # no finite value at this discount
        return None
    return ExactQ(best, reachable(spec.mdp)[:, None] & spec.mdp.legal)


def optimum(spec: EnvSpec) -> float | None:
    """Compute the best possible expected return of an episode; None if it is not known."""
    if spec.optimal_return is not None:
        return spec.optimal_return
    if spec.mdp is None or _work(spec.mdp) > MAX_EXACT_ENTRIES:
        return None
    if spec.mdp.max_steps:
        return finite_horizon(spec.mdp, spec.mdp.max_steps).start_value
    try:
        return value_iteration(spec.mdp, 1.0).start_value
    except ValueError:
        return None


def _work(mdp: FiniteMDP) -> int:
    return int((mdp.max_steps or ENDLESS_COST) * mdp.legal.size)
