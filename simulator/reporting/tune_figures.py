"""Pictures of a tuning: the objective by trial, and by each setting that was searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.core.files.escaping import one_line
from simulator.reporting.figures import COLOURS, HOLLOW, INK, Ax, LegendEntry, Margin, Panel, Picture, Size, axes_size

KINDS = ("trials", "settings")
STATES = {"complete": COLOURS[0], "pruned": COLOURS[-1]}  # states with a value
_MARGIN = Margin(0.75, 0.55, 0.2, 0.35)  # inches
_AXES = Size(3.2, 2.2)  # inches of a panel beside others
_RELATION = {False: "linear", True: "log"}

Trial = Mapping[str, Any]


def pictures_of(summary: Mapping[str, Any], kind: str) -> list[Picture]:
    """Return the pictures of a kind, one of ``KINDS``; none where no trial has a value."""
    trials = [trial for trial in summary["trials"] if trial["values"] and trial["state"] in STATES]
    if not trials:
        return []
    what = f"{one_line(summary['player'])} in {one_line(summary['place'])}"
    name = f"{summary['tune']}: {summary['search']} search of {what}"
    states = [state for state in STATES if any(trial["state"] == state for trial in trials)]
    note = f"{summary['objective']} on {len(summary['seeds'])} seeds"
    if "pruned" in states:
        note += "; of pruned trials where they were left out, with fewer steps or seeds"
    if kind == "trials":
        panel = Panel("", axes_size(1), _MARGIN, lambda ax: _paint_trials(ax, summary, trials))
        return [Picture(kind, name, note, [panel], _legend(states, with_best=True))]
    panels = [
        Panel(each["name"].partition(".")[2], _AXES, _MARGIN, _painter(summary, trials, each))
        for each in summary["space"]
    ]
    return [Picture(kind, f"{name}, by setting", note, panels, _legend(states), 2)]


def _legend(states: Sequence[str], with_best: bool = False) -> list[LegendEntry]:
    entries = [LegendEntry(state, STATES[state], "-", 4.0) for state in states]
    return [*entries, *([LegendEntry("best so far", INK, "-", 0.9)] if with_best else [])]


def _paint_trials(ax: Ax, summary: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    for state in STATES:
        mine = [trial for trial in trials if trial["state"] == state]
        _dots(ax, [trial["trial"] for trial in mine], mine, state)
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = np.maximum.accumulate([trial["values"][-1] for trial in complete] or [np.nan])
    if complete:
        ax.step([trial["trial"] for trial in complete], best, where="post", color=INK, linewidth=0.9)
    ax.set_xlabel("trial")
    ax.set_ylabel(summary["objective"])
    ax.grid()


def _painter(summary: Mapping[str, Any], trials: Sequence[Trial], dimension: Mapping[str, Any]) -> Callable[[Ax], None]:
    values = dimension["values"]

    def place(trial: Trial) -> float:
        value = trial["point"][dimension["name"]]
        return float(values.index(value)) if values else float(value)

    def paint(ax: Ax) -> None:
        for state in STATES:
            mine = [trial for trial in trials if trial["state"] == state]
            _dots(ax, [place(trial) for trial in mine], mine, state)
        if values:
            ax.set_xticks(range(len(values)), [one_line(str(value)) for value in values])
            ax.set_xlim(-0.5, len(values) - 0.5)
            ax.tick_params(axis="x", labelsize=7)
        else:
            ax.set_xscale(_RELATION[dimension["log"]])
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            ax.xaxis.set_minor_formatter(lambda value, _: "")
        ax.set_ylabel(summary["objective"])
        ax.grid()

    return paint


def _dots(ax: Ax, x: Sequence[float], trials: Sequence[Trial], state: str) -> None:
    face = STATES[state] if state == "complete" else HOLLOW
    y = [trial["values"][-1] for trial in trials]
    ax.plot(x, y, "o", color=STATES[state], markerfacecolor=face, markersize=4 if state == "complete" else 3)
