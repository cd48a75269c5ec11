"""Panels drawn with characters: heat as blocks, bars, strips, curves as sparklines, points, pictures, facts.

With colours blue is below 0, orange above, and otherwise viridis. Without, signs stand for values, and a line says
which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.text import Text

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
from simulator.views.grid import SHADES
from simulator.views.style import TerminalStyle, clean, fit, flow, number, stack

DIVERGING = ("#1a4f8f", "#4a86c5", "#9cc1e3", "#e6e6e6", "#f5c08a", "#ea8a2f", "#b85a00")  # blue, grey, orange
SIGNS = ("▼▽·△▲", "N-.+P")  # far below 0, below, about 0, above, far above; the second ones in ASCII
RAMPS = (" ░▒▓█", " .:*@")
SPARKS = ("▁▂▃▄▅▆▇█", "_.-=+*#@")
BLOCKS = ("█", "#")
POINT_SIGNS = ("o+x*#%", "o+x*#%")
MARKED = ("●", "@")
MAX_LINES = 16  # rows of a heat or a strip
MAX_NAMED_ROWS = 40  # rows of a table that has names
MAX_SIDE = 24  # characters of a picture
POINT_LINES = 14
NUMBER_WIDTH = 9  # of a number in a table


def panel_text(panel: Panel, width: int = 80, look: TerminalStyle | None = None) -> Text:
    """Draw a panel.

    Args:
        panel: what is drawn.
        width: columns of the terminal to fill at most.
        look: what the terminal can show.
    """
    look = look or TerminalStyle()
    title = fit(width, (clean(panel.title), "bold"))
    lines: list[Text]
    if isinstance(panel, HeatPanel):
        lines = _heat(panel, width, look)
    elif isinstance(panel, BarPanel):
        lines = _bars(panel, width, look)
    elif isinstance(panel, StripPanel):
        lines = _strip(panel, width, look)
    elif isinstance(panel, CurvePanel):
        lines = _curves(panel, width, look)
    elif isinstance(panel, PicturePanel):
        lines = _pictures(panel, width, look)
    elif isinstance(panel, PointPanel):
        lines = _points(panel, width, look)
    else:
        assert isinstance(panel, TextPanel)
        lines = [fit(width, (f"{clean(name)}: {clean(said)}", "")) for name, said in panel.facts.items()]
    return stack([title, *lines])


# Heat and strips.


def _heat(panel: HeatPanel, width: int, look: TerminalStyle) -> list[Text]:
    values = np.asarray(panel.values, np.float64)
    n_rows, n_columns = values.shape
    if not values.size:
        return [Text("nothing yet", "dim")]
    margin = _margin(panel.rows, width)
    if panel.columns and margin + n_columns * (NUMBER_WIDTH + 1) <= width:
        return _numbers(panel, values, margin, _span(values, diverging=panel.diverging), look)
    most = MAX_NAMED_ROWS if panel.rows else MAX_LINES
    return _blocks(values, panel.rows, min(most, n_rows), width, None, look, diverging=panel.diverging)


def _numbers(
    panel: HeatPanel, values: Array, margin: int, span: tuple[float, float], look: TerminalStyle
) -> list[Text]:
    """Draw a small table: every number, with the colour of its heat behind it."""
    head = Text(" " * margin)
    for name in panel.columns:
        head.append(f" {clean(name)[:NUMBER_WIDTH]:>{NUMBER_WIDTH}}", "dim")
    lines = [head]
    for at in range(min(len(values), MAX_NAMED_ROWS)):
        name = clean(panel.rows[at]) if panel.rows else ""
        line = Text(f"{name[:margin]:<{margin}}", "dim")
        for value in values[at]:
            words = "" if np.isnan(value) else number(value)
            style = _style(float(value), span, look, diverging=panel.diverging) if look.colour else ""
            line.append(" ").append(f"{words:>{NUMBER_WIDTH}}", style)
        lines.append(line)
    if len(values) > MAX_NAMED_ROWS:
        lines.append(Text(f"... {len(values) - MAX_NAMED_ROWS} more rows", "dim"))
    return lines


def _blocks(
    values: Array,
    rows: Sequence[str],
    n_lines: int,
    width: int,
    span: tuple[float, float] | None,
    look: TerminalStyle,
    *,
    diverging: bool,
) -> list[Text]:
    """Draw a matrix, one character or two for each cell, or for the mean of several where there is no room for all.

    ``span`` is of the colours; None: that of the values that are drawn.
    """
    margin = _margin(rows, width)
    n_rows, n_columns = values.shape
    room = max(width - margin - 1, 1)
    cell = 2 if 2 * n_columns <= room else 1
    shown_columns = min(n_columns, room // cell)
    shown = _pooled(_pooled(values, n_lines).T, shown_columns).T
    starts = np.arange(len(shown)) * n_rows // len(shown)
    span = _span(shown, diverging=diverging) if span is None else span
    lines = []
    for row, start in zip(shown, starts, strict=True):
        name = clean(rows[start]) if rows else ""
        line = Text(f"{name[:margin]:<{margin}}", "dim")
        for value in row:
            line.append(*_cell(float(value), span, cell, look, diverging=diverging))
        lines.append(line)
    low, high = span
    signs = "" if look.colour else f"  {_key(look, diverging=diverging)}"
    shape = "" if shown.shape == values.shape else f"  {n_rows} rows by {n_columns} columns, means of neighbours"
    lines.append(Text(f"{number(low)} to {number(high)}{signs}{shape}", "dim", no_wrap=True))
    lines[-1].truncate(width)
    return lines


def _cell(
    value: float, span: tuple[float, float], cell: int, look: TerminalStyle, *, diverging: bool
) -> tuple[str, str]:
    """Return the characters and the style of a value."""
    if np.isnan(value):
        return " " * cell, ""
    if look.colour:
        return " " * cell, _style(value, span, look, diverging=diverging)
    signs = (SIGNS if diverging else RAMPS)[look.ascii]
    return signs[_step(value, span, len(signs))] * cell, ""


def _style(value: float, span: tuple[float, float], look: TerminalStyle, *, diverging: bool) -> str:
    if np.isnan(value) or not look.colour:
        return ""
    shades = DIVERGING if diverging else SHADES
    step = _step(value, span, len(shades))
    is_dark = step in (0, 1, len(shades) - 1) if diverging else step < len(shades) // 2
    return f"{'white' if is_dark else 'black'} on {shades[step]}"


def _key(look: TerminalStyle, *, diverging: bool) -> str:
    signs = (SIGNS if diverging else RAMPS)[look.ascii]
    return f"from {signs[0]!r} to {signs[-1]!r}"


def _step(value: float, span: tuple[float, float], n: int) -> int:
    """Return which of n steps from the lowest to the highest value this one is in."""
    low, high = span
    if not high > low:
        return n // 2
    return int(np.clip(np.floor((value - low) / (high - low) * n), 0, n - 1))


def _span(values: Array, *, diverging: bool) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 0.0
    if diverging:
        largest = float(np.abs(known).max())
        return -largest, largest
    return float(known.min()), float(known.max())


def _pooled(values: Array, n: int) -> Array:
    """Return n rows: the values [R, C], or means of neighbours where there are more; NaN is left out."""
    if len(values) <= n:
        return values
    starts = np.arange(n) * len(values) // n
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, 0.0), starts, axis=0)
    count = np.add.reduceat(known.astype(np.float64), starts, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _margin(rows: Sequence[str], width: int) -> int:
    """Return the columns that the names of rows take."""
    return min(max((len(clean(name)) for name in rows), default=-1) + 1, width // 3)


def _strip(panel: StripPanel, width: int, look: TerminalStyle) -> list[Text]:
    values = np.asarray(panel.values, np.float64).T  # [N, T]
    if not values.size:
        return [Text("nothing yet", "dim")]
    n_steps = values.shape[1]
    diverging = panel.span[0] < 0.0 < panel.span[1]
    lines = _blocks(values, panel.rows, min(len(values), MAX_LINES), width, panel.span, look, diverging=diverging)
    margin = _margin(panel.rows, width)
    room = max(width - margin - 1, 1)
    cell = 2 if 2 * n_steps <= room else 1
    shown = min(n_steps, room // cell)
    if panel.cuts:
        marks = [" "] * (shown * cell)
        for step in panel.cuts:
            if 0 <= step < n_steps:
                marks[step * shown // n_steps * cell] = "x" if look.ascii else "✂"
        lines.insert(0, Text(" " * margin + "".join(marks), "bold"))
    lines.insert(-1, Text(f"{'':{margin}}step 0 to {n_steps - 1}", "dim"))
    return lines


# Bars and curves.


def _bars(panel: BarPanel, width: int, look: TerminalStyle) -> list[Text]:
    values = np.asarray(panel.values, np.float64)
    beside = None if panel.beside is None else np.asarray(panel.beside, np.float64)
    margin = _margin(panel.names, width)
    every = values if beside is None else np.concatenate([values, beside])
    known = every[np.isfinite(every)]
    low, high = (min(float(known.min()), 0.0), max(float(known.max()), 0.0)) if known.size else (0.0, 0.0)
    room = max(width - margin - 2 * NUMBER_WIDTH - 5, 4)
    lines = []
    for at, (name, value) in enumerate(zip(panel.names, values, strict=True)):
        line = Text(f"{clean(name)[:margin]:<{margin}}", "dim", no_wrap=True)
        line.append(MARKED[look.ascii] if at == panel.chosen else " ", "bold")
        line.append(f"{'' if np.isnan(value) else number(value):>{NUMBER_WIDTH}} ")
        if beside is not None:
            line.append(f"{'' if np.isnan(beside[at]) else number(beside[at]):>{NUMBER_WIDTH}} ", "dim")
        line.append(*_bar(float(value), (low, high), room, look))
        lines.append(line)
    if beside is not None:
        lines.append(fit(width, (f"second number: {clean(panel.beside_name)}", "dim")))
    return lines or [Text("nothing yet", "dim")]


def _bar(value: float, span: tuple[float, float], room: int, look: TerminalStyle) -> tuple[str, str]:
    """Return a bar from 0 to a value, in a room that holds ``span``."""
    low, high = span
    if np.isnan(value) or not high > low:
        return "", ""
    start, end = sorted(round((x - low) / (high - low) * room) for x in (0.0, value))
    colour = "" if not look.colour else DIVERGING[-2] if value >= 0.0 else DIVERGING[1]
    return " " * start + BLOCKS[look.ascii] * (end - start), colour


def _curves(panel: CurvePanel, width: int, look: TerminalStyle) -> list[Text]:
    lines = []
    x = np.asarray(panel.x, np.float64)
    names = panel.names or tuple("" for _ in panel.y)
    margin = _margin(names, width)
    known = np.asarray(panel.y, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return [Text("nothing yet", "dim")]
    span = (float(known.min()), float(known.max()))
    for name, y in zip(names, np.asarray(panel.y, np.float64), strict=True):
        line = Text(f"{clean(name)[:margin]:<{margin}}", "dim", no_wrap=True)
        line.append(_spark(x, y, max(width - margin, 1), span, look))
        lines.append(line)
    axis = f"{clean(panel.x_name)} {number(x[0])} to {number(x[-1])}"
    levels = [f"{clean(name)} {number(level)}" for name, level in panel.levels.items()]
    words = [f"{number(span[0])} to {number(span[1])}", axis, *levels]
    return lines + flow(width, [Text(each, "dim", no_wrap=True) for each in words])


def _spark(x: Array, y: Array, width: int, span: tuple[float, float], look: TerminalStyle) -> str:
    """Draw a line over an axis as one row of blocks; a column without a point between points lies on the line."""
    is_known = np.isfinite(y)
    columns = np.full(width, np.nan)
    at = np.zeros(len(x), np.int64)
    if x[-1] > x[0]:
        at = np.minimum(((x - x[0]) / (x[-1] - x[0]) * width).astype(np.int64), width - 1)
    if is_known.sum() > 1:
        first, last = at[is_known][0], at[is_known][-1]
        middle = np.arange(first, last + 1)
        columns[first : last + 1] = np.interp(middle, at[is_known], y[is_known])
    else:
        columns[at[is_known]] = y[is_known]
    signs = SPARKS[look.ascii]
    return "".join(" " if np.isnan(value) else signs[_step(float(value), span, len(signs))] for value in columns)


# Points, pictures.


def _points(panel: PointPanel, width: int, look: TerminalStyle) -> list[Text]:
    points = np.asarray(panel.points, np.float64)
    if not len(points):
        return [Text("nothing yet", "dim")]
    n_columns = max(min(width - 2, 3 * POINT_LINES * 2), 1)
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.where(high > low, high - low, 1.0)
    column = np.minimum(((points[:, 0] - low[0]) / size[0] * n_columns).astype(np.int64), n_columns - 1)
    row = np.minimum(((high[1] - points[:, 1]) / size[1] * POINT_LINES).astype(np.int64), POINT_LINES - 1)
    signs = POINT_SIGNS[look.ascii]
    canvas = np.full((POINT_LINES, n_columns), " ")
    for at, group in enumerate(panel.groups):
        canvas[row[at], column[at]] = signs[int(group) % len(signs)]
    if 0 <= panel.marked < len(points):
        canvas[row[panel.marked], column[panel.marked]] = MARKED[look.ascii]
    lines = [Text("".join(line), no_wrap=True) for line in canvas]
    names = [f"{signs[k % len(signs)]} {clean(name)}" for k, name in enumerate(panel.names)]
    if panel.marked >= 0:
        names.append(f"{MARKED[look.ascii]} marked")
    axes = [
        f"{clean(name)} {number(first)} to {number(last)}"
        for name, first, last in zip((panel.x_name, panel.y_name), low, high, strict=True)
        if name
    ]
    lines += [fit(width, ("  ".join(part), "dim")) for part in (names, axes) if part]
    return lines


def _pictures(panel: PicturePanel, width: int, look: TerminalStyle) -> list[Text]:
    """Draw pictures side by side, two characters a pixel, as many as fit; rows of them as small as it takes."""
    images = np.asarray(panel.images, np.float64)
    span = panel.span
    if images.ndim == 4:
        images = images.mean(axis=-1)
        span = (0.0, 255.0)
    if panel.per_row:
        return _picture_rows(images, panel, span, width, look)
    side = max(min(MAX_SIDE, (width - 2) // 2), 1)
    shown = [_pooled(_pooled(image, side).T, side).T for image in images]
    each = 2 * shown[0].shape[1] + 2
    n = max(1, min(len(shown), width // each))
    lines = _picture_row(shown[:n], span, 2, look)
    captions = panel.captions[:n]
    if captions:
        lines.append(Text("".join(f"{clean(words)[: each - 2]:<{each}}" for words in captions), "dim", no_wrap=True))
    if n < len(shown):
        lines.append(Text(f"... {len(shown) - n} more pictures", "dim"))
    return lines


def _picture_rows(
    images: Array, panel: PicturePanel, span: tuple[float, float], width: int, look: TerminalStyle
) -> list[Text]:
    """Draw rows of pictures, all of them: a character is a pixel wide and two high, or more where there is no room."""
    columns = min(images.shape[2], max(width // panel.per_row - 1, 1))
    height = max(1, round(images.shape[1] * columns / images.shape[2] / 2))
    shown = [_pooled(_pooled(image, height).T, columns).T for image in images]
    lines: list[Text] = []
    for start in range(0, len(shown), panel.per_row):
        lines += _picture_row(shown[start : start + panel.per_row], span, 1, look)
        captions = panel.captions[start : start + panel.per_row]
        if any(captions):
            words = "".join(f"{clean(caption)[:columns]:<{columns + 1}}" for caption in captions)
            lines.append(Text(words, "dim", no_wrap=True))
    return lines


def _picture_row(shown: Sequence[Array], span: tuple[float, float], cell: int, look: TerminalStyle) -> list[Text]:
    """Draw pictures of one height side by side, a pixel ``cell`` characters wide."""
    lines = []
    for row in range(len(shown[0])):
        line = Text(no_wrap=True)
        for image in shown:
            for value in image[row]:
                line.append(*_cell(float(value), span, cell, look, diverging=False))
            line.append(" " * cell)
        lines.append(line)
    return lines
