"""What tournaments there are: those that come with this distribution, and those of a lab."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.config.renames import notes_of
from simulator.config.run import parse, read
from simulator.config.tournament import assemble
from simulator.config.validation import ConfigSource
from simulator.core import registry
from simulator.core.files.reading import is_path
from simulator.store.cell_store import CellStore
from simulator.store.database import NAME
from simulator.store.lab import existing, is_written

PRESETS = Path(__file__).parents[1] / "config" / "tournament_presets"
EXAMPLE = "example"


def preset(name: str) -> ConfigSource:
    """The settings of a tournament that comes with this distribution; of a file where it is written as a path.

    Raises:
        ValueError: there is none of that name, or the file cannot be read.
    """
    if is_path(name):
        return read(name)
    known = name.replace("_", "-")
    if known not in presets():
        raise ValueError(registry.unknown_name_message("tournament preset", name, presets(), "engram list presets"))
    return parse((PRESETS / f"{known}.toml").read_text("utf-8"), f"preset {name}")


def presets() -> dict[str, str]:
    """Name -> the first line of every tournament that comes with this distribution."""
    texts = {path.stem: path.read_text("utf-8") for path in sorted(PRESETS.glob("*.toml")) if path.stem != EXAMPLE}
    return {name: text.splitlines()[0].removeprefix("# ").rstrip(".") for name, text in texts.items()}


def listed(lab: str) -> list[dict[str, Any]]:
    """Every tournament of a lab, newest first, for ``engram list tournaments``."""
    if not os.path.exists(os.path.join(lab, NAME)):
        return []
    with CellStore(lab) as store:
        return [
            {
                "tournament": each.name,
                "label": each.label,
                "contestants": [one["label"] for one in each.plan["contestants"]],
                "challenges": [one["label"] for one in each.plan["challenges"]],
                "cells": sum(len(pair["spans"]) for pair in each.plan["pairs"]),
                "status": "killed" if each.status == "running" and not is_written(store.lab / "cells") else each.status,
                "created": each.created,
            }
            for each in store.tournaments()
        ]


def show_listed(found: Sequence[dict[str, Any]]) -> None:
    """Print them for people."""
    if not found:
        console.print_result("there are no tournaments yet: engram tournament --init")
        return
    columns = ("tournament", "label", "contestants", "challenges", "cells", "status", "begun")
    rows = [list(each.values()) for each in found]
    rows = [[" ".join(value) if isinstance(value, list) else value for value in row] for row in rows]
    console.print_table("", columns, rows)


def stored(name: str, lab: str) -> dict[str, Any]:
    """What a stored tournament came to."""
    from simulator.tournaments import summary

    with CellStore(existing(lab)) as store:
        return summary.summary(store, named(store, name))


def settings_notes(name: str, lab: str) -> list[str]:
    """What people should know of a stored tournament's settings; see :func:`simulator.config.renames.notes_of`."""
    with CellStore(existing(lab)) as store:
        record = store.find(named(store, name))
    return notes_of(assemble, "tournament", record.settings, f"settings of {record.name}", record.versions)


def named(store: CellStore, name: str) -> str:
    """A tournament's id, of that id or of "latest"."""
    known = store.tournaments()
    return known[0].name if name == "latest" and known else name
