"""Python callables as contestants: ``python:package.module:name`` and ``python:path/to/file.py:name``.

Either ``name(obs) -> action``, a plain function, or ``name(spec, seed) -> function``, a factory that makes one for
each seed. A class is a factory; else two arguments without default make one, unless the setting ``factory`` says. All
other settings go to it as keyword arguments. ``obs`` is a whole number where observations are Discrete, else an array
of its own. What a factory gives may have a method ``reset()``, called before the first observation of every episode.

Where the environment is a finite MDP, a function of the observation is evaluated exactly: it is asked once about every
state. Where it answers differently while it plays, or has a ``reset``, its episodes count.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.config.external import ExternalConfig
from simulator.core import registry, rng
from simulator.core.foreign import functions
from simulator.core.protocols import Array
from simulator.external.action_check import brief, expected_action, valid_action
from simulator.external.evaluate import (
    EvaluationHarness,
    ExternalFailure,
    error_text,
    global_generators,
    one_hot,
    seed_score,
)

_FOREIGN_ERRORS = (Exception, SystemExit)  # errors of foreign code, without those that stop the host


class BoundCallable(NamedTuple):
    """A callable with its settings bound."""

    call: Callable[..., Any]
    is_factory: bool


def load(config: ExternalConfig) -> BoundCallable:
    """Import the callable of a contestant.

    Raises:
        ValueError: it cannot be imported, there is no such name, or it does not take these settings; one line.
    """
    try:
        target = registry.load_callable(config.target, functions.FORM, anew=True)
    except ValueError as error:
        raise ValueError(f"{config.name}: {error}") from None
    return _bound(config, target)


def _bound(config: ExternalConfig, target: Callable[..., Any]) -> BoundCallable:
    """Bind the settings to the callable, and find out if it is a factory."""
    settings = {key: value for key, value in config.settings.items() if key != "factory"}
    asked = config.settings.get("factory")
    if asked not in (None, True, False):
        raise ValueError(f"{config.name}: factory = {asked!r}: expected true or false")
    is_factory = functions.is_factory(target, settings) if asked is None else asked
    if functions.signature_of(target) is not None:
        try:
            inspect.signature(target).bind(*([None, 0] if is_factory else [None]), **settings)
        except TypeError as error:
            form = "(spec, seed) of a factory" if is_factory else "(obs)"
            raise ValueError(f"{config.name}: {error}, expected a callable of {form} and its settings") from None
    return BoundCallable(functools.partial(target, **settings) if settings else target, is_factory)


def play(config: ExternalConfig, harness: EvaluationHarness) -> list[float]:
    """Evaluate every seed, and return their scores.

    Raises:
        ValueError: see :func:`load`.
        ExternalFailure: it raised, or chose an invalid action.
    """
    bound = load(config)
    scores = []
    for seed, number in zip(config.seed_list, rng.derived_seeds(config.seed_list, "exploration"), strict=True):
        with global_generators(number):
            answers = Answers()
            make_policy = functools.partial(_make_policy, config, bound, harness, seed, answers)
            evaluation = harness.evaluate(harness.evaluator(seed), make_policy, 0)
            scores.append(seed_score(evaluation._replace(exact=None) if answers.varied else evaluation))
    return scores


class Answers:
    """Actions of a function at every state, to check that it is deterministic."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}  # observation -> action
        self.varied = False


def _make_policy(
    config: ExternalConfig, bound: BoundCallable, harness: EvaluationHarness, seed: int, answers: Answers
) -> CallablePolicy:
    if not bound.is_factory:
        return CallablePolicy(bound.call, harness, seed, answers)
    try:
        function = bound.call(harness.spec, seed)
    except _FOREIGN_ERRORS as error:
        raise ExternalFailure(f"{config.name}: seed {seed}: {error_text(error)}") from None
    if not callable(function):
        raise ExternalFailure(
            f"{config.name}: seed {seed}: its factory gave {brief(function)}, expected a function of one observation"
        )
    return CallablePolicy(function, harness, seed, answers)


class CallablePolicy:
    """A function of one observation as the policy of one seed; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, function: Callable[[Any], Any], harness: EvaluationHarness, seed: int, answers: Answers) -> None:
        self._function = function
        self._harness = harness
        self._seed = seed
        self._answers = answers
        self._reset = getattr(function, "reset", None) if not inspect.isfunction(function) else None
        self._is_discrete = not harness.spec.observation.shape

    def act(self, obs: Array, first: Array) -> Array:
        """Return the action [1] at obs [1, *obs]."""
        if first[0] and callable(self._reset):
            self._call(self._reset)
        action = self._action(obs[0])
        answers = self._answers.known
        if answers and answers.get(self._key(obs[0])) != action:
            self._answers.varied = True
        return np.asarray(action)[None]

    def probs(self, obs: Array) -> Array | None:
        """Return one-hot rows [1, B, A] of its actions at obs [B, *obs]; None where it may have a memory."""
        space = self._harness.spec.action
        answers = self._answers.known
        if callable(self._reset) or not hasattr(space, "n"):
            return None
        for row in obs:
            if self._key(row) not in answers:
                answers[self._key(row)] = self._action(row)
        return one_hot(np.array([answers[self._key(row)] for row in obs]), int(space.n))

    def values(self, obs: Array) -> None:
        """Return None: it has no values."""

    def _key(self, obs: Array) -> bytes:
        return np.asarray(obs, self._harness.spec.observation.dtype).tobytes()

    def _action(self, obs: Array) -> Any:
        """Return a valid action at one observation."""
        self._harness.heartbeat()
        returned = self._call(self._function, int(obs) if self._is_discrete else np.array(obs))
        action = valid_action(returned, self._harness.spec)
        if action is None:
            raise self._failure(f"was given action {brief(returned)}, expected {expected_action(self._harness.spec)}")
        return action

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except _FOREIGN_ERRORS as error:
            raise self._failure(error_text(error)) from None

    def _failure(self, reason: str) -> ExternalFailure:
        return ExternalFailure(f"{self._harness.config.name}: seed {self._seed}: {reason}")
