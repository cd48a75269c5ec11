"""Groups of states that an atlas draws alike: by a number, an action, a room, a class or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.views.style import number

N_SHADES = 6  # groups of a number
NO_GROUP = -1

_ONE_OF = {
    "observations": "observation",
    "successor": "row of the successor representation",
    "codes": "code",
    "patterns": "pattern",
    "recalled": "recalled pattern",
    "hidden": "hidden units",
}


class Groups(NamedTuple):
    """Parts of the states that are drawn alike."""

    of_state: Array  # int64 [N]; -1: in none
    names: tuple[str, ...]
    is_number: bool  # groups are ranges of a number, the smallest first


def groups_of(data: Mapping[str, Any], found: Mapping[str, Any]) -> Groups:
    """Part states by what they are coloured by.

    Args:
        data: the JSON object of ``engram atlas``.
        found: one of its maps.
    """
    color = data["color"]
    if color in ("value", "step", "visits"):
        return _by_number(np.asarray(data[{"value": "values", "step": "steps"}.get(color, color)], np.float64))
    if color == "action":
        return _by_kind(np.asarray(data["actions"]), lambda action: str(data["action_names"][action]))
    if color == "cluster":
        labels = np.asarray(found["clusters"])
        return Groups(labels, tuple(f"cluster {k + 1}" for k in range(labels.max() + 1)), is_number=False)
    if color == "room":
        return _by_kind(np.asarray(data["rooms"]), lambda room: f"room {room + 1}")
    return _by_kind(np.asarray(data["classes"]), lambda kind: f"class {kind}")


def shown_as(data: Mapping[str, Any]) -> str:
    """Say what stands for a state, and what it is coloured by."""
    return f"a state is its {_ONE_OF.get(data['of'], data['of'])}, coloured by {data['color']}"


def _by_kind(numbers: Array, name: Callable[[int], str]) -> Groups:
    """Make a group of every number from 0 that occurs."""
    kinds, group = np.unique(numbers[numbers >= 0], return_inverse=True)
    of_state = np.full(len(numbers), NO_GROUP)
    of_state[numbers >= 0] = group
    return Groups(of_state, tuple(name(int(kind)) for kind in kinds), is_number=False)


def _by_number(numbers: Array) -> Groups:
    """Part by quantiles, equal numbers together."""
    known = np.isfinite(numbers)
    of_state = np.full(len(numbers), NO_GROUP)
    if not known.any():
        return Groups(of_state, (), is_number=True)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0.0, 1.0, N_SHADES + 1)[1:-1]))
    group = np.searchsorted(edges, numbers[known], side="right")
    kinds, of_state[known] = np.unique(group, return_inverse=True)
    names = []
    for k in range(len(kinds)):
        part = numbers[of_state == k]
        low, high = number(part.min()), number(part.max())
        names.append(low if low == high else f"{low} to {high}")
    return Groups(of_state, tuple(names), is_number=True)
