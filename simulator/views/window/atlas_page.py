"""Atlas in the window: states in the plane beside the map of their rooms; what is pointed at is shown in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.scene import TextPanel
from simulator.views.atlas_groups import Groups, groups_of, shown_as
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, make_surface, picture, pygame_module
from simulator.views.drawing.colours import (
    BACKGROUND,
    EMPTY,
    FAINT,
    INK,
    LINES,
    ORANGE,
    PAPER,
    RULE,
    VIRIDIS,
    WALL,
    Colour,
    blend,
    ink_on,
    shades,
)
from simulator.views.drawing.panels import colour_span, draw_axes, draw_panel, draw_point, draw_scale
from simulator.views.style import number
from simulator.views.window.widgets import HEIGHT, Button, Focus, Tabs, columns_of, is_key, is_with_modifier, row_of

COLORS = {  # what states can be coloured by -> the key of it in the atlas
    "value": "values",
    "action": "actions",
    "room": "rooms",
    "class": "classes",
    "step": "steps",
    "visits": "visits",
    "cluster": "",
}
NUMBERS = ("value", "step", "visits")
N_NEAREST = 6  # in the plane, shown on the map of rooms
REACH = 9  # units around a point within which the pointer means it
MAX_DRAWN = 8  # planes, and maps of rooms, that are kept
MANY_STATES = 300  # from which on they are small
MAX_MAP_HEIGHT = 0.62  # of the page


class _Place(NamedTuple):
    """Place of states on the map of rooms: a cell of a grid, or the disc of a room."""

    rect: Any
    states: tuple[int, ...]


class AtlasPage:
    """Maps of states; see :class:`simulator.views.window.app.Page`.

    Args:
        data: the JSON object of ``engram atlas``.
        command: the command line that shows it again.
        measures: what each map keeps, texts by name.
    """

    next_poll = math.inf

    def __init__(self, data: Mapping[str, Any], command: str, measures: Sequence[Mapping[str, str]]) -> None:
        self.title = str(data["atlas"])
        self.keys = (
            ("mouse", "point at a state or a cell to see both; a click keeps it"),
            ("arrows", "the cell beside it; without a map, the state before and after"),
            ("x", "colour by something else"),
            ("1, 2 ...", "the maps of states"),
        )
        self._data = data
        self._command = command
        self._measures = measures
        self._maps: Sequence[Mapping[str, Any]] = data["maps"]
        self._planes = [np.asarray(found["plane"], np.float64) for found in self._maps]
        self._colors = [name for name, key in COLORS.items() if not key or data[key] is not None]
        self._color = str(data["color"])
        self._chosen = -1
        self._places: list[_Place] = []
        self._pixels = np.zeros((0, 2))  # of the states in the plane, as they were drawn
        self._plane_rect = pygame_module().Rect(0, 0, 0, 0)
        self._drawn: dict[Any, _DrawnPlane] = {}
        self._grids: dict[Any, _DrawnGrid] = {}
        self._reach = REACH
        self._painted: dict[tuple[int, str], _Painted] = {}
        self._tabs = Tabs([str(found["method"]) for found in self._maps])
        self._button = Button(lambda: f"Coloured by {self._color}", self._next_color, "x")
        self._focus = Focus([self._tabs, self._button])

    def poll(self) -> bool:
        """Find nothing new."""
        return False

    def command(self) -> str:
        """Return the command line that shows the same again."""
        return self._command

    def close(self) -> None:
        """Hold nothing."""

    # what happens

    def handle(self, event: Any) -> bool:
        """Choose a state, a map or colours."""
        if self._focus.index < 0 and self._press_arrow(event):
            return True
        if self._focus.handle(event):
            return True
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            found = self._at(event.pos)
            again = found.index(self._chosen) + 1 if self._chosen in found else 0
            self._chosen = found[again % len(found)] if found else -1
            return True
        if is_with_modifier(event):
            return False
        if is_key(event, "x"):
            self._next_color()
            return True
        if is_key(event, "escape") and self._chosen >= 0:
            self._chosen = -1
            return True
        return False

    def _press_arrow(self, event: Any) -> bool:
        moves = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
        move = next((step for key, step in moves.items() if is_key(event, key)), None)
        if move is None or is_with_modifier(event):
            return False
        n = len(self._planes[0])
        if self._chosen < 0:
            self._chosen = 0
        elif self._is_grid:
            self._chosen = self._beside(self._chosen, *move)
        else:
            self._chosen = (self._chosen + sum(move)) % n
        return True

    @property
    def _is_grid(self) -> bool:
        return self._data["map"] is not None and self._data["map"]["walls"] is not None

    def _beside(self, state: int, down: int, right: int) -> int:
        """Return the first state of the nearest cell with one, in a direction; the state itself where there is none."""
        places = np.asarray(self._data["places"])
        row, column = (int(at) for at in places[state])
        height, width = np.asarray(self._data["map"]["walls"]).shape
        for step in range(1, max(height, width)):
            found = np.flatnonzero((places == (row + step * down, column + step * right)).all(axis=1))
            if len(found):
                return int(found[0])
        return state

    def _next_color(self) -> None:
        at = self._colors.index(self._color) if self._color in self._colors else -1
        self._color = self._colors[(at + 1) % len(self._colors)]

    def _at(self, pointer: tuple[int, int] | None) -> tuple[int, ...]:
        """Return the states under a point: those of a cell or room, or the nearest one in the plane."""
        if pointer is None:
            return ()
        for place in self._places:
            if place.rect.collidepoint(pointer):
                return place.states
        if not self._plane_rect.collidepoint(pointer) or not len(self._pixels):
            return ()
        distance = np.hypot(*(self._pixels - np.array(pointer)).T)
        near = int(np.nanargmin(distance))
        return (near,) if distance[near] <= self._reach else ()

    # what is drawn

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the map of rooms and the plane of states."""
        self._reach = canvas.px(REACH)
        y = self._draw_head(canvas, rect)
        body = rect.copy()
        body.top, body.height = y, max(rect.bottom - y, 0)
        has_map = self._data["map"] is not None
        left, right = columns_of(body, int(body.width * (0.44 if has_map else 0.28)), canvas.px(28))
        self._tabs.rect = pygame_module().Rect(right.left, right.top, right.width, canvas.px(HEIGHT))
        right.top += canvas.px(HEIGHT + 10)
        right.height = max(body.bottom - right.top, 0)
        foot = pygame_module().Rect(left.left, body.bottom - canvas.px(HEIGHT), left.width, canvas.px(HEIGHT))
        row_of(canvas, foot, [self._button])
        left.height -= canvas.px(HEIGHT + 10)
        hovered = self._at(canvas.pointer)
        shown = hovered or ((self._chosen,) if self._chosen >= 0 else ())
        found = self._maps[self._tabs.chosen]
        painted = self._colours(self._tabs.chosen)
        if has_map:
            below = self._draw_map(canvas, left, painted, shown)
            left.top, left.height = below, max(left.bottom - below, 0)
        draw_panel(canvas, left, self._facts(shown, found), canvas.pointer)
        self._draw_plane(canvas, right, painted, shown)
        self._focus.draw(canvas)

    def _draw_head(self, canvas: Canvas, rect: Any) -> int:
        data = self._data
        canvas.text(rect.topleft, f"{self.title}", TITLE, face="bold", width=rect.width)
        y = rect.top + canvas.line_height(TITLE) + canvas.px(4)
        words = "; ".join((shown_as({**data, "color": self._color}), *data["notes"]))
        canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
        return int(y + canvas.line_height(SIZE) + canvas.px(10))

    def _colours(self, at: int) -> _Painted:
        """Return the colour of every state on a map; numbers by viridis, groups by colour and shape."""
        key = (at if self._color == "cluster" else 0, self._color)
        if key not in self._painted:
            groups = groups_of({**self._data, "color": self._color}, self._maps[at])
            if self._color in NUMBERS:
                numbers = np.asarray(self._data[COLORS[self._color]], np.float64)
                span = colour_span(numbers, diverging=False)
                self._painted[key] = _Painted(VIRIDIS[shades(numbers, *span)], groups, span)
            else:
                table = np.array([_group_colour(k) for k in range(len(groups.names))] or [EMPTY], np.uint8)
                colours = np.where(groups.of_state[:, None] >= 0, table[groups.of_state], np.uint8(190))
                self._painted[key] = _Painted(colours.astype(np.uint8), groups, None)
        return self._painted[key]

    def _draw_map(self, canvas: Canvas, rect: Any, painted: _Painted, shown: Sequence[int]) -> int:
        """Draw the map of rooms, and return the height below it."""
        used = canvas.text(rect.topleft, "rooms", TITLE, face="bold") + canvas.px(16)
        note = f"ringed: nearest to it in the plane, {self._n_nearest}" if shown else "point at a cell, or at a state"
        place = (rect.left + used, rect.top + canvas.px(2))
        canvas.text(place, note, SMALL, FAINT, width=rect.width - used)
        body = rect.copy()
        body.top += canvas.line_height(TITLE) + canvas.px(6)
        body.height = int(rect.height * MAX_MAP_HEIGHT)
        near = self._nearest(shown)
        below = (self._draw_grid if self._is_grid else self._draw_graph)(canvas, body, painted)
        for at in self._places if shown else ():
            if any(state in shown for state in at.states):
                for colour, width in ((PAPER, 5), (ORANGE, 3)):
                    if self._is_grid:
                        canvas.frame(at.rect.inflate(4, 4), colour, width)
                    else:
                        canvas.circle(at.rect.center, at.rect.width * 0.5 + canvas.px(3), colour, width)
            elif any(state in near for state in at.states):
                canvas.circle(at.rect.center, at.rect.width * 0.3, PAPER, 3)
                canvas.circle(at.rect.center, at.rect.width * 0.3, INK, 1.5)
        return below + canvas.px(14)

    def _draw_grid(self, canvas: Canvas, rect: Any, painted: _Painted) -> int:
        key = (self._color, self._tabs.chosen, tuple(rect), canvas.scale)
        drawn = self._grids.get(key)
        if drawn is None:
            if len(self._grids) >= MAX_DRAWN:
                self._grids.clear()
            drawn = self._grids[key] = self._paint_grid(canvas, rect, painted)
        canvas.surface.blit(drawn.surface, rect.topleft)
        self._places = drawn.places
        return int(rect.top + drawn.surface.get_height())

    def _paint_grid(self, canvas: Canvas, rect: Any, painted: _Painted) -> _DrawnGrid:
        pygame = pygame_module()
        walls = np.asarray(self._data["map"]["walls"], np.bool_)
        rows, columns = walls.shape
        side = max(min(rect.width // columns, rect.height // rows), 1)
        image = np.where(walls[..., None], np.array(WALL, np.uint8), np.array(EMPTY, np.uint8))
        at_place: dict[tuple[int, int], list[int]] = {}
        for state, (row, column) in enumerate(np.asarray(self._data["places"]).tolist()):
            if row >= 0 and column >= 0:
                at_place.setdefault((row, column), []).append(state)
        for (row, column), states in at_place.items():
            image[row, column] = painted.colours[states[0]]
        own = Canvas(make_surface(side * columns, side * rows), canvas.scale)
        own.surface.blit(pygame.transform.scale(picture(image), own.rect.size), (0, 0))
        places = []
        for (row, column), states in at_place.items():
            cell = pygame.Rect(column * side, row * side, side, side)
            if side >= canvas.px(10):
                own.frame(cell, RULE)
            places.append(_Place(cell.move(rect.topleft), tuple(states)))
        own.frame(own.rect, RULE)
        return _DrawnGrid(own.surface, places)

    def _draw_graph(self, canvas: Canvas, rect: Any, painted: _Painted) -> int:
        rooms = np.asarray(self._data["map"]["rooms"], np.float64)
        span = np.maximum(np.ptp(rooms, axis=0), 1e-9)
        by_space = 0.7 * min(rect.width, rect.height) / (2.6 * math.sqrt(len(rooms)) + 1.5)
        radius = max(int(min(by_space, canvas.px(34))), 5)
        inner = rect.inflate(-2 * radius - 4, -2 * radius - 4)
        at = np.array(inner.topleft) + (rooms - rooms.min(axis=0)) / span * np.array(inner.size)
        for first, second in np.asarray(self._data["map"]["doors"], np.int64).reshape(-1, 2):
            canvas.line(tuple(at[first]), tuple(at[second]), RULE, 2)
        of_room: dict[int, list[int]] = {}
        for state, room in enumerate(np.asarray(self._data["places"])[:, 0].tolist()):
            of_room.setdefault(room, []).append(state)
        self._places = []
        for room, place in enumerate(at.tolist()):
            states = of_room.get(room, [])
            r, g, b = (int(c) for c in painted.colours[states[0]]) if states else EMPTY
            canvas.circle(place, radius, (r, g, b))
            canvas.circle(place, radius, WALL, 1)
            words = str(room)
            high = canvas.line_height(SMALL) / 2
            canvas.text((place[0], place[1] - high), words, SMALL, ink_on((r, g, b)), face="bold", align="centre")
            box = pygame_module().Rect(0, 0, 2 * radius, 2 * radius)
            box.center = (round(place[0]), round(place[1]))
            self._places.append(_Place(box, tuple(states)))
        return int(rect.bottom)

    def _nearest(self, shown: Sequence[int]) -> set[int]:
        """Return the states nearest to the first of those that are shown, in the plane."""
        if not shown:
            return set()
        plane = self._planes[self._tabs.chosen]
        distance = np.hypot(*(plane - plane[shown[0]]).T)
        order = [int(state) for state in np.argsort(distance, kind="stable") if state not in shown]
        return set(order[: self._n_nearest])

    @property
    def _n_nearest(self) -> int:
        return max(min(N_NEAREST, len(self._planes[0]) // 4), 1)

    def _draw_plane(self, canvas: Canvas, rect: Any, painted: _Painted, shown: Sequence[int]) -> None:
        """Draw the states in the plane, and over it rings around what is shown and what is near to it."""
        foot = 2 * canvas.px(19)
        area = rect.copy()
        area.height = max(rect.height - foot, 1)
        key = (self._tabs.chosen, self._color, tuple(area.size), canvas.scale)
        drawn = self._drawn.get(key)
        if drawn is None:
            if len(self._drawn) >= MAX_DRAWN:
                self._drawn.clear()
            drawn = self._drawn[key] = self._paint_plane(canvas, area, painted)
        canvas.surface.blit(drawn.surface, area)
        self._pixels = drawn.pixels + np.array(area.topleft)
        self._plane_rect = area
        for state in self._nearest(shown):
            canvas.circle(self._pixels[state].tolist(), canvas.px(8), INK, 1.5)
        for state in shown:
            canvas.circle(self._pixels[state].tolist(), canvas.px(11), PAPER, 5)
            canvas.circle(self._pixels[state].tolist(), canvas.px(10), ORANGE, 3)
        self._draw_legend(canvas, rect, area.bottom + canvas.px(4), painted)

    def _paint_plane(self, canvas: Canvas, area: Any, painted: _Painted) -> _DrawnPlane:
        plane = self._planes[self._tabs.chosen]
        own = Canvas(make_surface(*area.size), canvas.scale)
        own.fill(own.rect, BACKGROUND)
        low, high = plane.min(axis=0), plane.max(axis=0)
        pad = np.maximum(0.05 * (high - low), 1e-9)
        (x_low, y_low), (x_high, y_high) = (low - pad).tolist(), (high + pad).tolist()
        names = tuple(self._maps[self._tabs.chosen]["axes"])
        axes = draw_axes(own, own.rect, (x_low, x_high), (y_low, y_high), (names[0], names[1]))
        pixels = axes.points(plane[:, 0], plane[:, 1])
        size = max(own.px(3 if len(plane) > MANY_STATES else 5), 2)
        shapes = np.zeros(len(plane), np.int64) if painted.span else np.maximum(painted.groups.of_state, 0)
        for (x, y), shape, (r, g, b) in zip(pixels.tolist(), shapes.tolist(), painted.colours.tolist(), strict=True):
            draw_point(own, (x, y), shape, size, (r, g, b))
        return _DrawnPlane(own.surface, pixels)

    def _draw_legend(self, canvas: Canvas, rect: Any, y: int, painted: _Painted) -> None:
        """Draw what the colours mean, in two lines at most."""
        if painted.span is not None:
            x = rect.left + canvas.text((rect.left, y), self._color, SMALL, INK) + canvas.px(10)
            place = rect.copy()
            place.topleft = (x, y)
            draw_scale(canvas, place, painted.span, diverging=False)
            return
        x = rect.left
        n_lines = 1
        names = painted.groups.names
        for group, name in enumerate(names):
            wide = canvas.px(24) + canvas.text_size(name, SMALL)[0]
            if x + wide > rect.right and n_lines == 2:
                canvas.text((x, y), f"{len(names) - group} more", SMALL, FAINT, width=rect.right - x)
                return
            if x + wide > rect.right:
                x, y = rect.left, y + canvas.px(18)
                n_lines += 1
            draw_point(canvas, (x + canvas.px(5), y + canvas.px(8)), group, canvas.px(4), _group_colour(group))
            canvas.text((x + canvas.px(14), y), name, SMALL, INK)
            x += wide

    def _facts(self, shown: Sequence[int], found: Mapping[str, Any]) -> TextPanel:
        """Return what is known of a state, or of the map where none is shown."""
        if not shown:
            measures = self._measures[self._tabs.chosen]
            return TextPanel(f"what {found['method']} keeps", {"states": f"{self._data['states']:,}", **measures})
        data = self._data
        state = shown[0]
        facts: dict[str, str] = {}
        if data["places"] is not None:
            first, second = (int(at) for at in np.asarray(data["places"])[state])
            facts["place"] = f"row {first}, column {second}" if self._is_grid else f"room {first}"
        for name, key in COLORS.items():
            if not key or data[key] is None:
                continue
            value = data[key][state]
            if name in NUMBERS:
                facts[name] = number(float(value)) if math.isfinite(value) else "-"
            elif value >= 0:
                facts[name] = (
                    str(data["action_names"][value]) if name == "action" else str(int(value) + (name == "room"))
                )
        facts["cluster"] = f"{int(found['clusters'][state]) + 1} of {found['n_clusters']}"
        facts["in the plane"] = ", ".join(number(float(at)) for at in self._planes[self._tabs.chosen][state])
        if len(shown) > 1:
            facts["at this place"] = f"{len(shown)} states; click again for the next one"
        return TextPanel(f"state {state}", facts)


class _Painted(NamedTuple):
    """Colours of the states."""

    colours: Array  # uint8 [N, 3]
    groups: Groups
    span: tuple[float, float] | None  # of the number that they stand for; None: of groups


class _DrawnPlane(NamedTuple):
    """A plane as it was drawn, and the pixel of every state."""

    surface: Any
    pixels: Array  # float64 [N, 2]


class _DrawnGrid(NamedTuple):
    """A map of rooms as it was drawn, and the cells with states."""

    surface: Any
    places: list[_Place]


def _group_colour(group: int) -> Colour:
    """Return the colour of a group; after the first ones they are lighter."""
    rounds = group // len(LINES) % 3
    return blend(LINES[group % len(LINES)], PAPER, (1.0, 0.6, 0.35)[rounds])
