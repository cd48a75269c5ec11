"""Views of rooms: what a random walker saw of the walls around itself, each view once, in the order of first sight.

The environments are the maps of ``rooms``. A view is a window of cells with the walker in the middle, wall +1 and
everything else -1; walls hide nothing, and outside of the map is wall. The map is the same for all seeds, the walks
are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from envs.common.gridworld import layouts
from envs.common.gridworld.finite_env import Look, Rules
from envs.common.gridworld.grid_mdp import make_field, make_grid
from envs.common.gridworld.grid_observations import grid_views
from envs.common.gridworld.map_file import Map
from envs.common.patterns.sampling import Patterns
from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

_MAZE = 31  # cells along a side of a maze where nothing is said


@dataclass(frozen=True)
class Config:
    """Settings of the views."""

    layout: str = "maze"
    """four, corridor, t-maze, key-door, cliff, maze, or a file with a map"""
    layout_seed: CountOrZero = 0
    """which maze; apart from the seeds of a contest"""
    size: CountOrZero = 0
    """cells along a side of four or of a maze (odd); 0: 13 and 31"""
    length: CountOrZero = 0
    """cells of a corridor or a T-maze; 0: 10"""
    loops: Share = 0.0
    """share of a maze's inner walls that are opened"""
    window: Annotated[int, Meta(ge=1, le=31)] = 7
    """cells along a side of the window, odd"""
    walk: Count = 100
    """steps after which the walker goes on from a random place"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Views of one map, by a walk of its own for every seed. There are no labels.

    Raises:
        ValueError: an unknown layout, a bad map, a graph of rooms, a window of even size; one line.
    """
    views, kind, moves = _views(config)

    def row(stream: np.random.Generator, n: int) -> tuple[Array, Array]:
        return views[_walk(stream, n, config.walk, (kind, moves))], np.full(n, -1)

    return Patterns("rooms_seen", PatternSpec((config.window, config.window)), len(views), seed_list, row)


def _views(config: Config) -> tuple[Array, list[int], list[list[int]]]:
    """Distinct views [V, N], which of them is seen in every state, and where the four moves lead from there."""
    size = config.size or (_MAZE if config.layout == "maze" else 0)
    plan = layouts.find(config.layout, layouts.Shape(config.layout_seed, size, config.length, config.loops))
    if not isinstance(plan, Map):
        raise ValueError(f"rooms_seen: layout = {config.layout!r}: found a graph of rooms, expected a map")
    grid = make_grid(make_field(plan), Rules(start="random"))
    look = grid_views(grid, Look("window", config.window, see_through=True)).look
    walls = look(np.arange(len(grid.cell)))[..., 0].reshape(len(grid.cell), -1)  # [states, N], the first plane
    views, kind = np.unique(walls, axis=0, return_inverse=True)
    return (2.0 * views - 1.0).astype(np.float32), kind.ravel().tolist(), grid.moves.tolist()


def _walk(stream: np.random.Generator, n: int, n_steps: int, ways: tuple[list[int], list[list[int]]]) -> list[int]:
    """The first n different views of a walk; any place can be the next one that it goes on from, so all are seen."""
    kind, moves = ways
    found: dict[int, None] = {}
    while len(found) < n:
        state = int(stream.integers(len(kind)))
        for action in stream.integers(4, size=n_steps).tolist():
            found[kind[state]] = None
            state = moves[state][action]
        found[kind[state]] = None
    return list(found)[:n]


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("rooms_seen", make([0], Config()))
