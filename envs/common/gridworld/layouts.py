"""Layouts by name or from a file: maps and graphs of rooms."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.common.gridworld import graph_file, map_file
from envs.common.gridworld.graph_file import RoomGraph
from envs.common.gridworld.map_file import Map
from simulator.core import rng
from simulator.core.files.escaping import MAX_PATH, shortened
from simulator.core.protocols import Array
from simulator.core.registry import unknown_name_message

SIX = (
    (-1, -1, -1, -1, 0, -1),
    (-1, -1, -1, 0, -1, 100),
    (-1, -1, -1, 0, -1, -1),
    (-1, 0, 0, -1, 0, -1),
    (0, -1, -1, 0, -1, 100),
    (-1, 0, -1, -1, 0, 100),
)
SIX_PLACES = ((0.0, 0.8), (0.7, 0.1), (0.0, 0.1), (0.35, 0.1), (0.35, 0.8), (1.0, 0.45))

MIN_MAZE = 5  # cells along a side
MAX_MAZE = 999
_NEIGHBOURS = ((-2, 0), (0, 2), (2, 0), (0, -2))


class LayoutOptions(NamedTuple):
    """The options of a layout."""

    maze_seed: int = 0
    size: int = 0  # 0: the layout's own
    length: int = 0  # 0: the layout's own
    extra_openings: float = 0.0
    conveyor: bool = False


def find(name: str, options: LayoutOptions) -> Map | RoomGraph:
    """Return the layout of that name, or in that file: R matrices end in .toml or .json, everything else is a map.

    Raises:
        ValueError: no such layout, a size that it cannot have, or a file that is no layout; one line.
    """
    layout = name.replace("_", "-")
    if layout in _LAYOUTS:
        _check(layout, options)
        return _LAYOUTS[layout](options)
    if not os.path.exists(name):
        hint = f"one of {', '.join(_LAYOUTS)}, or a file with a map or an R matrix"
        if os.sep in name or "." in name:
            raise ValueError(f"rooms: layout: no such file {shortened(name, MAX_PATH)!r}, expected {hint}")
        raise ValueError(f"rooms: {unknown_name_message('layout', name, _LAYOUTS, hint)}")
    _check(name, options)
    return graph_file.load(name) if name.lower().endswith((".toml", ".json")) else map_file.load(name)


def files(name: str) -> list[str]:
    """Return the file that :func:`find` would read, if there is one."""
    return [] if name.replace("_", "-") in _LAYOUTS or not os.path.isfile(name) else [name]


def six(options: LayoutOptions) -> RoomGraph:
    """Make six rooms and the goal outside, room 5: the exercise that Q-learning is commonly taught with."""
    return RoomGraph(SIX, goals=(5,), starts=(2,), title="six rooms", places=SIX_PLACES, source="layout six")


def four(options: LayoutOptions) -> Map:
    """Make four rooms (Sutton, Precup and Singh 1999, figure 2): 104 free cells at the size of 13; the goal is (9, 9).

    Other sizes have their walls, doors and goal at the same fractions of the side.
    """
    size = options.size or 13
    middle = size // 2
    far = (middle + size - 1) // 2
    grid = np.full((size, size), " ")
    grid[[0, -1]] = grid[:, [0, -1]] = grid[:, middle : middle + 1] = "#"
    grid[middle, :middle] = grid[middle + 1, middle:] = "#"
    grid[middle // 2, middle] = grid[(middle + size + 1) // 2, middle] = " "
    grid[middle, max(1, middle // 2 - 1)] = grid[middle + 1, far] = " "
    grid[1, 1] = "S"
    grid[far, far] = "G"
    return Map(_rows(grid), title="four rooms", start="random", source="layout four")


def corridor(options: LayoutOptions) -> Map:
    """Make a corridor with the goal at its far end: ``length`` steps."""
    length = options.length or 10
    return Map(_walled(f"S{' ' * (length - 1)}G"), title=f"corridor of {length}", source="layout corridor")


def t_maze(options: LayoutOptions) -> Map:
    """Make a T-maze: a cue at the start, ``length`` steps to a junction; the cue shows which arm pays.

    After Bakker 2002, section 3. The other arm ends the episode with nothing, so the mean return is the fraction of
    episodes that ended well.

    With ``conveyor`` every action moves one step on, and at the junction every action takes an arm: up, or a turn to
    the left, the upper one; down, or a turn to the right, the lower one. All episodes take ``length`` + 1 steps and
    whoever does not remember the cue is right in exactly half of them, so this is a test of memory alone (the passive
    T-maze of Ni et al. 2023, without its penalty); the free maze also asks for exploration.
    """
    length = options.length or 10
    rows = _walled("#" * length + "G", "S" + " " * length, "#" * length + "1")
    title = f"T-maze of {length}" + (", conveyor" if options.conveyor else "")
    return Map(rows, title=title, others=(("1", 0.0),), cue="G1", conveyor=options.conveyor, source="layout t-maze")


def key_door(options: LayoutOptions) -> Map:
    """Make two rooms with a locked door between them; the key is in the first, the goal behind the door.

    The first room has ``size`` x ``size`` cells, 5 x 5 by default. The larger it is, the less often random moves reach
    the goal within an episode: an environment that asks for exploration.
    """
    size = options.size or 5
    middle = size // 2
    grid = np.full((size, 2 * size), " ")
    grid[:, size] = "#"
    grid[0, 0] = "S"
    grid[size - 2, middle] = "K"
    grid[middle, size] = "D"
    grid[middle, -1] = "G"
    return Map(_walled(*_rows(grid)), title="key and door", source="layout key-door")


def cliff(options: LayoutOptions) -> Map:
    """Make the cliff of Sutton and Barto 2018, example 6.6, but a fall (-100) ends the episode; -1 for every step.

    A fall pays -99 because its step costs 1 as well.
    """
    rows = _walled(" " * 12, " " * 12, " " * 12, f"S{'L' * 10}G")
    return Map(rows, title="the cliff", goal=0.0, lava=-99.0, step_cost=1.0, source="layout cliff")


def dyna_maze(options: LayoutOptions) -> Map:
    """Make the maze of Sutton 1990, 6 x 9 with 47 free cells: 14 steps from the start to the goal.

    It is figure 8.2 of Sutton and Barto 2018, in which planning is compared.
    """
    rows = _walled("       #G", "  #    # ", "S #    # ", "  #      ", "     #   ", "         ")
    return Map(rows, title="Dyna maze", source="layout dyna-maze")


def maze(options: LayoutOptions) -> Map:
    """Make a maze from the layout seed, 15 x 15 by default."""
    generator = np.random.Generator(np.random.PCG64(rng.sequence(options.maze_seed, "layout")))
    rows = make_maze(options.size or 15, options.extra_openings, generator)
    return Map(rows, title=f"maze {options.maze_seed}", source="layout maze")


_LAYOUTS: dict[str, Callable[[LayoutOptions], Map | RoomGraph]] = {
    "six": six,
    "four": four,
    "corridor": corridor,
    "t-maze": t_maze,
    "key-door": key_door,
    "cliff": cliff,
    "dyna-maze": dyna_maze,
    "maze": maze,
}
NAMES = tuple(_LAYOUTS)
_SIZES = {
    "four": range(9, map_file.MAX_SIDE + 1),
    "key-door": range(3, map_file.MAX_SIDE // 2),
    "maze": range(MIN_MAZE, MAX_MAZE + 1, 2),
}
_LENGTHS = {"corridor": range(1, map_file.MAX_SIDE - 2), "t-maze": range(1, map_file.MAX_SIDE - 2)}


def _check(name: str, options: LayoutOptions) -> None:
    """Refuse what this layout cannot have."""
    for what, value, ranges in (("size", options.size, _SIZES), ("length", options.length, _LENGTHS)):
        allowed = ranges.get(name)
        if not value or (allowed and value in allowed):
            continue
        expected = f"0, layout {name!r} has one {what} only"
        if allowed:
            odd = "an odd" if allowed.step == 2 else "a"
            expected = f"0, or {odd} {what} from {allowed.start} to {allowed[-1]} for layout {name!r}"
        raise ValueError(f"rooms: {what} = {value}: expected {expected}")
    if options.extra_openings and name != "maze":
        raise ValueError(
            f"rooms: extra_openings = {options.extra_openings}: expected 0, only layout 'maze' has inner walls to open"
        )
    if options.conveyor and name != "t-maze":
        raise ValueError("rooms: conveyor = True: expected false, only layout 't-maze' has a conveyor")


def _walled(*rows: str) -> tuple[str, ...]:
    """Put a wall around the rows."""
    edge = "#" * (len(rows[0]) + 2)
    return (edge, *(f"#{row}#" for row in rows), edge)


def _rows(grid: np.ndarray) -> tuple[str, ...]:
    return tuple("".join(row) for row in grid)


def make_maze(size: int, extra_openings: float, generator: np.random.Generator) -> tuple[str, ...]:
    """Make a maze by depth-first search with backtracking, then open some walls.

    The start is in the upper left corner, the goal in the lower right one.

    Args:
        size: rows and columns, odd, walls included.
        extra_openings: fraction of the inner walls between two passages that are opened; 0: a spanning tree.
        generator: source of randomness.
    """
    is_open = np.zeros((size, size), np.bool_)
    _carve(is_open, generator)
    between = np.argwhere(_separates(is_open))
    opened = between[generator.permutation(len(between))[: round(extra_openings * len(between))]]
    is_open[opened[:, 0], opened[:, 1]] = True
    rows = np.where(is_open, " ", "#")
    rows[1, 1] = "S"
    rows[size - 2, size - 2] = "G"
    return _rows(rows)


def _carve(is_open: Array, generator: np.random.Generator) -> None:
    """Open passages, in place, until every odd cell is reached."""
    size = len(is_open)
    is_open[1, 1] = True
    path = [(1, 1)]
    while path:
        row, column = path[-1]
        ways = [
            (row + down, column + right)
            for down, right in _NEIGHBOURS
            if 0 < row + down < size and 0 < column + right < size and not is_open[row + down, column + right]
        ]
        if not ways:
            path.pop()
            continue
        way = ways[int(generator.integers(len(ways)))]
        is_open[way] = is_open[(row + way[0]) // 2, (column + way[1]) // 2] = True
        path.append(way)


def _separates(is_open: Array) -> Array:
    """Mark inner walls with a passage on either side, bool [size, size]."""
    row, column = np.indices(is_open.shape)
    inner = (row % 2 != column % 2) & (row > 0) & (column > 0)
    inner &= (row < len(is_open) - 1) & (column < len(is_open) - 1)
    return np.asarray(inner & ~is_open)
