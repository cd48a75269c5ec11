"""Summary of a stored tournament. Reads the store only, so it can be repeated without playing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.config.codec import stored_tables
from simulator.config.tournament import SIDES, TournamentConfig
from simulator.core.snapshots import Standing
from simulator.statistics.analysis import DivisionScores, analyze
from simulator.store.cell_store import CellStore, JobKey, JobRecord, TournamentRecord
from simulator.tournaments.plan import cells_of
from simulator.tournaments.scoreboard import Cells, division
from simulator.versions import OURS, version_of

_HOST = Path(__file__).parents[1]


def summary(store: CellStore, name: str, resamples: int | None = None) -> dict[str, Any]:
    """Return the JSON object of ``engram tournament --json``.

    Its keys: ``tournament``, ``label``, ``status``, ``created``, ``settings`` (TOML), ``versions``, ``seconds``,
    ``cpu_seconds``, ``seeds``, ``steps``, ``contestants``, ``challenges`` (with ``floor`` and ``ceiling``, and what
    they are), ``cells`` (``planned``, ``done``, ``failed``, ``missing``), ``machines`` that cells were played on (see
    :mod:`simulator.machine`), ``failures``, ``ranking`` and ``scores`` of all divisions, ``divisions`` with the rest of
    :mod:`simulator.statistics.analysis`, and ``matches`` of games.

    Args:
        store: the lab.
        name: the tournament's id.
        resamples: bootstrap samples; as its settings say unless given.
    """
    record = store.find(name)
    settings = stored_tables(TournamentConfig, record)
    kept = None if resamples else store.verdict(name, _fingerprint(store, record))
    return {**_head(record, settings), **(kept or _judged(store, record, settings, resamples))}


def keep(store: CellStore, name: str) -> None:
    """Record what a tournament came to, so that it can be shown at once until a cell of it changes."""
    record = store.find(name)
    known = _fingerprint(store, record)
    if store.verdict(name, known) is None:
        store.keep_verdict(name, known, _judged(store, record, stored_tables(TournamentConfig, record), None))


def _fingerprint(store: CellStore, record: TournamentRecord) -> str:
    """Fingerprint of everything that the analysis of a tournament depends on."""
    cells = store.fingerprint(_keys(record))
    text = "\0".join([cells, record.settings, json.dumps(record.plan), version_of(OURS)])
    digest = hashlib.sha256(text.encode())
    for path in sorted([*_HOST.glob("statistics/*.py"), *_HOST.glob("tournaments/*.py"), *_HOST.glob("*.py")]):
        digest.update(path.read_bytes())  # in a checkout what judges changes without its version
    return digest.hexdigest()


def _keys(record: TournamentRecord) -> list[str]:
    return [pair["key"] for pair in [*record.plan["pairs"], *record.plan["references"]]]


def _judged(
    store: CellStore, record: TournamentRecord, settings: Mapping[str, Any], resamples: int | None
) -> dict[str, Any]:
    """Analyse the cells: counts, failures, rankings, scores, and challenges with their reference scores."""
    cells = store.cells(_keys(record))
    found: dict[str, Any] = {"challenges": [dict(each) for each in record.plan["challenges"]]}
    found |= {**_counts(record, settings, cells), "ranking": [], "scores": [], "divisions": []}
    made_on = dict.fromkeys(tuple(cell.facts.get("machine", {}).items()) for cell in cells.values())
    found["machines"] = [dict(each) for each in made_on if each]
    looks = -(-settings["most_seeds"] // settings["seeds"]) if settings["adaptive"] else 1  # as many as there can be
    for kind in SIDES:
        played = division(record, settings, cells, kind)
        if played is None:
            continue
        answer = analyze(played, settings["level"], resamples or settings["resamples"], n_interim_analyses=looks)
        _note_marks(found["challenges"], played)
        for key in ("ranking", "scores"):
            found[key] += [{"division": kind, **each} for each in answer.pop(key)]
        found["divisions"].append({"division": kind, **answer})
    return found | {"matches": _matches(record, cells)}


def _matches(record: TournamentRecord, cells: Cells) -> list[dict[str, Any]]:
    """Return every match, with means over its seeds.

    ``scores`` of both sides; ``expected``, the exact ones of memory-one strategies; ``exploitability`` of both sides,
    what a best reply earns against what they play, where the game can be enumerated; None where not known.
    """
    found = []
    for pair in record.plan["pairs"]:
        own = [cells.get((pair["key"], (first, n))) for first, n in pair["spans"]]
        played = [cell for cell in own if cell is not None and cell.status == "done"]
        if pair["second"] < 0 or not played:
            continue
        first, second = (record.plan["contestants"][pair[side]]["label"] for side in ("contestant", "second"))
        match = {"first": first, "second": second, "challenge": named(record.plan, pair)["challenge"]}
        match["scores"] = [_mean([cell.scores for cell in played]), _mean([cell.second for cell in played])]
        for name in ("expected", "exploitability"):
            sides = [cell.facts.get(name) for cell in played]
            known = None not in sides
            match[name] = [_mean([each[k] for each in sides]) for k in range(2)] if known else None
        found.append(match)
    return found


def _mean(parts: Sequence[Any]) -> float | None:
    """Return the mean of the numbers in arrays [S], or None."""
    every = np.concatenate([np.asarray(part, np.float64) for part in parts])
    known = every[np.isfinite(every)]
    return float(known.mean()) if len(known) else None


def _head(record: TournamentRecord, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a summary that describe the tournament itself."""
    spans = [span for pair in record.plan["pairs"] for span in pair["spans"]]
    return {
        "tournament": record.name,
        "label": record.label,
        "status": record.status,
        "created": record.created,
        "settings": record.settings,
        "versions": record.versions,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "seeds": sorted({seed for first, n in spans for seed in range(first, first + n)}),
        "steps": settings["steps"],
        "contestants": record.plan["contestants"],
    }


def _note_marks(challenges: list[dict[str, Any]], played: DivisionScores) -> None:
    """Write floors and ceilings to the challenges that they belong to."""
    for m, label in enumerate(played.challenges):
        own = next(each for each in challenges if each["label"] == label)
        for name, values in (("floor", played.floor[m]), ("ceiling", played.ceiling[m])):
            known = values[np.isfinite(values)]
            own[name] = float(known.mean()) if len(known) else None
            own[f"{name}_is"] = getattr(played, f"{name}_is")[m]
        own["threshold"] = float(played.threshold[m]) if np.isfinite(played.threshold[m]) else None


def _counts(record: TournamentRecord, settings: Mapping[str, Any], cells: Cells) -> dict[str, Any]:
    """Count the cells, and those that failed. Contestants that are the same share cells."""
    planned = [(pair, JobKey(pair["key"], span)) for pair, span in cells_of(record.plan)]
    over = [(pair, cells[slot]) for pair, slot in planned if slot in cells]
    n = len({slot for _, slot in planned})
    met = {slot: cells[slot].status for _, slot in planned if slot in cells}
    done = sum(status == "done" for status in met.values())
    counted_as = "floor" if settings["failed"] == "floor" else "left out"
    failures = [
        {**each, "counted_as": counted_as if pair["second"] < 0 else "left out"}  # with the seed, of everybody
        for pair, cell in over
        for each in _failures(record, pair, cell)
    ]
    failures += [{**each, "seeds": [], "counted_as": "left out"} for each in record.plan["refused"]]
    counts = {"planned": n, "done": done, "failed": len(met) - done, "missing": n - len(met)}
    return {"cells": counts, "failures": failures}


def _failures(record: TournamentRecord, pair: Mapping[str, Any], cell: JobRecord) -> Iterator[dict[str, Any]]:
    place = named(record.plan, pair)
    if cell.status != "done":
        yield {**place, "seeds": list(range(cell.span[0], sum(cell.span))), "reason": cell.reason}
    for each in cell.facts.get("failed", ()):
        when = f"step {each['step']:,}: " if "step" in each else ""  # a memory has none
        yield {**place, "seeds": [each["seed"]], "reason": f"{when}{each['reason']}"}
    for each in cell.facts.get("without_score", ()):
        yield {**place, "seeds": [each["seed"]], "reason": each["reason"]}


def named(plan: Mapping[str, Any], pair: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a matchup's contestants and challenge."""
    label = "random play" if pair["contestant"] < 0 else str(plan["contestants"][pair["contestant"]]["label"])
    if pair["second"] >= 0:
        label += f" and {plan['contestants'][pair['second']]['label']}"
    return {"contestant": label, "challenge": str(plan["challenges"][pair["challenge"]]["label"])}


def rows_of(
    found: Mapping[str, Any], planned: Sequence[tuple[dict[str, Any], Any]], over: Cells
) -> tuple[Standing, ...]:
    """Return the leaderboard of a summary, with the number of finished cells of each contestant."""
    labels = [each["label"] for each in found["contestants"]]
    done = dict.fromkeys(labels, 0)
    every = dict.fromkeys(labels, 0)
    for pair, span in planned:
        for i in (pair["contestant"], pair["second"]):
            if i >= 0:
                every[labels[i]] += 1
                done[labels[i]] += (pair["key"], span) in over
    rows = []
    for each in found["ranking"]:
        numbers = [each["strength"][key] for key in ("value", "low", "high")]
        numbers += [each["score"]["mean"][key] for key in ("value", "low", "high")]
        known = [float("nan") if value is None else value for value in numbers]
        who = each["contestant"]
        rows.append(Standing(who, each["division"], each["tier"], *known, done[who], every[who]))
    return tuple(rows)
