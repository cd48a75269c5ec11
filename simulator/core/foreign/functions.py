"""Python functions as agents that do not learn: ``python:FILE.py:NAME`` and ``python:package.module:NAME``.

Either ``name(obs) -> action``, a plain function, or ``name(spec, seed) -> function``, a factory that makes one for each
seed; a class is a factory, else two arguments without default make one. Other arguments with a default are its
settings. ``obs`` is a whole number where observations are Discrete, else an array of its own. What a factory gives may
have a method ``reset()``, called before the first observation of every episode.

So a function plays a run, a game, or wherever an agent's name stands. Among the ``agents`` of a tournament it is a
contestant from outside, see :mod:`simulator.external.callables`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.foreign.faults import guarded
from simulator.core.foreign.object_state import object_state, restore_object
from simulator.core.foreign.per_seed import one_action, one_part
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

TRAINABLE = False  # games do not train it
PREFIX = "python:"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
FORM = "expected python:path/to/file.py:name or python:package.module:name"


class FunctionAgent(NamedTuple):
    """A function as an agent, with its settings."""

    name: str  # with the absolute path of its file
    Config: type[Any]  # the arguments with a default
    make: Callable[[EnvSpec, Sequence[int], Any], FunctionPolicy]


def agent_of(name: str, target: Callable[..., Any]) -> FunctionAgent:
    """Make an agent of a function or a factory.

    Raises:
        ValueError: it takes other arguments; one line.
    """
    is_made = is_factory(target)
    parameters = signature_of(target)
    required = [] if parameters is None else without_default(parameters)
    if parameters and len(required) != 1 + is_made:
        expected = "expected a function of (obs), or a factory of (spec, seed)"
        raise ValueError(f"{name}: it takes {len(required)} arguments without a default, {expected}")
    options = [one for one in parameters or () if isinstance(one.default, bool | int | float | str)]
    fields = [(one.name, type(one.default), dataclasses.field(default=one.default)) for one in options]
    config = dataclasses.make_dataclass("Config", fields, frozen=True, namespace={"__module__": __name__})
    return FunctionAgent(name, config, functools.partial(_make, name, target, is_made))


def is_factory(target: Callable[..., Any], settings: Collection[str] = ()) -> bool:
    """Tell whether a callable makes a function for each seed: a class, or two arguments beside the ``settings``."""
    parameters = signature_of(target)
    return inspect.isclass(target) or (parameters is not None and len(without_default(parameters, settings)) == 2)


def signature_of(target: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the arguments of a callable; None for some of those that are written in C."""
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None


def without_default(parameters: Sequence[inspect.Parameter], settings: Collection[str] = ()) -> list[inspect.Parameter]:
    """Return the arguments by position that have no default and are none of the settings."""
    by_position = [one for one in parameters if one.kind in _POSITIONAL and one.name not in settings]
    return [one for one in by_position if one.default is one.empty]


def _make(
    name: str, target: Callable[..., Any], is_factory: bool, spec: EnvSpec, seeds: Sequence[int], config: Any
) -> Any:
    settings = dataclasses.asdict(config)
    call = functools.partial(target, **settings) if settings else target
    return FunctionPolicy(name, call, is_factory, spec, seeds)


class FunctionPolicy:
    """S functions of one observation: an agent that does not learn, and its own policy."""

    def __init__(
        self, name: str, call: Callable[..., Any], is_factory: bool, spec: EnvSpec, seeds: Sequence[int]
    ) -> None:
        self._given = (name, call, is_factory, spec, list(seeds))
        self._owner = f"agent {name}"
        self._spec = spec
        self._began = np.ones(len(seeds), np.bool_)
        if is_factory:
            with guarded(self._owner):
                self._functions = [call(spec, seed) for seed in seeds]
            for function in self._functions:
                if not callable(function):
                    raise ValueError(
                        f"{name}: its factory gave {function!r:.60}, expected a function of one observation"
                    )
        else:
            self._functions = [call] * len(self._began)
        self._is_stateful = is_factory and not inspect.isfunction(self._functions[0])

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Return the functions' actions, [S]; ``first`` marks seeds whose episode begins."""
        began = self._began if first is None else first
        actions = []
        with guarded(self._owner):
            for i, function in enumerate(self._functions):
                if began[i] and self._is_stateful and hasattr(function, "reset"):
                    function.reset()
                seen = one_part(np.array(obs[i]))
                actions.append(one_action(function(seen), self._spec, i))
        self._began = np.zeros_like(self._began)
        return np.array(actions, self._spec.action.dtype)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing; note which episodes ended."""
        self._began = step.terminated | step.truncated
        return {}

    def policy(self) -> FunctionPolicy:
        """Return the same functions, made anew where a factory makes them."""
        return FunctionPolicy(*self._given)

    def probs(self, obs: Array) -> None:
        """Return None: a function may draw, or remember."""

    def values(self, obs: Array) -> None:
        """Return None: it has no values."""

    def state(self) -> State:
        """Return what the functions of a factory remember."""
        kept = [object_state(function) for function in self._functions] if self._is_stateful else []
        return {"began": self._began.copy(), "functions": kept}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._began = np.array(state["began"], np.bool_)
        for function, kept in zip(self._functions, state["functions"], strict=False):
            restore_object(function, kept)
