"""Wrappers around Gymnasium environments: those that a setting names, and the choice of parts of an observation.

Parts of a ``Dict`` are named by their keys, those of a ``Tuple`` by their numbers, those within parts by both:
``camera.left``. One part stays what it is, so that a picture is seen as a picture; several become one vector, float32:
a ``Discrete`` one-hot, a ``Box`` row by row, in the order in which they were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from simulator.core.foreign import python_files
from simulator.core.foreign.faults import FOREIGN, fault_of
from simulator.core.registry import load_callable, suggestions

ALL = "all"
_NUMBERS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def wrapped(
    single: gymnasium.Env[Any, Any], env_id: str, names: Sequence[str], keys: Sequence[str]
) -> gymnasium.Env[Any, Any]:
    """Put wrappers around an environment, the first the innermost, and choose parts of what it shows.

    Raises:
        ValueError: a wrapper cannot be loaded or refuses the environment, or there is no such part; one line.
    """
    for name in names:
        wrapper = _loaded(env_id, name)
        try:
            single = wrapper(single)
        except FOREIGN as error:
            raise ValueError(f"environment {env_id}: wrapper {name}: {fault_of(error)}") from error
        if not isinstance(single, gymnasium.Env):
            raise ValueError(f"environment {env_id}: wrapper {name} gave {single!r:.60}, expected a gymnasium.Env")
    return ChosenParts(single, env_id, keys) if keys else single


def files(names: Sequence[str]) -> list[str]:
    """List the files of wrappers that are named by path."""
    places = [name.rpartition(":")[0] for name in names]
    return [str(python_files.place_of(place).file) for place in places if python_files.is_path(place)]


def parts_of(space: spaces.Space[Any]) -> dict[str, spaces.Space[Any]]:
    """Map names to the parts of a ``Dict`` or a ``Tuple`` that are neither; of any other space nothing."""
    return dict(_parts(space, "")) if isinstance(space, spaces.Dict | spaces.Tuple) else {}


def is_numeric(space: spaces.Space[Any]) -> bool:
    """Tell whether a part consists of numbers."""
    return isinstance(space, _NUMBERS)


class ChosenParts(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Some parts of an observation: one as it is, several as one vector.

    Args:
        env: the environment.
        env_id: what errors call it.
        keys: names of parts; all: every part of numbers.

    Raises:
        ValueError: there is no such part, or it does not consist of numbers; one line.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], env_id: str, keys: Sequence[str]) -> None:
        super().__init__(env)
        parts = parts_of(env.observation_space)
        place = f"environment {env_id}: keys {' '.join(keys)}"
        if not parts:
            raise ValueError(f"{place}: it shows a {type(env.observation_space).__name__}, expected a Dict or a Tuple")
        self._chosen: dict[str, spaces.Space[Any]] = {}
        for key in keys:
            found = _named(key, parts)
            if not found:
                near = suggestions(key, parts)
                question = f"; did you mean {' or '.join(near)}?" if near else ""
                known = ", ".join(name for name, part in parts.items() if is_numeric(part))
                raise ValueError(f"{place}: no part is called {key}{question}, expected all, or of {known}")
            self._chosen |= found
        texts = [name for name, part in self._chosen.items() if not is_numeric(part)]
        if texts:
            raise ValueError(
                f"{place}: {texts[0]} is of {type(self._chosen[texts[0]]).__name__}, expected parts of numbers"
            )
        first = next(iter(self._chosen.values()))
        self._is_one = len(self._chosen) == 1 and not isinstance(first, spaces.MultiBinary)
        self.observation_space = first if self._is_one else _vector(list(self._chosen.values()))

    def observation(self, observation: Any) -> Any:
        """Return the chosen parts of an observation."""
        return self._joined([_at(observation, name) for name in self._chosen])

    def chosen(self, given: Any) -> Any:
        """Choose parts of a whole observation, or of a batch: a dict or a tuple of columns, or a list of observations.

        What is no whole observation is returned as it is.
        """
        whole = dict if isinstance(self.env.observation_space, spaces.Dict) else tuple
        try:
            if isinstance(given, list) and given and all(isinstance(one, whole) for one in given):
                return np.stack([self.observation(one) for one in given])
            if not isinstance(given, whole):
                return given
            columns = [_at(given, name) for name in self._chosen]
        except (KeyError, IndexError, TypeError, ValueError):
            return given
        first = next(iter(self._chosen.values()))
        if np.ndim(columns[0]) == len(first.shape or ()):
            return self._joined(columns)
        return np.stack([self._joined(list(row)) for row in zip(*columns, strict=True)])

    def _joined(self, values: list[Any]) -> Any:
        if self._is_one:
            return values[0]
        flat = [spaces.flatten(part, value) for part, value in zip(self._chosen.values(), values, strict=True)]
        return np.concatenate([np.asarray(part, np.float32).ravel() for part in flat])


def _parts(space: spaces.Space[Any], place: str) -> Iterator[tuple[str, spaces.Space[Any]]]:
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        yield place, space
        return
    inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    for key, part in inner:
        yield from _parts(part, f"{place}.{key}" if place else str(key))


def _named(key: str, parts: dict[str, spaces.Space[Any]]) -> dict[str, spaces.Space[Any]]:
    """Return the parts that a key names: one, those within it, or with ``all`` every part of numbers."""
    if key == ALL and ALL not in parts:
        return {name: part for name, part in parts.items() if is_numeric(part)}
    return {name: part for name, part in parts.items() if name == key or name.startswith(f"{key}.")}


def _at(observation: Any, name: str) -> Any:
    """Return the part of an observation that a name leads to."""
    for key in name.split("."):
        observation = observation[int(key)] if isinstance(observation, tuple | list) else observation[key]
    return observation


def _vector(parts: Sequence[spaces.Space[Any]]) -> spaces.Box:
    """Return the space of several parts in one vector."""
    flat: list[Any] = [spaces.flatten_space(part) for part in parts]
    low, high = (np.concatenate([np.asarray(getattr(box, end), np.float32) for box in flat]) for end in ("low", "high"))
    return spaces.Box(low, high, dtype=np.float32)


def _loaded(env_id: str, name: str) -> Any:
    """Load a wrapper: ``module:Wrapper`` or ``./file.py:Wrapper``."""
    try:
        return load_callable(name, "expected module:Wrapper or ./file.py:Wrapper")
    except ValueError as error:
        raise ValueError(f"environment {env_id}: wrapper {name}: {error}") from error
