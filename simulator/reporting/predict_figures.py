"""Pictures of comparisons of predictions: scores against conditions, confusion matrices, and ROC curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.core.files.escaping import one_line
from simulator.core.wording import plural
from simulator.reporting import predict
from simulator.reporting.figures import (
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

KINDS = ("scores", "confusion", "roc")
BEST = LegendEntry("best possible", INK, (0, (6, 3)), 0.9)
MAX_CLASSES = 40  # of a confusion matrix that is drawn

Cell = Mapping[str, Any]


def pictures_of(summary: Mapping[str, Any], kind: str) -> list[Picture]:
    """Return the pictures of a kind of ``KINDS``.

    Args:
        summary: the JSON object of ``engram predict``.
        kind: "scores": the first score against the condition, a line for each contestant; "confusion": a matrix for
            each contestant at the last condition; "roc": its ROC curve there.
    """
    if not summary["cells"]:
        return []
    if kind == "scores":
        return _scores(summary)
    return _confusions(summary) if kind == "confusion" else _rocs(summary)


def _note(summary: Mapping[str, Any]) -> str:
    return f"{summary['run']}: means over {plural(len(summary['seeds']), 'seed')}; bands are 95 % confidence intervals."


def _scores(summary: Mapping[str, Any]) -> list[Picture]:
    names = [one_line(name) for name in summary["contestants"]]
    pictures = []
    for title, entries in line_groups(names, f"{summary['scores'][0]['heading']}: {one_line(summary['task'])}"):
        legend = [*entries, BEST] if summary["ceiling"] else list(entries)
        labels = {entry.label for entry in entries}
        own = [cell for cell in summary["cells"] if one_line(cell["contestant"]) in labels]
        first, *others = summary["scores"]
        drawn = [first, *(each for each in others if each.get("is_drawn") and predict.scored(own, each["name"]))]
        size = axes_size(len(drawn))
        margin = Margin(0.75, 0.5, 0.15, 0.2)
        panels = [Panel("", size, margin, _score_painter(summary, entries, score)) for score in drawn]
        pictures.append(Picture("scores", title, _note(summary), panels, legend, len(panels)))
    return pictures


def _score_painter(
    summary: Mapping[str, Any], entries: Sequence[LegendEntry], score: Mapping[str, Any]
) -> Callable[[Ax], None]:
    name = score["name"]
    is_first = name == summary["scores"][0]["name"]

    def paint(ax: Ax) -> None:
        for entry in entries:
            own = [cell for cell in summary["cells"] if one_line(cell["contestant"]) == entry.label]
            own = sorted(predict.scored(own, name), key=_condition)
            x = [cell["condition"] for cell in own]
            values = [cell["scores"][name] for cell in own]
            middle = numbers([value["mean"] for value in values])
            low, high = (
                numbers([value["mean"] if value[end] is None else value[end] for value in values])
                for end in ("low", "high")
            )
            ax.fill_between(x, low, high, color=entry.colour, alpha=0.16, linewidth=0)
            ax.plot(x, middle, "o", color=entry.colour, linestyle=entry.dash, linewidth=1.6, markersize=4)
        if not is_first and score["low"] is not None and score["low"] < 0.0:
            ax.axhline(0.0, color="grey", linestyle=":", linewidth=1.0)
        if summary["ceiling"] and is_first:
            best = {cell["condition"]: cell["scores"][summary["ceiling"]] for cell in summary["cells"]}
            points = [(condition, value["mean"]) for condition, value in sorted(best.items()) if value]
            if points:
                at, means = zip(*points, strict=True)
                ax.plot(at, means, "_", color=BEST.colour, linestyle=BEST.dash, linewidth=1.1, zorder=5)
        conditions = sorted(set(summary["conditions"]))
        if len(conditions) > 1 and conditions[-1] >= 8 * conditions[0] > 0:
            ax.set_xscale("log")
        label_axes(ax, x=number)
        ax.set_xticks(conditions, [f"{condition:,g}" for condition in conditions])
        ax.set_xticks([], minor=True)
        ax.set(xlabel=summary["condition"], ylabel=score["heading"])

    return paint


def _condition(cell: Cell) -> float:
    return float(cell["condition"])


def _last(summary: Mapping[str, Any], fact: str) -> list[Cell]:
    """Return the cells of the last condition that have a fact."""
    cells = [cell for cell in summary["cells"] if cell.get(fact)]
    return [cell for cell in cells if cell["condition"] == cells[-1]["condition"]]


def _confusions(summary: Mapping[str, Any]) -> list[Picture]:
    cells = [cell for cell in _last(summary, "confusion") if len(cell["classes"]) <= MAX_CLASSES]
    if not cells:
        return []
    where = f"{cells[0]['condition']:g} {summary['condition']}"
    title = f"Confusion: {one_line(summary['task'])}, {where}"
    note = f"{summary['run']}: share of each true class, all {plural(len(summary['seeds']), 'seed')} together."
    size = Size(2.1, 2.1)
    panels = [
        Panel(
            shortened(one_line(cell["contestant"]), MAX_LABEL),
            size,
            Margin(0.55, 0.5, 0.15, 0.3),
            _matrix_painter(cell),
        )
        for cell in cells
    ]
    return [Picture("confusion", title, note, panels, [], min(len(panels), 3))]


def _matrix_painter(cell: Cell) -> Callable[[Ax], None]:
    counts = np.array(cell["confusion"], np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)

    def paint(ax: Ax) -> None:
        ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
        places = np.arange(len(shares))
        names = [str(name) for name in cell["classes"]]
        ax.set_xticks(places, names, fontsize=7)
        ax.set_yticks(places, names, fontsize=7)
        ax.tick_params(length=0)
        ax.set(xlabel="predicted", ylabel="true")
        if len(shares) <= 12:
            for row, column in np.argwhere(counts > 0):
                colour = "white" if shares[row, column] > 0.5 else INK
                ax.text(
                    column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=5, color=colour
                )

    return paint


def _rocs(summary: Mapping[str, Any]) -> list[Picture]:
    cells = _last(summary, "roc")
    if not cells:
        return []
    where = f"{cells[0]['condition']:g} {summary['condition']}"
    names = [one_line(cell["contestant"]) for cell in cells]
    pictures = []
    for title, entries in line_groups(names, f"ROC: {one_line(summary['task'])}, {where}"):

        def paint(ax: Ax, entries: Sequence[LegendEntry] = entries) -> None:
            for entry in entries:
                false, true = next(cell["roc"] for cell in cells if one_line(cell["contestant"]) == entry.label)
                ax.plot(false, true, color=entry.colour, linestyle=entry.dash)
            ax.plot([0.0, 1.0], [0.0, 1.0], color="grey", linestyle=":", linewidth=1.0)
            ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0.0, 1.0), ylim=(0.0, 1.01))

        note = f"{summary['run']}: each class against the others, mean over classes and seeds."
        panel = Panel("", Size(2.8, 2.8), Margin(0.75, 0.5, 0.15, 0.2), paint)
        pictures.append(Picture("roc", title, note, [panel], list(entries)))
    return pictures
