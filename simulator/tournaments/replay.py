"""Plays a stored tournament again in a lab of its own, and compares every number of every cell."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator import tables
from simulator.catalog import existing
from simulator.repro import changed
from simulator.tournaments import host, verdict
from simulator.tournaments.cell_store import Cell, CellStore, Slot
from simulator.tournaments.command import named
from simulator.tournaments.config import from_toml
from simulator.tournaments.plan import cells_of
from simulator.tournaments.workers import workers_of

NUMBERS = ("scores", "second", "steps", "curve")


def again(name: str, lab: str, workers: str = "0") -> dict[str, Any]:
    """Play every cell of a stored tournament that ended well once more.

    Returns:
        The JSON object of ``engram repro``: ``difference`` is None, or the first cell that came out otherwise with the
        number that did; ``versions`` are the distributions that changed since, as [then, now].

    Raises:
        ValueError: there is no such tournament, or nobody can play it any more.
    """
    with CellStore(existing(lab)) as store, tempfile.TemporaryDirectory(prefix="engram-") as folder:
        record = store.find(named(store, name))
        config = from_toml(record.settings, f"settings of {record.name}")
        with CellStore(folder) as other:
            for last in host.play(config, other, lambda n: workers_of(workers, n)):
                found = last.tournament
            theirs = _cells(other, other.find(found).plan)
        mine = {slot: cell for slot, cell in _cells(store, record.plan).items() if cell.status == "done"}
        words = {(pair["key"], span): verdict.named(record.plan, pair) for pair, span in cells_of(record.plan)}
    difference = next((each for slot in mine if (each := _compared(slot, mine[slot], theirs, words[slot]))), None)
    versions = {name: now for cell in mine.values() for name, now in changed(cell.versions).items()}
    compared = {"cells": len(mine), "numbers": sum(cell.scores.size + cell.curve.size for cell in mine.values())}
    return {
        "tournament": record.name,
        "identical": difference is None,
        "compared": compared,
        "difference": difference,
        "versions": versions,
    }


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    compared, found = outcome["compared"], outcome["difference"]
    if found is None:
        numbers = f"{compared['numbers']:,} scores of {compared['cells']:,} cells"
        tables.tell(f"{outcome['tournament']}: identical, {numbers}, bit for bit")
    else:
        place = f"{found['contestant']} in {found['challenge']}, seeds from {found['first_seed']}"
        tables.tell(f"{outcome['tournament']}: first differs in {place}: {found['what']}")
    for name, (then, now) in outcome["versions"].items():
        tables.tell(f"  {name} was {then}, now {now}")


def _cells(store: CellStore, plan: Mapping[str, Any]) -> dict[Slot, Cell]:
    """The cells of a plan, in its order."""
    known = store.cells([pair["key"] for pair in plan["pairs"]])
    slots = [(pair["key"], span) for pair, span in cells_of(dict(plan))]
    return {slot: known[slot] for slot in slots if slot in known}


def _compared(slot: Slot, mine: Cell, theirs: Mapping[Slot, Cell], words: Mapping[str, str]) -> dict[str, Any] | None:
    other = theirs.get(slot)
    if other is None:
        what = "it is another cell now: a player's file or this distribution has changed"
    elif other.status != "done":
        what = f"it failed: {other.reason}"
    else:
        wrong = [name for name in NUMBERS if not _same(getattr(mine, name), getattr(other, name))]
        what = f"other {', '.join(wrong)}" if wrong else ""
    return {**words, "first_seed": slot[1][0], "what": what} if what else None


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))
