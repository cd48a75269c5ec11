"""Cells of a contest between memories as tables and pictures want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Cell = Mapping[str, Any]  # of the summary of a contest


def ceilings(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Cell of the best possible for each corruption, the same for all contestants: one that lost fewest seeds."""
    return {cell["corruption"]: cell for cell in sorted(cells, key=lambda cell: -len(cell["failed"]))}
