"""``engram list``: names of players, presets, and stored experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.config import presets
from simulator.config.sockets import sockets_in_file
from simulator.core import registry
from simulator.core.experiment_kinds import TOURNAMENT, TUNE
from simulator.core.wording import plural

KINDS = (*registry.FOLDERS, "gymnasium", "runs", "tournaments", "tunings", "presets")
WORDS = {  # other words for kinds
    **{kind: folder for folder, kind in registry.SINGULAR.items()},
    **{"environments": "envs", "env": "envs", "memory": "memories", "patterns": "challenges", "strategies": "presets"},
    **{"gym": "gymnasium", "run": "runs", "tournament": "tournaments", "preset": "presets"},
    **{"tune": "tunings", "tuning": "tunings"},
}
CELL_KINDS = {"tournaments": TOURNAMENT, "tunings": TUNE}
COLUMNS = {  # by which rows of stored experiments can be sorted: name -> key of a row
    "runs": {
        **{name: name for name in ("run", "kind", "label", "agent", "env", "seeds", "status", "steps", "created")},
        **{"seconds": "seconds", "size": "bytes"},
    },
    "tournaments": {
        **{name: name for name in ("tournament", "label", "cells", "status", "created")},
        "size": "bytes",
    },
    "tunings": {
        **{name: name for name in ("tune", "label", "what", "trials", "status", "created")},
        "size": "bytes",
    },
}


def act(args: ParsedArgs) -> CommandResult:
    """List the names of a kind, or of all kinds of players."""
    kind = args.names[0] if args.names else None
    if args.options.sort and kind not in COLUMNS:
        raise ValueError(f"--sort: expected engram list {' or '.join(COLUMNS)}, whose rows have columns to sort by")
    return CommandResult(listing(kind, lab_of(args.options), args.options.sort), show_listing)


def listing(kind: str | None, lab: str, sort: str = "") -> dict[str, Any]:
    """List every name of a kind, or of all kinds of players.

    Args:
        kind: one of ``KINDS``; None: all kinds of players.
        lab: folder of stored experiments.
        sort: column by which these are sorted, the largest last; by default the newest is last.

    Raises:
        ValueError: there is no such kind or column, or the lab cannot be read.
    """
    if kind is None:
        return {folder: _players(folder) for folder in registry.FOLDERS}
    kind = WORDS.get(kind, kind)
    if kind not in KINDS:
        raise ValueError(registry.unknown_name_message("list", kind, KINDS, f"expected one of {', '.join(KINDS)}"))
    if kind == "gymnasium":
        return {"gymnasium": gymnasium_ids()}
    if kind == "runs":
        return {"runs": _sorted(run_rows(lab), kind, sort)}
    if kind in CELL_KINDS:
        return {kind: _sorted(cell_rows(lab, CELL_KINDS[kind]), kind, sort)}
    if kind == "presets":
        listed, failed = presets.every()
        for line in failed:
            console.print_status(f"engram: {line}")
        return {
            "presets": [dataclasses.asdict(preset) for preset in listed],
            "memory_presets": _memory_presets(),
            "tournament_presets": presets.tournaments(),
        }
    return {kind: _players(kind)} | ({"gymnasium": gymnasium_ids()} if kind == "envs" else {})


def show_listing(listed: Mapping[str, Any]) -> None:
    """Print a listing for people."""
    if "runs" in listed:
        _show_runs(listed["runs"])
    elif shown := next((kind for kind in CELL_KINDS if kind in listed), ""):
        _show_cells(listed[shown], CELL_KINDS[shown])
    elif "presets" in listed:
        columns = ("preset", "agent", "env", "steps", "description")
        rows = [[preset[key] if key != "preset" else preset["name"] for key in columns] for preset in listed["presets"]]
        console.print_table("", columns, rows)
        console.print_result("engram run --preset NAME runs one of them\n")
        rows = [[preset["name"], preset["memory"], preset["description"]] for preset in listed["memory_presets"]]
        console.print_table("", ("preset", "memory", "description"), rows)
        console.print_result("engram recall NAME CHALLENGE benchmarks one of them\n")
        console.print_table("", ("preset", "description"), list(listed["tournament_presets"].items()))
        console.print_result("engram tournament --preset NAME runs one of them")
    for kind in registry.FOLDERS:
        if kind in listed:
            _show_players(kind, listed[kind])
    if "envs" in listed:
        count = f"{len(listed['gymnasium'])} ids are installed; " if "gymnasium" in listed else ""
        console.print_result(f"and every Gymnasium id, such as CartPole-v1 ({count}engram list gymnasium lists them)")
    elif "gymnasium" in listed:
        for env_id in listed["gymnasium"]:
            console.print_result(env_id)


def _players(kind: str) -> list[dict[str, Any]]:
    if kind == "components":
        return [
            {"name": name, "about": registry.description_of(kind, name), "sockets": list(sockets_in_file(name))}
            for name in registry.names(kind)
        ]
    return [{"name": name, "description": registry.description_of(kind, name)} for name in registry.names(kind)]


def _show_players(kind: str, entries: list[dict[str, Any]]) -> None:
    if not entries:
        console.print_result(f"there are no {kind} yet")
    elif kind == "components":
        rows = [(entry["name"], ", ".join(entry["sockets"]), entry["about"]) for entry in entries]
        console.print_table(kind, ("name", "sockets", "about"), rows)
        console.print_result("engram run AGENT ENV --agent.SOCKET NAME puts one into a socket of the agent")
    else:
        described = [(entry["name"], entry["description"]) for entry in entries]
        console.print_table(kind, ("name", "description"), described)


def _memory_presets() -> list[dict[str, Any]]:
    rows = []
    for name, (player, preset_settings) in presets.memory_presets().items():
        description = str(player.module.PRESETS[name].get("description", ""))
        rows.append({"name": name, "memory": player.name, "description": description, "settings": preset_settings})
    return rows


def gymnasium_ids() -> list[str]:
    """Return every registered Gymnasium id but ours."""
    import gymnasium

    return sorted(env_id for env_id in gymnasium.registry if not env_id.startswith("engram/"))


def _sorted(rows: list[dict[str, Any]], kind: str, column: str) -> list[dict[str, Any]]:
    """Sort rows by a column; equal ones, and all where no column is named, stay in the order in which they began.

    Raises:
        ValueError: there is no such column.
    """
    if not column:
        return rows
    if column not in COLUMNS[kind]:
        expected = f"expected one of {', '.join(COLUMNS[kind])}"
        raise ValueError(registry.unknown_name_message("column", column, COLUMNS[kind], expected))
    key = COLUMNS[kind][column]
    if column in ("run", "tournament", "tune"):
        return sorted(rows, key=lambda row: int(row[key][1:]))
    return sorted(rows, key=lambda row: row[key])


def run_rows(lab: str) -> list[dict[str, Any]]:
    """Read the runs of a lab, newest last; none where there is no lab."""
    if not Path(lab).exists():
        return []
    from simulator.store.run_store import Store

    keys = ("run", "kind", "label", "agent", "env", "status", "step", "steps", "created", "seconds", "failed", "error")
    rows = []
    with Store(lab) as store:
        if warning := store.forgotten():
            console.print_status(f"engram: {warning}")
        for run in reversed(store.runs()):
            row = {"seeds": len(run.seeds), **{key: getattr(run, key) for key in keys}}
            row["bytes"] = store.size_of(run.run)
            if run.status == "running" and not store.is_written(run.run):
                row["status"] = "killed"  # it could not say so itself
            rows.append(row)
    return rows


def _show_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        console.print_result("there are no runs yet; engram run q_learning rooms makes one")
        return
    from simulator.reporting.tables import Table, print_tables

    labelled = ("label",) if any(run["label"] for run in runs) else ()
    columns = ["run", "kind", *labelled, "agent", "env", "seeds", "status", "steps", "created", "size"]
    rows = [[console.format_cell(_cell(run, column)) for column in columns] for run in runs]
    droppable = ("created", "seeds", "kind", "label")
    print_tables([Table("", columns, rows, droppable=droppable, labels=("label", "agent", "env"))])


def cell_rows(lab: str, kind: str) -> list[dict[str, Any]]:
    """Read the tournaments or the tunings of a lab, newest last; none where there is no lab."""
    from simulator.store.cell_store import CellStore
    from simulator.store.database import NAME
    from simulator.store.lab import is_written

    if not (Path(lab) / NAME).exists():
        return []
    rows = []
    with CellStore(lab) as store:
        for record in reversed(store.tournaments(kind)):
            killed = record.status == "running" and not is_written(store.lab / "cells")  # it could not say so itself
            own = _of_tournament(record.plan) if kind == TOURNAMENT else _of_tuning(record.plan, record.settings)
            rows.append(
                {
                    kind: record.name,
                    "label": record.label,
                    **own,
                    "status": "killed" if killed else record.status,
                    "created": record.created,
                    "bytes": store.size_of_tournament(record.name),
                }
            )
    return rows


def _of_tournament(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "contestants": [one["label"] for one in plan["contestants"]],
        "challenges": [one["label"] for one in plan["challenges"]],
        "cells": sum(len(pair["spans"]) for pair in plan["pairs"]),
    }


def _of_tuning(plan: Mapping[str, Any], settings: str) -> dict[str, Any]:
    from simulator.commands.tune import what_of

    states = [trial["state"] for trial in plan["trials"]]
    numbers = {"trials": len(states), "pruned": states.count("pruned"), "failed": states.count("failed")}
    return {"what": what_of(settings), **numbers}


def _show_cells(rows: list[dict[str, Any]], kind: str) -> None:
    """Print the tournaments or the tunings."""
    if not rows:
        first = {
            TOURNAMENT: "tournaments yet: engram tournament --init",
            TUNE: "tunings yet: engram tune q_learning rooms --space.agent.step-size 0.01:1:log",
        }
        console.print_result(f"there are no {first[kind]}")
        return
    from simulator.reporting.tables import Table, print_tables

    columns = [column for column in rows[0] if column != "bytes"] + ["size"]
    shown = []
    for row in rows:
        texts = {name: ", ".join(value) for name, value in row.items() if isinstance(value, list)}
        own = {"created": format_time(row["created"]), "size": console.format_bytes(row["bytes"])}
        shown.append([console.format_cell({**row, **texts, **own}[column]) for column in columns])
    labels = ("label", "contestants", "challenges", "what")
    print_tables([Table("", columns, shown, droppable=("created", "label"), labels=labels, foldable=True)])


_SEVERAL = {"recall": "memories", "predict": "methods"}  # kind of experiment -> those that compete


def _cell(run: Mapping[str, Any], column: str) -> Any:
    """Return one column of a run's row as people read it."""
    if column == "status":
        return _status(run)
    if column == "kind":
        return "training" if run["kind"] == "run" else run["kind"]
    if column == "agent" and run["kind"] in _SEVERAL and " " in run["agent"]:
        several = _SEVERAL[run["kind"]]
        return run["agent"] if several in run["agent"] else f"{len(run['agent'].split())} {several}"
    if column == "steps" and run["kind"] == "play":
        return plural(run["step"], "episode")
    if column == "steps":
        done = run["step"] == run["steps"]
        return f"{run['steps']:,}" if done else f"{run['step']:,} of {run['steps']:,}"
    if column == "created":
        return format_time(run["created"])
    return console.format_bytes(run["bytes"]) if column == "size" else run[column]


def format_time(created: str) -> str:
    """Format a moment, ISO 8601 in UTC, to the minute in local time: ``2026-03-01 14:05``."""
    return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")


def _status(run: Mapping[str, Any]) -> str:
    """Format the status of a run, and the number of its failed seeds."""
    if run["error"]:
        return f"failed: {run['error']['kind'] or 'a value was refused'}"
    return f"{run['status']}, {len(run['failed'])} failed" if run["failed"] else str(run["status"])


COMMAND = Command(act, (0, 1), ("sort",), examples=("list", "list agents", "list gymnasium", "list runs --sort size"))
