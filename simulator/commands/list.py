"""``engram list``: names of players, presets, and stored experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.config import presets
from simulator.core import registry

KINDS = (*registry.FOLDERS, "gymnasium", "runs", "tournaments", "presets")
WORDS = {  # other words for kinds
    **{kind: folder for folder, kind in registry.SINGULAR.items()},
    **{"environments": "envs", "env": "envs", "memory": "memories", "patterns": "challenges", "strategies": "presets"},
    **{"gym": "gymnasium", "run": "runs", "tournament": "tournaments", "preset": "presets"},
}
SHOWN = tuple(kind for kind in KINDS if kind != "components" or registry.names(kind))  # there may be none of them


def act(args: ParsedArgs) -> CommandResult:
    """List the names of a kind, or of all kinds of players."""
    kind = args.names[0] if args.names else None
    return CommandResult(listing(kind, lab_of(args.options)), show_listing)


def listing(kind: str | None, lab: str) -> dict[str, Any]:
    """List every name of a kind, or of all kinds of players.

    Raises:
        ValueError: there is no such kind, or the lab cannot be read.
    """
    if kind is None:
        return {folder: _players(folder) for folder in registry.FOLDERS if folder in SHOWN}
    kind = WORDS.get(kind, kind)
    if kind not in KINDS:
        raise ValueError(registry.unknown_name_message("list", kind, KINDS, f"expected one of {', '.join(SHOWN)}"))
    if kind == "gymnasium":
        return {"gymnasium": gymnasium_ids()}
    if kind == "runs":
        return {"runs": run_rows(lab)}
    if kind == "tournaments":
        from simulator.commands import tournament

        return {"tournaments": tournament.listed(lab)}
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
    elif "tournaments" in listed:
        from simulator.commands import tournament

        tournament.show_listed(listed["tournaments"])
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
        if listed.get(kind):
            console.print_table(
                kind, ("name", "description"), [(entry["name"], entry["description"]) for entry in listed[kind]]
            )
        elif kind in listed and len(listed) == 1:
            console.print_result(f"there are no {kind} yet")
    if "envs" in listed:
        count = f"{len(listed['gymnasium'])} ids are installed; " if "gymnasium" in listed else ""
        console.print_result(f"and every Gymnasium id, such as CartPole-v1 ({count}engram list gymnasium lists them)")
    elif "gymnasium" in listed:
        for env_id in listed["gymnasium"]:
            console.print_result(env_id)


def _players(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "description": registry.description_of(kind, name)} for name in registry.names(kind)]


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


def run_rows(lab: str) -> list[dict[str, Any]]:
    """Read the runs of a lab, newest first; none where there is no lab."""
    if not Path(lab).exists():
        return []
    from simulator.store.run_store import Store

    keys = ("run", "label", "agent", "env", "status", "step", "steps", "created", "seconds", "failed", "error")
    rows = []
    with Store(lab) as store:
        if warning := store.forgotten():
            console.print_status(f"engram: {warning}")
        for run in store.runs():
            row = {"seeds": len(run.seeds), **{key: getattr(run, key) for key in keys}}
            if run.status == "running" and not store.is_written(run.run):
                row["status"] = "killed"  # it could not say so itself
            rows.append(row)
    return rows


def _show_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        console.print_result("there are no runs yet; engram run q_learning rooms makes one")
        return
    labelled = ("label",) if any(run["label"] for run in runs) else ()
    columns = ("run", *labelled, "agent", "env", "seeds", "status", "step", "steps", "created")
    shown = [{**run, "status": _status(run)} for run in runs]
    console.print_table("", columns, [[run[key] for key in columns] for run in shown])


def _status(run: Mapping[str, Any]) -> str:
    """Format the status of a run, and the number of its failed seeds."""
    if run["error"]:
        return f"failed: {run['error']['kind'] or 'a value was refused'}"
    return f"{run['status']}, {len(run['failed'])} failed" if run["failed"] else str(run["status"])


COMMAND = Command(act, (0, 1), examples=("list", "list agents", "list gymnasium", "list runs"))
