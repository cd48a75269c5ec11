"""Render scenes as pixels, for observations and ``rgb_array``, and as text, for ``ansi``; no display is needed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from simulator.core.protocols import Array
from simulator.core.scene import Mark, Scene

FLOOR = (245, 245, 240)
WALL = (70, 70, 75)
PASSAGE = (150, 150, 155)
ROOM = (205, 210, 215)
WALKER = (200, 30, 40)
COLOURS = {
    "start": (225, 225, 200),
    "door": (120, 75, 30),
    "key": (235, 180, 0),
    "passenger": (235, 180, 0),
    "lava": (255, 95, 0),
    "slippery": (150, 215, 245),
    "reward": (150, 110, 200),
    "walker": WALKER,
}
GOALS = {"": (40, 160, 70), "G": (40, 160, 70)} | {
    digit: (60 + 18 * n, 40 + 70 * (n % 3), 235 - 20 * n) for n, digit in enumerate("0123456789")
}
SHAPES = {
    "walker": "disc",
    "key": "inner",
    "passenger": "inner",
    "door": "frame",
    "reward": "frame",
}  # all other marks fill their cell
SIGNS = {
    "walker": "@",
    "cue": "?",
    "goal": "G",
    "lava": "L",
    "door": "D",
    "key": "K",
    "passenger": "P",
    "start": "S",
    "reward": "$",
    "slippery": "~",
}


def render_pixels(scene: Scene, size: int) -> Array:
    """Render a scene with ``size`` pixels for a cell or a room, uint8 [height, width, 3]."""
    if scene.walls is not None:
        return paint(scene.walls, scene.marks, size)
    return stamp_room(paint_rooms(scene, size), scene, scene.walker, size)


def render_frame(scene: Scene, longest: int) -> Array:
    """Render a scene whose longer side has about ``longest`` pixels, and a cell at most a sixteenth of that."""
    cells = rooms_side(len(_places(scene)), 1) if scene.walls is None else max(np.shape(scene.walls))
    return render_pixels(scene, max(1, min(longest // cells, longest // 16)))


def paint(walls: Array, marks: Iterable[Mark], size: int) -> Array:
    """Paint a grid, uint8 [H * size, W * size, 3]; later marks lie on top."""
    cells = np.where(np.asarray(walls)[..., None], np.array(WALL, np.uint8), np.array(FLOOR, np.uint8))
    canvas = np.repeat(np.repeat(cells, size, axis=0), size, axis=1)
    for mark in marks:
        stamp(canvas, mark, size)
    return canvas


def stamp(canvas: Array, mark: Mark, size: int) -> Array:
    """Draw a mark on its cell of ``canvas``, in place."""
    colour = COLOURS.get(mark.kind) or GOALS.get(mark.label, GOALS["G"])
    _fill(canvas, (mark.row * size, mark.column * size), SHAPES.get(mark.kind, "full"), colour, size)
    return canvas


def paint_rooms(scene: Scene, size: int) -> Array:
    """Paint a graph of rooms without the walker, uint8 [side, side, 3]."""
    corners = _corners(scene, size)
    goals = {mark.row for mark in scene.marks if mark.kind == "goal"}
    side = rooms_side(len(corners), size)
    canvas = np.full((side, side, 3), FLOOR, np.uint8)
    for first, second in () if scene.doors is None else scene.doors:
        ends = corners[[first, second]] + size // 2
        line = np.linspace(ends[0], ends[1], 2 * side).round().astype(np.int64)
        canvas[line[:, 0], line[:, 1]] = PASSAGE
    for room, corner in enumerate(corners):
        _fill(canvas, tuple(corner), "full", GOALS["G"] if room in goals else ROOM, size)
    return canvas


def stamp_room(canvas: Array, scene: Scene, room: int, size: int) -> Array:
    """Draw the walker in a room of :func:`paint_rooms`'s canvas, in place."""
    _fill(canvas, tuple(_corners(scene, size)[room]), "disc", WALKER, size)
    return canvas


def rooms_side(n_rooms: int, size: int) -> int:
    """Return the side of the picture of a graph, in pixels: rooms on a circle do not touch."""
    return size * max(8, n_rooms // 2 + 2)


def render_text(scene: Scene) -> str:
    """Render a scene as text: the map's symbols and ``@`` for the walker, or a line for every room; then the facts."""
    lines = _room_lines(scene) if scene.walls is None else _grid_lines(scene)
    facts = ", ".join(f"{name} {fact}" for name, fact in scene.facts.items() if name != "step")
    return "\n".join([*lines, *([facts] if facts else [])])


def _grid_lines(scene: Scene) -> list[str]:
    page = [["#" if wall else " " for wall in row] for row in np.asarray(scene.walls)]
    order = list(SIGNS)[::-1]
    for mark in sorted(scene.marks, key=lambda mark: order.index(mark.kind)):
        page[mark.row][mark.column] = mark.label if mark.kind == "goal" and mark.label else SIGNS[mark.kind]
    return ["".join(row) for row in page]


def _room_lines(scene: Scene) -> list[str]:
    """Format rooms as lines: ``@G 5 -> 1 4`` are the walker, a goal, the room, and where its doors lead."""
    goals = {mark.row for mark in scene.marks if mark.kind == "goal"}
    signs = [
        f"{'@' if room == scene.walker else ' '}{'G' if room in goals else ' '}" for room in range(len(_places(scene)))
    ]
    leads: list[list[int]] = [[] for _ in signs]
    for first, second in () if scene.doors is None else scene.doors:
        leads[first].append(int(second))
    return [f"{sign} {room} -> {' '.join(map(str, leads[room]))}" for room, sign in enumerate(signs)]


def _places(scene: Scene) -> Array:
    if scene.rooms is None:
        raise ValueError(f"{scene.title}: neither walls nor rooms nor an image, expected one of them to draw")
    return scene.rooms


def _corners(scene: Scene, size: int) -> Array:
    """Return the upper left corner of every room, int [N, 2]: row and column in pixels."""
    places = _places(scene)
    room = rooms_side(len(places), size) - 2 * size  # a margin of half a room
    return np.asarray((size // 2 + places[:, ::-1] * room).astype(np.int64))


def _fill(canvas: Array, corner: tuple[int, ...], shape: str, colour: tuple[int, int, int], size: int) -> None:
    canvas[corner[0] : corner[0] + size, corner[1] : corner[1] + size][_mask(shape, size)] = colour


@cache
def _mask(shape: str, size: int) -> Array:
    """Mark the pixels of a cell that a shape covers, bool [size, size]."""
    off = np.abs(np.arange(size) - (size - 1) / 2)
    row = off[:, None]
    column = off[None, :]
    far = np.maximum(row, column)
    masks = {
        "disc": row**2 + column**2 <= (0.4 * size) ** 2,
        "inner": far <= 0.25 * size,
        "frame": far >= 0.3 * size,
        "full": far >= 0,
    }
    return np.asarray(masks[shape])
