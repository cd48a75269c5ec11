"""How contestants from outside are judged: by the engine's evaluator, each seed for itself."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from simulator.config.external import ExternalConfig
from simulator.core import registry
from simulator.core.episodes import CUT, ENDLESS, scores
from simulator.core.protocols import Array, Env, Evaluation, Policy
from simulator.core.stopping import RateLimiter
from simulator.training.evaluation import POLL_SECONDS, Evaluator, optimum


class ExternalFailure(RuntimeError):  # noqa: N818 - it is the failing of a contestant, not of its settings
    """A contestant from outside broke down while it played; one line."""


class Pulse:
    """Calls ``tick`` about ten times a second, however often it is asked, and remembers what that raised."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._limiter = RateLimiter(POLL_SECONDS)
        self.raised: BaseException | None = None

    def __call__(self) -> None:
        """Tell the host that work goes on."""
        if not self._limiter.is_due():
            return
        try:
            self._tick()
        except BaseException as error:
            self.raised = error
            raise


class Judge:
    """Gives environments to train in, and evaluates policies as the engine evaluates agents.

    An action that does not exist at an observation (``EnvSpec.legal_actions``) does here what the environment's
    ``step`` makes of it: nobody from outside knows of such actions.
    """

    def __init__(self, config: ExternalConfig, pulse: Pulse, limits: tuple[float, float] = (0.0, 0.0)) -> None:
        self.config, self.pulse, self.limits = config, pulse, limits
        self.without_score: dict[int, str] = {}  # seed -> why its last evaluation came to no number
        self._make = registry.load("envs", config.env).make
        self.spec = self.env([config.first_seed]).spec

    def env(self, seeds: Sequence[int]) -> Env:
        """The environment in which these seeds train."""
        env: Env = self._make(list(seeds), self.config.env_settings)
        return env

    def evaluator(self, seed: int) -> Evaluator:
        """Who evaluates one seed, on the evaluation streams of that seed."""
        config = self.config
        return Evaluator(self._open, config.env_settings, [seed], config.eval_episodes, config.eval_max_steps)

    def evaluate(
        self, evaluator: Evaluator, policy: Callable[[], Policy], step: int, *, last: bool = True
    ) -> Evaluation:
        """One evaluation; ``policy`` gives a fresh policy of one seed each time it is called.

        Raises:
            ExternalFailure: the contestant broke down.
            ValueError: the environment did.
        """
        agent: Any = SimpleNamespace(policy=policy)
        for found in evaluator.evaluating(agent, step, last=last):
            self.pulse()
            if found is not None:
                if last and not np.isfinite(scores(found)).all():
                    self.without_score[evaluator.seeds[0]] = CUT if np.isnan(found.returns).any() else ENDLESS
                return found
        raise AssertionError("an evaluation ends with its result")

    def facts(self) -> dict[str, Any]:
        """What is known of the environment: random play, the best possible, and from when it counts as solved."""
        best = optimum(self.spec)
        floor = self.spec.random_score
        if floor is not None and not np.isfinite(floor):
            floor = None
        known: dict[str, Any] = {"floor": floor, "ceiling": best, "threshold": self.spec.reward_threshold}
        known |= {"floor_is": None if floor is None else "random play"}
        return known | {"ceiling_is": None if best is None else "exact optimum"}

    def _open(self, seeds: Sequence[int], settings: Any) -> Env:
        env: Env = self._make(list(seeds), settings)
        mdp = env.spec.mdp
        if mdp is not None and not mdp.legal.all():
            mdp = dataclasses.replace(mdp, legal=np.ones_like(mdp.legal))
            env.spec = dataclasses.replace(env.spec, mdp=mdp)
        return env


def score(evaluation: Evaluation) -> float:
    """What an evaluation of one seed counts as; see :func:`simulator.training.evaluation.scores`."""
    return float(scores(evaluation)[0])


def said(error: BaseException) -> str:
    """Kind and text of what went wrong, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")


def one_hot(actions: Array, n: int) -> Array:
    """Actions [B] as probabilities float64 [1, B, n] of one seed."""
    rows: Array = np.eye(n)[np.asarray(actions, np.int64)][None]
    return rows


@contextmanager
def borrowed(number: int) -> Iterator[None]:
    """Let foreign code have the global generators of random, numpy and torch.

    They stand where ``number`` says when it begins, so that what it draws depends on nothing else, and where they
    stood before when it is over. torch's only where torch is loaded.
    """
    torch = sys.modules.get("torch")
    kept, numpys = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002 - foreign code uses it
    torchs = torch.get_rng_state() if torch else None
    random.setstate(random.Random(number).getstate())
    np.random.set_state(np.random.MT19937(number).state)  # noqa: NPY002
    if torch:
        torch.set_rng_state(torch.Generator().manual_seed(number).get_state())
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(numpys)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torchs)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, where it is loaded, compute on one thread meanwhile."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)
