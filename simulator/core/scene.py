"""Scenes: drawings as plain arrays. Environments make them; views turn them into characters or pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Mark(NamedTuple):
    """One symbol on a cell: ``kind`` is walker, start, goal, door, key, lava, slippery or cue."""

    row: int
    column: int
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Scene:
    """A moment of one seed's environment.

    A grid gives ``walls``; a graph of rooms gives ``rooms`` and ``doors``; a machine gives ``lines``; a foreign
    environment gives ``image``.

    Attributes:
        title: what is shown, in a few words.
        walls: bool [H, W], or None.
        marks: symbols on cells of the grid.
        rooms: float [N, 2], a place in the unit square for every room, or None.
        doors: int [D, 2], pairs of rooms with a passage from the first to the second.
        walker: the room that the walker is in, where there are rooms.
        lines: float [L, 4], the ends x0, y0, x1, y1 of strokes in the unit square, y upwards, or None.
        image: uint8 [H, W, 3] for an environment that only draws itself, or None.
        places: int [N, 2] row and column (or room, 0) of every state; states not shown now have row -1.
        actions: what each action does: ``"up"``, ``"right"``, ``"down"``, ``"left"`` or ``"room 3"``; ``[A]``.
        facts: short name -> text, shown beside the picture.
        meanings: kind of a mark -> what it is here, where that is not the kind's own name: ``{"lava": "hole"}``.
    """

    title: str
    walls: np.ndarray | None = None
    marks: tuple[Mark, ...] = ()
    rooms: np.ndarray | None = None
    doors: np.ndarray | None = None
    walker: int = -1
    lines: np.ndarray | None = None
    image: np.ndarray | None = None
    places: np.ndarray | None = None
    actions: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
