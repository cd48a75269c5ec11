"""Actions of people: their keys, their names, and words that are typed for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene
from simulator.core.snapshots import ActionKey
from simulator.external.action_check import expected_action

ARROWS = ("up", "right", "down", "left")  # names of keys, and of the actions that they stand for
IDLE = ("idle", "noop", "no-op", "nothing")  # actions taken in real time while no key is held
_KEYS = "0123456789abcdefghijklmnoxyz"  # without the keys of the program itself: p, q, r, s, t, u, v, w
_LOWEST = 1e6  # in place of a bound that a number does not have


def action_keys(spec: EnvSpec, scene: Scene, legal: Array) -> tuple[ActionKey, ...]:
    """List the actions with their keys.

    An action called up, right, down or left has the arrow; any other the digit of its number, from 0, or of its name
    where that is one. Of actions that are numbers each has a pair of keys, for its lowest and its highest value.

    Args:
        spec: the environment, or the person's side of a game.
        scene: of the moment, with the names of actions.
        legal: bool [A]; of size 0 where actions are numbers.
    """
    space: Any = spec.action
    if not hasattr(space, "n"):
        return _extremes(space)
    names = [scene.actions[a] if a < len(scene.actions) else f"action {a}" for a in range(int(space.n))]
    keys: list[str] = []
    for index, name in enumerate(names):
        spare = _KEYS[index] if index < len(_KEYS) else ""
        keys.append(name if name in ARROWS or (name.isdigit() and len(name) == 1) else spare)
    return tuple(
        ActionKey(key if keys.count(key) == 1 else "", name, index, bool(legal[index]))
        for index, (key, name) in enumerate(zip(keys, names, strict=True))
    )


def _extremes(space: Any) -> tuple[ActionKey, ...]:
    """List the lowest and the highest value of each number of a Box action, the others at rest."""
    keys = ("left", "right", "down", "up", *_KEYS)
    rest = resting(space)
    found = []
    for i in range(rest.size):
        for way, bound in enumerate((space.low, space.high)):
            action = rest.copy()
            action.flat[i] = np.clip(bound.flat[i], -1.0 if bound.flat[i] < -_LOWEST else -_LOWEST, _LOWEST)
            at = 2 * i + way
            found.append(ActionKey(keys[at] if at < len(keys) else "", f"{_place(i, rest)} {action.flat[i]:g}", action))
    return tuple(found)


def _place(i: int, action: Array) -> str:
    return "force" if action.size == 1 else f"number {i + 1}"


def resting(space: Any) -> Array:
    """Return the action of a Box that is nearest to zero."""
    action: Array = np.clip(np.zeros(space.shape), space.low, space.high).astype(space.dtype)
    return action


def idle_action(spec: EnvSpec, scene: Scene) -> Any:
    """Return what is done in real time while no key is held; None where there is no such action."""
    if not hasattr(spec.action, "n"):
        return resting(spec.action)
    return next((index for index, name in enumerate(scene.actions) if name.lower() in IDLE), None)


def action_of(word: str, spec: EnvSpec, scene: Scene) -> Any:
    """Return the action that a word stands for: its name or the beginning of it, or its number.

    Of a Box the numbers, with colons between several: ``0.5``, ``-1:0.2``.

    Raises:
        ValueError: it stands for none, or for several; one line.
    """
    space: Any = spec.action
    if not hasattr(space, "n"):
        try:
            return np.array([float(number) for number in word.split(":")], space.dtype).reshape(space.shape)
        except ValueError:
            raise ValueError(f"{word}: expected {expected_action(spec)}, with colons between them") from None
    plain = word.lower().replace("_", " ")
    names = [name.lower() for name in scene.actions[: int(space.n)]]
    if plain in names:
        return names.index(plain)
    if plain.isdigit() and plain.isascii() and len(plain) < 10:
        return int(plain)
    begins = [index for index, name in enumerate(names) if name.startswith(plain)]
    if len(begins) == 1:
        return begins[0]
    expected = f"one of {', '.join(names)}, or " if names else ""
    raise ValueError(f"{word}: no action, expected {expected}{expected_action(spec)}")
