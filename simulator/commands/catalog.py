"""What there is: players, presets and runs for ``engram list``, and one of them in full for ``engram show``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.parser import format_value
from simulator.config import presets
from simulator.config.validation import Setting, describe, nested_fields, settings
from simulator.core import registry

KINDS = (*registry.FOLDERS, "runs", "tournaments", "presets")
SHOWN = tuple(kind for kind in KINDS if kind != "components" or registry.names(kind))  # there may be none of them


def listing(kind: str | None, lab: str) -> dict[str, Any]:
    """Every name of a kind, or of all kinds of players.

    Raises:
        ValueError: there is no such kind, or the lab cannot be read.
    """
    if kind is None:
        return {each: _players(each) for each in registry.FOLDERS if each in SHOWN}
    if kind not in KINDS:
        raise ValueError(registry.unknown_name_message("list", kind, KINDS, f"expected one of {', '.join(SHOWN)}"))
    if kind == "runs":
        return {"runs": _runs(lab)}
    if kind == "tournaments":
        from simulator.commands import tournament_listing as listing

        return {"tournaments": listing.listed(lab)}
    if kind == "presets":
        found, failed = presets.every()
        for line in failed:
            console.print_status(f"engram: {line}")
        return {
            "presets": [dataclasses.asdict(each) for each in found],
            "memory_presets": _memory_presets(),
            "tournament_presets": presets.tournaments(),
        }
    return {kind: _players(kind)} | ({"gymnasium": _gymnasium()} if kind == "envs" else {})


def show_listing(listed: Mapping[str, Any]) -> None:
    """Print a listing for people."""
    if "runs" in listed:
        _show_runs(listed["runs"])
    elif "tournaments" in listed:
        from simulator.commands import tournament_listing as listing

        listing.show_listed(listed["tournaments"])
    elif "presets" in listed:
        columns = ("preset", "agent", "env", "steps", "about")
        rows = [[each[key] if key != "preset" else each["name"] for key in columns] for each in listed["presets"]]
        console.print_table("", columns, rows)
        console.print_result("engram run --preset NAME plays one of them\n")
        rows = [[each["name"], each["memory"], each["about"]] for each in listed["memory_presets"]]
        console.print_table("", ("preset", "memory", "about"), rows)
        console.print_result("engram recall NAME CHALLENGE lets one of them compete\n")
        console.print_table("", ("preset", "about"), list(listed["tournament_presets"].items()))
        console.print_result("engram tournament --preset NAME plays one of them")
    for kind in registry.FOLDERS:
        if listed.get(kind):
            console.print_table(kind, ("name", "about"), [(each["name"], each["about"]) for each in listed[kind]])
        elif kind in listed and len(listed) == 1:
            console.print_result(f"there are no {kind} yet")
    if "envs" in listed:
        count = f"{len(listed['gymnasium'])} ids are installed; " if "gymnasium" in listed else ""
        console.print_result(
            f"and every Gymnasium id, such as CartPole-v1 ({count}engram list environments --json names them)"
        )


def entry(name: str, lab: str) -> dict[str, Any]:
    """A player or a run in full.

    Raises:
        ValueError: nothing has that name.
    """
    registry.check_can_be_name(name, "name")
    found = [registry.load(kind, name) for kind in registry.FOLDERS if name.replace("-", "_") in _plain_names(kind)]
    if found:
        return {"name": found[0].name, "players": [_player(each) for each in found]}
    if is_tournament(name, lab):
        from simulator.commands import tournament_listing as listing

        return {**listing.stored(name, lab), "settings_notes": listing.settings_notes(name, lab)}
    if (summary := _run(name, lab)) is not None:
        return summary
    known = [each for kind in registry.FOLDERS for each in registry.names(kind)]
    for kind in ("agents", "envs"):
        try:
            return {"name": name, "players": [_player(registry.load(kind, name))]}
        except registry.UnknownNameError:
            known += registry.candidates(kind)
    raise ValueError(
        registry.unknown_name_message("name", name, [*known, *_run_ids(lab), "latest"], "engram list, engram list runs")
    )


def show_entry(found: Mapping[str, Any]) -> None:
    """Print a player for people."""
    for player in found["players"]:
        console.print_result(
            f"{player['name']}, {registry.SINGULAR[player['kind']]}, {player['file']}\n\n{player['doc']}\n"
        )
        rows = [(each["name"], each["default"], each["expected"], each["about"]) for each in player["settings"]]
        if rows:
            console.print_table("settings", ("name", "default", "expected", "about"), rows)


def _players(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "about": registry.about(kind, name)} for name in registry.names(kind)]


def _memory_presets() -> list[dict[str, Any]]:
    rows = []
    for name, (player, own) in presets.memory_presets().items():
        about = str(player.module.PRESETS[name].get("description", ""))
        rows.append({"name": name, "memory": player.name, "about": about, "settings": own})
    return rows


def _plain_names(kind: str) -> set[str]:
    return {name.replace("-", "_") for name in registry.names(kind)}


def _gymnasium() -> list[str]:
    """Every registered Gymnasium id but ours."""
    import gymnasium

    return sorted(each for each in gymnasium.registry if not each.startswith("engram/"))


def _player(player: registry.Plugin) -> dict[str, Any]:
    return {
        "kind": player.kind,
        "name": player.name,
        "file": getattr(player.module, "__file__", None),
        "doc": inspect.getdoc(player.module) or "",
        "settings": _flat(settings(player.Config), ""),
    }


def _flat(known: list[Setting], prefix: str) -> list[dict[str, str]]:
    """Settings as rows; those of a table within under its name and a dot."""
    rows: list[dict[str, str]] = []
    for setting in known:
        name, hint, default, doc = setting
        if dataclasses.is_dataclass(hint):
            rows += _flat(nested_fields(setting), f"{prefix}{name}.")
        else:
            form = {"name": prefix + name, "default": format_value(default), "expected": describe(hint), "about": doc}
            rows.append(form)
    return rows


def is_tournament(name: str, lab: str) -> bool:
    """Whether that is a tournament of the lab; "latest" is whatever was begun last."""
    from simulator.store import cell_store

    return cell_store.is_tournament(name, lab)


def _runs(lab: str) -> list[dict[str, Any]]:
    if not Path(lab).exists():
        return []
    from simulator.store.run_store import Store

    keys = ("run", "label", "agent", "env", "status", "step", "steps", "created", "seconds", "failed", "error")
    rows = []
    with Store(lab) as store:
        if told := store.forgotten():
            console.print_status(f"engram: {told}")
        for each in store.runs():
            row = {"seeds": len(each.seeds), **{key: getattr(each, key) for key in keys}}
            if each.status == "running" and not store.is_written(each.run):
                row["status"] = "killed"  # it could not say so itself
            rows.append(row)
    return rows


def _show_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        console.print_result("there are no runs yet; engram run q_learning rooms makes one")
        return
    labelled = ("label",) if any(each["label"] for each in runs) else ()
    columns = ("run", *labelled, "agent", "env", "seeds", "status", "step", "steps", "created")
    shown = [{**each, "status": _status(each)} for each in runs]
    console.print_table("", columns, [[each[key] for key in columns] for each in shown])


def _status(run: Mapping[str, Any]) -> str:
    """What became of a run, and of those seeds that failed in it."""
    if run["error"]:
        return f"failed: {run['error']['kind'] or 'a value was refused'}"
    return f"{run['status']}, {len(run['failed'])} failed" if run["failed"] else str(run["status"])


def _run_ids(lab: str) -> list[str]:
    return [each["run"] for each in _runs(lab)]


def _run(name: str, lab: str) -> dict[str, Any] | None:
    """The summary of a stored run, with its settings."""
    from simulator.store.lab import existing

    if name != "latest" and not Path(lab).exists():
        return None
    there = existing(lab)
    from simulator.config.codec import stored_notes
    from simulator.config.recall import RecallConfig, is_recall
    from simulator.config.run import RunConfig
    from simulator.recall import summary as recalls
    from simulator.store.run_store import Store
    from simulator.training import summary as results

    with Store(there) as store:
        if name != "latest" and not store.has(name):
            return None
        record = store.find(name)
        if is_recall(record.settings):
            notes = stored_notes(RecallConfig, record)
            found = recalls.summary(store, record.run)
        else:
            notes = stored_notes(RunConfig, record)
            found = results.summary(store, record.run)
        return {**found, "settings": record.settings, "settings_notes": notes}
