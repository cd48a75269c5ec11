"""Picture of a Hopfield network's capacity: what a recall benchmark measured, beside the theory of random patterns."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulator.core.files.escaping import one_line
from simulator.core.protocols import Array
from simulator.core.wording import plural
from simulator.recall import theory
from simulator.reporting.figures import (
    COLOURS,
    DASHES,
    INK,
    MAX_LINES,
    Ax,
    LegendEntry,
    Margin,
    Panel,
    Picture,
    Size,
    label_axes,
)
from simulator.views.style import number

KIND = "capacity"
N_POINTS = 200  # of a curve of the theory
SMALLEST = 1e-6  # error rate that is drawn
_SIZE = Size(3.6, 2.4)
_MARGIN = Margin(0.8, 0.5, 0.15, 0.3)

Cell = Mapping[str, Any]


def pictures_of(summary: Mapping[str, Any]) -> list[Picture]:
    """Return the picture of a benchmark of Hopfield networks by Hebb's rule on random patterns; none for others.

    Overlaps of recall until convergence stand beside the mean-field theory; errors after one synchronous step of the
    stored patterns themselves beside the exact probability. Theory: :mod:`simulator.recall.theory`.

    Args:
        summary: the JSON object of ``engram recall``, with ``toml``, its settings.
    """
    tables = tomllib.loads(summary.get("toml") or "")
    challenge = tables.get("challenge", {})
    if challenge.get("name") != "random_bits" or challenge.get("bias"):
        return []
    n_units = int(challenge["n_units"])
    settled = {}
    stepped = {}
    for label, own in tables["memory"].items():
        cells = [cell for cell in summary["cells"] if cell["memory"] == label and cell["overlap"]]
        if not _is_hebb(own, label):
            continue
        for corruption in dict.fromkeys(cell["corruption"] for cell in cells):
            series = [cell for cell in cells if cell["corruption"] == corruption]
            name = f"{label}, {corruption}"
            if own["recall_mode"] == "fixed_point":
                settled[name] = series
            elif own["update"] == "synchronous" and _amount(corruption) == 0.0:
                stepped[name] = series
    most = max((cell["patterns"] / n_units for cell in summary["cells"]), default=0.0)
    if len({cell["patterns"] for cell in summary["cells"]}) < 2 or not (settled or stepped):
        return []
    entries = [
        LegendEntry(one_line(name), COLOURS[k % MAX_LINES], DASHES[k // MAX_LINES % len(DASHES)])
        for k, name in enumerate([*settled, *stepped])
    ]
    panels = []
    if settled:
        panels.append(_overlap_panel(settled, entries[: len(settled)], n_units, most))
    if stepped:
        panels.append(_error_panel(stepped, entries[len(settled) :], n_units, most))
    note = f"{summary['run']}: N = {n_units}, means over {plural(len(summary['seeds']), 'seed')}; bars are 95 % "
    note += f"confidence intervals. Theory: recall ends at alpha = {theory.critical().alpha:.4f} for N to infinity."
    title = "Capacity of the Hopfield network, beside the theory"
    return [Picture(KIND, title, note, panels, [*entries, LegendEntry("theory", INK, "-", 1.2)], len(panels))]


def _is_hebb(own: Mapping[str, Any], label: str) -> bool:
    """Tell whether a memory's settings are those that the theory is of."""
    plain = own.get("name", label) == "hopfield" and own.get("rule") == "hebb"
    return bool(plain and own["zero_diagonal"] and not own["bias"])


def _amount(corruption: str) -> float:
    return float(corruption.partition(":")[2] or 0.0)


def _overlap_panel(
    settled: Mapping[str, Sequence[Cell]], entries: Sequence[LegendEntry], n_units: int, most: float
) -> Panel:
    def paint(ax: Ax) -> None:
        for entry, cells in zip(entries, settled.values(), strict=True):
            low, high = (_ends(cells, end) for end in ("low", "high"))
            _points(ax, cells, n_units, entry, _means(cells), low, high)
        alpha = np.linspace(1e-3, min(most, theory.critical().alpha), N_POINTS)
        ax.plot(alpha, [theory.overlap(float(load)) for load in alpha], color=INK, linewidth=1.2)
        if most > theory.critical().alpha:
            jump = theory.critical()
            ax.plot([jump.alpha, jump.alpha, most], [jump.overlap, 0.0, 0.0], color=INK, linewidth=1.2)
        label_axes(ax, x=number)
        ax.set(xlabel="alpha = P / N", ylabel="overlap m after convergence")

    return Panel("recall until nothing changes", _SIZE, _MARGIN, paint)


def _error_panel(
    stepped: Mapping[str, Sequence[Cell]], entries: Sequence[LegendEntry], n_units: int, most: float
) -> Panel:
    def paint(ax: Ax) -> None:
        for entry, cells in zip(entries, stepped.values(), strict=True):
            low, high = ((1.0 - _ends(cells, end)) / 2.0 for end in ("high", "low"))
            _points(ax, cells, n_units, entry, (1.0 - _means(cells)) / 2.0, low, high)
        n_patterns = np.unique(np.linspace(2, most * n_units, N_POINTS).astype(np.int64))
        exact = [theory.exact_one_step_error(int(n), n_units) for n in n_patterns]
        ax.plot(n_patterns / n_units, exact, color=INK, linewidth=1.2)
        gaussian = [theory.one_step_error(n / n_units) for n in n_patterns]
        ax.plot(n_patterns / n_units, gaussian, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        label_axes(ax, x=number)
        ax.set_yscale("log")
        ax.set_ylim(SMALLEST, 1.0)
        ax.yaxis.set_major_formatter(lambda error, _: f"{error:g}")
        ax.set(xlabel="alpha = P / N", ylabel="P(error) after one step")

    return Panel("one step at once; dashes: Gaussian", _SIZE, _MARGIN, paint)


def _means(cells: Sequence[Cell]) -> Array:
    return np.array([cell["overlap"]["mean"] for cell in cells], np.float64)


def _ends(cells: Sequence[Cell], end: str) -> Array:
    """Return one end of the intervals; where all seeds are equal, or there is one, the mean."""
    found = []
    for cell in cells:
        values = {value for value in cell["overlap"]["per_seed"] if value is not None}
        score = cell["overlap"]
        found.append(score["mean"] if len(values) < 2 or score[end] is None else score[end])
    return np.array(found, np.float64)


def _points(
    ax: Ax, cells: Sequence[Cell], n_units: int, entry: LegendEntry, middle: Array, low: Array, high: Array
) -> None:
    alpha = np.array([cell["patterns"] / n_units for cell in cells])
    shown = middle > 0.0
    ax.vlines(alpha[shown], np.maximum(low, 1e-12)[shown], high[shown], colors=entry.colour, linewidth=1.4)
    ax.plot(alpha[shown], middle[shown], "o", color=entry.colour, markersize=4)
