"""``engram repair``: copy everything with valid checksums from a damaged lab into a new one, and list the losses.

The old lab is only read. A run is recovered

* as it is, where its rows and its checkpoints' records are whole in the database;
* else from its folder: the newest checkpoint that its journal proves whole, with the rows of the journal, or with those
  that are left of the database; it can be resumed, to the bits of an undisturbed run;
* else from its settings alone, where rows and checkpoints are lost: it begins again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simulator import console
from simulator.core.files.escaping import checked_name, visible
from simulator.store import checkpoints, journal
from simulator.store import rows as tables
from simulator.store.cell_store import TournamentRow
from simulator.store.checkpoints import Damaged, Written, file_of, sync_folder
from simulator.store.database import NAME, Database, columns_of, key_of, translated
from simulator.store.lab import check_can_be_lab, is_written_here, prepare
from simulator.store.lab_files import open_own
from simulator.store.records import StoreError
from simulator.store.rows import COUNTED, CheckpointRow, ExperimentRow
from simulator.store.run_store import KEEP
from simulator.store.salvage import Row, Salvaged, salvage

_N_BEGUN = ExperimentRow._fields.index("step")  # columns of a run's row that say what it is


@dataclass
class _Found:
    """A recovered run."""

    row: ExperimentRow
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    points: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    metrics: list[Row] = field(default_factory=list)
    source: str = "database"  # or journal, or settings
    lost: list[str] = field(default_factory=list)


class _Way(NamedTuple):
    """A whole checkpoint and the journal entries of its rows."""

    number: int
    row: ExperimentRow  # what its file says of the run
    entries: list[journal.JournalEntry]  # of the journal, the oldest first
    complete: bool  # whether they go back to the beginning


def repair(lab: str, into: str) -> dict[str, Any]:
    """Copy everything whole in a lab into a new one.

    Args:
        lab: the damaged one; it stays as it is.
        into: folder of the new one, which is not there yet or empty.

    Returns:
        The JSON object of the command: ``lab``, ``into``; ``database``: what is wrong with it, None where nothing is;
        ``runs``: ``{run, agent, env, step, steps, status, from, points, evaluations, lost}`` for each that was
        recovered, ``lost`` a line for everything that was not; ``lost_runs``: ``{run, reason}``; ``tournaments``:
        ``{tournament, label, cells, planned}``; ``cells``: of tournaments, that were recovered.

    Raises:
        ValueError: there is no such lab, some process writes to it, or the new place is taken; one line.
    """
    old = Path(lab)
    new = Path(checked_name(into, "-o", most=4096))
    _check(old, new)
    with translated(new):
        new.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".engram-repair-", dir=new.parent) as aside:
            scratch = Path(aside) / "scratch"
            made = Path(aside) / "lab"
            scratch.mkdir()
            salvaged = salvage(old, scratch)
            found, gone = _runs(old, salvaged)
            tournaments = _tournaments(salvaged)
            _write(old, made, found, salvaged)
            sync_folder(made)
            made.replace(new)
            sync_folder(new.parent)
    runs = [
        {
            **{"run": f"r{each.row.id}", "agent": each.row.agent, "env": each.row.env},
            **{"step": each.row.step, "steps": each.row.steps, "status": each.row.status, "from": each.source},
            **{"points": len(each.points), "evaluations": len(each.evaluations), "lost": each.lost},
        }
        for each in found
    ]
    answer = {"lab": str(old), "into": str(new), "database": salvaged.fault or None, "runs": runs, "lost_runs": gone}
    return {**answer, "tournaments": tournaments, "cells": len(salvaged.rows["cells"])}


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    wrong = outcome["database"]
    console.print_result(visible(f"database of {outcome['lab']}: {wrong or 'whole'}"))
    for run in outcome["runs"]:
        what = (
            f"{run['run']}: {run['agent']} in {run['env']}, step {run['step']:,} of {run['steps']:,}, {run['status']}"
        )
        rows = f"{run['points']:,} curve points and {run['evaluations']:,} evaluations, from the {run['from']}"
        console.print_result(visible(f"{what}; {rows}; {'; '.join(run['lost']) or 'nothing is lost'}"))
    for run in outcome["lost_runs"]:
        console.print_result(visible(f"{run['run']} is lost: {run['reason']}"))
    for each in outcome["tournaments"]:
        lost = each["planned"] - each["cells"]
        again = f", the others are played again by engram resume {each['tournament']}" if lost else ""
        console.print_result(visible(f"{each['tournament']}: {each['cells']:,} of {each['planned']:,} cells{again}"))
    console.print_result(visible(f"next: engram list runs --lab {outcome['into']}"))


def _check(old: Path, new: Path) -> None:
    """Check both folders."""
    check_can_be_lab(old)
    if not os.path.islink(new):
        check_can_be_lab(new)
    if not old.is_dir():
        raise StoreError(f"lab {old}: there is no such folder, expected one with a lab in it")
    if not any((old / name).exists() for name in (NAME, f"{NAME}-wal", "runs")):
        raise StoreError(f"lab {old}: there is no lab in it, expected {NAME} or runs")
    if Path(os.path.realpath(new)).is_relative_to(os.path.realpath(old)):
        raise StoreError(f"-o {new}: it is in the lab that is repaired, expected another place")
    if new.is_symlink() or (new.exists() and (not new.is_dir() or any(new.iterdir()))):
        raise StoreError(f"-o {new}: something is there already, expected a folder that is not there yet, or empty")
    for folder in (*_folders(old).values(), old / "cells"):
        if is_written_here(folder):
            raise StoreError(f"lab {old}: {folder.name} is being written, expected a lab that nobody uses")


def _folders(lab: Path) -> dict[int, Path]:
    """Return the folders of runs by number."""
    found = {path.name: path for path in sorted((lab / "runs").glob("r*")) if path.is_dir()}
    return {int(name[1:]): path for name, path in found.items() if tables.RUN_ID.fullmatch(name)}


def _runs(lab: Path, salvaged: Salvaged) -> tuple[list[_Found], list[dict[str, str]]]:
    """Recover runs; return those that were recovered and those that were not."""
    rows = _newest_rows(salvaged)
    by_run = {table: _by_run(salvaged.rows[table]) for table in ("checkpoints", *COUNTED)}
    folders = _folders(lab)
    found = list[_Found]()
    gone = list[dict[str, str]]()
    for number in sorted({*rows, *folders, *(run for each in by_run.values() for run in each)}):
        folder = folders.get(number, lab / "runs" / f"r{number}")
        own = {table: each.get(number, []) for table, each in by_run.items()}
        try:
            one = _run(number, folder, rows.get(number), own)
        except _Lost as lost:
            if str(lost):
                gone.append({"run": f"r{number}", "reason": str(lost)})
            continue
        found.append(one)
    return found, gone


class _Lost(Exception):  # noqa: N818 - it says what became of a run
    """A run cannot be recovered; without a reason there was none."""


def _newest_rows(salvaged: Salvaged) -> dict[int, ExperimentRow]:
    """Return the rows of runs; of several versions of a run the furthest."""
    found: dict[int, ExperimentRow] = {}
    for values in salvaged.rows["experiments"]:
        row = ExperimentRow(*values)
        if row.id not in found or (row.checkpoint, row.step) > (found[row.id].checkpoint, found[row.id].step):
            found[row.id] = row
    return found


def _by_run(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _run(number: int, folder: Path, row: ExperimentRow | None, own: Mapping[str, list[Row]]) -> _Found:
    """Recover one run.

    Raises:
        _Lost: nothing of it can be recovered.
    """
    known = journal.Journal(None, ())
    with suppress(OSError):  # it is no file, or cannot be read: as if there were none
        known = journal.read(folder) if folder.is_dir() else known
    records = _records(own["checkpoints"])
    newest = _newest(folder, known)
    if row is not None and (newest is None or newest.number <= row.checkpoint or not newest.complete):
        rows = {table: _counted(table, own[table], records, row.checkpoint) for table in COUNTED}
        if _is_whole(row, rows, records):
            return _as_it_is(row, rows, records, folder)
    if newest is not None:
        furthest = max(row.checkpoint if row else 0, *(each.number for each in known.entries))
        return _from_folder(number, folder, own, newest, furthest)
    begun = row or (ExperimentRow(**known.run) if known.run else None)
    if begun is None:
        n_files = len(list(folder.glob("checkpoint-*.safetensors"))) if folder.is_dir() else 0
        beside = f", beside {n_files} checkpoint{'s' * (n_files != 1)} without a record of them" if n_files else ""
        raise _Lost(f"what it is was in the database alone{beside}" if n_files or any(own.values()) else "")
    return _anew(begun, folder, own, records)


def _records(rows: Iterable[Row]) -> dict[int, CheckpointRow]:
    """Return the records of checkpoints by number; of several versions the quarantined one."""
    found: dict[int, CheckpointRow] = {}
    for each in sorted((CheckpointRow(*values) for values in rows), key=lambda each: each.quarantined):
        found[each.number] = each
    return found


def _counted(table: str, rows: Iterable[Row], records: Mapping[int, CheckpointRow], until: int) -> list[Row]:
    """Return the rows up to a checkpoint, without those of quarantined checkpoints."""
    quarantined = {number for number, each in records.items() if each.quarantined}
    names = [column.name for column in columns_of(table)]
    keys = [names.index(name) for name in key_of(table)]
    found: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda each: int(each[1])):
        if row[1] <= until and row[1] not in quarantined:
            found[tuple(row[k] for k in keys)] = row
    return list(found.values())


def _is_whole(row: ExperimentRow, rows: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow]) -> bool:
    """Return whether the database has everything that a run's row says there is."""
    counts = all(len(rows[table]) == row._asdict()[table] for table in COUNTED)
    return counts and (row.checkpoint in records or not row.checkpoint)


def _as_it_is(
    row: ExperimentRow, rows: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow], folder: Path
) -> _Found:
    """Recover a run that is complete in the database; its checkpoint files may be damaged."""
    known = sorted((each for each in records.values() if each.number <= row.checkpoint), key=lambda each: each.number)
    wanted = [each for each in known if not each.quarantined][-KEEP:]  # pages can hold the records of replaced ones
    whole = [each for each in wanted if _is_file(folder, each.number, each.written())]
    kept = [each for each in known if each.quarantined or each in wanted]
    found = _Found(row, kept, rows["points"], rows["evaluations"], rows["metrics"])
    damaged = sorted({each.number for each in wanted} - {each.number for each in whole})
    if damaged:
        found.lost.append(f"checkpoint {' '.join(map(str, damaged))} is damaged or gone")
    if row.checkpoint and not whole:
        found.lost.append("no checkpoint is whole: it can be shown and reported, not resumed")
    elif whole and whole[-1].number < row.checkpoint:
        step = max(whole, key=lambda each: each.number).step
        found.lost.append(f"it goes on from step {step:,}, as it would have in the old lab")
    return found


def _is_file(folder: Path, number: int, written: Written) -> bool:
    """Return whether a checkpoint file matches its record."""
    try:
        checkpoints.verify(file_of(folder, number), written)
    except (Damaged, StoreError):
        return False
    return True


def _newest(folder: Path, known: journal.Journal) -> _Way | None:
    """Find the newest checkpoint that a journal proves whole, preferably one with all its rows in the journal."""
    proven: dict[int, journal.JournalEntry] = {}
    for each in known.entries:
        if _is_file(folder, each.number, each.written):
            proven[each.number] = each
    ways = [_way(folder, proven[number], known) for number in sorted(proven, reverse=True)]
    return next((way for way in ways if way.complete), ways[0] if ways else None)


def _way(folder: Path, last: journal.JournalEntry, known: journal.Journal) -> _Way:
    """Collect a checkpoint's journal entries back to the beginning, as far as they are whole."""
    entries = [last]
    while entries[0].parent:
        before = [each for each in known.entries if each.number == entries[0].parent]
        if not before:
            break
        entries.insert(0, before[-1])
    own = checkpoints.about(file_of(folder, last.number))
    row = ExperimentRow(**{name: own[name] for name in ExperimentRow._fields})
    return _Way(last.number, row, entries, not entries[0].parent)


def _from_folder(
    number: int,
    folder: Path,
    own: Mapping[str, list[Row]],
    newest: _Way,
    furthest: int,
) -> _Found:
    """Recover a run from its folder, whose newest whole checkpoint is proven by the journal."""
    base = newest.row
    found = _Found(base, source="journal")
    found.points = [
        each for entry in newest.entries for each in tables.of_points(number, entry.number, entry.rows.points)
    ]
    found.evaluations = [
        tables.of_evaluation(number, entry.number, each) for entry in newest.entries for each in entry.rows.evaluations
    ]
    found.metrics = [
        tables.of_metric(number, entry.number, each) for entry in newest.entries for each in entry.rows.metrics
    ]
    result = json.loads(base.result)
    if not newest.complete:
        for table in COUNTED:
            rows = _counted(table, [*own[table], *getattr(found, table)], {}, newest.number)
            setattr(found, table, rows)
        loss = f"rows from before step {base.step:,} are lost: {len(found.points):,} curve points and "
        loss += f"{len(found.evaluations):,} evaluations are left"
        found.source = "database and the journal"
        result = {**(result or {}), "lost": loss}
        found.row = base = base._replace(exact=0)
        found.lost.append(loss)
    found.row = base._replace(
        status=base.status if base.status == "done" else "interrupted",
        checkpoint=newest.number,
        points=len(found.points),
        evaluations=len(found.evaluations),
        metrics=len(found.metrics),
        result=json.dumps(result),
    )
    found.checkpoints = list(_proven(number, folder, newest))
    if furthest > newest.number:
        found.lost.append(f"what came after step {base.step:,}: it goes on from there")
    return found


def _proven(run: int, folder: Path, newest: _Way) -> Iterable[CheckpointRow]:
    """Return the records of the whole checkpoints up to the newest."""
    for each in newest.entries:
        if not _is_file(folder, each.number, each.written):
            continue
        own = checkpoints.about(file_of(folder, each.number))
        times = {name: own[name] for name in ("step", "seconds", "cpu_seconds", "exact")}
        yield CheckpointRow(experiment=run, number=each.number, **times, **each.written._asdict())


def _anew(
    begun: ExperimentRow, folder: Path, own: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow]
) -> _Found:
    """Recover a run of which only the settings are left; it starts again at step 0."""
    label = (json.loads(begun.result) or {}).get("label")
    result = json.dumps({"label": label} if label else None)
    row = ExperimentRow(*begun[:_N_BEGUN])._replace(status="interrupted", result=result)
    found = _Found(row, source="settings")
    rows = sum(len(own[table]) for table in COUNTED)
    n_files = len(list(folder.glob("checkpoint-*.safetensors"))) if folder.is_dir() else 0
    if records or rows or n_files or begun.checkpoint:
        found.lost.append(f"no checkpoint is whole and rows are lost ({rows:,} are left): it begins again at step 0")
    return found


def _tournaments(salvaged: Salvaged) -> list[dict[str, Any]]:
    """Recover tournaments; their rows, and those of cells, are deduplicated."""
    for table, age in (("tournaments", "seconds"), ("cells", "created")):
        names = [column.name for column in columns_of(table)]
        at = names.index(age)
        keys = [names.index(name) for name in key_of(table)]
        rows = sorted(salvaged.rows[table], key=lambda row: row[at])
        salvaged.rows[table][:] = list({tuple(row[k] for k in keys): row for row in rows}.values())
    there = {row[:3] for row in salvaged.rows["cells"]}
    recovered = []
    for values in sorted(salvaged.rows["tournaments"]):
        row = TournamentRow(*values)
        planned = {(pair["key"], *span) for pair in json.loads(row.plan)["pairs"] for span in pair["spans"]}
        n_cells = len(planned & there)
        recovered.append({"tournament": f"t{row.id}", "label": row.label, "cells": n_cells, "planned": len(planned)})
    return recovered


def _write(old: Path, made: Path, found: Iterable[_Found], salvaged: Salvaged) -> None:
    """Make the new lab."""
    db = Database(prepare(made))
    try:
        with db.writing():
            for each in found:
                db.insert("experiments", [each.row])
                db.insert("checkpoints", each.checkpoints)
                for table in COUNTED:
                    db.insert(table, getattr(each, table))
            for table in ("tournaments", "cells"):
                db.insert(table, salvaged.rows[table])
    finally:
        db.close()
    (made / "runs").mkdir(exist_ok=True)
    for each in found:
        theirs, ours = (lab / "runs" / f"r{each.row.id}" for lab in (old, made))
        ours.mkdir()
        if each.source == "settings":
            journal.begin(ours, each.row._asdict())
        else:
            names = [file_of(theirs, one.number).name for one in each.checkpoints]
            for name in (*names, journal.NAME):
                with suppress(FileNotFoundError):
                    shutil.copyfile(theirs / name, ours / name)
                    _sync(ours / name)
        sync_folder(ours)
    sync_folder(made / "runs")


def _sync(path: Path) -> None:
    with open_own(path, "rb") as file:
        os.fsync(file.fileno())
