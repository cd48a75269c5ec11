"""Summary of a stored tournament. Reads the store only, so it can be repeated without running cells."""

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
from simulator.statistics.analysis import DivisionScores, analyze, rank
from simulator.store.cell_store import CellStore, JobKey, JobRecord, SeedRange, TournamentRecord
from simulator.tournaments.plan import cells_of
from simulator.tournaments.scoreboard import Cells, division
from simulator.versions import OURS, version_of

_HOST = Path(__file__).parents[1]


def summary(store: CellStore, name: str, n_bootstrap: int | None = None) -> dict[str, Any]:
    """Return the JSON object of ``engram tournament --json``.

    Its keys: ``tournament``, ``label``, ``status``, ``created``, ``settings`` (TOML), ``versions``, ``seconds``,
    ``cpu_seconds``, ``seeds``, ``steps``, ``contestants``, ``challenges`` (with ``floor`` and ``ceiling``, and their
    sources), ``cells`` (``planned``, ``done``, ``failed``, ``missing``), ``machines`` of the cells (see
    :mod:`simulator.machine`), ``failures``, ``ranking`` and ``scores`` of all divisions, ``divisions`` with the rest of
    :mod:`simulator.statistics.analysis`, ``matches`` of games, and ``people``: how much each of them has played.

    Args:
        store: the lab.
        name: the tournament's id.
        n_bootstrap: bootstrap samples; by default its setting.
    """
    record = store.find(name)
    settings = stored_tables(TournamentConfig, record)
    cached = None if n_bootstrap else store.analysis(name, _fingerprint(store, record))
    return {**_head(record, settings), **(cached or _analyse(store, record, settings, n_bootstrap))}


def leaderboard(store: CellStore, name: str, n_bootstrap: int) -> tuple[Standing, ...]:
    """Rank the contestants by the cells so far, as ``summary`` would, without the rest of the analysis.

    Args:
        store: the lab.
        name: the tournament's id.
        n_bootstrap: bootstrap samples.
    """
    record = store.find(name)
    settings = stored_tables(TournamentConfig, record)
    cells = store.cells(_keys(record))
    ranking: list[dict[str, Any]] = []
    for kind in SIDES:
        played = division(record, settings, cells, kind)
        if played is not None:
            rows = rank(played, settings["confidence"], n_bootstrap, n_interim_analyses=_n_interim(settings))
            ranking += [{"division": kind, **row} for row in rows]
    result = {"contestants": record.plan["contestants"], "ranking": ranking}
    return rows_of(result, list(cells_of(record.plan)), cells)


def _n_interim(settings: Mapping[str, Any]) -> int:
    """Return how many analyses there can be before the tournament ends."""
    return -(-settings["max_seeds"] // settings["seeds"]) if settings["adaptive"] else 1


def division_scores(store: CellStore, name: str) -> dict[str, DivisionScores]:
    """Return the scores and curves of every seed of a stored tournament, by division."""
    record = store.find(name)
    settings = stored_tables(TournamentConfig, record)
    cells = store.cells(_keys(record))
    played = {kind: division(record, settings, cells, kind) for kind in SIDES}
    return {kind: scores for kind, scores in played.items() if scores is not None}


def keep(store: CellStore, name: str) -> None:
    """Store the analysis of a tournament, so that it is shown at once until a cell changes."""
    record = store.find(name)
    fingerprint = _fingerprint(store, record)
    if store.analysis(name, fingerprint) is None:
        store.keep_analysis(name, fingerprint, _analyse(store, record, stored_tables(TournamentConfig, record), None))


def _fingerprint(store: CellStore, record: TournamentRecord) -> str:
    """Fingerprint of everything that the analysis of a tournament depends on."""
    cells = store.fingerprint(_keys(record))
    text = "\0".join([cells, record.settings, json.dumps(record.plan), version_of(OURS)])
    digest = hashlib.sha256(text.encode())
    for path in sorted([*_HOST.glob("statistics/*.py"), *_HOST.glob("tournaments/*.py"), *_HOST.glob("*.py")]):
        digest.update(path.read_bytes())  # in a checkout the analysis code can change without its version
    return digest.hexdigest()


def _keys(record: TournamentRecord) -> list[str]:
    return [pair["key"] for pair in [*record.plan["pairs"], *record.plan["references"]]]


def _analyse(
    store: CellStore, record: TournamentRecord, settings: Mapping[str, Any], n_bootstrap: int | None
) -> dict[str, Any]:
    """Analyse the cells: counts, failures, rankings, scores, and challenges with their reference scores."""
    cells = store.cells(_keys(record))
    result: dict[str, Any] = {"challenges": [dict(challenge) for challenge in record.plan["challenges"]]}
    result |= {**_counts(record, settings, cells), "ranking": [], "scores": [], "divisions": []}
    made_on = dict.fromkeys(tuple(cell.facts.get("machine", {}).items()) for cell in cells.values())
    result["machines"] = [dict(machine) for machine in made_on if machine]
    for kind in SIDES:
        played = division(record, settings, cells, kind)
        if played is None:
            continue
        answer = analyze(
            played,
            settings["confidence"],
            n_bootstrap or settings["n_bootstrap"],
            n_interim_analyses=_n_interim(settings),
        )
        _note_marks(result["challenges"], played)
        for key in ("ranking", "scores"):
            result[key] += [{"division": kind, **entry} for entry in answer.pop(key)]
        result["divisions"].append({"division": kind, **answer})
    return result | {"matches": _matches(record, cells), "people": list(_people(record, cells))}


def _people(record: TournamentRecord, cells: Cells) -> Iterator[dict[str, Any]]:
    """Yield what each person has played in each environment.

    ``episodes``: how many of the tournament's seeds, by ``seeds`` of them; ``planned``: seeds of the tournament.
    """
    for pair in record.plan["pairs"]:
        counted = [cells.get(JobKey(pair["key"], SeedRange(*span))) for span in pair["spans"]]
        counts = [count for cell in counted if cell is not None for count in cell.facts.get("episodes", ())]
        if counts and pair["second"] < 0:
            played = {"episodes": sum(counts), "seeds": sum(count > 0 for count in counts), "planned": len(counts)}
            yield {**named(record.plan, pair), **played}


def _matches(record: TournamentRecord, cells: Cells) -> list[dict[str, Any]]:
    """Return every match, with means over its seeds.

    ``scores`` of both sides; ``expected``, the exact ones of memory-one strategies; ``exploitability`` of both sides,
    by best replies, where the game can be enumerated; None where not known.
    """
    matches = []
    for pair in record.plan["pairs"]:
        pair_cells = [cells.get(JobKey(pair["key"], SeedRange(*span))) for span in pair["spans"]]
        played = [cell for cell in pair_cells if cell is not None and cell.status == "done"]
        if pair["second"] < 0 or not played:
            continue
        first, second = (record.plan["contestants"][pair[side]]["label"] for side in ("contestant", "second"))
        match = {"first": first, "second": second, "challenge": named(record.plan, pair)["challenge"]}
        match["scores"] = [_mean([cell.scores for cell in played]), _mean([cell.second for cell in played])]
        for name in ("expected", "exploitability"):
            sides = [cell.facts[name] for cell in played if cell.facts.get(name) is not None]
            is_known = len(sides) == len(played)
            match[name] = [_mean([values[k] for values in sides]) for k in range(2)] if is_known else None
        matches.append(match)
    return matches


def _mean(parts: Sequence[Any]) -> float | None:
    """Return the mean of the numbers in arrays [S], or None."""
    values = np.concatenate([np.asarray(part, np.float64) for part in parts])
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


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
    """Add floors and ceilings to the challenges."""
    for m, label in enumerate(played.challenges):
        own = next(challenge for challenge in challenges if challenge["label"] == label)
        for name, values in (("floor", played.floor[m]), ("ceiling", played.ceiling[m])):
            finite = values[np.isfinite(values)]
            own[name] = float(finite.mean()) if len(finite) else None
            own[f"{name}_is"] = getattr(played, f"{name}_is")[m]
        own["threshold"] = float(played.threshold[m]) if np.isfinite(played.threshold[m]) else None


def _counts(record: TournamentRecord, settings: Mapping[str, Any], cells: Cells) -> dict[str, Any]:
    """Count all, finished and failed cells. Identical contestants share cells."""
    planned = [(pair, JobKey(pair["key"], span)) for pair, span in cells_of(record.plan)]
    finished = [(pair, cells[slot]) for pair, slot in planned if slot in cells]
    n = len({slot for _, slot in planned})
    statuses = {slot: cells[slot].status for _, slot in planned if slot in cells}
    done = sum(status == "done" for status in statuses.values())
    counted_as = "floor" if settings["failed"] == "floor" else "left out"
    failures = [
        {**failure, "counted_as": counted_as if pair["second"] < 0 else "left out"}  # for every contestant
        for pair, cell in finished
        for failure in _failures(record, pair, cell)
    ]
    failures += [{**refusal, "seeds": [], "counted_as": "left out"} for refusal in record.plan["refused"]]
    counts = {"planned": n, "done": done, "failed": len(statuses) - done, "missing": n - len(statuses)}
    return {"cells": counts, "failures": failures}


def _failures(record: TournamentRecord, pair: Mapping[str, Any], cell: JobRecord) -> Iterator[dict[str, Any]]:
    place = named(record.plan, pair)
    if cell.status != "done":
        yield {**place, "seeds": list(range(cell.span[0], sum(cell.span))), "reason": cell.reason}
    for failure in cell.facts.get("failed", ()):
        when = f"step {failure['step']:,}: " if "step" in failure else ""  # a memory has none
        yield {**place, "seeds": [failure["seed"]], "reason": f"{when}{failure['reason']}"}
    for failure in cell.facts.get("without_score", ()):
        yield {**place, "seeds": [failure["seed"]], "reason": failure["reason"]}


def named(plan: Mapping[str, Any], pair: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a matchup's contestants and challenge."""
    label = "random play" if pair["contestant"] < 0 else str(plan["contestants"][pair["contestant"]]["label"])
    if pair["second"] >= 0:
        label += f" and {plan['contestants'][pair['second']]['label']}"
    return {"contestant": label, "challenge": str(plan["challenges"][pair["challenge"]]["label"])}


def rows_of(
    result: Mapping[str, Any], planned: Sequence[tuple[dict[str, Any], Any]], over: Cells
) -> tuple[Standing, ...]:
    """Return the leaderboard of a summary, with the number of finished cells of each contestant."""
    labels = [contestant["label"] for contestant in result["contestants"]]
    done = dict.fromkeys(labels, 0)
    counts = dict.fromkeys(labels, 0)
    for pair, span in planned:
        for i in (pair["contestant"], pair["second"]):
            if i >= 0:
                counts[labels[i]] += 1
                done[labels[i]] += (pair["key"], span) in over
    rows = []
    for row in result["ranking"]:
        numbers = [row["strength"][key] for key in ("value", "low", "high")]
        numbers += [row["score"]["iqm"][key] for key in ("value", "low", "high")]
        numbers_or_nan = [float("nan") if value is None else value for value in numbers]
        label = row["contestant"]
        values = [label, row["division"], row["tier"], *numbers_or_nan, done[label], counts[label]]
        rows.append(Standing._make(values))
    return tuple(rows)
