"""Views of rooms: distinct windows of walls around a random walker, in the order of first visit.

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
from envs.common.gridworld.grid_mdp import make_cells, make_grid
from envs.common.gridworld.grid_observations import grid_observations
from envs.common.gridworld.layout_model import LayoutRules, ObservationConfig
from envs.common.gridworld.map_file import Map
from envs.common.patterns.sampling import Patterns
from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

DEFAULT_MAZE_SIZE = 31  # cells along a side


@dataclass(frozen=True)
class Config:
    """Settings of the views."""

    layout: str = "maze"
    """four, corridor, t-maze, key-door, cliff, maze, or a file with a map"""
    maze_seed: CountOrZero = 0
    """seed of the maze, apart from the seeds of a run"""
    size: CountOrZero = 0
    """cells along a side of four or of a maze (odd); 0: 13 and 31"""
    length: CountOrZero = 0
    """cells of a corridor or a T-maze; 0: 10"""
    extra_openings: Share = 0.0
    """fraction of a maze's inner walls that are opened, which makes loops"""
    window: Annotated[int, Meta(ge=1, le=31)] = 7
    """cells along a side of the window, odd"""
    walk: Count = 100
    """steps after which the walker goes on from a random place"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make the views of one map, by a walk of its own for every seed. There are no labels.

    Raises:
        ValueError: an unknown layout, a bad map, a graph of rooms, a window of even size; one line.
    """
    size = config.size or (DEFAULT_MAZE_SIZE if config.layout == "maze" else 0)
    options = layouts.LayoutOptions(config.maze_seed, size, config.length, config.extra_openings)
    plan = layouts.find(config.layout, options)
    if not isinstance(plan, Map):
        raise ValueError(f"rooms_seen: layout = {config.layout!r}: found a graph of rooms, expected a map")
    grid = make_grid(make_cells(plan), LayoutRules(start="random"))
    encode = grid_observations(grid, ObservationConfig("window", config.window, xray=True)).encode
    walls = encode(np.arange(len(grid.cell)))[..., 0].reshape(len(grid.cell), -1)  # [states, N], the first plane
    distinct, view_of_state = np.unique(walls, axis=0, return_inverse=True)
    views = (2.0 * distinct - 1.0).astype(np.float32)  # [V, N]
    view_list = view_of_state.ravel().tolist()
    next_state = grid.next_state.tolist()

    def row(stream: np.random.Generator, out: Array) -> Array:
        out[:] = views[_walk(stream, len(out), config.walk, view_list, next_state)]
        return np.full(len(out), -1)

    return Patterns("rooms_seen", PatternSpec((config.window, config.window)), len(views), seed_list, row)


def _walk(
    stream: np.random.Generator, n: int, n_steps: int, view_of_state: list[int], next_state: list[list[int]]
) -> list[int]:
    """Return the first n distinct views of a walk, which goes on from a random place after every ``n_steps``."""
    views: dict[int, None] = {}
    while len(views) < n:
        state = int(stream.integers(len(view_of_state)))
        for action in stream.integers(4, size=n_steps).tolist():
            views[view_of_state[state]] = None
            state = next_state[state][action]
        views[view_of_state[state]] = None
    return list(views)[:n]


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("rooms_seen", make([0], Config()))
