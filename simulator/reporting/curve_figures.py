"""Pictures of learning curves: a panel for each environment, a line with its band for each run or contestant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.commands.parsing.parser import format_value
from simulator.core.files.escaping import one_line, shortened
from simulator.core.wording import plural
from simulator.reporting.figures import (
    Ax,
    LegendEntry,
    Margin,
    Panel,
    Picture,
    Reference,
    Size,
    axes_size,
    draw_references,
    label_axes,
    line_groups,
    line_with_band,
    numbers,
)
from simulator.reporting.runs import CURVES, short_names
from simulator.views.style import count

CEILING = (0, (6, 3))  # dashes of references
THRESHOLD = (0, (4, 2, 1, 2))
FLOOR = (0, (1, 2))
FAR = 20.0  # from which a line is outside the panel of the others
KINDS = ("curves", "training")  # of runs
TITLES = {"curves": "Learning curves", "training": "Training curves"}
MEANINGS = {
    "curves": "Interquartile mean over {seeds} of the greedy evaluations",
    "training": "Interquartile mean over {seeds} of the returns of training episodes",
}
X_LABELS = {"steps": "environment steps per seed", "seconds": "seconds of training, all seeds together"}


class CurveLine(NamedTuple):
    """A learning curve and how it is drawn."""

    entry: LegendEntry
    curve: Mapping[str, Any]  # steps or seconds, iqm, low, high


def pictures_of_runs(
    runs: Sequence[Mapping[str, Any]], kind: str = "curves", x: str = "steps", smooth: int = 1
) -> list[Picture]:
    """Return the learning curves of runs.

    Args:
        runs: of the report (:func:`simulator.reporting.runs.gather`), each with its curve of that kind.
        kind: one of ``KINDS``.
        x: one of ``X_LABELS``; the curves have these values.
        smooth: points that each point is the mean of, for the note.
    """
    key = CURVES[kind]
    drawn = [run for run in runs if has_points(run.get(key))]
    labels = {run["run"]: one_line(run["name"]) for run in drawn}
    envs = short_names([run["env"] for run in drawn])
    groups = line_groups(list(dict.fromkeys(labels.values())), TITLES[kind])
    n_seeds = {len(run["seeds"]) for run in drawn}
    seeds = plural(n_seeds.pop(), "seed") if len(n_seeds) == 1 else "seeds"
    pictures = []
    for title, entries in groups:
        entry_of = {entry.label: entry for entry in entries}
        panels = {}
        for env in envs:
            of_env = [run for run in drawn if run["env"] == env and labels[run["run"]] in entry_of]
            if of_env:
                lines = [CurveLine(entry_of[labels[run["run"]]], run[key]) for run in of_env]
                panels[env] = (lines, list(dict.fromkeys(ref for run in of_env for ref in references_of_run(run))))
        size = axes_size(len(panels))
        single = len(panels) == 1
        y_label = "return" if kind == "training" else "evaluation return"
        painted = [
            curve_panel("" if single else _env_title(envs, env, drawn), lines, references, size, x, y_label)
            for env, (lines, references) in panels.items()
        ]
        where = f": {_env_title(envs, next(iter(panels)), drawn)}" if single else ""
        references = [reference for _, of_panel in panels.values() for reference in of_panel]
        note = (
            f"{MEANINGS[kind].format(seeds=seeds)}; bands are 95 % confidence intervals.{smoothing_note(smooth, kind)}"
        )
        if estimated := [run["run"] for run in drawn if run[key].get("measured") is False]:
            note += f" Times of {', '.join(estimated)}: at the mean speed of the run."
        title = title.replace(TITLES[kind], TITLES[kind] + where, 1)
        pictures.append(Picture(kind, title, note, painted, legend_of(entries, references)))
    return pictures


def _env_title(envs: Mapping[str, str], env: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """Name an environment with the settings that all its runs have: ``rooms, layout cliff``."""
    of_env = [run for run in runs if run["env"] == env]
    first, *others = [
        {name: value for name, value in run["settings"].items() if name.startswith("env.")} for run in of_env
    ]
    listed = [f"{name.removeprefix('env.')} {format_value(value)}" for name, value in first.items()]
    return one_line(shortened(", ".join([envs[env], *(listed if all(own == first for own in others) else [])]), 80))


def smoothing_note(smooth: int, kind: str = "curves") -> str:
    """Say what a smoothed point is; empty where it is its own value."""
    what = "evaluations" if kind == "curves" else "points"
    return f" Each point is a seed's mean of its last {smooth} {what}." if smooth > 1 else ""


def references_of_run(run: Mapping[str, Any]) -> list[Reference]:
    """Return the levels that are known of a run's environment."""
    known = (
        ("optimum", run["optimum"], CEILING),
        ("threshold", run["solved"]["threshold"], THRESHOLD),
        ("random play", run["floor"], FLOOR),
    )
    return [Reference(name, float(level), dash) for name, level, dash in known if level is not None]


def legend_of(entries: Sequence[LegendEntry], references: Iterable[Reference]) -> list[LegendEntry]:
    """Return the legend of some panels: their lines, then the levels, each once."""
    return [*entries, *dict.fromkeys(reference.entry for reference in references)]


def has_points(curve: Mapping[str, Any] | None) -> bool:
    """Tell whether there is anything of a curve to draw."""
    return curve is not None and bool(np.isfinite(numbers(curve["iqm"])).any())


def far_lines(lines: Sequence[CurveLine]) -> list[CurveLine]:
    """Return the lines that would flatten all others: their medians are ``FAR`` times the others' reach from these.

    The reach of lines is the distance of their ends, or their largest number.
    """
    far: list[CurveLine] = []
    near = [drawn for drawn in lines if has_points(drawn.curve)]
    while len(near) > 1:
        distance = {at: _distance(drawn, near[:at] + near[at + 1 :]) for at, drawn in enumerate(near)}
        farthest = max(distance, key=lambda at: distance[at])
        if distance[farthest] <= FAR:
            break
        far.append(near.pop(farthest))
    return far


def _distance(drawn: CurveLine, others: Sequence[CurveLine]) -> float:
    """Return how far the median of a line is from other lines, in reaches of these."""
    low, high = _reach(others)
    median = float(np.nanmedian(numbers(drawn.curve["iqm"])))
    return max(low - median, median - high, 0.0) / max(high - low, abs(low), abs(high), 1e-9)


def _reach(lines: Sequence[CurveLine], *, with_bands: bool = False) -> tuple[float, float]:
    """Return the lowest and the highest value of lines, with those ends of their bands that do not flatten them."""
    values = np.concatenate([numbers(curve["iqm"]) for _, curve in lines])
    low = float(np.nanmin(values))
    high = float(np.nanmax(values))
    if not with_bands:
        return low, high
    most = FAR * max(high - low, abs(low), abs(high))
    ends = np.concatenate([numbers(curve[end]) for _, curve in lines for end in ("low", "high")])
    kept = ends[(ends >= low - most) & (ends <= high + most)]
    return min([low, *kept]), max([high, *kept])


def _named_at_the_edge(drawn: CurveLine) -> Reference:
    """Return the last value of a line that is outside a panel, as a level."""
    values = numbers(drawn.curve["iqm"])
    return Reference(drawn.entry.label, float(values[np.isfinite(values)][-1]), drawn.entry.dash)


def curve_panel(
    title: str, lines: Sequence[CurveLine], references: Sequence[Reference], size: Size, x: str = "steps", y: str = ""
) -> Panel:
    """Return the panel of one environment."""

    def paint(ax: Ax) -> None:
        for entry, curve in lines:
            line_with_band(ax, numbers(curve[x]), curve, entry, n_lines=len(lines))
        beyond = far_lines(lines)
        if beyond:
            near = [drawn for drawn in lines if drawn not in beyond]
            low, high = _reach(near, with_bands=True)
            room = 0.05 * ((high - low) or max(abs(high), 1.0))
            ax.set_ylim(low - room, high + room)
        draw_references(ax, [*references, *(_named_at_the_edge(drawn) for drawn in beyond)])
        ax.set_xlim(left=0.0)
        label_axes(ax, x=count)
        ax.set(xlabel=X_LABELS[x], ylabel=y)

    return Panel(title, size, Margin(0.82 if y else 0.62, 0.5, 0.15, 0.3 if title else 0.12), paint)
