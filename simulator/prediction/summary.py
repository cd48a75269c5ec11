"""Summary of a stored comparison of predictions. Reads the store only, so it can be repeated without running it."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.config.codec import outline
from simulator.config.predict import PredictConfig
from simulator.core.protocols import Array
from simulator.recall.summary import over_seeds
from simulator.store.records import RunRecord
from simulator.store.run_store import Store

_COPIED = ("run", "label", "status", "lost", "versions", "machines", "seconds", "cpu_seconds")
_PLACE = ("contestant", "condition")


def summary(store: Store, run: str) -> dict[str, Any]:
    """Return the JSON object of ``engram predict --json``.

    ``cells``: one for every contestant and condition, with ``scores``, by name ``{mean, low, high, per_seed}``: the
    mean over seeds and its 95 % bootstrap interval, widened where seeds split the same data; and what the task
    tells beside them, such as a confusion matrix. A seed that failed has no scores: ``failed`` lists these.
    ``conditions``, ``condition``: at which the contestants are compared, and what it is a number of; ``scores``, the
    first of which decides; ``ceiling``: the score that is the best possible, or null. ``differences``: paired
    difference in the first score to the best contestant of each condition. ``refused``: contestants that cannot predict
    here, and why.
    """
    record = store.find(run)
    config = outline(PredictConfig, record)
    facts = record.known("cells") or []
    task = record.known("task") or {}
    scores = _scores(store, record, len(facts))
    result: dict[str, Any] = {name: getattr(record, name) for name in _COPIED}
    result |= {"task": record.env, "seeds": list(record.seeds), "step": record.step, "steps": record.steps}
    result["contestants"] = [one.label for one in config.contestants]
    result |= {name: task.get(name) for name in ("condition", "conditions", "scores", "higher_is_better", "note")}
    result["ceiling"] = task.get("ceiling") or None
    bounds = {score["name"]: _bounds(score) for score in task.get("scores", ())}
    cells = []
    for own, values in zip(facts, scores, strict=True):
        if "refused" not in own:
            ratio = _test_ratio(task, own["condition"])
            shown = {name: estimate(values.get(name, _missing(record)), bounds[name], ratio) for name in bounds}
            cells.append({**own, "scores": shown, "failed": own.get("failed", [])})
    result["cells"] = cells
    result["differences"] = _differences(cells, task)
    result["refused"] = [
        {"contestant": label, "why": why}
        for label, why in {own["contestant"]: own["refused"] for own in facts if "refused" in own}.items()
    ]
    result["failed"] = [
        {**{name: cell[name] for name in _PLACE}, **failure} for cell in cells for failure in cell["failed"]
    ]
    return result


def estimate(values: Array, bounds: tuple[float, float], test_ratio: float) -> dict[str, Any] | None:
    """Return the mean of values [S] with its 95 % interval; None if nothing was measured.

    Folds, and random splits, of one data set share rows, so their scores vary less than those of fresh data would. The
    variance of a mean over n of them is taken for 1/n + test rows / training rows of theirs, in place of 1/n (Nadeau
    and Bengio 2003).
    """
    found = over_seeds(values, bounds)
    if found is None or found["low"] is None or not test_ratio:
        return found
    wider = np.sqrt(1.0 + np.isfinite(values).sum() * test_ratio)
    low, high = (float(found["mean"] + wider * (found[end] - found["mean"])) for end in ("low", "high"))
    return {**found, "low": max(low, bounds[0]), "high": min(high, bounds[1])}


def _test_ratio(task: dict[str, Any], condition: float) -> float:
    """Return test rows by training rows where seeds share a data set; 0: they do not, or an earlier version ran it."""
    ratios = task.get("test_ratios")
    return dict(zip(task["conditions"], ratios, strict=True))[condition] if ratios else 0.0


def _missing(record: RunRecord) -> Array:
    return np.full(len(record.seeds), np.nan)


def _bounds(score: dict[str, Any]) -> tuple[float, float]:
    low = -np.inf if score["low"] is None else score["low"]
    high = np.inf if score["high"] is None else score["high"]
    return low, high


def _scores(store: Store, record: RunRecord, n_cells: int) -> list[dict[str, Array]]:
    """Read the scores of the first cells: name -> [S], NaN where it was not measured."""
    scores: list[dict[str, Array]] = [{} for _ in range(n_cells)]
    index = {seed: i for i, seed in enumerate(record.seeds)}
    for row in store.metrics(record.run):
        if row.step <= n_cells:  # the writer may have stored one more in between
            scores[row.step - 1].setdefault(row.name, _missing(record))[index[row.seed]] = row.value
    return scores


def _differences(cells: list[dict[str, Any]], task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the paired difference of every contestant to the best one that is no ceiling, for each condition."""
    if not task:
        return []
    main = task["scores"][0]
    low, high = _bounds(main)
    sign = 1.0 if task["higher_is_better"] else -1.0
    differences = []
    for condition in dict.fromkeys(cell["condition"] for cell in cells):
        rivals = [cell for cell in cells if cell["condition"] == condition and cell["scores"][main["name"]]]
        learners = [cell for cell in rivals if not cell.get("is_ceiling")]
        if not learners:
            continue
        best = max(learners, key=lambda cell: sign * cell["scores"][main["name"]]["mean"])
        for cell in rivals:
            if cell is not best:
                pair = [np.array(one["scores"][main["name"]]["per_seed"]) for one in (cell, best)]
                difference = estimate(pair[0] - pair[1], (low - high, high - low), _test_ratio(task, condition))
                place = {name: cell[name] for name in _PLACE}
                differences.append({**place, "than": best["contestant"], main["name"]: difference})
    return differences
