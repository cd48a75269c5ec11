"""Plays a stored tournament again in a lab of its own, and compares every number of every cell."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from simulator import console
from simulator.commands.reproduce import show_changes
from simulator.commands.tournament_listing import named
from simulator.config.codec import of_record
from simulator.config.tournament import TournamentConfig
from simulator.machine import differences
from simulator.store.cell_store import Cell, CellStore, Slot
from simulator.store.lab import existing
from simulator.store.run_records import changed
from simulator.tournaments import loop, summary
from simulator.tournaments.plan import cells_of
from simulator.tournaments.workers.local import workers_of

TIMES = ("store_seconds", "machine")  # facts that differ from time to time, and from place to place


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
        config = of_record(TournamentConfig, record)
        with CellStore(folder) as other:
            for last in loop.play(config, other, lambda n: workers_of(workers, n)):
                found = last.tournament
            theirs = _cells(other, other.find(found).plan)
        mine = _cells(store, record.plan)
    words = {pair["key"]: summary.named(record.plan, pair) for pair in record.plan["pairs"]}
    theirs_by_seed = {(key, seed): each for (key, _), cell in theirs.items() for seed, each in _by_seed(cell)}
    rows = [(key, seed, each) for (key, _), cell in mine.items() for seed, each in _by_seed(cell)]
    wrong = ((key, seed, _compared(each, theirs_by_seed.get((key, seed)))) for key, seed, each in rows)
    difference = next(({**words[key], "seed": seed, "what": what} for key, seed, what in wrong if what), None)
    versions = {name: now for cell in mine.values() for name, now in changed(cell.versions).items()}
    made_on = [[cell.facts["machine"] for cell in each.values() if "machine" in cell.facts] for each in (mine, theirs)]
    compared = {"cells": len(mine), "numbers": sum(len(each) for *_, each in rows)}
    return {
        "tournament": record.name,
        "identical": difference is None and bool(mine),
        "compared": compared,
        "difference": difference,
        "versions": versions,
        "machine": differences(made_on[0], made_on[1][0]) if made_on[1] else {},
    }


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    compared, found = outcome["compared"], outcome["difference"]
    if found is None:
        numbers = f"{compared['numbers']:,} numbers of {compared['cells']:,} cells"
        console.print_result(f"{outcome['tournament']}: identical, {numbers}, bit for bit")
    else:
        place = f"{found['contestant']} in {found['challenge']}, seed {found['seed']}"
        console.print_result(f"{outcome['tournament']}: first differs in {place}: {found['what']}")
    show_changes(outcome)


def _cells(store: CellStore, plan: Mapping[str, Any]) -> dict[Slot, Cell]:
    """The cells of a plan that ended well, in its order."""
    known = store.cells([pair["key"] for pair in plan["pairs"]])
    slots = [(pair["key"], span) for pair, span in cells_of(dict(plan))]
    return {slot: known[slot] for slot in slots if slot in known and known[slot].status == "done"}


def _by_seed(cell: Cell) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every number of a cell by seed; facts that are one for all seeds with each of them."""
    n = cell.span[1]
    for i, seed in enumerate(range(cell.span[0], sum(cell.span))):
        found: dict[str, Any] = {"score": cell.scores[i].tolist()}
        found |= {"second": cell.second[i].tolist()} if len(cell.second) else {}
        found |= {
            f"evaluation at {step:,}": value
            for step, value in zip(cell.steps.tolist(), cell.curve[i].tolist() if len(cell.steps) else [], strict=True)
        }
        for name, value in cell.facts.items():
            if name in TIMES:
                continue
            if name == "failed":
                found[name] = [each for each in value if each["seed"] == seed]
            else:
                found[name] = _of_seed(value, i, n)
        yield seed, found


def _of_seed(value: Any, i: int, n: int) -> Any:
    """What a fact says of seed number i of n: facts are one for all, or [S], or of both sides [2][S]."""
    if not isinstance(value, list):
        return value
    if len(value) == 2 and all(isinstance(side, list) and len(side) == n for side in value):
        return [side[i] for side in value]
    return value[i] if len(value) == n else value


def _compared(mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> str:
    """What differs, in words."""
    if theirs is None:
        return "it was not played: a player's file or this distribution has changed, or it failed"
    wrong = [name for name in mine if repr(mine[name]) != repr(theirs.get(name))]
    return f"other {', '.join(wrong)}" if wrong else ""
