"""Panels: matrices, bars, strips over time, curves, pictures, points and facts as pixels."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import lru_cache, partial, singledispatch
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.core.scene import (
    BarPanel,
    CurvePanel,
    HeatPanel,
    Panel,
    PicturePanel,
    PointPanel,
    StripPanel,
    TextPanel,
)
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, make_surface, picture, pygame_module
from simulator.views.drawing.colours import (
    BLUE,
    EMPTY,
    FAINT,
    INK,
    LINES,
    ORANGE,
    PAPER,
    RULE,
    Colour,
    blend,
    ink_table,
    shades,
)
from simulator.views.drawing.kept import KeptSurfaces, ObjectKey
from simulator.views.style import count, number

if TYPE_CHECKING:
    from pygame import Rect, Surface

LARGE_MATRIX = 20_000  # entries, from which on its shades are kept
MAX_MATRIX_PIXELS = 1_000_000  # of them
MAX_PICTURE_PIXELS = 2_000_000  # of small pictures that are kept, 4 bytes each
MANY_CURVES = 6  # from which on they are thin
LEAST_COLUMN = 56  # units of the width of a matrix's column, where there are few
MAX_NAMES = 0.62  # of the width of facts, for their names
ROUNDING = 1e-12  # of the largest value, below which a number is the rounding of a zero
MIN_NUMBER_CELL = 34  # units of a cell's width from which a matrix shows its numbers
Pointer = tuple[int, int] | None


def draw_panel(canvas: Canvas, rect: Rect, panel: Panel, pointer: Pointer = None) -> str | None:
    """Draw a panel with its title into a rectangle, and return what lies under the pointer.

    Args:
        canvas: drawn on.
        rect: pixels.
        panel: what is drawn.
        pointer: place of the mouse, pixels.
    """
    fits = canvas.text_size(panel.title, TITLE, face="bold")[0] <= rect.width
    canvas.text(rect.topleft, panel.title, TITLE if fits else SMALL, face="bold", width=rect.width)
    above = canvas.line_height(TITLE) + canvas.px(6)
    body = rect.copy()
    body.top += above
    body.height = max(rect.height - above, 0)
    if body.height < canvas.px(12) or body.width < canvas.px(12):
        return None
    found = _draw(panel, canvas, body, pointer if pointer is not None and body.collidepoint(pointer) else None)
    return found


@singledispatch
def _draw(panel: Any, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    raise TypeError(f"{type(panel).__name__} is no panel, expected one of simulator.core.scene")


def colour_span(values: Array, *, diverging: bool) -> tuple[float, float]:
    """Return the values of the first and the last colour: around 0, or from the smallest to the largest."""
    values = np.asarray(values, np.float64)
    low, high = (float(values.min()), float(values.max())) if values.size else (math.nan, math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = values[np.isfinite(values)]
        if not finite.size:
            return (-1.0, 1.0) if diverging else (0.0, 1.0)
        low, high = float(finite.min()), float(finite.max())
    most = max(abs(low), abs(high)) or 1.0
    return (-most, most) if diverging else (low, high)


def draw_scale(canvas: Canvas, rect: Rect, span: tuple[float, float], *, diverging: bool) -> None:
    """Draw a colour scale: its lowest value, the colours, its highest value."""
    low, high = number(span[0]), number(span[1])
    y = rect.top
    wide = canvas.text((rect.left, y), low, SMALL, FAINT) + canvas.px(6)
    bar = (rect.left + wide, y + canvas.px(2), canvas.px(80), canvas.px(9))
    canvas.matrix(bar, np.linspace(0.0, 1.0, 64)[None], 0.0, 1.0, diverging=diverging)
    canvas.text((bar[0] + bar[2] + canvas.px(6), y), high, SMALL, FAINT)


# matrices


class _Grid(NamedTuple):
    """Place of the cells of a matrix."""

    rect: Any
    shape: tuple[int, int]

    def cell_at(self, pointer: Pointer) -> tuple[int, int] | None:
        """Return row and column under the pointer."""
        if pointer is None or not self.rect.collidepoint(pointer) or 0 in self.shape:
            return None
        row = (pointer[1] - self.rect.top) * self.shape[0] // max(self.rect.height, 1)
        column = (pointer[0] - self.rect.left) * self.shape[1] // max(self.rect.width, 1)
        return min(row, self.shape[0] - 1), min(column, self.shape[1] - 1)


@_draw.register(HeatPanel)
def _heat(panel: HeatPanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    values = np.atleast_2d(np.asarray(panel.values, np.float64))
    if not values.size:
        canvas.text(rect.topleft, "empty", SIZE, FAINT)
        return None
    if values.size < LARGE_MATRIX:
        span = colour_span(values, diverging=panel.diverging)
    else:
        span = _span_of_large(ObjectKey(panel))
    foot = canvas.px(18)
    fields = panel.fields
    side = _field_side(canvas, rect) if fields is not None else 0
    area = rect.copy()
    area.width -= side
    area.height -= foot
    grid = _matrix_rect(canvas, area, values.shape, panel.rows, panel.columns)
    if values.size < LARGE_MATRIX:
        canvas.matrix(grid, values, *span, diverging=panel.diverging)
    else:
        key = (ObjectKey(panel), tuple(grid.size))
        canvas.surface.blit(_large_matrices.get(key, lambda: _shades_of(panel, grid, span)), grid)
    _numbers_in(canvas, grid, values, span, diverging=panel.diverging)
    canvas.frame(grid, RULE)
    _row_names(canvas, grid, panel.rows)
    _column_names(canvas, grid, panel.columns)
    draw_scale(canvas, _at(rect, rect.left, grid.bottom + canvas.px(4)), span, diverging=panel.diverging)
    at = _Grid(grid, values.shape).cell_at(pointer)
    if fields is not None:
        row = min(at[0] if at is not None else 0, len(fields) - 1)
        _draw_field(canvas, _right_part(area, rect), fields[row], _name(panel.rows, row, "row"))
    if at is None:
        return None
    names = f"{_name(panel.rows, at[0], 'row')}, {_name(panel.columns, at[1], 'column')}"
    return f"{names}: {number(values[at])}"


_large_matrices = KeptSurfaces(MAX_MATRIX_PIXELS)


def _shades_of(panel: HeatPanel, rect: Rect, span: tuple[float, float]) -> Surface:
    """Draw a matrix on a surface of its own."""
    surface = make_surface(*rect.size)
    Canvas(surface).matrix(surface.get_rect(), np.asarray(panel.values, np.float64), *span, diverging=panel.diverging)
    return surface


@lru_cache(maxsize=4)
def _span_of_large(panel: ObjectKey) -> tuple[float, float]:
    return colour_span(panel.thing.values, diverging=panel.thing.diverging)


def _at(rect: Rect, left: int, top: int) -> Rect:
    moved = rect.copy()
    moved.topleft = (left, top)
    return moved


def _field_side(canvas: Canvas, rect: Rect) -> int:
    return int(min(rect.height, rect.width * 0.4, canvas.px(220))) + canvas.px(10)


def _right_part(area: Rect, rect: Rect) -> Rect:
    part = rect.copy()
    part.left = area.right
    part.width = rect.right - area.right
    return part


def _draw_field(canvas: Canvas, rect: Rect, field: Array, name: str) -> None:
    side = min(rect.width - canvas.px(10), rect.height - canvas.px(18))
    if side < 4:
        return
    left, top = rect.right - side, rect.top + canvas.px(18)
    canvas.text((left, rect.top), name, SMALL, FAINT, width=side)
    field = np.atleast_2d(np.asarray(field, np.float64))
    canvas.matrix((left, top, side, side), field, *colour_span(field, diverging=True), diverging=True)
    canvas.frame((left, top, side, side), RULE)


def _name(names: Sequence[str], index: int, otherwise: str) -> str:
    return names[index] if index < len(names) else f"{otherwise} {index}"


def _matrix_rect(
    canvas: Canvas, rect: Rect, shape: tuple[int, ...], rows: Sequence[str], columns: Sequence[str]
) -> Rect:
    """Return the rectangle of the cells: names have room beside them, cells are squares where both ways are many."""
    left = _names_width(canvas, rows, rect.width)
    top = canvas.px(18) if columns else 0
    width, height = max(rect.width - left, 1), max(rect.height - top, 1)
    n_rows, n_columns = shape[0], shape[1]
    square = min(width / n_columns, height / n_rows)
    if n_rows == n_columns or (n_rows > 24 and n_columns > 24):
        wide, high = square * n_columns, square * n_rows
    else:
        most = canvas.px(64)
        wide = min(width, n_columns * min(max(square * 3, canvas.px(LEAST_COLUMN)), 2 * most))
        high = min(height, n_rows * min(height / n_rows, most))
    out = rect.copy()
    out.topleft = (rect.left + left, rect.top + top)
    out.size = (max(int(wide), 1), max(int(high), 1))
    return out


def _names_width(canvas: Canvas, names: Sequence[str], width: int) -> int:
    if not names:
        return 0
    widest = max(canvas.text_size(name, SMALL, face="bold")[0] for name in _sample(names))
    return min(widest + canvas.px(8), int(width * 0.4))


def _sample(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) <= 200 else names[:: len(names) // 200]


def _row_names(canvas: Canvas, grid: Rect, names: Sequence[str]) -> None:
    if not names:
        return
    height = grid.height / len(names)
    line = canvas.line_height(SMALL)
    every = max(math.ceil(line / max(height, 1e-9)), 1)
    for i in range(0, len(names), every):
        y = grid.top + (i + 0.5) * height - line / 2
        width = canvas.rendered(names[i], SMALL, FAINT)
        if width is not None:
            x = grid.left - canvas.px(6) - width.get_width()
            canvas.text((x, y), names[i], SMALL, FAINT)


def _column_names(canvas: Canvas, grid: Rect, names: Sequence[str]) -> None:
    if not names:
        return
    width = grid.width / len(names)
    widest = max(canvas.text_size(name, SMALL)[0] for name in _sample(names)) + canvas.px(6)
    every = max(math.ceil(min(widest, canvas.px(60)) / max(width, 1e-9)), 1)
    y = grid.top - canvas.line_height(SMALL) - canvas.px(2)
    for i in range(0, len(names), every):
        x = grid.left + (i + 0.5) * width
        canvas.text((x, y), names[i], SMALL, FAINT, align="centre", width=max(width * every, canvas.px(16)))


def _numbers_in(canvas: Canvas, grid: Rect, values: Array, span: tuple[float, float], *, diverging: bool) -> None:
    """Write the numbers into the cells, where there is room."""
    n_rows, n_columns = values.shape
    width, height = grid.width / n_columns, grid.height / n_rows
    line = canvas.line_height(SMALL)
    if width < canvas.px(MIN_NUMBER_CELL) or height < line or values.size > 1200:
        return
    inks = ink_table(diverging=diverging)
    entries = shades(values, *span)
    values = np.where(np.abs(values) < ROUNDING * max(map(abs, span)), 0.0, values)
    sprites = []
    for row in range(n_rows):
        y = grid.top + (row + 0.5) * height - line / 2
        for column in range(n_columns):
            words = number(values[row, column]) if np.isfinite(values[row, column]) else ""
            sprite = canvas.rendered(words, SMALL, inks[entries[row, column]], width=int(width))
            if sprite is not None:
                x = grid.left + (column + 0.5) * width - sprite.get_width() / 2
                sprites.append((sprite, (round(x), round(y))))
    canvas.surface.blits(sprites, False)


# bars


@_draw.register(BarPanel)
def _bars(panel: BarPanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    values = np.asarray(panel.values, np.float64)
    if not values.size:
        canvas.text(rect.topleft, "empty", SIZE, FAINT)
        return None
    beside = None if panel.beside is None else np.asarray(panel.beside, np.float64)
    foot = canvas.px(20) if beside is not None else 0
    height = min((rect.height - foot) / len(values), canvas.px(34))
    low, high = _bar_span(values, beside)
    left = rect.left + _names_width(canvas, panel.names, rect.width)
    right = rect.right - canvas.px(72)
    found = None
    for i in range(len(values)):
        row = rect.copy()
        row.top, row.height = int(rect.top + i * height), max(int(height), 1)
        _draw_bar(canvas, row, (left, right), (low, high), panel, i)
        if pointer is not None and row.collidepoint(pointer):
            also = "" if beside is None else f", {panel.beside_name} {number(beside[i])}"
            found = f"{_name(panel.names, i, 'bar')}: {number(values[i])}{also}"
    x = _along(0.0, (low, high), (left, right))
    canvas.fill((round(x), rect.top, max(canvas.px(1), 1), int(height * len(values))), FAINT)
    if beside is not None:
        y = rect.top + int(height * len(values)) + canvas.px(4)
        canvas.polygon(_diamond(left + canvas.px(6), y + canvas.px(8), canvas.px(5)), ORANGE)
        canvas.text((left + canvas.px(16), y), panel.beside_name, SMALL, FAINT, width=rect.width)
    return found


def _bar_span(values: Array, beside: Array | None) -> tuple[float, float]:
    all_values = values if beside is None else np.r_[values, beside]
    finite = all_values[np.isfinite(all_values)]
    low = min(float(finite.min()), 0.0) if finite.size else 0.0
    high = max(float(finite.max()), 0.0) if finite.size else 1.0
    return (low, high) if high > low else (low, low + 1.0)


def _along(value: float, span: tuple[float, float], ends: tuple[int, int]) -> float:
    return ends[0] + (value - span[0]) / (span[1] - span[0]) * (ends[1] - ends[0])


def _draw_bar(
    canvas: Canvas, row: Rect, ends: tuple[int, int], span: tuple[float, float], panel: BarPanel, i: int
) -> None:
    value = float(panel.values[i])
    line = canvas.line_height(SMALL)
    chosen = i == panel.chosen
    middle = row.top + row.height / 2
    shows_words = row.height >= line * 0.8
    face = "bold" if chosen else "sans"
    if shows_words and i < len(panel.names):
        canvas.text(
            (ends[0] - canvas.px(8), middle - line / 2),
            panel.names[i],
            SMALL,
            INK if chosen else FAINT,
            face=face,
            align="right",
            width=ends[0] - row.left - canvas.px(8),
        )
    if not np.isfinite(value):
        return
    zero, end = _along(0.0, span, ends), _along(value, span, ends)
    pad = max(int(row.height * 0.16), 0)
    bar = (min(zero, end), row.top + pad, max(abs(end - zero), 1), max(row.height - 2 * pad, 1))
    canvas.fill(bar, BLUE if chosen or panel.chosen < 0 else blend(BLUE, PAPER, 0.45))
    if panel.beside is not None and np.isfinite(panel.beside[i]):
        x = _along(float(panel.beside[i]), span, ends)
        canvas.polygon(_diamond(x, middle, min(row.height * 0.3, canvas.px(6))), ORANGE)
    if shows_words:
        canvas.text((ends[1] + canvas.px(14), middle - line / 2), number(value), SMALL, INK, face=face)


def _diamond(x: float, y: float, r: float) -> list[tuple[float, float]]:
    return [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]


# strips over time


@_draw.register(StripPanel)
def _strip(panel: StripPanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    values = np.asarray(panel.values, np.float64)
    if values.ndim != 2 or not values.size:
        canvas.text(rect.topleft, "nothing yet", SIZE, FAINT)
        return None
    n_steps, n_units = values.shape
    left = _names_width(canvas, panel.rows, rect.width)
    column = min((rect.width - left) / max(n_steps, 1), canvas.px(14))
    area = rect.copy()
    area.left += left
    area.width = max(int(column * n_steps), 1)
    area.height = max(min(rect.height - canvas.px(34), n_units * canvas.px(26)), 4)
    canvas.matrix(area, values.T, *panel.span, diverging=panel.span[0] < 0 < panel.span[1])
    canvas.frame(area, RULE)
    _row_names(canvas, area, panel.rows)
    for cut in panel.cuts:
        x = area.left + round(cut * area.width / n_steps)
        canvas.fill((x - canvas.px(1), area.top, canvas.px(3), area.height), INK)
        canvas.polygon([(x - canvas.px(5), area.top), (x + canvas.px(6), area.top), (x, area.top + canvas.px(8))], INK)
    y = area.bottom + canvas.px(3)
    canvas.text((area.left, y), "0", SMALL, FAINT)
    canvas.text((area.right, y), f"step {n_steps - 1}", SMALL, FAINT, align="right" if area.width > 60 else "left")
    diverging = panel.span[0] < 0 < panel.span[1]
    draw_scale(canvas, _at(rect, rect.left + left, y + canvas.px(16)), panel.span, diverging=diverging)
    at = _Grid(area, (n_units, n_steps)).cell_at(pointer)
    return None if at is None else f"{_name(panel.rows, at[0], 'unit')}, step {at[1]}: {number(values[at[1], at[0]])}"


# curves


class Axes(NamedTuple):
    """Frame of a plot: pixels and the values at its edges."""

    rect: Any
    x: tuple[float, float]
    y: tuple[float, float]

    def points(self, x: Any, y: Any) -> Array:
        """Return pixels [P, 2] of values."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        px = self.rect.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * self.rect.width
        py = self.rect.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * self.rect.height
        return np.stack([px, py], axis=-1)


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Return round values, 1, 2 or 5 times a power of ten apart, within an interval."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    rough = (high - low) / max(at_most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _span_of(*arrays: Any) -> tuple[float, float]:
    """Return the smallest and largest finite value, parted where they are one."""
    values = np.concatenate([np.ravel(np.asarray(array, np.float64)) for array in arrays if array is not None])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        pad = abs(low) * 0.05 or 1.0
        return low - pad, high + pad
    return low, high


def draw_axes(
    canvas: Canvas, rect: Rect, x: tuple[float, float], y: tuple[float, float], names: tuple[str, str] = ("", "")
) -> Axes:
    """Draw an empty plot with ticks, and return its frame.

    Args:
        canvas: drawn on.
        rect: with the room for numbers and names.
        x: values at the left and right edge.
        y: values at the lower and upper edge.
        names: of the two axes.
    """
    line = canvas.line_height(SMALL)
    heights = ticks(*y, max(rect.height // (line * 3), 2))
    labels = [number(value) for value in heights]
    left = max((canvas.text_size(label, SMALL)[0] for label in labels), default=0) + canvas.px(8)
    top = line + canvas.px(2) if names[1] else canvas.px(4)
    area = rect.copy()
    area.left, area.top = rect.left + left, rect.top + top
    area.width = max(rect.width - left - canvas.px(12), 1)
    area.height = max(rect.height - top - line - canvas.px(4) - (line if names[0] else 0), 1)
    axes = Axes(area, x, y)
    canvas.fill(area, PAPER)
    for value, label in zip(heights, labels, strict=True):
        py = round(float(axes.points(x[0], value)[1]))
        canvas.fill((area.left, py, area.width, 1), EMPTY)
        canvas.text((area.left - canvas.px(6), py - line / 2), label, SMALL, FAINT, align="right")
    widest = canvas.text_size("0.0000k", SMALL)[0] + canvas.px(14)
    for value in ticks(*x, max(area.width // widest, 1)):
        px = round(float(axes.points(value, y[0])[0]))
        canvas.fill((px, area.bottom, 1, canvas.px(3)), FAINT)
        canvas.text((px, area.bottom + canvas.px(3)), count(value), SMALL, FAINT, align="centre")
    canvas.fill((area.left, area.bottom, area.width, 1), FAINT)
    if names[0]:
        canvas.text((area.centerx, area.bottom + line + canvas.px(3)), names[0], SMALL, FAINT, align="centre")
    if names[1]:
        canvas.text((rect.left, rect.top), names[1], SMALL, FAINT)
    return axes


class _Plot(NamedTuple):
    """A plot as it was drawn: it changes much more rarely than what stands beside it."""

    panel: CurvePanel  # as long as it is kept, no other one has its id
    axes: Axes
    place: Any  # of the pixels: the rectangle, and a little beside it
    pixels: Any


_plots: OrderedDict[Hashable, _Plot] = OrderedDict()  # those drawn last, as large together as what they are drawn on


@_draw.register(CurvePanel)
def _curve(panel: CurvePanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    x = np.asarray(panel.x, np.float64)
    y = np.atleast_2d(np.asarray(panel.y, np.float64))
    background = tuple(canvas.surface.get_at((max(rect.left, 0), max(rect.top, 0))))
    key = (id(panel), tuple(rect), canvas.scale, canvas.surface.get_size(), background)
    plot = _plots.get(key)
    if plot is None:
        axes = _draw_plot(panel, canvas, rect, x, y)
        place = rect.inflate(canvas.px(12), 0).clip(canvas.rect)
        plot = _Plot(panel, axes, place, canvas.surface.subsurface(place).copy())
        _plots[key] = plot
        while sum(kept.place.width * kept.place.height for kept in _plots.values()) > math.prod(key[3]):
            _plots.popitem(last=False)
    else:
        canvas.surface.blit(plot.pixels, plot.place)
    _plots.move_to_end(key)
    return _under_pointer(canvas, plot.axes, panel, x, y, pointer)


def _draw_plot(panel: CurvePanel, canvas: Canvas, rect: Rect, x: Array, y: Array) -> Axes:
    """Draw axes, curves, levels and legend of a panel."""
    legend = _legend_height(canvas, panel, rect.width)
    area = rect.copy()
    area.height = max(rect.height - legend, 1)
    levels = {name: value for name, value in panel.levels.items() if math.isfinite(value)}
    low, high = _span_of(y, panel.low, panel.high, list(levels.values()))
    room = (canvas.line_height(SMALL) + 3) / max(area.height, 1) if levels else 0.0  # for the name of the highest one
    span = (low - 0.05 * (high - low), high + min(max(room * 1.3, 0.05), 0.5) * (high - low))
    axes = draw_axes(canvas, area, _x_span(x), span, (panel.x_name, ""))
    canvas.surface.set_clip(axes.rect)
    _draw_bands(canvas, axes, panel, x)
    is_many = len(y) > MANY_CURVES
    place = np.nan_to_num(axes.points(x, 0.0 * x)[:, 0]) // (2 if is_many else 1)  # many lie over each other anyway
    x, y = thinned(x, y, place.astype(np.int64))
    for k in range(len(y)):
        points = axes.points(x, y[k])
        canvas.lines(_as_steps(points) if panel.steps else points, LINES[k % len(LINES)], 1 if is_many else 2)
    taken: list[Rect] = []
    for value in levels.values():
        _draw_level(canvas, axes, value)
    for name, value in levels.items():
        _name_level(canvas, axes, name, value, taken)
    canvas.surface.set_clip(None)
    if not np.isfinite(y).any():
        middle = (axes.rect.centerx, axes.rect.top + axes.rect.height * 3 // 4)
        canvas.text(middle, "no points yet", SIZE, FAINT, align="centre")
    _draw_curve_legend(canvas, panel, _at(rect, axes.rect.left, area.bottom), axes.rect.width)
    return axes


def thinned(x: Array, y: Array, columns: Array) -> tuple[Array, Array]:
    """Return the points of curves that are seen: of each column of pixels two, the lowest and the highest.

    A single high one among thousands is seen so. A gap is kept where nothing else is in its column. Curves with fewer
    than two points in a column are left as they are, and those whose points do not go from left to right.

    Args:
        x: float [P].
        y: float [K, P].
        columns: int [P], the column of pixels of each point.

    Returns:
        x, [2 C] for C columns, and y, [K, 2 C].
    """
    starts = np.flatnonzero(np.r_[True, columns[1:] != columns[:-1]]) if len(x) else np.zeros(0, np.int64)
    if len(x) <= 2 * len(starts) or (columns[1:] < columns[:-1]).any():
        return x, y
    ends = np.r_[starts[1:], len(x)] - 1
    low = np.fmin.reduceat(y, starts, axis=1)
    high = np.fmax.reduceat(y, starts, axis=1)
    falls = y[:, ends] < y[:, starts]
    seen = np.stack([np.where(falls, high, low), np.where(falls, low, high)], axis=2)  # [K, C, 2], as it came
    return np.stack([x[starts], x[ends]], axis=1).ravel(), seen.reshape(len(y), -1)


def _x_span(x: Array) -> tuple[float, float]:
    low, high = _span_of(x)
    return (min(low, 0.0), high) if low >= 0 and low < 0.2 * high else (low, high)


def _as_steps(points: Array) -> Array:
    """Hold every value until the next point."""
    if len(points) < 2:
        return points
    out = np.repeat(points, 2, axis=0)[1:]
    out[1::2, 1] = points[1:, 1]
    out[::2, 1] = points[:, 1]
    out[1::2, 1] = points[:-1, 1]
    out[1::2, 0] = points[1:, 0]
    out[2::2, 0] = points[1:, 0]
    return out


def _draw_bands(canvas: Canvas, axes: Axes, panel: CurvePanel, x: Array) -> None:
    if panel.low is None or panel.high is None:
        return
    pygame = pygame_module()
    for k, (low, high) in enumerate(zip(np.atleast_2d(panel.low), np.atleast_2d(panel.high), strict=True)):
        known = np.isfinite(low) & np.isfinite(high) & np.isfinite(x)
        if known.sum() < 2:
            continue
        outline = np.r_[axes.points(x[known], high[known]), axes.points(x[known], low[known])[::-1]]
        colour = blend(LINES[k % len(LINES)], PAPER, 0.22)
        pygame.draw.polygon(canvas.surface, colour, np.clip(outline, -1e4, 1e5).tolist())


def _draw_level(canvas: Canvas, axes: Axes, value: float) -> None:
    """Draw a dashed line."""
    y = round(float(axes.points(axes.x[0], value)[1]))
    dash = canvas.px(6)
    for left in range(axes.rect.left, axes.rect.right, 2 * dash):
        canvas.fill((left, y, dash, max(canvas.px(1), 1)), INK)


def _name_level(canvas: Canvas, axes: Axes, name: str, value: float, taken: list[Rect]) -> None:
    """Write the name of a dashed line where no other one is, of those ``taken``."""
    y = round(float(axes.points(axes.x[0], value)[1]))
    words = f"{name} {number(value)}"
    wide, high = canvas.text_size(words, SMALL)
    gap = canvas.px(4)
    place = pygame_module().Rect(axes.rect.right - gap - wide, y - high - 1, wide, high)
    if place.top < axes.rect.top:
        place.top = y + 2
    while (index := place.collidelist(taken)) >= 0:
        place.right = taken[index].left - 3 * gap
    taken.append(place)
    canvas.fill(place, PAPER)
    canvas.text(place.topleft, words, SMALL, INK)


def _legend_lines(canvas: Canvas, panel: CurvePanel, width: int) -> list[list[int]]:
    lines: list[list[int]] = []
    used = 0
    for k, name in enumerate(panel.names):
        wide = canvas.px(34) + canvas.text_size(name, SMALL)[0]
        if not lines or used + wide > width:
            lines.append([])
            used = 0
        lines[-1].append(k)
        used += wide
    return lines[:3]


def _legend_height(canvas: Canvas, panel: CurvePanel, width: int) -> int:
    return len(_legend_lines(canvas, panel, width - canvas.px(60))) * canvas.px(17)


def _draw_curve_legend(canvas: Canvas, panel: CurvePanel, rect: Rect, width: int) -> None:
    y = rect.top
    for line in _legend_lines(canvas, panel, width):
        x = rect.left
        for k in line:
            colour: Colour = LINES[k % len(LINES)]
            canvas.fill((x, y + canvas.px(6), canvas.px(16), canvas.px(3)), colour)
            x += canvas.px(20)
            x += canvas.text((x, y), panel.names[k], SMALL, INK) + canvas.px(14)
        y += canvas.px(17)


def _under_pointer(canvas: Canvas, axes: Axes, panel: CurvePanel, x: Array, y: Array, pointer: Pointer) -> str | None:
    """Mark the point nearest to the pointer along the axis, and name the values there."""
    if pointer is None or not axes.rect.collidepoint(pointer) or not np.isfinite(x).any():
        return None
    at = int(np.nanargmin(np.abs(axes.points(x, np.zeros(len(x)))[:, 0] - pointer[0])))
    canvas.fill((round(float(axes.points(x[at], 0.0)[0])), axes.rect.top, 1, axes.rect.height), RULE)
    values = ", ".join(f"{_name(panel.names, k, 'line')} {number(y[k, at])}" for k in range(min(len(y), 8)))
    return f"{panel.x_name or 'x'} {count(x[at])}: {values}"


# pictures


@_draw.register(PicturePanel)
def _pictures(panel: PicturePanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    images = np.asarray(panel.images)
    if not images.size:
        canvas.text(rect.topleft, "empty", SIZE, FAINT)
        return None
    foot = canvas.px(17) if panel.captions else 0
    shape = (images.shape[1], images.shape[2])
    columns, side = _tiling(rect, images.shape[0], shape, foot, canvas.px(6), panel.per_row)
    wide, high = side
    found = None
    for k, image in enumerate(images):
        row, column = divmod(k, columns)
        place = rect.copy()
        place.topleft = (
            rect.left + int(column * (wide + canvas.px(6))),
            rect.top + int(row * (high + foot + canvas.px(6))),
        )
        place.size = (max(int(wide), 1), max(int(high), 1))
        key = (ObjectKey(panel), k, tuple(place.size))
        canvas.surface.blit(_small_pictures.get(key, partial(_small_picture, canvas.scale, place, image, panel)), place)
        if k < len(panel.captions):
            canvas.text(
                (place.centerx, place.bottom + 2), panel.captions[k], SMALL, FAINT, align="centre", width=int(wide)
            )
        if pointer is not None and place.collidepoint(pointer):
            found = _name(panel.captions, k, "picture")
    return found


def _tiling(
    rect: Rect, n: int, shape: tuple[int, int], foot: int, gap: int, per_row: int = 0
) -> tuple[int, tuple[float, float]]:
    """Return how many pictures stand in a row, ``per_row`` where that is not 0, and how large they are at most."""
    best = (per_row or 1, (1.0, 1.0))
    for columns in [per_row] if per_row else range(1, n + 1):
        rows = math.ceil(n / columns)
        wide = (rect.width - gap * (columns - 1)) / columns
        high = (rect.height - gap * (rows - 1)) / rows - foot
        factor = min(wide / shape[1], high / shape[0])
        if factor > 0 and factor * shape[1] > best[1][0]:
            best = (columns, (factor * shape[1], factor * shape[0]))
    return best


_small_pictures = KeptSurfaces(MAX_PICTURE_PIXELS)


def _small_picture(scale: float, place: Rect, image: Array, panel: PicturePanel) -> Surface:
    """Draw one picture of a panel, with its frame, on a surface of its own."""
    canvas = Canvas(make_surface(*place.size), scale)
    place = canvas.rect
    if image.dtype == np.uint8 and image.ndim == 3:
        surface = pygame_module().transform.scale(picture(image), place.size)
        canvas.surface.blit(surface, place.topleft)
    else:
        diverging = panel.span[0] < 0 < panel.span[1]
        values = np.asarray(image, np.float64)
        canvas.matrix(place, values, *panel.span, diverging=diverging, as_ink=panel.as_ink)
    canvas.frame(place, RULE)
    return canvas.surface


# points


@_draw.register(PointPanel)
def _points(panel: PointPanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    points = np.asarray(panel.points, np.float64).reshape(-1, 2)
    groups = np.asarray(panel.groups, np.int64)
    legend = canvas.px(17) if panel.names else 0
    area = rect.copy()
    area.height = max(rect.height - legend, 1)
    spans = [_padded(_span_of(points[:, axis])) for axis in (0, 1)]
    axes = draw_axes(canvas, area, spans[0], spans[1], (panel.x_name, panel.y_name))
    pixels = axes.points(points[:, 0], points[:, 1])
    size = max(canvas.px(3 if len(points) > 300 else 4), 2)
    for (x, y), group in zip(pixels.tolist(), groups.tolist(), strict=True):
        if math.isfinite(x) and math.isfinite(y):
            draw_point(canvas, (x, y), group, size)
    if 0 <= panel.marked < len(pixels):
        canvas.circle(pixels[panel.marked].tolist(), 2.4 * size, INK, 2)
    x = axes.rect.left
    for group, name in enumerate(panel.names):
        draw_point(canvas, (x + size, area.bottom + canvas.px(8)), group, size)
        x += canvas.px(14) + canvas.text((x + canvas.px(14), area.bottom), name, SMALL, INK) + canvas.px(10)
    if pointer is None or not len(points):
        return None
    distance = np.hypot(*(np.nan_to_num(pixels, nan=1e9) - np.array(pointer)).T)
    near = int(distance.argmin())
    if distance[near] > 3 * size:
        return None
    return f"{_name(panel.names, int(groups[near]), 'group')}: {number(points[near, 0])}, {number(points[near, 1])}"


def _padded(span: tuple[float, float]) -> tuple[float, float]:
    pad = 0.06 * (span[1] - span[0])
    return span[0] - pad, span[1] + pad


def draw_point(canvas: Canvas, place: tuple[float, float], group: int, size: int, colour: Colour | None = None) -> None:
    """Draw a point of a group: groups differ in shape, and in colour where none is given."""
    colour = colour or LINES[group % len(LINES)]
    x, y = place
    if group % 4 == 0:
        canvas.circle(place, size, colour)
    elif group % 4 == 1:
        canvas.fill((x - size, y - size, 2 * size, 2 * size), colour)
    elif group % 4 == 2:
        canvas.polygon(_diamond(x, y, size * 1.3), colour)
    else:
        canvas.polygon([(x, y - size * 1.2), (x + size * 1.2, y + size), (x - size * 1.2, y + size)], colour)


# facts


@_draw.register(TextPanel)
def _facts(panel: TextPanel, canvas: Canvas, rect: Rect, pointer: Pointer) -> str | None:
    step = canvas.line_height(SIZE) + canvas.px(3)
    widest = max((canvas.text_size(name, SIZE)[0] for name in panel.facts), default=0) + canvas.px(16)
    widest = min(widest, int(MAX_NAMES * rect.width))
    y = rect.top
    found = None
    for name, text in panel.facts.items():
        if y + step > rect.bottom:
            canvas.text((rect.left, y - step // 3), "…", SIZE, FAINT)
            break
        canvas.text((rect.left, y), name, SIZE, FAINT, width=widest - canvas.px(6))
        room = rect.width - widest
        canvas.text((rect.left + widest, y), text, SIZE, INK, width=room)
        if pointer is not None and y <= pointer[1] < y + step:
            found = f"{name}: {text}"
        y += step
    return found
