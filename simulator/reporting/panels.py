"""Panels of what is inside a player, as JSON, on a terminal and as pictures in a file.

A panel (:mod:`simulator.core.scene`) is a drawing as plain arrays. The window draws the same ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulator import console
from simulator.core.files.escaping import one_line
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, Panel, PicturePanel, PointPanel, StripPanel
from simulator.reporting import figures
from simulator.reporting.figures import COLOURS, DASHES, INK, MAX_LINES, Ax, LegendEntry, Margin, Picture, Size
from simulator.views.style import number

KIND = "panels"
DIVERGING = "RdBu_r"  # colours of weights, apart at 0
RISING = "viridis"
INKED = "Greys"  # of patterns: +1 is ink
PICTURE_SIDE = 0.62  # inches of a small picture
PICTURES_PER_ROW = 8
MAX_PICTURES = 256  # in one panel
MAX_NAMES = 60  # rows or columns of a matrix whose names are written
BAR_HEIGHT = 0.17  # inches
GAP_SHARE = 0.12  # of a picture's side, between pictures
MIN_ASPECT = 0.25  # height by width of a drawn picture: a row of units is stretched
CAPTION_SHARE = 0.3  # of a picture's side, below it


def entry_of(panel: Panel) -> dict[str, Any]:
    """Describe a panel for JSON: its kind, and its attributes by name."""
    kind = type(panel).__name__.removesuffix("Panel").lower()
    return {"kind": kind, **{field.name: getattr(panel, field.name) for field in dataclasses.fields(panel)}}


def print_panels(panels: Sequence[Panel]) -> None:
    """Print panels on the terminal, each after an empty line."""
    from rich.console import Console

    from simulator.views.panels import panel_text
    from simulator.views.style import style_of

    terminal = Console()
    for panel in panels:
        console.print_result()
        terminal.print(panel_text(panel, terminal.width, style_of(terminal)))


def pictures_of(panels: Sequence[Panel], note: str = "") -> list[Picture]:
    """Return a picture for every panel, or for several curves of the same things; facts are no drawings.

    Args:
        panels: what is drawn.
        note: stands below the first title.
    """
    pictures: list[Picture] = []
    names: tuple[str, ...] | None = None  # of the curves in the last picture
    for panel in panels:
        drawn = _picture(panel)
        if drawn is None:
            continue
        title = one_line(panel.title)
        if isinstance(panel, CurvePanel) and panel.names and panel.names == names:
            last = pictures[-1]
            first = last.panels[0]._replace(title=last.panels[0].title or last.title)
            rest = last.panels[1:]
            pictures[-1] = last._replace(title="", panels=[first, *rest, drawn._replace(title=title)])
            continue
        names = panel.names if isinstance(panel, CurvePanel) else None
        pictures.append(Picture(KIND, title, note if not pictures else "", [drawn], _legend(panel)))
    return pictures


def _picture(panel: Panel) -> figures.Panel | None:
    """Return a panel that draws another one with matplotlib; None: it has no drawing."""
    if isinstance(panel, HeatPanel):
        return _heat(panel) if panel.values.size else None
    if isinstance(panel, BarPanel):
        return _bars(panel) if len(panel.names) else None
    if isinstance(panel, StripPanel):
        if not panel.values.size:
            return None
        return _heat(HeatPanel(panel.title, panel.values.T, panel.rows, diverging=panel.span[0] < 0.0), "step")
    if isinstance(panel, CurvePanel):
        return figures.Panel(
            "", figures.axes_size(3), Margin(0.75, 0.5, 0.15, 0.3), lambda ax: _paint_curves(ax, panel)
        )
    if isinstance(panel, PointPanel):
        return figures.Panel("", Size(3.0, 3.0), Margin(0.75, 0.5, 0.15, 0.1), lambda ax: _paint_points(ax, panel))
    if isinstance(panel, PicturePanel):
        return _pictures(panel) if len(panel.images) else None
    return None


def _legend(panel: Panel) -> list[LegendEntry]:
    if isinstance(panel, CurvePanel) and any(panel.names):
        return [_line(k, name) for k, name in enumerate(panel.names)]
    if isinstance(panel, PointPanel) and panel.names:
        return [LegendEntry(one_line(name), COLOURS[k % MAX_LINES], "-", 4.0) for k, name in enumerate(panel.names)]
    if isinstance(panel, BarPanel) and panel.beside is not None:
        return [LegendEntry(one_line(panel.beside_name), INK, "-", 1.2)]
    return []


def _line(k: int, name: str) -> LegendEntry:
    return LegendEntry(one_line(name), COLOURS[k % MAX_LINES], DASHES[k // MAX_LINES % len(DASHES)])


def _heat(panel: HeatPanel, x_name: str = "") -> figures.Panel:
    values = np.asarray(panel.values, np.float64)
    n_rows, n_columns = values.shape
    names = panel.rows if len(panel.rows) <= MAX_NAMES else ()
    columns = panel.columns if len(panel.columns) <= MAX_NAMES else ()
    width = float(np.clip(0.2 * n_columns, 1.6, 5.5))
    height = float(np.clip(0.2 * n_rows, 1.0, 6.0))

    def paint(ax: Ax) -> None:
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        if panel.diverging:
            high = max(abs(low), abs(high)) or 1.0
            low = -high
        drawn = ax.imshow(
            values,
            aspect="auto",
            cmap=DIVERGING if panel.diverging else RISING,
            vmin=low,
            vmax=high,
            interpolation="none" if values.size < 10_000 else "auto",
        )
        _name_axis(ax.yaxis, names)
        _name_axis(ax.xaxis, columns, rotate=True)
        ax.set_xlabel(x_name)
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.06, pad=0.03)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7)

    left = 0.45 + 0.075 * max((len(name) for name in names), default=2)
    below = 0.35 + 0.07 * max((len(name) for name in columns), default=2)
    return figures.Panel("", Size(width, height), Margin(left, below, 0.4, 0.1), paint)


def _name_axis(axis: Any, names: Sequence[str], *, rotate: bool = False) -> None:
    if names:
        axis.set_ticks(range(len(names)), [one_line(name) for name in names], fontsize=7)
        axis.set_tick_params(length=0, **({"rotation": 90} if rotate else {}))


def _bars(panel: BarPanel) -> figures.Panel:
    values = figures.numbers(list(panel.values))
    labels = [one_line(name) for name in panel.names]

    def paint(ax: Ax) -> None:
        place = np.arange(len(values))
        colours = [COLOURS[1] if k == panel.chosen else COLOURS[0] for k in place]
        ax.barh(place, values, color=colours, height=0.7)
        if panel.beside is not None:
            ax.plot(figures.numbers(list(panel.beside)), place, "|", color=INK, markersize=8, markeredgewidth=1.6)
        ax.set_yticks(place, labels, fontsize=7)
        ax.set_ylim(len(values) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")

    left = 0.25 + 0.066 * max(map(len, labels))
    return figures.Panel("", Size(3.0, BAR_HEIGHT * len(values) + 0.1), Margin(left, 0.4, 0.2, 0.1), paint)


def _paint_curves(ax: Ax, panel: CurvePanel) -> None:
    x = np.asarray(panel.x, np.float64)
    for k, y in enumerate(np.asarray(panel.y, np.float64)):
        entry = _line(k, "")
        if panel.low is not None and panel.high is not None:
            ax.fill_between(x, panel.low[k], panel.high[k], color=entry.colour, alpha=0.16, linewidth=0)
        marker = "o" if len(x) <= 12 and not panel.steps else ""
        where = {"drawstyle": "steps-post"} if panel.steps else {}
        ax.plot(x, y, color=entry.colour, linestyle=entry.dash, linewidth=1.6, marker=marker, markersize=4, **where)
    for name, level in panel.levels.items():
        ax.axhline(level, color=INK, alpha=0.6, linewidth=0.9, linestyle=(0, (4, 3)))
        ax.annotate(
            one_line(name), (0.99, level), xycoords=("axes fraction", "data"), fontsize=7, ha="right", va="bottom"
        )
    figures.label_axes(ax, x=number)
    ax.set_xlabel(one_line(panel.x_name))


def _paint_points(ax: Ax, panel: PointPanel) -> None:
    points = np.asarray(panel.points, np.float64)
    groups = np.asarray(panel.groups)
    for group in np.unique(groups):
        own = points[groups == group]
        ax.plot(own[:, 0], own[:, 1], "o", color=COLOURS[int(group) % MAX_LINES], markersize=4)
    if 0 <= panel.marked < len(points):
        ax.plot(*points[panel.marked], "o", color="none", markeredgecolor=INK, markersize=8)
    figures.label_axes(ax, x=number)
    ax.set(xlabel=one_line(panel.x_name), ylabel=one_line(panel.y_name))


def _pictures(panel: PicturePanel) -> figures.Panel:
    """Draw small pictures side by side, in rows."""
    images = np.asarray(panel.images)[:MAX_PICTURES]
    captions = panel.captions[: len(images)]
    per_row = panel.per_row or min(PICTURES_PER_ROW, len(images))
    n_rows = -(-len(images) // per_row)
    high, wide = images.shape[1:3]
    side = PICTURE_SIDE if any(captions) else 0.8 * PICTURE_SIDE
    foot = CAPTION_SHARE * any(captions)
    across = 1.0 + GAP_SHARE  # in widths of a picture
    tall = max(high / wide, MIN_ASPECT)
    down = tall + GAP_SHARE + foot

    colours = INKED if panel.span == (-1.0, 1.0) else DIVERGING if panel.span[0] < 0.0 else RISING

    def paint(ax: Ax) -> None:
        for k, image in enumerate(images):
            row, column = divmod(k, per_row)
            left, top = column * across, -row * down
            ax.imshow(
                image,
                cmap=colours,
                vmin=panel.span[0],
                vmax=panel.span[1],
                extent=(left, left + 1.0, top - tall, top),
                interpolation="none",
            )
            ax.plot(
                [left, left + 1.0, left + 1.0, left, left],
                [top, top, top - tall, top - tall, top],
                color=INK,
                linewidth=0.4,
                alpha=0.35,
            )
            if any(captions):
                ax.text(left + 0.5, top - tall - 0.05, one_line(captions[k]), ha="center", va="top", fontsize=6.5)
        ax.set_xlim(-0.02, per_row * across)
        ax.set_ylim(-n_rows * down, 0.02)
        ax.set_aspect("auto")
        ax.axis("off")

    size = Size(side * per_row * across, side * n_rows * down)
    return figures.Panel("", size, Margin(0.1, 0.1, 0.1, 0.05), paint)
