"""Mazes: a spanning tree of passages by depth-first search with backtracking, then some walls opened to make loops."""

from __future__ import annotations

import numpy as np

from simulator.core.protocols import Array

SMALLEST, LARGEST = 5, 999
_NEIGHBOURS = ((-2, 0), (0, 2), (2, 0), (0, -2))


def make_maze(size: int, loops: float, generator: np.random.Generator) -> tuple[str, ...]:
    """Rows of a maze with its start in the upper left corner and its goal in the lower right one.

    Args:
        size: rows and columns, odd, walls included.
        loops: share of the inner walls between two passages that are opened; 0: one way only from place to place.
        generator: where the maze comes from.
    """
    open_ = np.zeros((size, size), np.bool_)
    _carve(open_, generator)
    between = np.argwhere(_separates(open_))
    opened = between[generator.permutation(len(between))[: round(loops * len(between))]]
    open_[opened[:, 0], opened[:, 1]] = True
    rows = np.where(open_, " ", "#")
    rows[1, 1], rows[size - 2, size - 2] = "S", "G"
    return tuple("".join(row) for row in rows)


def _carve(open_: Array, generator: np.random.Generator) -> None:
    """Open passages, in place, until every odd cell is reached."""
    size = len(open_)
    open_[1, 1] = True
    path = [(1, 1)]
    while path:
        row, column = path[-1]
        ways = [
            (row + down, column + right)
            for down, right in _NEIGHBOURS
            if 0 < row + down < size and 0 < column + right < size and not open_[row + down, column + right]
        ]
        if not ways:
            path.pop()
            continue
        way = ways[int(generator.integers(len(ways)))]
        open_[way] = open_[(row + way[0]) // 2, (column + way[1]) // 2] = True
        path.append(way)


def _separates(open_: Array) -> Array:
    """Inner walls with a passage on either side, bool [size, size]."""
    row, column = np.indices(open_.shape)
    inner = (row % 2 != column % 2) & (row > 0) & (column > 0)
    inner &= (row < len(open_) - 1) & (column < len(open_) - 1)
    return np.asarray(inner & ~open_)
