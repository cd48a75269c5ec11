"""Environment: a scene with what the agent thinks of it, as pixels.

A grid is drawn with the values of its cells as shades and the policy as arrows whose length is the probability; rooms
as a graph; a machine as strokes; a foreign environment as its own image.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.core.protocols import AgentView, Array
from simulator.core.scene import Scene
from simulator.core.snapshots import Flash
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, make_surface, picture, pygame_module
from simulator.views.drawing.colours import (
    BLUE,
    EMPTY,
    FAINT,
    INK,
    ORANGE,
    PAPER,
    RULE,
    VIRIDIS,
    WALL,
    Colour,
    ink_on,
    ink_table,
    shades,
)
from simulator.views.drawing.kept import KeptSurfaces
from simulator.views.drawing.shapes import DIRECTIONS, arrow_levels, arrows_sprite, draw_mark
from simulator.views.grid import ENDS, MEANINGS, letter_of, place_values, wall_array
from simulator.views.style import number

if TYPE_CHECKING:
    from pygame import Rect, Surface

SMALLEST_ARROWS = 9  # pixels of a cell from which arrows are drawn
MARK_ORDER = (
    "start",
    "slippery",
    "lava",
    "goal",
    "cue",
    "door",
    "key",
    "passenger",
    "walker",
)  # the last one lies on top
_RANKS = {kind: rank for rank, kind in enumerate(MARK_ORDER)}
FLOORS = ("lava", "slippery", "start", "walker")  # marks that others may stand on, or that stand on others
WALKER = 0.7  # of a cell: the arrow below it is seen at its ends
START = 0.3  # of a cell, in its corner, where the agent that stands there does not cover it
_CORNERS = ((-1, -1), (1, -1), (-1, 1), (1, 1))  # of a cell, for marks that share it
LINE = 19  # units from one line below a picture to the next
MAX_WORDS = 0.36  # of the height, for those lines
LEGEND_LINES = 2  # that a large picture has room for, so that a sign that comes or goes moves nothing
LARGE = 360  # units of height
WIDEST_SCALE = "value -0.0000  0.0000"  # what the numbers beside the colours of values have room for
TINY = 90  # units below which a picture has neither a title nor a legend


class GridFrame(NamedTuple):
    """Place of a grid on the surface."""

    left: int
    top: int
    cell: int  # pixels
    shape: tuple[int, int]  # rows, columns

    def place(self, row: int, column: int) -> tuple[float, float]:
        """Return the middle of a cell, pixels."""
        return self.left + (column + 0.5) * self.cell, self.top + (row + 0.5) * self.cell

    def cell_at(self, point: tuple[int, int]) -> tuple[int, int] | None:
        """Return the row and column of a point, None outside."""
        row, column = (point[1] - self.top) // self.cell, (point[0] - self.left) // self.cell
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        return (int(row), int(column)) if inside else None


def draw_environment(
    canvas: Canvas,
    rect: Rect,
    view: AgentView,
    path: Array | None = None,
    flash: Flash | None = None,
    pointer: tuple[int, int] | None = None,
    *,
    words: bool = True,
) -> str | None:
    """Draw a scene, values and policy into a rectangle; return what lies under the pointer.

    Args:
        canvas: drawn on.
        rect: pixels.
        view: the scene, and what the agent thinks.
        path: int [K, 2], row and column of the places that the agent came through, or (room, 0); None: not drawn.
        flash: an error to light up.
        pointer: place of the mouse, pixels.
        words: with title, legend and facts, where there is room for them.
    """
    scene = view.scene
    drawn = Drawn(path is not None, flash is not None)
    body = _draw_words(canvas, rect, view, drawn) if words else rect
    if wall_array(scene).size:
        return _draw_grid(canvas, body, view, path, flash, pointer)
    if scene.rooms is not None and len(scene.rooms):
        return _draw_rooms(canvas, body, view, path, flash, pointer)
    if scene.image is not None:
        _draw_image(canvas, body, scene.image)
    elif scene.lines is not None and len(scene.lines):
        _draw_lines(canvas, body, scene.lines)
    else:
        _draw_facts(canvas, body, scene)
    return None


class Drawn(NamedTuple):
    """Things that are drawn over a scene."""

    path: bool = False  # the way that the agent came
    flash: bool = False  # the update that was just made


NOTHING_OVER = Drawn()


def grid_frame(canvas: Canvas, rect: Rect, view: AgentView, drawn: Drawn = NOTHING_OVER) -> GridFrame | None:
    """Return where ``draw_environment`` draws the grid in a rectangle, to tell clicks; None where there is no grid."""
    has_grid = wall_array(view.scene).size > 0
    return _frame_of(canvas, _body(canvas, rect, view, drawn), view.scene) if has_grid else None


def _is_tiny(canvas: Canvas, rect: Rect) -> bool:
    return bool(min(rect.width, rect.height) < canvas.px(TINY))


def _body(canvas: Canvas, rect: Rect, view: AgentView, drawn: Drawn) -> Rect:
    """Return the rectangle between the title and the legend."""
    if _is_tiny(canvas, rect):
        return rect.copy()
    above = canvas.line_height(TITLE) + canvas.px(6)
    below = _words_below(canvas, rect, view, drawn)
    n_legend = len(below.legend)
    if n_legend and rect.height >= canvas.px(LARGE):
        n_legend = max(n_legend, LEGEND_LINES)
    n_lines = n_legend + len(below.facts)
    body = rect.copy()
    body.top += above
    body.height = max(rect.height - above - n_lines * canvas.px(LINE) - canvas.px(4) * (n_lines > 0), 1)
    return body


class _Words(NamedTuple):
    """Lines below a picture."""

    legend: list[list[_Item]]
    facts: list[str]


def _words_below(canvas: Canvas, rect: Rect, view: AgentView, drawn: Drawn) -> _Words:
    """Return the lines below a picture; where they would take much of its room, the last of the legend are left out."""
    facts = _fact_lines(canvas, view.scene, rect.width)
    most = max(int(MAX_WORDS * rect.height / canvas.px(LINE)), 1)
    facts = facts[:most]
    return _Words(_flowed(canvas, _legend(view, drawn), rect.width)[: most - len(facts)], facts)


def _draw_words(canvas: Canvas, rect: Rect, view: AgentView, drawn: Drawn) -> Rect:
    """Draw title, legend and facts, and return what is left between them."""
    body = _body(canvas, rect, view, drawn)
    if _is_tiny(canvas, rect):
        return body
    canvas.text(rect.topleft, view.scene.title, TITLE, face="bold", width=rect.width)
    below = _words_below(canvas, rect, view, drawn)
    y = body.bottom + canvas.px(4)
    for line in below.legend:
        x = rect.left
        for item in line:
            _draw_item(canvas, (x, y), item, rect.right - x)
            x += _item_width(canvas, item) + canvas.px(14)
        y += canvas.px(LINE)
    for words in below.facts:
        canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
        y += canvas.px(LINE)
    return body


class _Item(NamedTuple):
    """An entry of the legend."""

    sign: str  # kind of a mark, or wall, arrow, scale
    words: str
    label: str = ""


def _legend(view: AgentView, drawn: Drawn) -> list[_Item]:
    scene = view.scene
    meanings = {**MEANINGS, **scene.meanings}
    items: list[_Item] = []
    is_map = scene.places is not None or scene.rooms is not None
    if is_map and view.values is not None:
        low, high = value_span(view)
        items.append(_Item("scale", f"{number(low)}|{number(high)}"))
    if is_map and (view.probs is not None or view.greedy is not None):
        words = "policy, length = probability" if view.probs is not None else "best actions"
        others = [name for name in scene.actions if scene.walls is not None and name not in DIRECTIONS]
        if len(others) < len(scene.actions):
            items.append(_Item("arrow" if scene.rooms is None else "passage", words))
        items += [_Item("letter", name, letter_of(name).upper()) for name in others]
    if is_map and drawn.path and not scene.row_names:
        items.append(_Item("path", "path of this episode"))
    if is_map and drawn.flash:
        items.append(_Item("flash", "just updated: blue up, orange down"))
    kinds = {mark.kind: mark for mark in scene.marks}
    if scene.rooms is not None and "walker" not in kinds:
        items.append(_Item("walker", meanings["walker"]))
    for kind in sorted(kinds, key=lambda kind: -MARK_ORDER.index(kind) if kind in MARK_ORDER else 1):
        items.append(_Item(kind, meanings.get(kind, kind), "" if kind in MARK_ORDER else kinds[kind].label))
    if wall_array(scene).any():
        items.append(_Item("wall", meanings.get("wall", "wall")))
    return items


def value_span(view: AgentView) -> tuple[float, float]:
    """Return the lowest and the highest value that shades stand for; 0 is always among them where values are above."""
    if view.values is None or (view.scene.places is None and view.scene.rooms is None):
        return 0.0, 0.0
    values = np.asarray(view.values, np.float64)
    if view.scene.walls is not None and view.scene.places is not None:
        values = place_values(view, wall_array(view.scene).shape)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    return (min(low, 0.0) if high > 0 else low), high


def _item_width(canvas: Canvas, item: _Item) -> int:
    if item.sign == "scale":
        low, high = item.words.split("|")
        words = max(canvas.text_size(f"value {low}  {high}")[0], canvas.text_size(WIDEST_SCALE)[0])
        return words + canvas.px(80)
    return canvas.px(22) + canvas.text_size(item.words)[0]


def _flowed(canvas: Canvas, items: list[_Item], width: int) -> list[list[_Item]]:
    """Put the items into lines of a width in pixels."""
    lines: list[list[_Item]] = []
    used = 0
    for item in items:
        wide = _item_width(canvas, item) + canvas.px(14)
        if not lines or used + wide - canvas.px(14) > width:
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += wide
    return lines


def _draw_item(canvas: Canvas, place: tuple[int, int], item: _Item, width: int) -> None:
    x, y = place
    if item.sign == "scale":
        low, high = item.words.split("|")
        wide = canvas.text(place, f"value {low}", SIZE, FAINT) + canvas.px(6)
        bar = (x + wide, y + canvas.px(3), canvas.px(70), canvas.px(10))
        canvas.matrix(bar, np.linspace(0.0, 1.0, 64)[None], 0.0, 1.0, diverging=False)
        canvas.text((bar[0] + bar[2] + canvas.px(6), y), high, SIZE, FAINT)
        return
    size = canvas.px(16)
    middle = (x + size / 2, y + size / 2)
    if item.sign == "wall":
        canvas.fill((x, y, size, size), WALL)
    elif item.sign in ("arrow", "passage"):
        large = canvas.px(24)
        ink = INK if item.sign == "arrow" else BLUE
        canvas.surface.blit(arrows_sprite((0, 8, 0, 0), large, ink), (x - canvas.px(3), y - canvas.px(4)))
    elif item.sign == "path":
        _draw_path(canvas, [(x, middle[1]), (x + size, middle[1])], size)
    elif item.sign == "flash":
        canvas.circle(middle, size * 0.42, BLUE, 3)
    elif item.sign == "letter":
        canvas.text((middle[0], y), item.label, SIZE, face="bold", align="centre")
    else:
        draw_mark(canvas, item.sign, middle, size, item.label)
    canvas.text((x + canvas.px(22), y), item.words, SIZE, FAINT, width=width - canvas.px(22))


def _fact_lines(canvas: Canvas, scene: Scene, width: int) -> list[str]:
    """Put the facts into lines; none where they are all that there is to see."""
    if not (wall_array(scene).size or scene.rooms is not None or scene.lines is not None or scene.image is not None):
        return []
    lines: list[str] = []
    for name, text in scene.facts.items():
        words = f"{name} {text}"
        if lines and canvas.text_size(f"{lines[-1]}   {words}")[0] <= width:
            lines[-1] = f"{lines[-1]}   {words}"
        else:
            lines.append(words)
    return lines


# grids


def _frame_of(canvas: Canvas, body: Rect, scene: Scene) -> GridFrame:
    rows, columns = wall_array(scene).shape
    beside, above = _name_margins(canvas, body, scene)
    width, height = body.width - beside, body.height - above
    cell = max(min(width // columns, height // rows), 1)
    left = body.left + beside + (width - cell * columns) // 2
    return GridFrame(left, body.top + above + (height - cell * rows) // 2, cell, (rows, columns))


def _name_margins(canvas: Canvas, body: Rect, scene: Scene) -> tuple[int, int]:
    """Return the pixels beside and above a grid for the names of its rows and columns; none where it is tiny."""
    if not scene.row_names or _is_tiny(canvas, body):
        return 0, 0
    widest = max(canvas.text_size(name, SMALL)[0] for name in scene.row_names)
    return widest + canvas.px(8), canvas.line_height(SMALL) + canvas.px(2)


def _draw_names(canvas: Canvas, body: Rect, frame: GridFrame, scene: Scene) -> None:
    """Write the names of rows and columns at the edges of a chart, those that there is room for."""
    line = canvas.line_height(SMALL)
    if _name_margins(canvas, body, scene) == (0, 0):
        return
    every = -(-line // frame.cell)
    for row in range(0, frame.shape[0], every):
        x, y = frame.place(row, 0)
        place = (x - frame.cell / 2 - canvas.px(6), y - line / 2)
        canvas.text(place, scene.row_names[row], SMALL, FAINT, align="right")
    if max(canvas.text_size(name, SMALL)[0] for name in scene.column_names) <= frame.cell:
        for column, name in enumerate(scene.column_names):
            canvas.text(
                (frame.place(0, column)[0], frame.top - line - canvas.px(2)), name, SMALL, FAINT, align="centre"
            )


def _draw_grid(
    canvas: Canvas,
    body: Rect,
    view: AgentView,
    path: Array | None,
    flash: Flash | None,
    pointer: tuple[int, int] | None,
) -> str | None:
    walls = wall_array(view.scene)
    frame = _frame_of(canvas, body, view.scene)
    values = np.where(walls, np.nan, place_values(view, walls.shape))
    for mark in view.scene.marks:
        if mark.kind in ENDS and 0 <= mark.row < walls.shape[0] and 0 <= mark.column < walls.shape[1]:
            values[mark.row, mark.column] = np.nan  # nothing follows
    span = value_span(view)
    canvas.surface.blit(_ground(canvas, frame, view, walls, values, span), (frame.left, frame.top))
    _draw_names(canvas, body, frame, view.scene)
    if path is not None and not view.scene.row_names:  # in a chart neighbours are not next to each other
        _draw_path(canvas, [frame.place(int(r), int(c)) for r, c in path], frame.cell)
    if flash is not None:
        _draw_flash(canvas, frame.place(flash.row, flash.column), frame.cell, flash.error)
    _draw_marks(canvas, frame, view, values, span, below=False)
    return _hover(view, frame, values, pointer)


_grounds = KeptSurfaces(0)  # as many pixels as what they are drawn on


def _ground(
    canvas: Canvas, frame: GridFrame, view: AgentView, walls: Array, values: Array, span: tuple[float, float]
) -> Surface:
    """Draw what stays where it is while an agent walks: shades, walls, arrows and all marks but the agent's.

    It is kept, because it changes much more rarely than the agent moves.
    """
    policy = policy_of(view)
    places = view.scene.places
    marks = tuple(mark for mark in view.scene.marks if mark.kind != "walker")
    key = (
        (canvas.scale, frame.cell, walls.shape, span, marks, view.scene.actions),
        (walls.tobytes(), values.tobytes()),
        b"" if policy is None else policy.tobytes(),
        b"" if places is None else np.asarray(places).tobytes(),
    )
    _grounds.max_pixels = math.prod(canvas.surface.get_size())  # all of the wall fit in
    return _grounds.get(key, lambda: _draw_ground(canvas.scale, frame, view, walls, values, span))


def _draw_ground(
    scale: float, frame: GridFrame, view: AgentView, walls: Array, values: Array, span: tuple[float, float]
) -> Surface:
    rows, columns = frame.shape
    size = (frame.cell * columns, frame.cell * rows)
    canvas = Canvas(make_surface(*size), scale)
    frame = frame._replace(left=0, top=0)
    colours = VIRIDIS[shades(values, *span)]
    colours[walls] = WALL
    canvas.surface.blit(pygame_module().transform.scale(picture(colours), size), (0, 0))
    if frame.cell >= canvas.px(12):
        _rule(canvas, frame)
    ends = {(mark.row, mark.column) for mark in view.scene.marks if mark.kind in ENDS}
    if frame.cell >= SMALLEST_ARROWS:
        _draw_arrows(canvas, frame, view, values, span, ends)
    _draw_marks(canvas, frame, view, values, span, below=True)
    canvas.frame((0, 0, *size), RULE)
    return canvas.surface


def _rule(canvas: Canvas, frame: GridFrame) -> None:
    rows, columns = frame.shape
    right, bottom = frame.left + columns * frame.cell, frame.top + rows * frame.cell
    for column in range(1, columns):
        x = frame.left + column * frame.cell
        canvas.fill((x, frame.top, 1, bottom - frame.top), RULE)
    for row in range(1, rows):
        canvas.fill((frame.left, frame.top + row * frame.cell, right - frame.left, 1), RULE)


def policy_of(view: AgentView) -> Array | None:
    """Return probabilities of actions, [N, A]: those of the policy, or the best actions alike; None without either."""
    if view.probs is not None:
        return np.asarray(view.probs, np.float64)
    if view.greedy is None:
        return None
    greedy = np.asarray(view.greedy, np.float64)
    return greedy / np.maximum(greedy.sum(axis=1, keepdims=True), 1.0)


def _draw_arrows(
    canvas: Canvas,
    frame: GridFrame,
    view: AgentView,
    values: Array,
    span: tuple[float, float],
    ends: set[tuple[int, int]],
) -> None:
    policy = policy_of(view)
    scene = view.scene
    if policy is None or scene.places is None:
        return
    actions = scene.actions[: policy.shape[1]]
    columns = {name: a for a, name in enumerate(actions) if name in DIRECTIONS}
    by_direction = np.zeros((len(policy), 4))
    for k, name in enumerate(DIRECTIONS):
        if name in columns:
            by_direction[:, k] = policy[:, columns[name]]
    levels = [tuple(row) for row in arrow_levels(by_direction).tolist()]
    letters = _letters(policy, actions)
    inks = ink_table(diverging=False)
    entries = shades(values, *span).tolist()
    sprites = []
    drawn = set(ends)
    rows, columns_of_grid = frame.shape
    for state, place in enumerate(map(tuple, np.asarray(scene.places)[: len(policy)].tolist())):
        row, column = place
        if place in drawn or not (0 <= row < rows and 0 <= column < columns_of_grid):
            continue
        drawn.add(place)
        ink = inks[entries[row][column]]
        if letters[state] != " ":
            x, y = frame.place(row, column)
            tall = canvas.line_height(frame.cell * 0.5 / canvas.scale)
            canvas.text((x, y - tall / 2), letters[state], frame.cell * 0.5 / canvas.scale, ink, align="centre")
        elif any(levels[state]):
            sprite = arrows_sprite(levels[state], frame.cell, ink)
            sprites.append((sprite, (frame.left + column * frame.cell, frame.top + row * frame.cell)))
    canvas.surface.blits(sprites, False)


def _letters(policy: Array, actions: tuple[str, ...]) -> list[str]:
    """Return the letter of each state's likeliest action; a space where that is a move, or no single one."""
    likely = np.nan_to_num(policy[:, : len(actions)])
    if not likely.size:
        return [" "] * len(policy)
    is_sole = (likely == likely.max(axis=1, keepdims=True)).sum(axis=1) == 1
    names = np.array([letter_of(name).upper() for name in actions])
    return np.where(is_sole, names[likely.argmax(axis=1)], " ").tolist()


def _draw_marks(
    canvas: Canvas, frame: GridFrame, view: AgentView, values: Array, span: tuple[float, float], *, below: bool
) -> None:
    """Draw the marks that lie below the path, or the others."""
    table = VIRIDIS[shades(values, *span)]
    shared = Counter((mark.row, mark.column) for mark in view.scene.marks if mark.kind not in FLOORS)
    corners: Counter[tuple[int, int]] = Counter()
    for mark in sorted(view.scene.marks, key=lambda mark: _RANKS.get(mark.kind, _RANKS["cue"])):
        at = (mark.row, mark.column)
        inside = 0 <= mark.row < frame.shape[0] and 0 <= mark.column < frame.shape[1]
        if not inside or below == (mark.kind == "walker"):
            continue
        place = frame.place(*at)
        size = frame.cell * (1.0 if mark.kind in ("lava", "slippery") else 0.86)
        if mark.kind == "walker":
            size = max(frame.cell * WALKER, canvas.px(11))  # seen on small maps too
        elif mark.kind == "start" or (mark.kind not in FLOORS and shared[at] > 1):  # into a corner
            size = frame.cell * 0.46
            if mark.kind == "start":  # no larger than is read
                size = max(min(size, canvas.px(18)), frame.cell * START)
            dx, dy = _CORNERS[corners[at] % 4]
            away = (frame.cell - size) / 2 - frame.cell * 0.02
            place = (place[0] + dx * away, place[1] + dy * away)
            corners[at] += 1
        r, g, b = (int(c) for c in table[at])
        draw_mark(canvas, mark.kind, place, size, mark.label, ink_on((r, g, b)))


def _draw_path(canvas: Canvas, points: list[tuple[float, float]], cell: float) -> None:
    """Draw the way of the agent: white below dark, so that it is seen on every shade; older parts are thinner."""
    if len(points) < 2:
        return
    width = min(max(cell * 0.1 / canvas.scale, 2.0), 6.0)
    canvas.lines(np.array(points), PAPER, width + 2)
    canvas.lines(np.array(points), ORANGE, width)


def _draw_flash(canvas: Canvas, place: tuple[float, float], cell: float, error: float) -> None:
    """Draw a ring: blue where it was better than expected, orange where it was worse, and a sign in its corner."""
    if not np.isfinite(error) or error == 0:
        return
    colour = BLUE if error > 0 else ORANGE
    canvas.circle(place, cell * 0.52, PAPER, max(cell * 0.16 / canvas.scale, 3))
    canvas.circle(place, cell * 0.50, colour, max(cell * 0.1 / canvas.scale, 2))


def _hover(view: AgentView, frame: GridFrame, values: Array, pointer: tuple[int, int] | None) -> str | None:
    at = frame.cell_at(pointer) if pointer is not None else None
    if at is None:
        return None
    parts = [f"row {at[0]}, column {at[1]}"]
    kinds = [mark.kind for mark in view.scene.marks if (mark.row, mark.column) == at]
    parts += [view.scene.meanings.get(kind, MEANINGS.get(kind, kind)) for kind in kinds]
    if np.isfinite(values[at]):
        parts.append(f"value {number(values[at])}")
    policy = policy_of(view)
    if policy is not None and view.scene.places is not None:
        states = np.flatnonzero((np.asarray(view.scene.places)[: len(policy)] == at).all(axis=1))
        parts += [_probabilities(view.scene.actions, policy[states[0]])] if len(states) else []
    return "   ".join(part for part in parts if part)


def _probabilities(actions: tuple[str, ...], row: Array) -> str:
    names = [*actions, *(f"action {a}" for a in range(len(actions), len(row)))]
    likely = [a for a in np.argsort(-row, kind="stable")[:4] if row[a] > 0.005]
    return ", ".join(f"{names[a]} {row[a]:.0%}" for a in likely)


# rooms


def _draw_rooms(
    canvas: Canvas,
    body: Rect,
    view: AgentView,
    path: Array | None,
    flash: Flash | None,
    pointer: tuple[int, int] | None,
) -> str | None:
    scene = view.scene
    rooms = np.asarray(scene.rooms, np.float64)
    doors = np.zeros((0, 2), np.int64) if scene.doors is None else np.asarray(scene.doors)
    radius = _room_radius(canvas, body, rooms, doors)
    places = _in_body(body.inflate(-3 * radius, -3 * radius), rooms)
    strength = _door_strength(scene, policy_of(view), doors)
    for (start, end), share in zip(doors.tolist(), strength, strict=True):
        _draw_door(canvas, places[start], places[end], radius, share)
    if path is not None and len(path):
        _draw_path(canvas, [tuple(places[int(room)]) for room, _ in path], radius)
    colours = _room_colours(view, len(rooms))
    goals = {mark.row for mark in scene.marks if mark.kind == "goal"}
    for room, place in enumerate(places.tolist()):
        _draw_room(canvas, (place[0], place[1]), radius, room, colours[room], view, goals)
    if flash is not None:
        _draw_flash(canvas, tuple(places[flash.row]), 2.3 * radius, flash.error)
    return _hover_room(view, places, radius, pointer)


def _room_radius(canvas: Canvas, body: Rect, rooms: Array, doors: Array) -> int:
    """Return the radius of rooms in pixels: passages between them stay long enough for an arrow."""
    by_space = min(body.width, body.height) / (2.6 * max(np.sqrt(len(rooms)), 1.0) + 1.5)
    most = min(by_space, canvas.px(46))
    places = _in_body(body.inflate(-2 * int(most), -2 * int(most)), rooms)
    ends = doors[doors[:, 0] != doors[:, 1]]
    if len(ends):
        shortest = float(np.hypot(*(places[ends[:, 0]] - places[ends[:, 1]]).T).min())
        most = min(most, 0.3 * shortest)
    return int(max(most, 4))


def _in_body(body: Rect, rooms: Array) -> Array:
    """Return the places of rooms in pixels, [N, 2]."""
    span = np.maximum(rooms.max(axis=0) - rooms.min(axis=0), 1e-9)
    unit = np.where(np.ptp(rooms, axis=0) > 1e-9, (rooms - rooms.min(axis=0)) / span, 0.5)
    return np.array([body.left, body.top]) + unit * [max(body.width, 1), max(body.height, 1)]


def _door_strength(scene: Scene, policy: Array | None, doors: Array) -> list[float]:
    """Return the probability with which the policy goes through each door."""
    if policy is None:
        return [0.0] * len(doors)
    to = {name: a for a, name in enumerate(scene.actions)}
    column = [to.get(f"room {end}", -1) for end in doors[:, 1].tolist()]
    return [
        float(policy[start, a]) if 0 <= start < len(policy) and 0 <= a < policy.shape[1] else 0.0
        for (start, _), a in zip(doors.tolist(), column, strict=True)
    ]


def _draw_door(canvas: Canvas, start: Array, end: Array, radius: int, share: float) -> None:
    """Draw a passage, and over it the policy as an arrow from the first room, whose length is the probability."""
    way = end - start
    length = float(np.hypot(*way))
    if length < 2 * radius + 2:
        return
    unit = way / length
    canvas.line(tuple(start + unit * radius), tuple(end - unit * radius), RULE, 2)
    if share < 0.025:
        return
    free = length - 2.3 * radius
    base = start + unit * radius * 1.05 + _aside(unit) * radius * 0.22
    tip = base + unit * free * (0.2 + 0.7 * share)
    head = max(radius * 0.34, 5.0)
    canvas.line(tuple(base), tuple(tip - unit * head * 0.8), BLUE, 3)
    side = _aside(unit) * head * 0.55
    canvas.polygon([tip, tip - unit * head + side, tip - unit * head - side], BLUE)


def _aside(unit: Array) -> Array:
    return np.array([-unit[1], unit[0]])


def _room_colours(view: AgentView, n_rooms: int) -> list[Colour]:
    if view.values is None:
        return [EMPTY] * n_rooms
    values = np.full(n_rooms, np.nan)
    known = np.asarray(view.values, np.float64)[:n_rooms]
    values[: len(known)] = known
    table = VIRIDIS[shades(values, *value_span(view))]
    return [(int(r), int(g), int(b)) for r, g, b in table]


def _draw_room(
    canvas: Canvas,
    place: tuple[float, float],
    radius: int,
    room: int,
    colour: Colour,
    view: AgentView,
    goals: set[int],
) -> None:
    canvas.circle(place, radius, colour)
    canvas.circle(place, radius, WALL, 2)
    ink = ink_on(colour)
    size = min(max(radius * 0.62, 8) / canvas.scale, 20)
    known = view.values is not None and room < len(view.values) and np.isfinite(view.values[room])
    height = canvas.line_height(size)
    top = place[1] - (height if known and radius > canvas.px(20) else height / 2)
    canvas.text((place[0], top), str(room), size, ink, face="bold", align="centre")
    if known and view.values is not None and radius > canvas.px(20):
        canvas.text((place[0], top + height), number(float(view.values[room])), size * 0.72, ink, align="centre")
    corner = (place[0] + radius * 0.75, place[1] - radius * 0.75)
    if room in goals:
        draw_mark(canvas, "goal", corner, radius * 0.95)
    if room == view.scene.walker:
        draw_mark(canvas, "walker", (place[0] - radius * 0.75, place[1] - radius * 0.75), radius * 1.0)


def _hover_room(view: AgentView, places: Array, radius: int, pointer: tuple[int, int] | None) -> str | None:
    if pointer is None:
        return None
    near = np.flatnonzero(np.hypot(*(places - np.array(pointer)).T) <= radius)
    if not len(near):
        return None
    room = int(near[0])
    words = f"room {room}"
    if view.values is not None and room < len(view.values):
        words += f"   value {number(float(view.values[room]))}"
    policy = policy_of(view)
    if policy is not None and room < len(policy):
        words += f"   {_probabilities(view.scene.actions, policy[room])}"
    return words


# machines, images and words


def _draw_lines(canvas: Canvas, body: Rect, lines: Array) -> None:
    """Draw strokes of the unit square, y upwards, in the middle of the rectangle."""
    side = max(min(body.width, body.height), 1)
    left, top = body.left + (body.width - side) / 2, body.top + (body.height - side) / 2
    ends = np.asarray(lines, np.float64).reshape(-1, 2, 2)
    points = np.stack([left + side * ends[..., 0], top + side * (1.0 - ends[..., 1])], axis=-1)
    width = max(side / canvas.scale / 130, 2)
    for start, end in points[np.isfinite(points).all(axis=(1, 2))].tolist():
        canvas.line(start, end, INK, width)
        if canvas.px(width) > 3:
            for place in (start, end):
                canvas.circle(place, canvas.px(width) / 2, INK)


def _draw_image(canvas: Canvas, body: Rect, image: Array) -> None:
    """Draw an image as large as it fits; small ones by whole factors, without mixing."""
    pygame = pygame_module()
    surface = picture(np.asarray(image))
    wide, high = surface.get_size()
    factor = min(body.width / wide, body.height / high)
    if factor >= 2:
        factor = int(factor)
    size = (max(int(wide * factor), 1), max(int(high * factor), 1))
    if factor < 1:
        surface = pygame.transform.smoothscale(surface, size)
    elif factor > 1:
        surface = pygame.transform.scale(surface, size)
    canvas.surface.blit(surface, (body.left + (body.width - size[0]) // 2, body.top + (body.height - size[1]) // 2))


def _draw_facts(canvas: Canvas, body: Rect, scene: Scene) -> None:
    """Draw the facts large, where there is nothing else to see."""
    size = 18.0 if min(body.size) > canvas.px(TINY) else SMALL
    step = canvas.line_height(size) + canvas.px(6)
    y = body.top + canvas.px(6)
    widest = max((canvas.text_size(name, size)[0] for name in scene.facts), default=0) + canvas.px(16)
    for name, text in scene.facts.items():
        if y + step > body.bottom + 1:
            break
        canvas.text((body.left, y), name, size, FAINT, width=body.width)
        canvas.text((body.left + widest, y), text, size, INK, face="bold", width=body.width - widest)
        y += step
