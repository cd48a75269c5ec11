"""Which cells of a window are hidden behind walls."""

from __future__ import annotations

from functools import cache

import numpy as np

from simulator.core.protocols import Array

Cell = tuple[int, int]


def hidden(stops: Array) -> Array:
    """Mark the cells that cannot be seen from the middle of windows, bool [B, k, k].

    A cell is seen if the straight line between the two cells' centres meets no cell that stops it on the way. Where the
    line runs between two cells, both have to stop it. Walls themselves are seen.

    Args:
        stops: bool [B, k, k], walls and closed doors.
    """
    unseen = np.zeros(stops.shape, np.bool_)
    for (row, column), steps in _lines(stops.shape[1]).items():
        for cells in steps:
            passed = stops[:, cells[0][0], cells[0][1]]
            for other in cells[1:]:
                passed = passed & stops[:, other[0], other[1]]
            unseen[:, row, column] |= passed
    return unseen


@cache
def _lines(k: int) -> dict[Cell, list[list[Cell]]]:
    """For every cell of a k x k window, the steps on the way to it: one cell, or two that the line runs between."""
    middle, lines = k // 2, {}
    for row in range(-middle, middle + 1):
        for column in range(-middle, middle + 1):
            n = max(abs(row), abs(column))
            lines[row + middle, column + middle] = [_between(row * t, column * t, n, middle) for t in range(1, n)]
    return lines


def _between(rows: int, columns: int, n: int, middle: int) -> list[Cell]:
    """The cells that hold the point (rows / n, columns / n), counted from the middle."""
    return [(r + middle, c + middle) for r in _nearest(rows, n) for c in _nearest(columns, n)]


def _nearest(share: int, n: int) -> list[int]:
    """The whole number nearest to share / n, or both where it lies half way."""
    low, high = -((n - 2 * share) // (2 * n)), (2 * share + n) // (2 * n)
    return [low, high] if low != high else [low]
