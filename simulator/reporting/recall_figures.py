"""Curves of a contest between memories, as a picture: recall against load and against corruption, the ceiling dashed.

Drawn by matplotlib into SVG, PNG or PDF, by the file's ending; it opens no display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.core.files.escaping import one_line
from simulator.core.files.writing import check_place
from simulator.reporting.figures import ENDINGS, save, style
from simulator.reporting.recall_rows import ceilings

Cell = Mapping[str, Any]
SCORES = ("overlap", "exact")
NAMED = ": "  # in front of every label, for matplotlib leaves out those that begin with _


def draw(found: Mapping[str, Any], path: Path, *, force: bool = False) -> None:
    """Draw the summary of a contest (:func:`simulator.recall.summary.summary`) into a file.

    A row for each score and a column for each curve: against the number of patterns where one corruption met several,
    and against the amount of corruption where one kind came in several. Bands are 95 % intervals over seeds.

    Args:
        found: the summary.
        path: the file, which ends in one of ``ENDINGS``.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending, no curve that has two points, or a place that is not to be written or cannot be.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(ENDINGS)}")
    panels = [*_against_load(found["cells"]), *_against_corruption(found["cells"])]
    if not panels:
        raise ValueError(f"{found['run']}: no curve has two points, expected several numbers of patterns or amounts")
    check_place(path, force=force)
    from matplotlib.figure import Figure

    with style(**{"svg.fonttype": "path"}):
        figure = Figure(figsize=(4.2 * len(panels) + 1.8, 6.4), layout="constrained")
        axes = figure.subplots(2, len(panels), squeeze=False)
        for column, (title, along, points) in zip(axes.T, panels, strict=True):
            for ax, score in zip(column, SCORES, strict=True):
                _panel(ax, points, score)
                top, below = (title, "") if score == SCORES[0] else ("", along)
                ax.set(title=one_line(top), xlabel=one_line(below), ylabel=score)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        plain = [str(at) for at in range(len(labels))]
        legend = figure.legend(handles, plain, loc="outside right upper", fontsize="small")
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label.removeprefix(NAMED))
        save(figure, path, force=force)


def _against_load(cells: Sequence[Cell]) -> list[tuple[str, str, list[tuple[float, Cell]]]]:
    found = []
    for corruption in dict.fromkeys(cell["corruption"] for cell in cells):
        points = [(float(cell["patterns"]), cell) for cell in cells if cell["corruption"] == corruption]
        if len({at for at, _ in points}) > 1:
            found.append((corruption, "patterns stored", points))
    return found


def _against_corruption(cells: Sequence[Cell]) -> list[tuple[str, str, list[tuple[float, Cell]]]]:
    found = []
    for load in dict.fromkeys(cell["patterns"] for cell in cells):
        here = [(*cell["corruption"].partition(":")[::2], cell) for cell in cells if cell["patterns"] == load]
        for kind in dict.fromkeys(kind for kind, _, _ in here):
            points = [(float(amount or 0.0), cell) for name, amount, cell in here if name == kind]
            if len({at for at, _ in points}) > 1:
                found.append((f"{load} patterns", f"amount of {kind}", points))
    return found


def _panel(ax: Any, points: list[tuple[float, Cell]], score: str) -> None:
    """One curve for each memory, and the ceiling."""
    for name in dict.fromkeys(cell["memory"] for _, cell in points):
        known = [(at, cell[score]) for at, cell in points if cell["memory"] == name and cell[score]]
        own = sorted(known, key=lambda point: point[0])
        x, middle = [at for at, _ in own], [value["mean"] for _, value in own]
        (line,) = ax.plot(x, middle, marker="o", markersize=3, label=NAMED + one_line(name))
        low = [value["mean"] if value["low"] is None else value["low"] for _, value in own]
        high = [value["mean"] if value["high"] is None else value["high"] for _, value in own]
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    best = {at: ceilings([cell for place, cell in points if place == at]) for at, _ in points}
    tops = [(at, each["ceiling"][score]) for at, found in best.items() for each in found.values()]
    known = sorted((at, top) for at, top in tops if top is not None)
    ax.plot([at for at, _ in known], [top for _, top in known], "k--", linewidth=1, label=NAMED + "best possible")
    ax.grid(alpha=0.3)
