"""Graphs of rooms: R matrices from TOML and JSON files, read strictly.

::

    title = "three rooms in a row"
    R = [[-1, 0, -1], [0, -1, 100], [-1, 0, 100]]   # row: room, column: room that the door leads to, -1: no door
    goal = 2        # or a list; if it is missing, every room that a positive entry leads to
    start = [0, 1]  # or one; if it is missing, every room
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field
from typing import Any

from envs.common.gridworld.map_file import REWARD_LIMIT
from simulator.core.files.escaping import visible
from simulator.core.files.reading import read_text
from simulator.core.registry import unknown_name_message

LARGEST = 500  # rooms
_KEYS = ("R", "goal", "start", "title")
NO_DOOR = -1.0


@dataclass(frozen=True)
class RoomGraph:
    """Rooms and doors.

    Attributes:
        rewards: R, square: what going from room i to room j pays; -1: no door.
        goals: arriving in one of these rooms ends the episode.
        starts: the rooms of a fixed start, or none.
        random: whether episodes of their own accord start in any room.
        title: what it is, in a few words.
        places: x and y (downwards) of every room in the unit square; none: on a circle.
        source: where it was read, for errors.
    """

    rewards: tuple[tuple[float, ...], ...]
    goals: tuple[int, ...]
    starts: tuple[int, ...] = ()
    random: bool = True
    title: str = ""
    places: tuple[tuple[float, float], ...] = ()
    source: str = field(default="R matrix", compare=False)


def load(path: str | os.PathLike[str]) -> RoomGraph:
    """Read a TOML or JSON file, by its suffix.

    Raises:
        ValueError: no readable file, or no R matrix; one line: file, key, row, column, what was found and expected.
    """
    page = read_text(path)
    source = visible(os.fspath(path))
    kind = "JSON" if source.lower().endswith(".json") else "TOML"
    try:
        data = (json if kind == "JSON" else tomllib).loads(page)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not {kind}: {' '.join(str(error).split())[:200]}") from error
    return parse(data, source)


def parse(data: Any, source: str = "R matrix") -> RoomGraph:
    """Parse a graph from a table with ``R`` and optional ``goal``, ``start`` and ``title``, or from R alone.

    Raises:
        ValueError: see :func:`load`.
    """
    table = {"R": data} if isinstance(data, list) else data
    if not isinstance(table, dict) or "R" not in table:
        raise ValueError(f"{source}: found no R, expected a square list of lists of numbers with that name")
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"{source}: {unknown_name_message('key', str(key), _KEYS)}, expected {', '.join(_KEYS)}")
    rewards = _matrix(table["R"], source)
    title = table.get("title", "")
    if not isinstance(title, str) or not title.isprintable() or len(title) > 200:
        raise ValueError(f"{source}: title = {_shown(title)}: expected up to 200 printable characters")
    inviting = sorted({j for row in rewards for j, reward in enumerate(row) if reward > 0})
    goals = _rooms(table, "goal", len(rewards), source) if "goal" in table else tuple(inviting)
    if not goals:
        raise ValueError(f"{source}: found neither a goal nor a positive entry of R, expected a goal room")
    starts = _rooms(table, "start", len(rewards), source) if "start" in table else ()
    return RoomGraph(rewards, goals, starts, not starts, title, source=source)


def _matrix(value: Any, source: str) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list) or not 0 < len(value) <= LARGEST:
        found = f"{len(value)} rows" if isinstance(value, list) else _shown(value)
        raise ValueError(f"{source}: R: found {found}, expected 1 to {LARGEST} rows, one for each room")
    for i, row in enumerate(value):
        if not isinstance(row, list) or len(row) != len(value):
            found = f"{len(row)} entries" if isinstance(row, list) else _shown(row)
            raise ValueError(f"{source}: R row {i}: found {found}, expected {len(value)} entries, one for each room")
        for j, entry in enumerate(row):
            if not _is_number(entry) or not (entry == NO_DOOR or 0 <= entry <= REWARD_LIMIT):
                expected = f"-1 (no door) or a reward from 0 to {REWARD_LIMIT:g}"
                raise ValueError(f"{source}: R row {i}, column {j}: found {_shown(entry)}, expected {expected}")
    return tuple(tuple(float(entry) for entry in row) for row in value)


def _rooms(table: dict[str, Any], key: str, n: int, source: str) -> tuple[int, ...]:
    """Parse one room or several."""
    value = table[key] if isinstance(table[key], list) else [table[key]]
    for room in value:
        if isinstance(room, bool) or not isinstance(room, int) or not 0 <= room < n:
            raise ValueError(f"{source}: {key}: found {_shown(room)}, expected a room from 0 to {n - 1}")
    if not value:
        raise ValueError(f"{source}: {key}: found no room, expected at least one")
    return tuple(sorted(set(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    short = isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() < 1000)
    text = repr(value) if short else f"a value of type {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
