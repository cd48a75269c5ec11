"""Small tournaments, run to their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulator.config.tournament import build
from simulator.core.snapshots import TournamentSnapshot
from simulator.store.cell_store import CellStore
from simulator.tournaments import loop as tournament
from simulator.tournaments import summary
from simulator.tournaments.workers.base import Workers
from simulator.tournaments.workers.local import Here

BREAKING = "tests.helpers.breaking_agent"
AGENTS: dict[str, Any] = {"q": {"name": "q_learning"}, "td": {}, "walk": {"name": "random_walk"}}
ENVS: dict[str, Any] = {"six": {"name": "rooms", "layout": "six"}, "four": {"name": "rooms", "layout": "four"}}
SMALL: dict[str, Any] = {"seeds": 3, "steps": 400, "eval_every": 200, "eval_episodes": 5, "n_bootstrap": 100}
TIMES = ("seconds", "cpu_seconds", "created", "store_seconds", "machine")


def small(**changes: Any) -> dict[str, Any]:
    """Return settings of a tournament of six cells."""
    return {**SMALL, "agent": AGENTS, "env": ENVS, **changes}


def play(lab: Path, values: dict[str, Any], *, workers: Any = Here, **more: Any) -> TournamentSnapshot:
    """Run a tournament to its end and return the last snapshot."""
    with CellStore(lab) as store:
        for last in tournament.play(build(values), store, lambda n: workers(), **more):  # noqa: B007
            pass
    return last


def summary_of(lab: Path, name: str = "t1") -> dict[str, Any]:
    """Return the summary of a tournament without times and machines."""
    with CellStore(lab) as store:
        found = summary.summary(store, name)
    return {key: value for key, value in found.items() if key not in TIMES}


def numbers(lab: Path, name: str = "t1") -> dict[Any, Any]:
    """Return every number of every cell of a tournament."""
    with CellStore(lab) as store:
        plan = store.find(name).plan
        cells = store.cells([pair["key"] for pair in [*plan["pairs"], *plan["references"]]])
    return {
        slot: (cell.status, cell.reason, *(array.tobytes() for array in cell[4:8]), _facts(cell.facts))
        for slot, cell in cells.items()
    }


def _facts(facts: dict[str, Any]) -> str:
    return repr({key: value for key, value in facts.items() if key not in TIMES})


__all__ = ["AGENTS", "BREAKING", "ENVS", "SMALL", "Workers", "numbers", "play", "small", "summary_of"]
