"""Evaluation of external contestants by the engine's evaluator, one seed at a time."""

from __future__ import annotations

import dataclasses
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from simulator.config.external import ExternalConfig
from simulator.core import registry
from simulator.core.episodes import CUT, ENDLESS, scores
from simulator.core.protocols import Array, Env, Evaluation, Policy
from simulator.core.stopping import RateLimiter
from simulator.training.evaluation import POLL_SECONDS, Evaluator, optimum


class ExternalFailure(RuntimeError):  # noqa: N818 - the contestant fails, not its settings
    """An external contestant failed; one line."""


class TimeLimits(NamedTuple):
    """Time for the training of each seed, 0: no limit."""

    cpu_seconds: float = 0.0
    seconds: float = 0.0


class Heartbeat:
    """Calls ``tick`` at most ten times a second, however often it is called, and keeps the error that it raised."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._limiter = RateLimiter(POLL_SECONDS, time.monotonic)
        self.raised: BaseException | None = None

    def __call__(self) -> None:
        """Report that work goes on."""
        if not self._limiter.is_due():
            return
        try:
            self._tick()
        except BaseException as error:
            self.raised = error
            raise


class EvaluationHarness:
    """Evaluates external contestants as the engine evaluates agents.

    An action that is illegal at an observation (``EnvSpec.legal_actions``) is given to ``step`` all the same:
    contestants from outside do not know which actions are legal.

    Args:
        config: the contestant and its environment.
        heartbeat: called while an evaluation goes on.
        limits: for the training of each seed.
    """

    def __init__(self, config: ExternalConfig, heartbeat: Heartbeat, limits: TimeLimits = TimeLimits()) -> None:  # noqa: B008 - immutable
        self.config = config
        self.heartbeat = heartbeat
        self.limits = limits
        self.without_score: dict[int, str] = {}  # seed -> why its last evaluation has no finite return
        self._make = registry.load("envs", config.env).make
        self.spec = self.make_env([config.first_seed]).spec

    def make_env(self, seeds: Sequence[int]) -> Env:
        """Make the environment in which these seeds train."""
        env: Env = self._make(list(seeds), self.config.env_settings)
        return env

    def evaluator(self, seed: int) -> Evaluator:
        """Make the evaluator of one seed, on the evaluation streams of that seed."""
        config = self.config
        return Evaluator(
            self._make_permissive, config.env_settings, [seed], config.eval_episodes, config.eval_max_steps
        )

    def evaluate(
        self, evaluator: Evaluator, make_policy: Callable[[], Policy], step: int, *, last: bool = True
    ) -> Evaluation:
        """Evaluate one seed; ``make_policy`` returns a fresh policy each time it is called.

        Raises:
            ExternalFailure: the contestant failed.
            ValueError: the environment did.
        """
        agent: Any = SimpleNamespace(policy=make_policy)
        for evaluation in evaluator.evaluating(agent, step, last=last):
            self.heartbeat()
            if evaluation is not None:
                if last and not np.isfinite(scores(evaluation)).all():
                    self.without_score[evaluator.seeds[0]] = CUT if np.isnan(evaluation.returns).any() else ENDLESS
                return evaluation
        raise AssertionError("an evaluation ends with its result")

    def facts(self) -> dict[str, Any]:
        """Return random score (floor), optimum (ceiling) and reward threshold of the environment, None if unknown."""
        best = optimum(self.spec)
        floor = self.spec.random_score
        if floor is not None and not np.isfinite(floor):
            floor = None
        return {
            "floor": floor,
            "ceiling": best,
            "threshold": self.spec.reward_threshold,
            "floor_is": None if floor is None else "random play",
            "ceiling_is": None if best is None else "exact optimum",
        }

    def _make_permissive(self, seeds: Sequence[int], settings: Any) -> Env:
        """Make an environment whose finite MDP calls every action legal."""
        env: Env = self._make(list(seeds), settings)
        mdp = env.spec.mdp
        if mdp is not None and not mdp.legal.all():
            mdp = dataclasses.replace(mdp, legal=np.ones_like(mdp.legal))
            env.spec = dataclasses.replace(env.spec, mdp=mdp)
        return env


def seed_score(evaluation: Evaluation) -> float:
    """Return the score of an evaluation of one seed; see :func:`simulator.core.episodes.scores`."""
    return float(scores(evaluation)[0])


def error_text(error: BaseException) -> str:
    """Format kind and text of an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")


def one_hot(actions: Array, n: int) -> Array:
    """Convert actions [B] to probabilities float64 [1, B, n] of one seed."""
    rows: Array = np.eye(n)[np.asarray(actions, np.int64)][None]
    return rows


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Lend the global generators of random, numpy and torch to foreign code.

    They are seeded, so that what it draws depends on nothing else, and restored afterwards. torch's only where torch
    is loaded.
    """
    torch = sys.modules.get("torch")
    python_state = random.getstate()
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - foreign code uses it
    torch_state = torch.get_rng_state() if torch else None
    random.setstate(random.Random(seed).getstate())
    np.random.set_state(dict(np.random.MT19937(seed).state))  # noqa: NPY002
    if torch:
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Restrict torch, where it is loaded, to one thread."""
    torch = sys.modules.get("torch")
    n_threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(n_threads)
