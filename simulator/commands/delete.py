"""``engram delete``: runs, benchmarks, comparisons, tournaments and tunings, with all that a lab holds of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.commands.tune import what_of
from simulator.core.experiment_kinds import TUNE
from simulator.core.files.escaping import visible
from simulator.core.wording import plural
from simulator.store.cell_store import OF_CELLS, CellStore, TournamentRecord, kind_of
from simulator.store.lab import existing
from simulator.store.run_store import Store


class _Doomed(NamedTuple):
    """An experiment that is to be deleted."""

    name: str
    kind: str
    description: str
    size: int  # bytes


def act(args: ParsedArgs) -> CommandResult:
    """Delete what is named, after asking; the exit code is 1 where the answer is no."""
    lab = lab_of(args.options)
    with ExitStack() as held:
        store = held.enter_context(Store(existing(lab)))
        cells = held.enter_context(CellStore(lab))
        doomed = _doomed(args.names, lab, store, cells)
        if any(one.kind in OF_CELLS for one in doomed):
            held.enter_context(cells.hosting())
        for one in doomed:
            if one.kind not in OF_CELLS:
                store.hold(one.name)
        if not args.options.yes and not _confirmed(doomed):
            console.print_status("engram: nothing was deleted")
            return CommandResult({"deleted": [], "bytes": 0}, lambda data: None, 1)
        for one in doomed:
            (cells if one.kind in OF_CELLS else store).delete(one.name)
    deleted = [{"name": one.name, "kind": one.kind, "bytes": one.size} for one in doomed]
    return CommandResult({"deleted": deleted, "bytes": sum(one.size for one in doomed)}, _show)


def _doomed(names: Sequence[str], lab: str, store: Store, cells: CellStore) -> list[_Doomed]:
    """Find every named experiment, each once.

    Raises:
        StoreError: one of them does not exist, or is being written.
    """
    found: dict[str, _Doomed] = {}
    for name in names:
        kind = kind_of(lab, name)
        if kind in OF_CELLS:
            record = cells.find(cells.id_of(name, kind))
            size = cells.size_of_tournament(record.name)
            found[record.name] = _Doomed(record.name, kind, _described(record), size)
        else:
            run = store.find(name)
            seeds = plural(len(run.seeds), "seed")
            described = f"{run.agent} in {run.env}, {seeds}, {run.step:,} of {run.steps:,}"
            found[run.run] = _Doomed(run.run, run.kind, described, store.size_of(run.run))
    return list(found.values())


def _described(record: TournamentRecord) -> str:
    """Describe an experiment that is made of cells."""
    if record.kind == TUNE:
        return f"tuning of {what_of(record.settings)}, {len(record.plan['trials'])} trials"
    return f"tournament of {' '.join(one['label'] for one in record.plan['contestants'])}"


def _confirmed(doomed: Sequence[_Doomed]) -> bool:
    """Ask on the terminal.

    Raises:
        ValueError: there is none to ask on.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ValueError("there is no terminal to ask on: --yes deletes without asking (engram delete --help)")
    for one in doomed:
        console.print_status(f"{one.name}: {one.description}, {console.format_bytes(one.size)}")
    print(f"delete {len(doomed)} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(data: Mapping[str, Any]) -> None:
    names = " ".join(one["name"] for one in data["deleted"])
    console.print_result(visible(f"deleted {names}, {console.format_bytes(data['bytes'])}"))


COMMAND = Command(act, (1, 10_000), ("yes",), examples=("delete r1", "delete r2 t1 --yes"))
