"""Panels of a comparison of predictions: scores over conditions with intervals, confusion matrices, ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, Panel

Summary = Mapping[str, Any]  # of :func:`simulator.prediction.summary.summary`


def panels_of(summary: Summary) -> dict[str, list[Panel]]:
    """Return panels by the name of what they show; without any where nothing is measured."""
    if not summary["cells"]:
        return {}
    return {"scores": score_panels(summary), "confusion": _confusions(summary), "ROC": _rocs(summary)}


def score_panels(summary: Summary) -> list[Panel]:
    """Make bars of the first score at the newest condition, and curves of all that are drawn over the conditions."""
    scores = [score for at, score in enumerate(summary["scores"]) if not at or score.get("is_drawn")]
    conditions = sorted({cell["condition"] for cell in summary["cells"]})
    bars = _bars(summary, summary["scores"][0], summary["cells"][-1]["condition"])
    if len(conditions) < 2:
        return [*bars]
    measured = [score for score in scores if any(cell["scores"][score["name"]] for cell in summary["cells"])]
    return [*bars, *(_curve(summary, score, conditions) for score in measured)]


def _bars(summary: Summary, score: Mapping[str, Any], condition: float) -> list[Panel]:
    cells = [cell for cell in summary["cells"] if cell["condition"] == condition and cell["scores"][score["name"]]]
    if not cells:
        return []
    sign = -1.0 if summary["higher_is_better"] else 1.0
    cells.sort(key=lambda cell: sign * cell["scores"][score["name"]]["mean"])
    means = np.array([cell["scores"][score["name"]]["mean"] for cell in cells])
    beside = None
    if summary["ceiling"]:
        best = [cell["scores"].get(summary["ceiling"]) for cell in cells]
        beside = np.array([np.nan if each is None else each["mean"] for each in best])
    title = f"{score['heading']} at {condition:g} {summary['condition']}"
    return [
        BarPanel(title, tuple(_with_interval(cell, score["name"]) for cell in cells), means, beside, "best possible")
    ]


def _with_interval(cell: Mapping[str, Any], name: str) -> str:
    found = cell["scores"][name]
    if found["low"] is None:
        return str(cell["contestant"])
    return f"{cell['contestant']}  [{found['low']:.4g}, {found['high']:.4g}]"


def _curve(summary: Summary, score: Mapping[str, Any], conditions: list[float]) -> CurvePanel:
    measured = {cell["contestant"] for cell in summary["cells"] if cell["scores"][score["name"]]}
    names = tuple(name for name in summary["contestants"] if name in measured)
    y, low, high = (np.full((len(names), len(conditions)), np.nan) for _ in range(3))
    for cell in summary["cells"]:
        found = cell["scores"][score["name"]]
        if found:
            at = names.index(cell["contestant"]), conditions.index(cell["condition"])
            y[at] = found["mean"]
            low[at] = found["mean"] if found["low"] is None else found["low"]
            high[at] = found["mean"] if found["high"] is None else found["high"]
    title = f"{score['heading']}, bands: 95 % intervals over seeds"
    return CurvePanel(title, np.array(conditions), y, names, low, high, x_name=str(summary["condition"]))


def _last(summary: Summary, fact: str) -> list[Mapping[str, Any]]:
    """Return the cells of the last condition that have a fact."""
    cells = [cell for cell in summary["cells"] if cell.get(fact)]
    return [cell for cell in cells if cell["condition"] == cells[-1]["condition"]]


def _confusions(summary: Summary) -> list[Panel]:
    panels: list[Panel] = []
    for cell in _last(summary, "confusion"):
        counts = np.array(cell["confusion"], np.float64)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        names = tuple(str(name) for name in cell["classes"])
        title = f"{cell['contestant']}: share of each true class (row), at {cell['condition']:g} {summary['condition']}"
        panels.append(HeatPanel(title, shares, names, names, diverging=False))
    return panels


def _rocs(summary: Summary) -> list[Panel]:
    cells = _last(summary, "roc")
    if not cells:
        return []
    x = np.linspace(0.0, 1.0, 101)
    curves = [np.asarray(cell["roc"], np.float64) for cell in cells]  # false and true positive rates [2, K]
    y = np.stack([np.interp(x, false, true) for false, true in curves])
    title = f"ROC at {cells[0]['condition']:g} {summary['condition']}, mean over classes and seeds"
    names = tuple(str(cell["contestant"]) for cell in cells)
    chance = CurvePanel(title, x, np.vstack([y, x]), (*names, "chance"), x_name="false positive rate")
    return [chance]
