"""Pictures of recall benchmarks beside the Bayes-optimal recall: against corruption, against load, and by memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.files.escaping import one_line
from simulator.core.protocols import Array
from simulator.core.wording import plural
from simulator.reporting import capacity_figures, recall
from simulator.reporting.figures import (
    COLOURS,
    HOLLOW,
    INK,
    MAX_LABEL,
    Ax,
    LegendEntry,
    Margin,
    Panel,
    Picture,
    Size,
    axes_size,
    label_axes,
    line_groups,
    numbers,
)
from simulator.reporting.tables import shortened
from simulator.views.style import number

AXES = ("corruption", "load")  # that recall is drawn against
KINDS = (*AXES, "scores", "retrieval", "plane", capacity_figures.KIND)
SCORES = {"overlap": "overlap m", "exact": "perfect-recall rate"}
TITLES = {"corruption": "Recall against corruption", "load": "Recall against load", "scores": "Recall by memory"}
RANKED = {"first": "first rate", "reciprocal_rank": "mean reciprocal rank", "topic_precision": "topic precision at {k}"}
BEST = LegendEntry("Bayes-optimal", INK, (0, (6, 3)), 0.9)

ON_TOP = 5  # above lines and markers
_MARKERS = "os^Dv"  # of topics that share a colour

Cell = Mapping[str, Any]  # of the summary: one memory, number of patterns and corruption


class RecallPoint(NamedTuple):
    """One cell of a benchmark and its place on the axis."""

    x: float
    cell: Cell


class RecallCurve(NamedTuple):
    """Recall along one axis, of all memories."""

    title: str
    axis: str
    points: list[RecallPoint]


def pictures_of(summary: Mapping[str, Any], kind: str) -> list[Picture]:
    """Return the pictures of a kind of ``KINDS``: a row of panels for each score, a column for each curve.

    Args:
        summary: the JSON object of ``engram recall``.
        kind: "corruption": against the amount of one kind, where one load met several; "load": against the number of
            patterns, where one corruption met several; "scores": a dot for each memory, wherever it was measured;
            "retrieval": the same of looking patterns up, by what is recalled and by code; "plane": codes of two units;
            "capacity": Hopfield networks beside their theory.
    """
    if kind == capacity_figures.KIND:
        return capacity_figures.pictures_of(summary)
    if kind == "plane":
        return _planes(summary)
    if kind == "retrieval":
        return _retrieval(summary)
    if kind == "scores":
        return _scores(summary)
    curves = curves_of(summary["cells"], kind)
    if not curves:
        return []
    per_row = min(len(curves), 3)
    names = [one_line(name) for name in summary["contestants"]]
    note = f"{summary['run']}: means over {plural(len(summary['seeds']), 'seed')}; bands are 95 % confidence intervals."
    note += _equal_note([point.cell for curve in curves for point in curve.points])
    pictures = []
    for title, entries in line_groups(names, f"{TITLES[kind]}: {one_line(summary['challenge'])}"):
        for start in range(0, len(curves), per_row):
            part = curves[start : start + per_row]
            size = axes_size(per_row if len(part) > 1 else 2)
            panels = [_panel(curve, entries, score, size) for score in SCORES for curve in part]
            pictures.append(Picture(kind, title, note, panels, [*entries, BEST], len(part)))
    if len(pictures) == 1 and len(curves) == 1:  # both scores beside each other
        pictures = [picture._replace(per_row=2) for picture in pictures]
    return pictures


def curves_of(cells: Sequence[Cell], kind: str) -> list[RecallCurve]:
    """Return the curves against one of ``AXES`` that have two points."""
    return _against_load(cells) if kind == "load" else _against_corruption(cells)


def _against_load(cells: Sequence[Cell]) -> list[RecallCurve]:
    curves = []
    for corruption in dict.fromkeys(cell["corruption"] for cell in cells):
        points = [RecallPoint(float(cell["patterns"]), cell) for cell in cells if cell["corruption"] == corruption]
        if len({point.x for point in points}) > 1:
            curves.append(RecallCurve(corruption, "patterns stored", points))
    return curves


def _against_corruption(cells: Sequence[Cell]) -> list[RecallCurve]:
    curves = []
    for load in dict.fromkeys(cell["patterns"] for cell in cells):
        points: dict[str, list[tuple[str, Cell]]] = {}
        for cell in cells:
            if cell["patterns"] == load:
                kind, _, amount = cell["corruption"].partition(":")
                points.setdefault(kind, []).append((amount, cell))
        for kind, amounts in points.items():
            if len({amount for amount, _ in amounts}) > 1:
                placed = [RecallPoint(float(amount or 0.0), cell) for amount, cell in amounts]
                curves.append(RecallCurve(f"{load} patterns", f"amount of {kind}", placed))
    return curves


def _scores(summary: Mapping[str, Any]) -> list[Picture]:
    """Return a picture with a panel for each score, for every load and corruption; the best memory is on top."""
    note = f"{summary['run']}: means over {plural(len(summary['seeds']), 'seed')}; lines are 95 % confidence intervals."
    note += _equal_note(summary["cells"])
    conditions: dict[tuple[int, str], list[Cell]] = {}
    for cell in summary["cells"]:
        if cell["overlap"]:
            conditions.setdefault((cell["patterns"], cell["corruption"]), []).append(cell)
    pictures = []
    for (load, corruption), cells in conditions.items():
        cells.sort(key=lambda cell: -cell["overlap"]["mean"])
        where = f"{plural(load, 'pattern')}, {one_line(corruption)}"
        title = f"{TITLES['scores']}: {one_line(summary['challenge'])}, {where}"
        panels = [_score_panel(cells, score) for score in SCORES]
        pictures.append(Picture("scores", title, note, panels, [BEST], len(panels)))
    return pictures


def _score_panel(cells: Sequence[Cell], score: str) -> Panel:
    labels = [shortened(one_line(cell["memory"]), MAX_LABEL) for cell in cells]

    def paint(ax: Ax) -> None:
        place = np.arange(len(cells))
        values = [cell[score] or {} for cell in cells]
        middle, low, high = (numbers([value.get(name) for value in values]) for name in ("mean", "low", "high"))
        equal = np.array([is_equal(value) for value in values])
        ax.hlines(place[~equal], low[~equal], high[~equal], colors=COLOURS[0], linewidth=2.0)
        for kind, face in ((~equal, COLOURS[0]), (equal, HOLLOW)):
            if kind.any():
                ax.plot(middle[kind], place[kind], "o", color=COLOURS[0], markersize=5, markerfacecolor=face)
        for best in recall.ceilings(cells).values():
            if best["ceiling"][score] is not None:
                ax.axvline(best["ceiling"][score], color=BEST.colour, linestyle=BEST.dash, linewidth=1.1, zorder=ON_TOP)
        ax.set_yticks(place, labels)
        ax.set_ylim(len(cells) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_xlabel(SCORES[score])

    margin = Margin(0.25 + 0.077 * max(map(len, labels)), 0.5, 0.2, 0.1)
    return Panel("", Size(2.6, 0.24 * len(cells) + 0.1), margin, paint)


def _retrieval(summary: Mapping[str, Any]) -> list[Picture]:
    """Return a picture with a panel for each score of looking up, for every load and corruption."""
    note = f"{summary['run']}: means over {plural(len(summary['seeds']), 'seed')}; lines are 95 % confidence intervals."
    entries = [LegendEntry("by recall", COLOURS[0], "-"), LegendEntry("by code", COLOURS[1], "-")]
    conditions: dict[tuple[int, str], list[Cell]] = {}
    for cell in summary["cells"]:
        if cell.get("retrieval") and cell["retrieval"]["by_recall"]:
            conditions.setdefault((cell["patterns"], cell["corruption"]), []).append(cell)
    pictures = []
    for (load, corruption), cells in conditions.items():
        cells.sort(key=lambda cell: -cell["retrieval"]["by_recall"]["reciprocal_rank"]["mean"])
        title = f"Retrieval: {one_line(summary['challenge'])}, {plural(load, 'pattern')}, {one_line(corruption)}"
        panels = [_retrieval_panel(cells, score, entries) for score in RANKED]
        pictures.append(Picture("retrieval", title, note, panels, entries, len(panels)))
    return pictures


def _retrieval_panel(cells: Sequence[Cell], score: str, entries: Sequence[LegendEntry]) -> Panel:
    labels = [shortened(one_line(cell["memory"]), MAX_LABEL) for cell in cells]

    def paint(ax: Ax) -> None:
        for shift, (way, entry) in zip((-0.14, 0.14), zip(recall.WAYS, entries, strict=True), strict=True):
            values = [(cell["retrieval"][way] or {}).get(score) or {} for cell in cells]
            place = np.arange(len(cells)) + shift
            middle, low, high = (numbers([value.get(name) for value in values]) for name in ("mean", "low", "high"))
            ax.hlines(place, low, high, colors=entry.colour, linewidth=2.0)
            ax.plot(middle, place, "o", color=entry.colour, markersize=5)
        ax.set_yticks(np.arange(len(cells)), labels)
        ax.set_ylim(len(cells) - 0.5, -0.5)
        ax.set_xlim(-0.02, 1.02)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_xlabel(RANKED[score].format(k=cells[0]["retrieval"]["k"]))

    margin = Margin(0.25 + 0.077 * max(map(len, labels)), 0.5, 0.2, 0.1)
    return Panel("", Size(2.0, 0.3 * len(cells) + 0.1), margin, paint)


def _planes(summary: Mapping[str, Any]) -> list[Picture]:
    """Return a map of the stored patterns for every memory with codes of two units, a colour for each topic."""
    pictures = []
    drawn = set()
    for cell in summary["cells"]:
        found = cell.get("retrieval") or {}
        if not found.get("plane") or (cell["memory"], cell["patterns"]) in drawn:
            continue  # the corruption changes no code of a stored pattern
        drawn.add((cell["memory"], cell["patterns"]))
        what = f"{one_line(summary['challenge'])}, {plural(cell['patterns'], 'pattern')}"
        title = f"Codes of {one_line(cell['memory'])}: {what}"
        where = f"{summary['run']}: seed {summary['seeds'][0]}"
        note = f"{where}, the code of every stored pattern; a name stands at the median of its topic."
        panel = Panel("", Size(4.4, 3.6), Margin(0.6, 0.5, 0.15, 0.2), _plane_painter(found["plane"], found["topics"]))
        pictures.append(Picture("plane", title, note, [panel], []))
    return pictures


def _plane_painter(plane: Mapping[str, Any], topics: Sequence[str]) -> Callable[[Ax], None]:
    points = np.array(plane["points"])
    labels = np.array(plane["labels"])

    def paint(ax: Ax) -> None:
        for k in np.unique(labels):
            own = points[labels == k]
            marker = _MARKERS[max(k, 0) // len(COLOURS) % len(_MARKERS)]
            colour = COLOURS[k % len(COLOURS)] if k >= 0 else INK
            ax.plot(own[:, 0], own[:, 1], marker, color=colour, markersize=4, alpha=0.6)
            if 0 <= k < len(topics):
                name = shortened(one_line(topics[k]), MAX_LABEL)
                middle = np.median(own, axis=0)
                ax.text(*middle, name, ha="center", va="center", fontsize=8, color=colour, weight="bold", zorder=ON_TOP)
        ax.set(xlabel="unit 1 of the code", ylabel="unit 2 of the code")

    return paint


def is_equal(score: Mapping[str, Any]) -> bool:
    """Tell whether several seeds all have one score: its interval is what so few equal ones prove, not a spread."""
    finite = [value for value in score.get("per_seed", ()) if value is not None and np.isfinite(value)]
    return len(finite) > 1 and len(set(finite)) == 1


def _equal_note(cells: Sequence[Cell]) -> str:
    """Explain hollow points, if there are any."""
    hollow = any(is_equal(cell[score]) for cell in cells for score in SCORES if cell[score])
    return " A hollow point: all seeds are equal, so there is no spread to draw; tables say what that proves." * hollow


def ceiling_of(points: Sequence[RecallPoint], score: str) -> Array:
    """Return the Bayes-optimal score at each place where it is known, [K, 2]: place and score."""
    best = []
    for x in sorted({point.x for point in points}):
        cells = recall.ceilings([point.cell for point in points if point.x == x])
        best += [(x, cell["ceiling"][score]) for cell in cells.values() if cell["ceiling"][score] is not None]
    return np.array(best, np.float64).reshape(-1, 2)


def _panel(curve: RecallCurve, entries: Sequence[LegendEntry], score: str, size: Any) -> Panel:
    def paint(ax: Ax) -> None:
        for entry in entries:
            own = sorted((point for point in curve.points if one_line(point.cell["memory"]) == entry.label), key=_place)
            own = [point for point in own if point.cell[score]]
            x = [point.x for point in own]
            values = [point.cell[score] for point in own]
            middle = numbers([value["mean"] for value in values])
            equal = np.array([is_equal(value) for value in values], np.bool_)
            low, high = (
                numbers([value["mean"] if is_equal(value) or value[end] is None else value[end] for value in values])
                for end in ("low", "high")
            )
            ax.fill_between(x, low, high, color=entry.colour, alpha=0.16, linewidth=0)
            ax.plot(x, middle, color=entry.colour, linestyle=entry.dash, linewidth=1.6)
            for kind, face in ((~equal, entry.colour), (equal, HOLLOW)):
                if not kind.any():
                    continue
                ax.plot(
                    np.array(x)[kind],
                    middle[kind],
                    color=entry.colour,
                    linestyle="none",
                    marker="o",
                    markersize=4,
                    markerfacecolor=face,
                )
        best = ceiling_of(curve.points, score)
        ax.plot(best[:, 0], best[:, 1], color=BEST.colour, linestyle=BEST.dash, linewidth=1.1, zorder=ON_TOP)
        label_axes(ax, x=number)
        ax.set(xlabel=one_line(curve.axis), ylabel=SCORES[score])

    return Panel(one_line(curve.title), size, Margin(0.75, 0.5, 0.15, 0.3), paint)


def _place(point: RecallPoint) -> float:
    return point.x
