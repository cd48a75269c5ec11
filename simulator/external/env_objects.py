"""Environments that are given as objects: a ``gymnasium.Env``, or a callable that makes one.

Every seed needs an environment of its own, so an object is a recipe. What is possible, in this order:

=====================================  ================================================================================
an environment by a registered id      made again by its id, with its ``kwargs`` and its limit of steps
one with wrappers that record theirs   made again by its spec (``gymnasium.make(env.spec)``)
any other instance                     copied (``copy.deepcopy``) as it was when it was given
a class or another callable            called without arguments
=====================================  ================================================================================

An environment that is made again has none of the changes that were made to it by hand: a callable can make them. What
has no id of its own gets one here, ``object/NAME-N``, which this process alone knows.
"""

from __future__ import annotations

import copy
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
from gymnasium.envs.registration import EnvSpec as GymSpec

from simulator.core.foreign.faults import FOREIGN, fault_of

NAMESPACE = "object/"
_EXPECTED = "expected a name, a gymnasium.Env, or a callable that makes one"
_counter = itertools.count(1)

MakeEnv = Callable[[], "gymnasium.Env[Any, Any]"]


class NamedEnv(NamedTuple):
    """The name of an environment, and its settings."""

    name: str
    settings: dict[str, Any]


def named(env: Any) -> NamedEnv:
    """Return the name of an environment that is given by name or as an object.

    Raises:
        ValueError: something else, or an environment that cannot be made once more; one line.
    """
    if isinstance(env, str):
        return NamedEnv(env, {})
    if isinstance(env, gymnasium.Env):
        return _of_id(env) or NamedEnv(_registered(_maker(env), type(env.unwrapped).__name__), {})
    if not callable(env):
        raise ValueError(f"environment {type(env).__name__}: {_EXPECTED}")
    called = getattr(env, "__name__", type(env).__name__)
    return NamedEnv(_registered(_checked(env, called), called), {})


def is_object(name: str) -> bool:
    """Tell whether a name was given here to an object."""
    return name.startswith(NAMESPACE)


def _of_id(env: gymnasium.Env[Any, Any]) -> NamedEnv | None:
    """Return the id and the settings of an environment that they describe whole; None if they do not."""
    spec = env.spec
    known = gymnasium.registry.get(spec.id) if spec is not None else None
    if spec is None or known is None or spec.id.startswith("ALE/"):  # games of Atari are preprocessed under their ids
        return None
    if spec.entry_point != known.entry_point or spec.additional_wrappers != known.additional_wrappers:
        return None
    kwargs = {key: value for key, value in spec.kwargs.items() if key not in known.kwargs or known.kwargs[key] != value}
    kwargs.pop("render_mode", None)
    if not all(isinstance(value, bool | int | float | str) for value in kwargs.values()):
        return None
    limit = spec.max_episode_steps
    if limit != known.max_episode_steps and not limit:
        return None
    settings: dict[str, Any] = {"kwargs": kwargs} if kwargs else {}
    if limit != known.max_episode_steps:
        settings["max_steps"] = limit
    return NamedEnv(spec.id, settings)


def _maker(env: gymnasium.Env[Any, Any]) -> MakeEnv:
    """Return what makes an environment like this one.

    Raises:
        ValueError: it can neither be made again nor copied.
    """
    spec = env.spec
    if spec is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if _chain(gymnasium.make(spec)) == _chain(env):
                    return lambda: gymnasium.make(spec)
            except FOREIGN:  # a wrapper that does not record its arguments: it is copied
                pass
    try:
        template = copy.deepcopy(env)
    except FOREIGN as error:
        why = f"cannot be copied for every seed ({fault_of(error)})"
        raise ValueError(
            f"environment {type(env.unwrapped).__name__}: {why}, expected a callable that makes one"
        ) from None
    return lambda: copy.deepcopy(template)


def _chain(env: gymnasium.Env[Any, Any]) -> list[type]:
    """List the classes of an environment's wrappers and its own, the outermost first."""
    classes: list[type] = [type(env)]
    while isinstance(env, gymnasium.Wrapper):
        env = env.env
        classes.append(type(env))
    return [kind for kind in classes if kind.__name__ not in ("PassiveEnvChecker", "OrderEnforcing")]


def _checked(make: Callable[..., Any], called: str) -> MakeEnv:
    """Return a maker whose environments are looked at."""

    def checked() -> gymnasium.Env[Any, Any]:
        env = make()
        if not isinstance(env, gymnasium.Env):
            raise ValueError(f"{called} gave a {type(env).__name__}, expected a gymnasium.Env")
        return env

    return checked


def _registered(make: MakeEnv, called: str) -> str:
    """Register a maker of environments, and return the id that it gets."""
    name = f"{NAMESPACE}{re.sub(r'[^0-9A-Za-z_]', '', called) or 'Env'}-{next(_counter)}"
    gymnasium.registry[name] = GymSpec(name, entry_point=lambda **_: make())
    return name
