"""Python callables as contestants: ``python:package.module:name`` and ``python:path/to/file.py:name``.

Either ``name(obs) -> action``, a plain function, or ``name(spec, seed) -> function``, a factory that makes one for
each seed. A class is a factory; else two arguments without default make one, unless the setting ``factory`` says. All
other settings go to it as keyword arguments. ``obs`` is a whole number where observations are Discrete, else an array
of its own. What a factory gives may have a method ``reset()``, called before the first observation of every episode.

Where the world is a finite MDP, a function of the observation is judged exactly: it is asked once about every state.
Where it answers otherwise while it plays, or has a ``reset``, it counts by the episodes that it plays.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.core import plugins, python_files, seeds
from simulator.core.protocols import Array
from simulator.core.reading import is_path, why_unread
from simulator.externals.actions import brief, checked, expected
from simulator.externals.config import ExternalConfig
from simulator.externals.judge import ExternalFailure, Judge, borrowed, one_hot, said, score

_BROKEN = (Exception, SystemExit)  # what foreign code may raise; not what stops the host
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Bound(NamedTuple):
    """A callable with its settings bound."""

    call: Callable[..., Any]
    factory: bool


def load(config: ExternalConfig) -> Bound:
    """The callable that a contestant's name leads to.

    Raises:
        ValueError: it cannot be imported, there is no such name, or it does not take these settings; one line.
    """
    place, _, name = config.target.rpartition(":")
    if not place or not name:
        raise ValueError(f"{config.name}: expected python:package.module:name or python:path/to/file.py:name")
    module = _module(config, place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{config.name}: {plugins.unknown('name', name, vars(module))}, expected one of {place}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{config.name}: found {brief(found)}, expected a callable")
    return _bound(config, found)


def _module(config: ExternalConfig, place: str) -> Any:
    """The module; of a file, executed anew: what an earlier contest left in it is gone."""
    form = "expected python:path/to/file.py:name"
    if config.file is not None and (unread := why_unread(config.file)):
        raise ValueError(f"{config.name}: {unread}, {form}")
    if config.file is None and is_path(place):
        raise ValueError(f"{config.name}: no Python file, {form}")
    try:
        if config.file is not None:
            return python_files.load(config.file.resolve(), anew=True)
        plugins.with_cwd_importable()
        return importlib.import_module(place)
    except _BROKEN as error:
        raise ValueError(f"{config.name}: cannot be imported: {plugins.reason(error)}") from None


def _bound(config: ExternalConfig, found: Callable[..., Any]) -> Bound:
    """The callable with its settings, and whether it is a factory."""
    given = {key: value for key, value in config.settings.items() if key != "factory"}
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # some of those written in C
        signature = None
    asked = config.settings.get("factory")
    if asked not in (None, True, False):
        raise ValueError(f"{config.name}: factory = {asked!r}: expected true or false")
    factory = _is_factory(found, signature, given) if asked is None else asked
    if signature is not None:
        try:
            signature.bind(*([None, 0] if factory else [None]), **given)
        except TypeError as error:
            form = "(spec, seed) of a factory" if factory else "(obs)"
            raise ValueError(f"{config.name}: {error}, expected a callable of {form} and its settings") from None
    return Bound(functools.partial(found, **given) if given else found, factory)


def _is_factory(found: Callable[..., Any], signature: inspect.Signature | None, given: dict[str, Any]) -> bool:
    if inspect.isclass(found) or signature is None:
        return inspect.isclass(found)
    needed = [each for each in signature.parameters.values() if each.kind in _POSITIONAL and each.name not in given]
    return sum(each.default is each.empty for each in needed) == 2


def play(config: ExternalConfig, judge: Judge) -> list[float]:
    """The score of every seed.

    Raises:
        ValueError: see :func:`load`.
        ExternalFailure: it raised, or chose an action that does not exist.
    """
    found, numbers = load(config), seeds.integers(config.seed_list, "exploration")
    scores = []
    for seed, number in zip(config.seed_list, numbers, strict=True):
        with borrowed(number):
            answers = Answers()
            make = functools.partial(_policy, config, found, judge, (seed, answers))
            evaluation = judge.evaluate(judge.evaluator(seed), make, 0)
            scores.append(score(evaluation._replace(exact=None) if answers.varied else evaluation))
    return scores


class Answers:
    """What a function said about every state, to see whether it says the same while it plays."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}  # the observation -> the action
        self.varied = False


def _policy(config: ExternalConfig, found: Bound, judge: Judge, whose: tuple[int, Answers]) -> CallablePolicy:
    seed, answers = whose
    if not found.factory:
        return CallablePolicy(found.call, judge, (seed, answers))
    try:
        function = found.call(judge.spec, seed)
    except _BROKEN as error:
        raise ExternalFailure(f"{config.name}: seed {seed}: {said(error)}") from None
    if not callable(function):
        raise ExternalFailure(
            f"{config.name}: seed {seed}: its factory gave {brief(function)}, expected a function of one observation"
        )
    return CallablePolicy(function, judge, (seed, answers))


class CallablePolicy:
    """A function of one observation as the policy of one seed; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, function: Callable[[Any], Any], judge: Judge, whose: tuple[int, Answers]) -> None:
        self._function, self._judge, (self._seed, self._answers) = function, judge, whose
        self._reset = getattr(function, "reset", None) if not inspect.isfunction(function) else None
        self._numbered = not judge.spec.observation.shape
        self._name = judge.config.name

    def act(self, obs: Array, first: Array) -> Array:
        """The action [1] at obs [1, *obs]."""
        if first[0] and callable(self._reset):
            self._called(self._reset)
        action, known = self._asked(obs[0]), self._answers.known
        if known and known.get(self._key(obs[0])) != action:
            self._answers.varied = True
        return np.asarray(action)[None]

    def probs(self, obs: Array) -> Array | None:
        """One-hot rows [1, B, A] of what it says about obs [B, *obs]; None for what may remember."""
        space, known = self._judge.spec.action, self._answers.known
        if callable(self._reset) or not hasattr(space, "n"):
            return None
        for each in obs:
            if self._key(each) not in known:
                known[self._key(each)] = self._asked(each)
        return one_hot(np.array([known[self._key(each)] for each in obs]), int(space.n))

    def values(self, obs: Array) -> None:
        """It has none."""

    def _key(self, obs: Array) -> bytes:
        return np.asarray(obs, self._judge.spec.observation.dtype).tobytes()

    def _asked(self, obs: Array) -> Any:
        """A checked action at one observation."""
        self._judge.pulse()
        given = self._called(self._function, int(obs) if self._numbered else np.array(obs))
        action = checked(given, self._judge.spec)
        if action is None:
            raise self._failure(f"was given action {brief(given)}, expected {expected(self._judge.spec)}")
        return action

    def _called(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except _BROKEN as error:
            raise self._failure(said(error)) from None

    def _failure(self, what: str) -> ExternalFailure:
        return ExternalFailure(f"{self._name}: seed {self._seed}: {what}")
