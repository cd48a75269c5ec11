"""Tables and pictures of a race of update rules: paths over contour lines, and steps by step size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator import console
from simulator.core.protocols import Array
from simulator.race.descent import DRAWN_STEPS
from simulator.race.objectives import OBJECTIVES, Objective
from simulator.reporting.figures import COLOURS, DASHES, Ax, LegendEntry, Margin, Panel, Picture, Size

N_CONTOURS = 7  # lines of a picture
LOWEST_CONTOUR = 1e-3  # over the minimum, as a part of the highest
MAX_WIDTH = 76  # characters of a picture in the terminal
HEIGHT = 20  # lines of it
_GRID = 64  # points of a side that contours are drawn through
_UNSEEN = 0.5  # pixels, of an SVG file points, by which a line may be simplified: at most its width
_AXES = Size(3.5, 2.5)  # inches
_MARGIN = Margin(0.6, 0.5, 0.25, 0.4)  # inches


class Surface(NamedTuple):
    """Heights of an objective over its minimum on a grid, and the heights of the contour lines."""

    x: Array  # [X]
    y: Array  # [Y]
    height: Array  # [Y, X]
    levels: Array


def surface(objective: Objective, columns: int, rows: int, n_levels: int) -> Surface:
    """Compute an objective on a grid over its view; levels are evenly spaced by their logarithms."""
    x = np.linspace(objective.view.low[0], objective.view.high[0], columns)
    y = np.linspace(objective.view.low[1], objective.view.high[1], rows)
    height = objective.loss(np.stack(np.meshgrid(x, y), -1)) - objective.minimum
    return Surface(x, y, height, np.geomspace(LOWEST_CONTOUR, 1.0, n_levels, endpoint=False) * height.max())


def show(data: Mapping[str, Any]) -> None:
    """Print a table and a picture for each objective."""
    width = min(console.terminal_width() or MAX_WIDTH, MAX_WIDTH)
    for found in data["objectives"]:
        print_objective(data, found)
        print_picture(found, width)
        console.print_result()


def print_objective(data: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Print what the rules came to on one objective."""
    title = (
        f"{found['objective']}: {found['formula']}; steps until the loss is {data['tolerance']:g} over its minimum, "
        f"{len(data['seeds'])} starting points, step size chosen on {len(data['chosen_on'])} others"
    )
    rows = [
        [
            row["rule"],
            f"{row['step_size']:g}{' (end of the grid)' if row['at_the_edge'] else ''}",
            steps_text(row["median_steps"], data["steps"]),
            " to ".join(_steps(value, f">{data['steps']:,}") for value in row["quartiles"]),
            console.interval(row["reached"]["share"], row["reached"]["low"], row["reached"]["high"]),
        ]
        for row in found["rules"]
    ]
    console.print_table(title, ("rule", "step size", "median [95 % CI]", "quartiles", "reached [95 % CI]"), rows)


def steps_text(median: Mapping[str, Any], most: int) -> str:
    """Format a median of steps with its interval; what is infinite was not reached within ``most``."""
    beyond = f">{most:,}"
    middle = _steps(median["median"], f"not within {most:,}")
    if not np.isfinite(_number(median["low"])):
        return middle
    return f"{middle} [{_steps(median['low'], beyond)}, {_steps(median['high'], beyond)}]"


def _number(value: float | None) -> float:
    return np.inf if value is None else float(value)


def _steps(value: float | None, beyond: str) -> str:
    return f"{value:,.0f}" if value is not None and np.isfinite(value) else beyond


def print_picture(found: Mapping[str, Any], width: int) -> None:
    """Print contour lines as dots and the paths of all rules as letters, the later rule over the earlier."""
    from rich.console import Console
    from rich.text import Text

    from simulator.views.style import style_of

    objective = OBJECTIVES[found["objective"]]
    columns = max(width, 10)
    land = surface(objective, columns, HEIGHT, N_CONTOURS)
    band = np.searchsorted(land.levels, land.height)  # [Y, X], the number of the band between two contours
    is_edge = np.zeros(band.shape, np.bool_)
    is_edge[:, 1:] |= band[:, 1:] != band[:, :-1]
    is_edge[1:] |= band[1:] != band[:-1]
    letters = np.where(is_edge, ".", " ")
    for row in found["rules"]:
        places, inside = _cells(objective, dense_path(np.asarray(row["path"])), columns, HEIGHT)
        letters[places[inside, 1], places[inside, 0]] = letter_of(row["rule"])
    marks = (("*", objective.minima), ("o", [found["rules"][0]["path"][0]]))
    for mark, points in marks:
        places, _ = _cells(objective, np.array(points), columns, HEIGHT)
        letters[places[:, 1], places[:, 0]] = mark
    terminal = Console()
    look = style_of(terminal)
    names = {letter_of(row["rule"]): colour_of(at) for at, row in enumerate(found["rules"])}
    for line in letters[::-1]:
        text = Text()
        for letter in line:
            text.append(letter, names.get(letter, "dim") if look.colour else "")
        terminal.print(text, no_wrap=True, crop=True)
    legend = ", ".join(f"{letter_of(row['rule'])} {row['rule']}" for row in found["rules"])
    console.print_result(
        f"the first {DRAWN_STEPS} steps from one starting point, o: {legend}; * minimum; dots: contour lines"
    )


def letter_of(rule: str) -> str:
    """Return the letter of a rule in a picture, its own where two begin alike."""
    return {"sgd": "s", "momentum": "m", "nesterov": "n", "adagrad": "g", "adadelta": "d", "rmsprop": "r", "adam": "a"}[
        rule
    ]


def dense_path(path: Array, n: int = 12) -> Array:
    """Put points between those of a path [T, 2], so that a picture of characters has no gaps."""
    if len(path) < 2:
        return path
    part = np.linspace(0.0, 1.0, n, endpoint=False)[:, None, None]
    between = path[:-1] + part * (path[1:] - path[:-1])  # [n, T - 1, 2]
    return np.concatenate([between.swapaxes(0, 1).reshape(-1, 2), path[-1:]])


def _cells(objective: Objective, points: Array, columns: int, rows: int) -> tuple[Array, Array]:
    """Return the columns and rows [T, 2] of points, and whether they are inside of the picture, [T]."""
    low = np.array(objective.view.low)
    high = np.array(objective.view.high)
    scaled = np.clip((points - low) / (high - low), -1.0, 2.0) * (np.array([columns, rows]) - 1)
    places = np.rint(scaled).astype(int)
    return places, ((places >= 0) & (places < (columns, rows))).all(1)


def colour_of(at: int) -> str:
    """Return the colour of the rule of this number."""
    return COLOURS[at % len(COLOURS)]


def entries_of(data: Mapping[str, Any]) -> list[LegendEntry]:
    """Return the legend: a colour and a dash for each rule."""
    return [
        LegendEntry(rule, colour_of(at), DASHES[at // len(COLOURS) % len(DASHES)])
        for at, rule in enumerate(data["rules"])
    ]


def pictures_of(data: Mapping[str, Any]) -> list[Picture]:
    """Return two pictures: paths over contour lines, and median steps by step size."""
    entries = entries_of(data)
    found = data["objectives"]
    paths = [Panel(each["objective"], _AXES, _MARGIN, _paths_painter(each, entries)) for each in found]
    steps = [Panel(each["objective"], _AXES, _MARGIN, _steps_painter(data, each, entries)) for each in found]
    note = f"best step size of {len(data['chosen_on'])} other starting points; black dot: start; stars: minima"
    title = f"Steps to {data['tolerance']:g} over the minimum, by step size"
    return [
        Picture("race", f"The first {DRAWN_STEPS} steps from one starting point", note, paths, entries, 2),
        Picture("race", title, f"median of {len(data['chosen_on'])} starting points", steps, entries, 2),
    ]


def _paths_painter(found: Mapping[str, Any], entries: Sequence[LegendEntry]) -> Callable[[Ax], None]:
    objective = OBJECTIVES[found["objective"]]

    def paint(ax: Ax) -> None:
        land = surface(objective, _GRID, _GRID, N_CONTOURS)
        contours = ax.contour(land.x, land.y, land.height, land.levels, colors="#9a9aa5", linewidths=0.5)
        for contour in contours.get_paths():
            _simplify(contour)
        for row, entry in zip(found["rules"], entries, strict=True):
            way = np.asarray(row["path"])
            (line,) = ax.plot(way[:, 0], way[:, 1], color=entry.colour, linestyle=entry.dash, linewidth=1.1)
            _simplify(line.get_path())
        start = np.asarray(found["rules"][0]["path"])[0]
        ax.plot(*start, "o", color="black", markersize=4)
        ax.plot(*np.array(objective.minima).T, "*", color="black", markersize=8)
        ax.set_xlim(objective.view.low[0], objective.view.high[0])
        ax.set_ylim(objective.view.low[1], objective.view.high[1])
        ax.locator_params(nbins=5)
        ax.tick_params(length=0)

    return paint


def _simplify(path: Any) -> None:
    """Let a path of matplotlib be drawn with fewer points, also where it has less than 128."""
    path.should_simplify = True
    path.simplify_threshold = _UNSEEN


def _steps_painter(
    data: Mapping[str, Any], found: Mapping[str, Any], entries: Sequence[LegendEntry]
) -> Callable[[Ax], None]:
    def paint(ax: Ax) -> None:
        least = float(data["steps"])
        for row, entry in zip(found["rules"], entries, strict=True):
            median = np.array([_number(value) for value in row["grid"]["median_steps"]])
            steps = np.where(np.isinf(median), np.nan, np.maximum(median, 1.0))
            least = min([least, *steps[~np.isnan(steps)]])
            ax.plot(data["step_sizes"], steps, color=entry.colour, linestyle=entry.dash, linewidth=1.3)
            is_alone = ~np.isnan(steps) & np.isnan([np.nan, *steps[:-1]]) & np.isnan([*steps[1:], np.nan])
            ax.plot(np.array(data["step_sizes"])[is_alone], steps[is_alone], "o", color=entry.colour, markersize=3)
        ax.set_xscale("log")
        ax.set_yscale("log")
        for axis in (ax.xaxis, ax.yaxis):  # matplotlib's own labels of powers are markup
            axis.get_major_locator().set_params(numticks=5)
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_tick_params(labelsize=7)
        ax.minorticks_off()
        ax.set_xlim(data["step_sizes"][0] / 1.5, data["step_sizes"][-1] * 1.5)
        ax.set_ylim(least / 1.5, 1.3 * data["steps"])
        ax.set_xlabel("step size")
        ax.set_ylabel("steps")

    return paint
