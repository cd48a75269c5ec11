"""A map as a finite environment that can be drawn and seen.

Seen are an index, a position, the walls around, a window, or the whole map as pixels.

Whatever is looked at, a cue is seen on the start only, and a key that is held is gone from its cell and its door open.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from gymnasium import spaces

from envs.common.gridworld.finite_env import Ground, Look, Rules, Views, boxed, indexed, onehot, placed
from envs.common.gridworld.grid_mdp import ACTIONS, STEPS, Grid, blocked, make_field, make_grid, make_mdp
from envs.common.gridworld.line_of_sight import hidden
from envs.common.gridworld.map_file import GOALS, Map
from envs.common.render import paint, stamp
from simulator.core.protocols import Array
from simulator.core.scene import Mark, Scene

MOST_PIXELS = 4_000_000
_KINDS = {"S": "start", "D": "door", "K": "key", "L": "lava", "~": "slippery"} | dict.fromkeys(GOALS, "goal")


def make_ground(plan: Map, rules: Rules) -> Ground:
    """The map as a finite environment; a goal is terminal unless the rules say otherwise.

    Raises:
        ValueError: no start, a start from which no goal can be reached, too many states.
    """
    grid = make_grid(make_field(plan), rules)
    return Ground(make_mdp(grid, rules), partial(_scene, grid), partial(grid_views, grid))


def _scene(grid: Grid, state: int, clock: int) -> Scene:
    field, keys, cue = grid.field, int(grid.keys[state]), int(grid.cue[state])
    width = field.shape[1]
    row, column = divmod(int(grid.cell[state]), width)
    shown = (grid.keys == keys) & (grid.cue == cue)
    places = np.where(shown[:, None], np.stack(np.divmod(grid.cell, width), axis=1), -1)
    facts = {"step": str(clock)}
    if field.n_keys:
        facts["keys"] = f"{keys.bit_count()} of {field.n_keys}"
    if field.n_cues > 1:
        facts["pays"] = field.plan.cue[cue]
    return Scene(
        field.plan.title or "map",
        walls=(field.symbol == "#").reshape(field.shape),
        marks=(*marks(grid, keys, 1 + cue if field.n_cues > 1 else 0), Mark(row, column, "walker")),
        places=places,
        actions=ACTIONS,
        facts=facts,
    )


def grid_views(grid: Grid, look: Look) -> Views:
    """What is seen in every state of ``grid``.

    Raises:
        ValueError: a window of even size, or a picture that is too large.
    """
    if look.kind == "position":
        return placed(_position(grid))
    if look.kind == "walls":
        return indexed(_walls(grid), 16 * (1 + _n_cues(grid)))
    if look.kind == "window":
        return _window(grid, look)
    if look.kind == "pixels":
        return _pixels(grid, look.cell_pixels)
    see, n_observations = _index(grid)
    return onehot(see, n_observations) if look.kind == "onehot" else indexed(see, n_observations)


def marks(grid: Grid, keys: int, cue: int) -> tuple[Mark, ...]:
    """Every symbol on the map: ``keys`` are held; the cue is shown where it is not 0."""
    field = grid.field
    plain = np.isin(field.symbol, ("#", " ") if grid.starts_marked else ("#", " ", "S"))
    found = []
    for c in np.flatnonzero(~plain & (field.opens & keys == 0)):
        symbol, (row, column) = str(field.symbol[c]), divmod(int(c), field.shape[1])
        found.append(Mark(row, column, _KINDS[symbol], symbol if symbol.isdigit() else ""))
        if symbol == "S" and cue:
            found.append(Mark(row, column, "cue", field.plan.cue[cue - 1]))
    return tuple(found)


def cue_seen(grid: Grid) -> Array:
    """What the cue says where it is seen: 1 or 2, the goal that pays as the first one does; 0 elsewhere; int [N]."""
    if not grid.field.plan.cue:
        return np.zeros(len(grid.cell), np.int64)
    return np.where(grid.field.symbol[grid.cell] == "S", 1 + grid.cue, 0)


def _n_cues(grid: Grid) -> int:
    return len(grid.field.plan.cue)


def _index(grid: Grid) -> tuple[Array, int]:
    """The state's number, except that states which differ by an unseen cue only are one."""
    n_cells = len(grid.field.symbol)
    what = (cue_seen(grid) * (1 << grid.field.n_keys) + grid.keys) * n_cells + grid.cell
    kinds, see = np.unique(what, return_inverse=True)
    return see, len(kinds)


def _position(grid: Grid) -> Array:
    """Row and column as shares of the map, a 0 or 1 for each key, and one for each thing the cue can say: [N, D]."""
    height, width = grid.field.shape
    row, column = np.divmod(grid.cell, width)
    held = grid.keys[:, None] >> np.arange(grid.field.n_keys) & 1
    said = cue_seen(grid)[:, None] == 1 + np.arange(_n_cues(grid))
    place = np.stack([row / max(1, height - 1), column / max(1, width - 1)], axis=1)
    return np.concatenate([place, held, said], axis=1)


def _walls(grid: Grid) -> Array:
    """1, 2, 4, 8 for a wall, closed door or the map's edge up, right, down, left; plus 16 times what the cue says."""
    row, column = np.divmod(grid.cell, grid.field.shape[1])
    code = 16 * cue_seen(grid)
    for a, (down, right) in enumerate(STEPS):
        at, outside = _cells_at(grid.field.shape, row + down, column + right)
        code = code + ((outside | blocked(grid.field, grid.keys, at)) << a)
    return code


def _cells_at(shape: tuple[int, int], row: Array, column: Array) -> tuple[Array, Array]:
    """The cells at rows and columns (0 for those outside), and which of them are outside."""
    outside = (row < 0) | (row >= shape[0]) | (column < 0) | (column >= shape[1])
    return np.where(outside, 0, row * shape[1] + column), outside


def _window(grid: Grid, look: Look) -> Views:
    """Planes of zeros and ones, float32 [k, k, planes], the walker in the middle.

    The planes: not seen (where walls hide), wall, every other symbol of the map in the order G 0-9 L ~ D K, and
    what the cue says. The middle of the last two kinds tells what the walker itself has and sees: the share of the
    keys that it holds, and the cue.
    """
    if look.window % 2 == 0:
        raise ValueError(f"rooms: window = {look.window}: expected an odd number of cells, the walker in the middle")
    field, k = grid.field, look.window
    symbols = [symbol for symbol in GOALS + "L~DK" if symbol in field.symbol]
    n_planes = (not look.see_through) + 1 + len(symbols) + _n_cues(grid)
    said = cue_seen(grid)

    def compute(states: Array) -> Array:
        planes = np.zeros((len(states), k, k, n_planes), np.float32)
        at, outside = _around(grid, states, k)
        keys = grid.keys[states][:, None, None]
        shown = np.where(outside, "#", np.where(field.opens[at] & keys > 0, " ", field.symbol[at]))
        first = n_planes - 1 - len(symbols) - _n_cues(grid)
        for n, symbol in enumerate(["#", *symbols]):
            planes[..., first + n] = shown == symbol
        if not look.see_through:
            unseen = hidden(outside | blocked(field, keys, at))
            planes[unseen] = 0.0
            planes[..., 0] = unseen
        middle = planes[:, k // 2, k // 2]
        if field.n_keys:
            middle[:, first + 1 + symbols.index("K")] = _held(grid)[states]
        for n in range(_n_cues(grid)):
            middle[:, n_planes - _n_cues(grid) + n] = said[states] == 1 + n
        return planes

    return boxed(spaces.Box(0.0, 1.0, (k, k, n_planes), np.float32), compute, len(grid.cell))


def _around(grid: Grid, states: Array, k: int) -> tuple[Array, Array]:
    """The k x k cells around the walker, [B, k, k], and which of them are outside the map."""
    row, column = np.divmod(grid.cell[states], grid.field.shape[1])
    off = np.arange(k) - k // 2
    return _cells_at(grid.field.shape, row[:, None, None] + off[:, None], column[:, None, None] + off)


def _held(grid: Grid) -> Array:
    """The share of the keys that is held, [N]."""
    bits = grid.keys[:, None] >> np.arange(grid.field.n_keys) & 1
    return np.asarray(bits.mean(axis=1))


def _pixels(grid: Grid, size: int) -> Views:
    """The whole map as a picture, uint8 [H * size, W * size, 3]."""
    (height, width), walls = grid.field.shape, (grid.field.symbol == "#").reshape(grid.field.shape)
    if height * width * size * size > MOST_PIXELS:
        raise ValueError(
            f"rooms: cell_pixels = {size}: makes pictures of {height * size} x {width * size}, "
            f"expected at most {MOST_PIXELS:,} pixels"
        )
    said = cue_seen(grid)

    @lru_cache(maxsize=64)
    def background(keys: int, cue: int) -> Array:
        return paint(walls, marks(grid, keys, cue), size)

    def compute(states: Array) -> Array:
        pictures = np.empty((len(states), height * size, width * size, 3), np.uint8)
        for picture, state in zip(pictures, states, strict=True):
            picture[:] = background(int(grid.keys[state]), int(said[state]))
            row, column = divmod(int(grid.cell[state]), width)
            stamp(picture, Mark(row, column, "walker"), size)
        return pictures

    return boxed(spaces.Box(0, 255, (height * size, width * size, 3), np.uint8), compute, len(grid.cell))
