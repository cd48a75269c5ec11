"""``engram prune``: drop what a lab no longer needs.

Every number that ``show``, ``report`` and ``reproduce`` read is a row of the database and stays, as does all that an
interrupted experiment continues from. What goes, of runs that are over, is the replay and all checkpoints but the
newest; cells that no tournament has in its plan any more; and what is left of deleted experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.core.experiment_kinds import RUN
from simulator.core.files.escaping import visible
from simulator.store import checkpoints
from simulator.store.cell_store import CellStore
from simulator.store.lab import existing
from simulator.store.records import RunRecord, StoreError
from simulator.store.run_store import FINISHED, Store


def act(args: ParsedArgs) -> CommandResult:
    """Drop it, or with ``--dry-run`` only say what would go."""
    dry_run = args.options.dry_run
    lab = existing(lab_of(args.options))
    freed: list[dict[str, Any]] = []
    skipped: list[str] = []
    with Store(lab) as store, CellStore(lab) as cells:
        for record in reversed(store.runs()):
            if record.status in FINISHED and not record.error:
                try:
                    freed += _prune_run(store, record, dry_run)
                except StoreError as error:
                    skipped.append(str(error))
        freed += _item("", "rests of deleted runs", store.sweep_deleted(dry_run=dry_run))
        freed += _prune_cells(cells, dry_run, skipped)
        if not dry_run:
            freed += _item("", "unused room of the database", store.compact())
    total = sum(item["bytes"] for item in freed)
    return CommandResult({"dry_run": dry_run, "freed": freed, "bytes": total, "skipped": skipped}, _show)


def _item(run: str, what: str, size: int) -> list[dict[str, Any]]:
    return [{"run": run or None, "what": what, "bytes": size}] if size else []


def _prune_run(store: Store, record: RunRecord, dry_run: bool) -> list[dict[str, Any]]:
    """Drop what a run that is over does not need.

    Raises:
        StoreError: a process writes it, or its newest checkpoint is not whole.
    """
    sizes = store.checkpoint_sizes(record.run)
    has_replay = record.kind == RUN and record.known("replay_dropped") is None
    if not sizes or (len(sizes) == 1 and not has_replay):
        return []
    *old, newest = sizes.values()
    freed = _item(record.run, "old checkpoints", sum(old))
    if dry_run:
        saved = store.newest(record.run) if has_replay else None
    else:
        store.take(record.run)
        try:
            saved = store.newest(record.run) if has_replay else None
            store.drop_old_checkpoints(record.run)
            if saved is not None and checkpoints.without_replay(saved.state) is not saved.state:
                store.drop_replay(record.run)
        finally:
            store.release(record.run)
    if saved is not None and checkpoints.without_replay(saved.state) is not saved.state:
        freed += _item(record.run, "replay", newest - len(checkpoints.packed(checkpoints.without_replay(saved.state))))
    return freed


def _prune_cells(cells: CellStore, dry_run: bool, skipped: list[str]) -> list[dict[str, Any]]:
    """Drop cells that no tournament needs, unless a tournament is running."""
    orphans = cells.orphans()
    size = cells.size_of(orphans)
    if not orphans and not (cells.lab / "cells").exists():
        return []
    try:
        with cells.hosting():
            freed = _item("", f"{len(orphans):,} cells of no tournament", size)
            if not dry_run:
                cells.delete_orphans()
            return freed + _item("", "checkpoints of cells", cells.sweep_unplanned(dry_run=dry_run))
    except StoreError as error:
        skipped.append(str(error))
        return []


def _show(data: Mapping[str, Any]) -> None:
    for line in data["skipped"]:
        console.print_result(visible(f"left as it is: {line}"))
    rows = [(item["run"], item["what"], console.format_bytes(item["bytes"])) for item in data["freed"]]
    if rows:
        console.print_table("", ("run", "what", "size"), rows)
    done = "would be freed" if data["dry_run"] else "freed"
    console.print_result(f"{console.format_bytes(data['bytes'])} {done}")


COMMAND = Command(act, (0, 0), ("dry_run",), examples=("prune --dry-run", "prune"))
