"""What tournaments there are: those that come with this distribution, and those of a lab."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from simulator import console
from simulator.config.codec import stored_notes
from simulator.config.tournament import TournamentConfig
from simulator.store.cell_store import CellStore
from simulator.store.database import NAME
from simulator.store.lab import existing, is_written


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
    """What people should know of a stored tournament's settings."""
    with CellStore(existing(lab)) as store:
        record = store.find(named(store, name))
    return stored_notes(TournamentConfig, record)


def named(store: CellStore, name: str) -> str:
    """A tournament's id, of that id or of "latest"."""
    known = store.tournaments()
    return known[0].name if name == "latest" and known else name
