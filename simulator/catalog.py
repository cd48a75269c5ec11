"""What there is: players, presets and runs for ``engram list``, and one of them in full for ``engram show``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator import presets, tables
from simulator.arguments import written
from simulator.core import plugins
from simulator.settings import Setting, describe, settings, within

KINDS = (*plugins.FOLDERS, "runs", "tournaments", "presets")
SHOWN = tuple(kind for kind in KINDS if kind != "components" or plugins.names(kind))  # there may be none of them


def listing(kind: str | None, lab: str) -> dict[str, Any]:
    """Every name of a kind, or of all kinds of players.

    Raises:
        ValueError: there is no such kind, or the lab cannot be read.
    """
    if kind is None:
        return {each: _players(each) for each in plugins.FOLDERS if each in SHOWN}
    if kind not in KINDS:
        raise ValueError(plugins.unknown("list", kind, KINDS, f"expected one of {', '.join(SHOWN)}"))
    if kind == "runs":
        return {"runs": _runs(lab)}
    if kind == "tournaments":
        from simulator.tournaments import listing

        return {"tournaments": listing.listed(lab)}
    if kind == "presets":
        found, failed = presets.every()
        for line in failed:
            tables.say(f"engram: {line}")
        return {
            "presets": [dataclasses.asdict(each) for each in found],
            "memory_presets": _memory_presets(),
            **_tournament_presets(),
        }
    return {kind: _players(kind)} | ({"gymnasium": _gymnasium()} if kind == "worlds" else {})


def show_listing(listed: Mapping[str, Any]) -> None:
    """Print a listing for people."""
    if "runs" in listed:
        _show_runs(listed["runs"])
    elif "tournaments" in listed:
        from simulator.tournaments import listing

        listing.show_listed(listed["tournaments"])
    elif "presets" in listed:
        columns = ("preset", "agent", "world", "steps", "about")
        rows = [[each[key] if key != "preset" else each["name"] for key in columns] for each in listed["presets"]]
        tables.table("", columns, rows)
        tables.tell("engram run --preset NAME plays one of them\n")
        rows = [[each["name"], each["memory"], each["about"]] for each in listed["memory_presets"]]
        tables.table("", ("preset", "memory", "about"), rows)
        tables.tell("engram recall NAME CHALLENGE lets one of them compete\n")
        tables.table("", ("preset", "about"), list(listed["tournament_presets"].items()))
        tables.tell("engram tournament --preset NAME plays one of them")
    for kind in plugins.FOLDERS:
        if listed.get(kind):
            tables.table(kind, ("name", "about"), [(each["name"], each["about"]) for each in listed[kind]])
        elif kind in listed and len(listed) == 1:
            tables.tell(f"there are no {kind} yet")
    if "worlds" in listed:
        count = f"{len(listed['gymnasium'])} ids are installed; " if "gymnasium" in listed else ""
        tables.tell(f"and every Gymnasium id, such as CartPole-v1 ({count}engram list worlds --json names them)")


def entry(name: str, lab: str) -> dict[str, Any]:
    """A player or a run in full.

    Raises:
        ValueError: nothing has that name.
    """
    plugins.check_can_be_name(name, "name")
    found = [plugins.load(kind, name) for kind in plugins.FOLDERS if name.replace("-", "_") in _plain_names(kind)]
    if found:
        return {"name": found[0].name, "players": [_player(each) for each in found]}
    if is_tournament(name, lab):
        from simulator.tournaments import listing

        return {**listing.stored(name, lab), "settings_notes": listing.settings_notes(name, lab)}
    if (summary := _run(name, lab)) is not None:
        return summary
    known = [each for kind in plugins.FOLDERS for each in plugins.names(kind)]
    for kind in ("agents", "worlds"):
        try:
            return {"name": name, "players": [_player(plugins.load(kind, name))]}
        except plugins.UnknownNameError:
            known += plugins.candidates(kind)
    raise ValueError(plugins.unknown("name", name, [*known, *_run_ids(lab), "latest"], "engram list, engram list runs"))


def show_entry(found: Mapping[str, Any]) -> None:
    """Print a player for people."""
    for player in found["players"]:
        tables.tell(f"{player['name']}, {plugins.SINGULAR[player['kind']]}, {player['file']}\n\n{player['doc']}\n")
        rows = [(each["name"], each["default"], each["expected"], each["about"]) for each in player["settings"]]
        if rows:
            tables.table("settings", ("name", "default", "expected", "about"), rows)


def _players(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "about": plugins.about(kind, name)} for name in plugins.names(kind)]


def _memory_presets() -> list[dict[str, Any]]:
    from simulator.arena_config import memory_presets

    rows = []
    for name, (player, own) in memory_presets().items():
        about = str(player.module.TUNED[name].get("about", ""))
        rows.append({"name": name, "memory": player.name, "about": about, "settings": own})
    return rows


def _tournament_presets() -> dict[str, Any]:
    from simulator.tournaments import listing

    return {"tournament_presets": listing.presets()}


def _plain_names(kind: str) -> set[str]:
    return {name.replace("-", "_") for name in plugins.names(kind)}


def _gymnasium() -> list[str]:
    """Every registered Gymnasium id but ours."""
    import gymnasium

    return sorted(each for each in gymnasium.registry if not each.startswith("engram/"))


def _player(player: plugins.Player) -> dict[str, Any]:
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
            rows += _flat(within(setting), f"{prefix}{name}.")
        else:
            form = {"name": prefix + name, "default": written(default), "expected": describe(hint), "about": doc}
            rows.append(form)
    return rows


def is_tournament(name: str, lab: str) -> bool:
    """Whether that is a tournament of the lab; "latest" is whatever was begun last."""
    from simulator.tournaments import cell_store

    return cell_store.is_tournament(name, lab)


def _runs(lab: str) -> list[dict[str, Any]]:
    if not Path(lab).exists():
        return []
    from simulator.store import Store

    keys = ("run", "label", "agent", "world", "status", "step", "steps", "created", "seconds", "failed", "error")
    rows = []
    with Store(lab) as store:
        if told := store.forgotten():
            tables.say(f"engram: {told}")
        for each in store.runs():
            row = {"seeds": len(each.seeds), **{key: getattr(each, key) for key in keys}}
            if each.status == "running" and not store.is_written(each.run):
                row["status"] = "killed"  # it could not say so itself
            rows.append(row)
    return rows


def _show_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        tables.tell("there are no runs yet; engram run q_learning rooms makes one")
        return
    labelled = ("label",) if any(each["label"] for each in runs) else ()
    columns = ("run", *labelled, "agent", "world", "seeds", "status", "step", "steps", "created")
    shown = [{**each, "status": _status(each)} for each in runs]
    tables.table("", columns, [[each[key] for key in columns] for each in shown])


def _status(run: Mapping[str, Any]) -> str:
    """What became of a run, and of those seeds that failed in it."""
    if run["error"]:
        return f"failed: {run['error']['kind'] or 'a value was refused'}"
    return f"{run['status']}, {len(run['failed'])} failed" if run["failed"] else str(run["status"])


def _run_ids(lab: str) -> list[str]:
    return [each["run"] for each in _runs(lab)]


def _run(name: str, lab: str) -> dict[str, Any] | None:
    """The summary of a stored run, with its settings."""
    from simulator.lab import existing

    if name != "latest" and not Path(lab).exists():
        return None
    there = existing(lab)
    from simulator import arena_config, config, recalls, results
    from simulator.renames import notes_of
    from simulator.store import Store

    with Store(there) as store:
        if name != "latest" and not store.has(name):
            return None
        record = store.find(name)
        of_memories = arena_config.is_arena(record.settings)
        summary, assemble = (
            (recalls.summary, arena_config.assemble) if of_memories else (results.summary, config.assemble)
        )
        place = ("recall" if of_memories else "run", record.settings, f"settings of {record.run}", record.versions)
        notes = notes_of(assemble, *place)
        return {**summary(store, record.run), "settings": record.settings, "settings_notes": notes}
