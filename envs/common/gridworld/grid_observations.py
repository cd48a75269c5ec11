"""A map as a finite environment with its picture and its observations.

An observation is an index, a position, the walls around, a window of cells, or the whole map as pixels. In all of them
a cue shows on the start only, and a key that is held is gone from its cell and its door open.
"""

from __future__ import annotations

from functools import cache, lru_cache, partial
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.gridworld.editing import SYMBOLS
from envs.common.gridworld.grid_mdp import ACTIONS, DIRECTIONS, Grid, blocked, make_cells, make_grid, make_mdp
from envs.common.gridworld.layout_model import (
    LayoutModel,
    LayoutRules,
    ObservationConfig,
    ObservationModel,
    box_observations,
    index_observations,
    onehot_observations,
    position_observations,
)
from envs.common.gridworld.map_file import GOALS, Map
from envs.common.render import paint, stamp
from simulator.core.protocols import Array
from simulator.core.scene import Mark, Scene

MAX_PIXELS = 4_000_000
_MARK_KINDS = {"S": "start", "D": "door", "K": "key", "L": "lava", "~": "slippery"} | dict.fromkeys(GOALS, "goal")


def make_grid_model(plan: Map, rules: LayoutRules) -> LayoutModel:
    """Make a finite environment from a map; a goal is terminal unless the rules say otherwise.

    Raises:
        ValueError: no start, a start from which no goal can be reached, too many states.
    """
    grid = make_grid(make_cells(plan), rules)
    return LayoutModel(make_mdp(grid, rules), partial(_scene, grid), partial(grid_observations, grid))


def _scene(grid: Grid, state: int, episode_step: int) -> Scene:
    cells = grid.cells
    keys = int(grid.keys[state])
    cue = int(grid.cue[state])
    width = cells.shape[1]
    row, column = divmod(int(grid.cell[state]), width)
    shown = (grid.keys == keys) & (grid.cue == cue) & (cells.symbol[grid.cell] != "#")
    places = np.where(shown[:, None], np.stack(np.divmod(grid.cell, width), axis=1), -1)
    facts = {"step": str(episode_step)}
    if cells.n_keys:
        facts["keys"] = f"{keys.bit_count()} of {cells.n_keys}"
    if cells.n_cues > 1:
        facts["pays"] = cells.plan.cue[cue]
    return Scene(
        cells.plan.title or "map",
        walls=(cells.symbol == "#").reshape(cells.shape),
        marks=(*marks(grid, keys, 1 + cue if cells.n_cues > 1 else 0), Mark(row, column, "walker")),
        places=places,
        actions=ACTIONS,
        facts=facts,
    )


def marks(grid: Grid, keys: int, cue: int) -> tuple[Mark, ...]:
    """Return every symbol on the map, while ``keys`` are held; the cue shows where it is not 0."""
    cells = grid.cells
    plain = np.isin(cells.symbol, ("#", " ") if grid.starts_marked else ("#", " ", "S"))
    result = []
    for c in np.flatnonzero(~plain & (cells.key_bit & keys == 0)):
        symbol = str(cells.symbol[c])
        row, column = divmod(int(c), cells.shape[1])
        is_named = symbol.isdigit() or symbol in cells.plan.cue
        result.append(Mark(row, column, _MARK_KINDS[symbol], symbol if is_named else ""))
        if symbol == "S" and cue:
            result.append(Mark(row, column, "cue", cells.plan.cue[cue - 1]))
    result += [Mark(row, column, "reward", f"{reward:+g}") for row, column, reward in cells.plan.cell_rewards]
    return tuple(result)


def grid_observations(grid: Grid, config: ObservationConfig) -> ObservationModel:
    """Make the observations of every state of ``grid``.

    Raises:
        ValueError: a window of even size, or a picture that is too large.
    """
    if config.kind == "position":
        return position_observations(_positions(grid))
    if config.kind == "walls":
        return index_observations(_walls(grid), 16 * (1 + len(grid.cells.plan.cue)))
    if config.kind == "window":
        return _window(grid, config)
    if config.kind == "pixels":
        return _pixels(grid, config.cell_pixels)
    # States that differ by a cue that does not show are one observation.
    n_cells = len(grid.cells.symbol)
    visible = (visible_cue(grid) * (1 << grid.cells.n_keys) + grid.keys) * n_cells + grid.cell
    kinds, obs_of_state = np.unique(visible, return_inverse=True)
    make = onehot_observations if config.kind == "onehot" else index_observations
    return make(obs_of_state, len(kinds))


def visible_cue(grid: Grid) -> Array:
    """Return the cue where it shows, 1 or 2: the goal that pays as the first one does; 0 elsewhere; int [N]."""
    if not grid.cells.plan.cue:
        return np.zeros(len(grid.cell), np.int64)
    return np.where(grid.cells.symbol[grid.cell] == "S", 1 + grid.cue, 0)


def _held_keys(grid: Grid) -> Array:
    """Return a 0 or 1 for each key, [N, keys]."""
    return grid.keys[:, None] >> np.arange(grid.cells.n_keys) & 1


def _positions(grid: Grid) -> Array:
    """Return row and column as fractions of the map, the keys held, and the cue as one-hot: [N, D]."""
    height, width = grid.cells.shape
    row, column = np.divmod(grid.cell, width)
    cue = visible_cue(grid)[:, None] == 1 + np.arange(len(grid.cells.plan.cue))
    place = np.stack([row / max(1, height - 1), column / max(1, width - 1)], axis=1)
    return np.concatenate([place, _held_keys(grid), cue], axis=1)


def _walls(grid: Grid) -> Array:
    """Return 1, 2, 4, 8 for a wall, closed door or the map's edge up, right, down, left; plus 16 times the cue."""
    row, column = np.divmod(grid.cell, grid.cells.shape[1])
    code = 16 * visible_cue(grid)
    for action, (down, right) in enumerate(DIRECTIONS):
        around = _cells_at(grid.cells.shape, row + down, column + right)
        code = code + ((around.outside | blocked(grid.cells, grid.keys, around.cell)) << action)
    return code


class _Around(NamedTuple):
    """MapCells by row and column."""

    cell: Array  # 0 for those outside
    outside: Array  # bool, off the map


def _cells_at(shape: tuple[int, int], row: Array, column: Array) -> _Around:
    outside = (row < 0) | (row >= shape[0]) | (column < 0) | (column >= shape[1])
    return _Around(np.where(outside, 0, row * shape[1] + column), outside)


def _window(grid: Grid, config: ObservationConfig) -> ObservationModel:
    """Observe planes of zeros and ones, float32 [k, k, planes], with the walker in the middle.

    The planes: hidden (behind walls), wall, every other symbol of the map in the order G 0-9 L ~ D K (where cells may
    change always G, L and ~), and the cue. In
    the middle of the last two kinds stand the walker's own facts: the fraction of the keys that it holds, and the cue.
    """
    if config.window % 2 == 0:
        raise ValueError(f"rooms: window = {config.window}: expected an odd number of cells, the walker in the middle")
    cells = grid.cells
    k = config.window
    symbols = [s for s in GOALS + "L~DK" if s in cells.symbol or (grid.editable and s in SYMBOLS.values())]
    n_cues = len(cells.plan.cue)
    wall_plane = 0 if config.xray else 1
    cue_plane = wall_plane + 1 + len(symbols)
    n_planes = cue_plane + n_cues
    cue = visible_cue(grid)
    offsets = np.arange(k) - k // 2

    def encode(states: Array) -> Array:
        planes = np.zeros((len(states), k, k, n_planes), np.float32)
        row, column = np.divmod(grid.cell[states], cells.shape[1])
        rows = row[:, None, None] + offsets[:, None]
        around = _cells_at(cells.shape, rows, column[:, None, None] + offsets)  # [B, k, k]
        keys = grid.keys[states][:, None, None]
        taken = cells.key_bit[around.cell] & keys > 0
        shown = np.where(around.outside, "#", np.where(taken, " ", cells.symbol[around.cell]))
        for n, symbol in enumerate(["#", *symbols]):
            planes[..., wall_plane + n] = shown == symbol
        if not config.xray:
            unseen = hidden(around.outside | blocked(cells, keys, around.cell))
            planes[unseen] = 0.0
            planes[..., 0] = unseen
        middle = planes[:, k // 2, k // 2]
        if cells.n_keys:
            middle[:, wall_plane + 1 + symbols.index("K")] = _held_keys(grid).mean(axis=1)[states]
        for n in range(n_cues):
            middle[:, cue_plane + n] = cue[states] == 1 + n
        return planes

    return box_observations(spaces.Box(0.0, 1.0, (k, k, n_planes), np.float32), encode, len(grid.cell))


def _pixels(grid: Grid, size: int) -> ObservationModel:
    """Observe the whole map as a picture, uint8 [H * size, W * size, 3]."""
    height, width = grid.cells.shape
    if height * width * size * size > MAX_PIXELS:
        raise ValueError(
            f"rooms: cell_pixels = {size}: makes pictures of {height * size} x {width * size}, "
            f"expected at most {MAX_PIXELS:,} pixels"
        )
    walls = (grid.cells.symbol == "#").reshape(grid.cells.shape)
    visible = visible_cue(grid)

    @lru_cache(maxsize=64)
    def background(keys: int, cue: int) -> Array:
        return paint(walls, marks(grid, keys, cue), size)

    def encode(states: Array) -> Array:
        pictures = np.empty((len(states), height * size, width * size, 3), np.uint8)
        for picture, state in zip(pictures, states, strict=True):
            picture[:] = background(int(grid.keys[state]), int(visible[state]))
            row, column = divmod(int(grid.cell[state]), width)
            stamp(picture, Mark(row, column, "walker"), size)
        return pictures

    return box_observations(spaces.Box(0, 255, (height * size, width * size, 3), np.uint8), encode, len(grid.cell))


# Line of sight in a window.


def hidden(opaque: Array) -> Array:
    """Mark the cells that cannot be seen from the middle of windows, bool [B, k, k].

    A cell is seen if the straight line between the two cells' centres meets no opaque cell on the way. Where the line
    runs between two cells, both have to be opaque to hide what is behind. Walls themselves are seen.

    Args:
        opaque: bool [B, k, k], walls and closed doors.
    """
    unseen = np.zeros(opaque.shape, np.bool_)
    for (row, column), steps in _lines(opaque.shape[1]).items():
        for cells in steps:
            stopped = opaque[:, cells[0][0], cells[0][1]]
            for other in cells[1:]:
                stopped = stopped & opaque[:, other[0], other[1]]
            unseen[:, row, column] |= stopped
    return unseen


@cache
def _lines(k: int) -> dict[tuple[int, int], list[list[tuple[int, int]]]]:
    """Return the steps on the way to every cell of a k x k window: one cell, or two that the line runs between."""
    middle = k // 2
    lines = {}
    for row in range(-middle, middle + 1):
        for column in range(-middle, middle + 1):
            n = max(abs(row), abs(column))
            lines[row + middle, column + middle] = [
                [(r + middle, c + middle) for r in _nearest(row * t, n) for c in _nearest(column * t, n)]
                for t in range(1, n)
            ]
    return lines


def _nearest(numerator: int, n: int) -> list[int]:
    """Return the whole number nearest to numerator / n, or both where it lies half way."""
    low = -((n - 2 * numerator) // (2 * n))
    high = (2 * numerator + n) // (2 * n)
    return [low, high] if low != high else [low]
