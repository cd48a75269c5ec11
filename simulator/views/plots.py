"""Learning curves drawn with characters: braille dots, or ASCII where the terminal has nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rich.text import Text

from simulator.core.protocols import Array, Curve
from simulator.views.style import Part, TerminalStyle, count, fit, number, stack

MEAN = "bold cyan"
BAND = "blue"
OPTIMUM = "green"
AXIS = "dim"
FAR = 1e100  # returns beyond it are drawn as if they were here, so that no sum overflows
QUIET = 0.25  # a plot whose first quarter takes more than three quarters of the height leaves the bottom out
BITS = np.array(
    [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
)  # braille: dot at [row, column] of a character


class Lines(NamedTuple):
    """A curve over seeds, one entry for every column of dots; NaN where there is nothing yet."""

    mean: Array  # [C]
    low: Array  # [C]
    high: Array  # [C]
    band: str  # meaning of low and high


def curve_plot(
    curve: Curve,
    width: int,
    height: int,
    optimum: float | None = None,
    look: TerminalStyle | None = None,
    name: str = "return",
    best_name: str = "optimum",
) -> Text:
    """Plot the learning curve: mean over seeds, band over seeds, optimum as a dashed line.

    The band is the interquartile range over seeds from four seeds on, and lowest to highest for two and three; the
    legend says which. A seed's line is drawn straight between the points that it has, and level after the last one.

    Args:
        curve: training returns by environment step.
        width: columns of the terminal to fill.
        height: lines to fill, the legend and the axis among them.
        optimum: best possible expected return of an episode.
        look: what the terminal can show.
        name: what the curve is of.
        best_name: what ``optimum`` is called.
    """
    look = look or TerminalStyle()
    limits = None
    if width >= 24 and height >= 5 and len(curve.steps):
        lines = over_seeds(curve, max((width - 8) * (1 if look.ascii else 2), 2))
        limits = _limits(lines, optimum)
    if limits is None:
        return _one_line(curve, width)
    low, high, clipped = limits
    labels = _y_labels(low, high, height - 3)
    margin = max((len(text) for text in labels.values()), default=0)
    columns = width - margin - 1
    dots = (1, 1) if look.ascii else (4, 2)  # rows and columns of dots in a character
    lines = over_seeds(curve, columns * dots[1])
    canvas = _canvas(lines, optimum, (low, high), ((height - 3) * dots[0], columns * dots[1]))
    rows = _characters(canvas, dots)
    page = [_legend((name, best_name), curve, lines, optimum, width, look)]
    if clipped:
        rows[-1] = _note(rows[-1], f"{'v' if look.ascii else '↓'} from {number(float(np.nanmin(lines.mean)))}")
    for i, row in enumerate(rows):
        tick = ("+" if look.ascii else "┤") if i in labels else ("|" if look.ascii else "│")
        page.append(Text.assemble((labels.get(i, "").rjust(margin) + tick, AXIS), row))
    return stack([*page, *_x_axis(int(curve.steps[-1]), margin, columns, look)])


def over_seeds(curve: Curve, columns: int) -> Lines:
    """Compute mean and band over seeds at ``columns`` evenly spaced environment steps from 0 to the curve's last."""
    place = np.clip(curve.steps / max(int(curve.steps[-1]), 1) * columns - 0.5, 0, columns - 1)  # [P]
    returns = np.where(np.isfinite(curve.mean_return), np.clip(curve.mean_return, -FAR, FAR), np.nan)  # [S, P]
    curves = np.array([_one_seed(place, r, n, columns) for r, n in zip(returns, curve.episodes, strict=True)])
    empty = np.full(columns, np.nan)
    if not curves.size:
        return Lines(empty, empty, empty, "")
    mean = empty.copy()
    low = empty.copy()
    high = empty.copy()
    has_data = np.isfinite(curves).any(axis=0)  # [C]
    if has_data.any():
        inside = curves[:, has_data]
        n = len(curves)
        mean[has_data] = np.nanmean(inside, axis=0)
        low[has_data], high[has_data] = _quantiles(inside, (0.25, 0.75) if n >= 4 else (0.0, 1.0))
    return Lines(mean, low, high, _band_name(len(curves)))


def _quantiles(curves: Array, fractions: tuple[float, float]) -> Array:
    """Compute quantiles over seeds, [2, C], NaN left out, which takes long where there is any."""
    is_whole = np.isfinite(curves).all(axis=0)
    out = np.empty((2, curves.shape[1]))
    out[:, is_whole] = np.quantile(curves[:, is_whole], fractions, axis=0)
    out[:, ~is_whole] = np.nanquantile(curves[:, ~is_whole], fractions, axis=0)
    return out


def _band_name(n_seeds: int) -> str:
    if n_seeds < 2:
        return ""
    return "interquartile range" if n_seeds >= 4 else "lowest to highest seed"


def _one_seed(place: Array, returns: Array, episodes: Array, columns: int) -> Array:
    """Compute one seed's return at every column [C]: the mean over its points there, interpolated in between."""
    is_finite = np.isfinite(returns)
    out = np.full(columns, np.nan)
    if not is_finite.any():
        return out
    column = np.rint(place[is_finite]).astype(np.int64)
    weight = np.maximum(episodes[is_finite], 1).astype(np.float64)
    total = np.bincount(column, weight, columns)
    fraction = weight / total[column]  # sums to 1 in every column, so that large returns do not overflow
    value = np.bincount(column, fraction * returns[is_finite], columns)
    with_episodes = np.flatnonzero(total)
    out[with_episodes[0] :] = np.interp(np.arange(with_episodes[0], columns), with_episodes, value[with_episodes])
    return out


def _limits(lines: Lines, optimum: float | None) -> tuple[float, float, bool] | None:
    """Compute the limits of the plot, and whether an early low is left out; None if there is no data."""
    has_data = np.flatnonzero(np.isfinite(lines.mean))
    if not len(has_data):
        return None
    low = np.minimum(lines.low, lines.mean)
    tops = [np.nanmax(lines.high), np.nanmax(lines.mean), *_known(optimum)]
    bottoms = [np.nanmin(low), *_known(optimum)]
    top = float(max(tops))
    bottom = float(min(bottoms))
    late = float(min([np.nanmin(low[has_data[len(has_data) // 4] :]), *_known(optimum)]))
    clipped = top - late < QUIET * (top - bottom) and top > late
    if clipped:
        bottom = late - 0.25 * (top - late)
    if not top - bottom > 1e-9 * max(abs(top), abs(bottom), 1e-9):
        half = 0.5 * max(abs(top) * 0.1, 0.1)
        return bottom - half, top + half, False
    room = 0.04 * (top - bottom)
    return bottom - room, top + room, clipped


def _known(optimum: float | None) -> list[float]:
    return [] if optimum is None or not np.isfinite(optimum) else [float(np.clip(optimum, -FAR, FAR))]


def _canvas(lines: Lines, optimum: float | None, limits: tuple[float, float], shape: tuple[int, int]) -> Array:
    """Return the dots [3, rows, columns]: the band, the optimum, the mean."""
    n_rows, n_columns = shape
    dots = np.zeros((3, n_rows, n_columns), np.bool_)
    mean, low, high = (_rows(y, limits, n_rows) for y in (lines.mean, lines.low, lines.high))
    row, column = np.mgrid[:n_rows, :n_columns]
    has_data = np.isfinite(lines.mean)
    inside = (row >= high) & (row <= low) & has_data
    dots[0] = inside & ((row + 2 * column) % 4 == 0) if n_rows > 4 else inside
    for best in _known(optimum):
        dots[1] = (row == _rows(np.array([best]), limits, n_rows)) & (column % 4 < 2)
    before = np.concatenate([mean[:1], mean[:-1]])
    before = np.where(np.concatenate([[False], has_data[:-1]]), before, mean)
    # a step up or down is joined to the column before it, one dot short, or slopes would be drawn twice as thick
    start = np.where(before < mean, np.minimum(before + 1, mean), np.where(before > mean, before - 1, mean))
    dots[2] = (row >= np.minimum(start, mean)) & (row <= np.maximum(start, mean)) & has_data
    dots[2] &= ~((row == n_rows - 1) & _below(lines.mean, limits))
    return dots


def _below(y: Array, limits: tuple[float, float]) -> Array:
    return np.nan_to_num(y, nan=limits[0]) < limits[0]


def _rows(y: Array, limits: tuple[float, float], n_rows: int) -> Array:
    """Return the row of dots, from the top, of every return; those outside are at the edge, NaN at row 0."""
    low, high = limits
    fraction = (np.nan_to_num(y, nan=high) - low) / (high - low)
    return np.clip(np.rint((1 - fraction) * n_rows - 0.5), 0, n_rows - 1).astype(np.int64)


def _characters(canvas: Array, dots: tuple[int, int]) -> list[Text]:
    """Return the lines of characters. A character has the colour of the most important thing in it."""
    tall, wide = dots
    blocks = canvas.reshape(3, canvas.shape[1] // tall, tall, canvas.shape[2] // wide, wide)
    has = np.any(blocks, axis=(2, 4))  # [3, lines, columns]
    kind = np.where(has[2], 3, np.where(has[1], 2, np.where(has[0], 1, 0)))
    if tall == 1:
        signs = np.array([" ", ".", "-", "*"])[kind]
    else:
        blocks[0] &= ~(has[2] | has[1])[:, None, :, None]  # a character has one colour: a line stays thin in its band
        code = (blocks.any(axis=0) * BITS[:, None, :]).sum(axis=(1, 3))
        signs = np.where(code, np.vectorize(chr)(0x2800 + code), " ")
    return [_coloured(line, kinds) for line, kinds in zip(signs, kind, strict=True)]


def _coloured(signs: Array, kinds: Array) -> Text:
    line = Text()
    styles = ("", BAND, OPTIMUM, MEAN)
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    for start, stop in pairwise(edges):
        line.append("".join(signs[start:stop]), styles[int(kinds[start])])
    return line


def _note(row: Text, words: str) -> Text:
    """Write a note into the first gap of a row that is wide enough."""
    start = row.plain.find(" " * (len(words) + 2)) + 1
    return row[:start] + Text(words, AXIS) + row[start + len(words) :] if start else row


def _ticks(low: float, high: float, at_most: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) between two others."""
    if not high > low:
        return []
    raw = (high - low) / max(at_most, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = np.ceil(low / step - 1e-9)
    last = np.floor(high / step + 1e-9)
    return [float(k * step) for k in np.arange(first, last + 1)[: at_most + 2]]


def _y_labels(low: float, high: float, n_rows: int) -> dict[int, str]:
    """Return the labels of rows at round returns."""
    ticks = _ticks(low, high, max(n_rows // 2, 1)) or [low, high]
    rows = _rows(np.array(ticks), (low, high), n_rows)
    return {int(row): number(round(tick, 12)) for row, tick in zip(rows, ticks, strict=True)}


def _x_axis(last: int, margin: int, columns: int, look: TerminalStyle) -> list[Text]:
    """Return the line below the plot and the environment steps under it; the last step stands at the right."""
    corner, line, tick = ("+", "-", "+") if look.ascii else ("└", "─", "┴")
    unit = " steps" if columns >= 40 else ""
    end = count(last) + unit
    marks = [line] * columns
    words = [" "] * columns
    words[columns - len(end) :] = end
    free = columns - len(end) - 1  # labels end before it
    for step in _ticks(0.0, float(max(last, 1)), max(columns // 14, 1)):
        place = int(np.clip(round(step / max(last, 1) * columns - 0.5), 0, columns - 1))
        text = count(step)
        start = max(place - len(text) // 2, 0)
        if start + len(text) <= free and all(c == " " for c in words[max(start - 1, 0) : start + len(text) + 1]):
            marks[place] = tick
            words[start : start + len(text)] = text
    return [
        Text(" " * margin + corner + "".join(marks), AXIS),
        Text(" " * (margin + 1) + "".join(words), AXIS),
    ]


def _legend(
    names: tuple[str, str], curve: Curve, lines: Lines, optimum: float | None, width: int, look: TerminalStyle
) -> Text:
    name, best_name = names
    n = len(curve.mean_return)
    sign = ("*", ".", "- -") if look.ascii else ("⠒⠒", "⠡⠡", "⠒ ⠒")
    parts: list[Part] = [(f"{sign[0]} {name}, mean of {n} seeds" if n != 1 else f"{sign[0]} {name}", MEAN)]
    parts += [(f"{sign[2]} {best_name} {number(best)}", OPTIMUM) for best in _known(optimum)]
    if lines.band:
        parts.append((f"{sign[1]} {lines.band}", BAND))
    return fit(width, *parts, gap="   ")


def _one_line(curve: Curve, width: int) -> Text:
    """Return one line for where there is no space for a plot, or no data."""
    finite = np.isfinite(curve.mean_return)
    if not finite.any():
        return fit(width, ("no episode has ended yet", AXIS))
    latest = [row[is_finite][-1] for row, is_finite in zip(curve.mean_return, finite, strict=True) if is_finite.any()]
    return fit(width, (f"return {number(float(np.median(latest)))}", MEAN), ("median of seeds", AXIS))
