"""Summary of a stored tuning. Reads the store only, so it can be repeated without running cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.config.codec import of_record, stored_tables, to_toml
from simulator.config.tune import TuneConfig, leaves, with_point
from simulator.core.protocols import Array
from simulator.recall.summary import BOUNDS
from simulator.statistics.estimates import UNBOUNDED, Estimate, area_under_curve, estimate, iqm
from simulator.store.cell_store import CellStore, JobKey, JobRecord, SeedRange, TournamentRecord
from simulator.store.lab import is_written
from simulator.tuning.search import DEFAULT, Measured, best_trial

FAILED = "no score of seed {}"
ROUNDING = 1e-12  # part of the scores below which their differences are none


def measured_of(objective: str, cells: Sequence[JobRecord]) -> Measured:
    """Compute the objective of the cells of one evaluation.

    A seed without a score counts as a failure of the trial: it is never left out in silence.
    """
    reason = next((cell.reason for cell in cells if cell.status != "done"), "")
    if reason:
        return Measured(None, reason)
    scores = scores_of(objective, cells)
    if not np.isfinite(scores).all():
        seeds = [seed for cell in cells for seed in range(cell.span.first, sum(cell.span))]
        return Measured(None, FAILED.format(seeds[int(np.flatnonzero(~np.isfinite(scores))[0])]))
    return Measured(float(statistic_of(objective)(scores, axis=0)))


def scores_of(objective: str, cells: Sequence[JobRecord]) -> Array:
    """Return what the objective is a statistic of, by seed, [S]."""
    if objective in ("overlap", "exact"):
        return np.concatenate([np.asarray(cell.facts[objective], np.float64) for cell in cells])
    if objective == "auc":
        return np.concatenate([area_under_curve(cell.steps, cell.curve) for cell in cells])
    return np.concatenate([cell.scores for cell in cells])


def statistic_of(objective: str) -> Any:
    """Return the statistic over seeds: the interquartile mean of training, or the mean."""
    return np.mean if objective in ("mean", "overlap", "exact") else iqm


def words_of(trial: int, span: SeedRange) -> str:
    """Describe a cell: ``trial 12, seeds 0 to 7``."""
    first, n = span
    seeds = f"seeds {first} to {first + n - 1}" if n > 1 else f"seed {first}"
    return f"{'settings without a search' if trial == DEFAULT else f'trial {trial}'}, {seeds}"


def point_text(point: Mapping[str, Any]) -> str:
    """Format a point for people, without the table of its player: ``step_size=0.31 gamma=0.9``."""
    return " ".join(f"{name.partition('.')[2]}={_text(value)}" for name, value in point.items())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def summary(store: CellStore, name: str) -> dict[str, Any]:
    """Return the JSON object of ``engram tune --json``; see the manual's page of JSON.

    Args:
        store: the lab.
        name: the tuning's id.
    """
    record = store.find(name)
    settings = stored_tables(TuneConfig, record)
    plan = record.plan
    cells = store.cells([pair["key"] for pair in plan["pairs"]])
    planned = {JobKey(pair["key"], SeedRange(*span)) for pair in plan["pairs"] for span in pair["spans"]}
    statuses = [cells[key].status for key in planned if key in cells]
    table = "agent" if "agent" in settings else "memory"
    best = best_trial(plan["trials"]) if record.status == "done" else None
    made_on = dict.fromkeys(tuple(cell.facts.get("machine", {}).items()) for cell in cells.values())
    return {
        "tune": record.name,
        "label": record.label,
        "status": record.status,
        "created": record.created,
        "settings": record.settings,
        "versions": record.versions,
        "machines": [dict(machine) for machine in made_on if machine],
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "player": settings[table]["name"],
        "place": settings["env" if table == "agent" else "challenge"]["name"],
        "search": settings["search"],
        "space": list(space_of(settings["space"])),
        "objective": settings["objective"],
        "seeds": list(range(settings["first_seed"], settings["first_seed"] + settings["seeds"])),
        "cells": {
            "planned": len(planned),
            "done": statuses.count("done"),
            "failed": len(statuses) - statuses.count("done"),
            "missing": len(planned) - len(statuses),
        },
        "trials": [{**trial, "state": _state_of(trial, store, record, cells)} for trial in plan["trials"]],
        "best": None
        if best is None
        else {**{key: best[key] for key in ("trial", "point")}, "value": best["values"][-1]},
        "best_settings": best and best_settings(record, best["point"]),
        "judged": best and judged(record, settings, cells, best["trial"]),
    }


def _state_of(
    trial: Mapping[str, Any], store: CellStore, record: TournamentRecord, cells: Mapping[JobKey, JobRecord]
) -> str:
    """Return the state of a trial; one of the round that the search is in runs, was interrupted, or waits.

    It waits as long as none of its cells has ended or has a checkpoint.
    """
    if trial["state"] != "running":
        return str(trial["state"])
    pairs = [pair for pair in record.plan["pairs"] if pair["trial"] == trial["trial"]]
    keys = [JobKey(pair["key"], SeedRange(*span)) for pair in pairs for span in pair["spans"]]
    folders = [
        store.scratch(pair.get("goes_on", pair["key"]), SeedRange(*span)) for pair in pairs for span in pair["spans"]
    ]
    if not any(key in cells for key in keys) and not any(folder.exists() for folder in folders):
        return "waiting"
    return "running" if record.status == "running" and is_written(store.lab / "cells") else "interrupted"


def trial_estimates(store: CellStore, name: str, known: dict[tuple[str, int], Estimate]) -> dict[int, Estimate]:
    """Return the objective of every trial over the seeds of its newest evaluation, with its interval.

    Args:
        store: the lab.
        name: the tuning's id.
        known: by key and number of seeds, estimates that were computed before, and those that are added.
    """
    record = store.find(name)
    settings = stored_tables(TuneConfig, record)
    pairs = {(pair["trial"], pair["rung"]): pair for pair in record.plan["pairs"]}
    newest = {
        trial["trial"]: pairs[trial["trial"], len(trial["values"]) - 1]
        for trial in record.plan["trials"]
        if trial["values"] and (trial["trial"], len(trial["values"]) - 1) in pairs
    }
    of = {trial: (pair["key"], sum(count for _, count in pair["spans"])) for trial, pair in newest.items()}
    missing = {trial: pair for trial, pair in newest.items() if of[trial] not in known}
    cells = store.cells([pair["key"] for pair in missing.values()])
    for trial, pair in missing.items():
        own = [cells[JobKey(pair["key"], SeedRange(*span))] for span in pair["spans"]]
        bounds = (0.0, 1.0) if settings["objective"] == "exact" else (-np.inf, np.inf)
        scores = scores_of(settings["objective"], own)
        statistic = statistic_of(settings["objective"])
        known[of[trial]] = estimate(scores, statistic, settings["confidence"], bounds=bounds)
    return {trial: known[key] for trial, key in of.items()}


def space_of(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the dimensions of a stored space, by name."""
    for path, entry in sorted(leaves(table)):
        of_range = entry if isinstance(entry, Mapping) else {}
        ends = {"low": of_range.get("low"), "high": of_range.get("high"), "log": bool(of_range.get("log"))}
        yield {"name": ".".join(path), **ends, "values": [] if of_range else entry}


def best_settings(record: TournamentRecord, point: Mapping[str, Any]) -> str | None:
    """Return the settings with the best point as TOML that ``engram run`` and ``recall --config`` take.

    None where the player is gone, or has other settings by now.
    """
    try:
        config = of_record(TuneConfig, record)
        found: Any = with_point(config, point)
    except ValueError:
        return None
    from dataclasses import replace

    return to_toml(replace(found, seeds=config.judge_seeds, first_seed=config.judge_first_seed, threads=0))


def judged(
    record: TournamentRecord, settings: Mapping[str, Any], cells: Mapping[JobKey, JobRecord], best: int
) -> dict[str, Any] | None:
    """Compare the best trial with the settings without a search, on the fresh seeds; None where a cell is missing.

    Differences are paired: both are evaluated on the same seeds.
    """
    last = max(pair["rung"] for pair in record.plan["pairs"])
    scores: dict[str, Array | str] = {}  # [S], or why there are none
    for trial, name in ((best, "best"), (DEFAULT, "default")):
        pair = next((p for p in record.plan["pairs"] if p["trial"] == trial and p["rung"] == last), None)
        keys = [JobKey(pair["key"], SeedRange(*span)) for span in pair["spans"]] if pair else []
        found = [cells[key] for key in keys if key in cells]
        if not keys or len(found) < len(keys):
            return None
        outcome = measured_of(settings["objective"], found)
        scores[name] = scores_of(settings["objective"], found) if outcome.value is not None else outcome.reason
    first = settings["judge_first_seed"]
    result: dict[str, Any] = {"seeds": list(range(first, first + settings["judge_seeds"]))}
    statistic = statistic_of(settings["objective"])
    bounds = BOUNDS.get(settings["objective"], UNBOUNDED)
    for name, values in scores.items():
        if isinstance(values, str):
            result[name] = {"value": None, "low": None, "high": None, "per_seed": None, "reason": values}
            continue
        found_estimate = estimate(values, statistic, settings["confidence"], bounds=bounds)
        result[name] = {**found_estimate._asdict(), "per_seed": values.tolist(), "reason": ""}
    result["difference"] = None
    mine, default = scores["best"], scores["default"]
    if not isinstance(mine, str) and not isinstance(default, str):
        gaps = mine - default
        size = max(np.abs(mine).max(), np.abs(default).max())
        gaps = np.where(np.abs(gaps) < ROUNDING * size, 0.0, gaps)  # exact values differ by rounding
        width = bounds[1] - bounds[0]
        result["difference"] = estimate(gaps, np.mean, settings["confidence"], bounds=(-width, width))._asdict()
    return result
