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
from simulator.core.wording import plural
from simulator.store import checkpoints, journal
from simulator.store import rows as tables
from simulator.store.checkpoints import Damaged, Written, file_of, sync_folder
from simulator.store.database import NAME, Database, columns_of, key_of, translated
from simulator.store.lab import DELETED, check_can_be_lab, is_written_here, prepare
from simulator.store.lab_files import open_own
from simulator.store.records import StoreError
from simulator.store.rows import COUNTED, CheckpointRow, ExperimentRow, TournamentRow
from simulator.store.run_store import KEEP
from simulator.store.salvage import Row, Salvaged, salvage

_BEGUN = ExperimentRow._fields[: ExperimentRow._fields.index("step")]  # columns of a run's row that identify it


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


class _Candidate(NamedTuple):
    """A whole checkpoint and the journal entries of its rows."""

    number: int
    row: ExperimentRow  # the run's row, from its file
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
            new_lab = Path(aside) / "lab"
            scratch.mkdir()
            salvaged = salvage(old, scratch)
            recovered, gone = _runs(old, salvaged)
            tournaments = _tournaments(salvaged)
            _write(old, new_lab, recovered, salvaged)
            sync_folder(new_lab)
            new_lab.replace(new)
            sync_folder(new.parent)
    runs = [
        {
            **{"run": f"r{run.row.id}", "agent": run.row.agent, "env": run.row.env},
            **{"step": run.row.step, "steps": run.row.steps, "status": run.row.status, "from": run.source},
            **{"points": len(run.points), "evaluations": len(run.evaluations), "lost": run.lost},
        }
        for run in recovered
    ]
    answer = {"lab": str(old), "into": str(new), "database": salvaged.fault or None, "runs": runs, "lost_runs": gone}
    return {**answer, "tournaments": tournaments, "cells": len(salvaged.rows["cells"])}


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    fault = outcome["database"]
    console.print_result(visible(f"database of {outcome['lab']}: {fault or 'whole'}"))
    for run in outcome["runs"]:
        description = (
            f"{run['run']}: {run['agent']} in {run['env']}, step {run['step']:,} of {run['steps']:,}, {run['status']}"
        )
        rows = f"{run['points']:,} curve points and {run['evaluations']:,} evaluations, from the {run['from']}"
        console.print_result(visible(f"{description}; {rows}; {'; '.join(run['lost']) or 'nothing is lost'}"))
    for run in outcome["lost_runs"]:
        console.print_result(visible(f"{run['run']} is lost: {run['reason']}"))
    for tournament in outcome["tournaments"]:
        lost = tournament["planned"] - tournament["cells"]
        again = f", the others are played again by engram resume {tournament['tournament']}" if lost else ""
        console.print_result(
            visible(f"{tournament['tournament']}: {tournament['cells']:,} of {tournament['planned']:,} cells{again}")
        )
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
        raise StoreError(f"-o {new}: already exists, expected a new or an empty folder")
    for folder in (*_folders(old).values(), old / "cells"):
        if is_written_here(folder):
            raise StoreError(f"lab {old}: {folder.name} is being written, expected a lab that nobody uses")


def _folders(lab: Path) -> dict[int, Path]:
    """Return the folders of runs by number."""
    folders = {path.name: path for path in sorted((lab / "runs").glob("r*")) if path.is_dir()}
    return {int(name[1:]): path for name, path in folders.items() if tables.RUN_ID.fullmatch(name)}


def _runs(lab: Path, salvaged: Salvaged) -> tuple[list[_Found], list[dict[str, str]]]:
    """Recover runs; return those that were recovered and those that were not."""
    rows = _newest_rows(salvaged)
    by_run = {table: _by_run(salvaged.rows[table]) for table in ("checkpoints", *COUNTED)}
    folders = _folders(lab)
    recovered = list[_Found]()
    gone = list[dict[str, str]]()
    for number in sorted({*rows, *folders, *(run for own_rows in by_run.values() for run in own_rows)}):
        folder = folders.get(number, lab / "runs" / f"r{number}")
        run_tables = {table: own_rows.get(number, []) for table, own_rows in by_run.items()}
        if number not in rows and (folder / DELETED).exists():
            continue
        try:
            one = _run(number, folder, rows.get(number), run_tables)
        except _Lost as lost:
            if str(lost):
                gone.append({"run": f"r{number}", "reason": str(lost)})
            continue
        recovered.append(one)
    return recovered, gone


class _Lost(Exception):  # noqa: N818 - the name is the outcome of a run
    """A run cannot be recovered; without a reason there was none."""


def _newest_rows(salvaged: Salvaged) -> dict[int, ExperimentRow]:
    """Return the rows of runs; of several versions of a run the furthest."""
    newest: dict[int, ExperimentRow] = {}
    for values in salvaged.rows["experiments"]:
        row = ExperimentRow(*values)
        if row.id not in newest or (row.checkpoint, row.step) > (newest[row.id].checkpoint, newest[row.id].step):
            newest[row.id] = row
    return newest


def _by_run(rows: Iterable[Row]) -> dict[int, list[Row]]:
    by_run: dict[int, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row[0], []).append(row)
    return by_run


def _run(number: int, folder: Path, row: ExperimentRow | None, run_tables: Mapping[str, list[Row]]) -> _Found:
    """Recover one run.

    Raises:
        _Lost: nothing of it can be recovered.
    """
    run_journal = journal.Journal(None, ())
    with suppress(OSError):  # it is no file, or cannot be read: as if there were none
        run_journal = journal.read(folder) if folder.is_dir() else run_journal
    records = _records(run_tables["checkpoints"])
    newest = _newest(folder, run_journal)
    if row is not None and (newest is None or newest.number <= row.checkpoint or not newest.complete):
        rows = {table: _counted(table, run_tables[table], records, row.checkpoint) for table in COUNTED}
        if _is_whole(row, rows, records):
            return _as_it_is(row, rows, records, folder)
    if newest is not None:
        furthest = max(row.checkpoint if row else 0, *(entry.number for entry in run_journal.entries))
        return _from_folder(number, folder, run_tables, newest, furthest)
    begun = row or (ExperimentRow(**run_journal.run) if run_journal.run else None)
    if begun is None:
        n_files = len(list(folder.glob("checkpoint-*.safetensors"))) if folder.is_dir() else 0
        beside = f", beside {plural(n_files, 'checkpoint')} without a record of them" if n_files else ""
        raise _Lost(f"its settings were in the database only{beside}" if n_files or any(run_tables.values()) else "")
    return _anew(begun, folder, run_tables, records)


def _records(rows: Iterable[Row]) -> dict[int, CheckpointRow]:
    """Return the records of checkpoints by number; of several versions the quarantined one."""
    records: dict[int, CheckpointRow] = {}
    for record in sorted((CheckpointRow(*values) for values in rows), key=lambda record: record.quarantined):
        records[record.number] = record
    return records


def _counted(table: str, rows: Iterable[Row], records: Mapping[int, CheckpointRow], until: int) -> list[Row]:
    """Return the rows up to a checkpoint, without those of quarantined checkpoints."""
    quarantined = {number for number, record in records.items() if record.quarantined}
    names = [column.name for column in columns_of(table)]
    keys = [names.index(name) for name in key_of(table)]
    counted: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda values: int(values[1])):
        if row[1] <= until and row[1] not in quarantined:
            counted[tuple(row[k] for k in keys)] = row
    return list(counted.values())


def _is_whole(row: ExperimentRow, rows: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow]) -> bool:
    """Return whether the database has everything that a run's row says there is."""
    counts = all(len(rows[table]) == row._asdict()[table] for table in COUNTED)
    return counts and (row.checkpoint in records or not row.checkpoint)


def _as_it_is(
    row: ExperimentRow, rows: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow], folder: Path
) -> _Found:
    """Recover a run that is complete in the database; its checkpoint files may be damaged."""
    checkpoints_of_run = sorted(
        (record for record in records.values() if record.number <= row.checkpoint), key=lambda record: record.number
    )
    wanted = [record for record in checkpoints_of_run if not record.quarantined][
        -KEEP:
    ]  # pages can hold the records of replaced ones
    whole = [record for record in wanted if _is_file(folder, record.number, record.written())]
    records_kept = [record for record in checkpoints_of_run if record.quarantined or record in wanted]
    recovered = _Found(row, records_kept, rows["points"], rows["evaluations"], rows["metrics"])
    damaged = sorted({record.number for record in wanted} - {record.number for record in whole})
    if damaged:
        recovered.lost.append(f"checkpoint {' '.join(map(str, damaged))} is damaged or gone")
    if row.checkpoint and not whole:
        recovered.lost.append("no checkpoint is whole: it can be shown and reported, not resumed")
    elif whole and whole[-1].number < row.checkpoint:
        step = max(whole, key=lambda record: record.number).step
        recovered.lost.append(f"it continues from step {step:,}, as it would in the old lab")
    return recovered


def _is_file(folder: Path, number: int, written: Written) -> bool:
    """Return whether a checkpoint file matches its record."""
    try:
        checkpoints.verify(file_of(folder, number), written)
    except (Damaged, StoreError):
        return False
    return True


def _newest(folder: Path, run_journal: journal.Journal) -> _Candidate | None:
    """Find the newest checkpoint that a journal proves whole, preferably one with all its rows in the journal."""
    proven: dict[int, journal.JournalEntry] = {}
    for entry in run_journal.entries:
        if _is_file(folder, entry.number, entry.written):
            proven[entry.number] = entry
    candidates = [_candidate(folder, proven[number], run_journal) for number in sorted(proven, reverse=True)]
    return next((candidate for candidate in candidates if candidate.complete), candidates[0] if candidates else None)


def _candidate(folder: Path, last: journal.JournalEntry, run_journal: journal.Journal) -> _Candidate:
    """Collect a checkpoint's journal entries back to the beginning, as far as they are whole."""
    entries = [last]
    while entries[0].parent:
        before = [entry for entry in run_journal.entries if entry.number == entries[0].parent]
        if not before:
            break
        entries.insert(0, before[-1])
    header = checkpoints.about(file_of(folder, last.number))
    row = ExperimentRow(**{name: header[name] for name in ExperimentRow._fields})
    return _Candidate(last.number, row, entries, not entries[0].parent)


def _from_folder(
    number: int,
    folder: Path,
    run_tables: Mapping[str, list[Row]],
    newest: _Candidate,
    furthest: int,
) -> _Found:
    """Recover a run from its folder, whose newest whole checkpoint is proven by the journal."""
    base = newest.row
    recovered = _Found(base, source="journal")
    recovered.points = [
        row for entry in newest.entries for row in tables.of_points(number, entry.number, entry.rows.points)
    ]
    recovered.evaluations = [
        tables.of_evaluation(number, entry.number, evaluation)
        for entry in newest.entries
        for evaluation in entry.rows.evaluations
    ]
    recovered.metrics = [
        tables.of_metric(number, entry.number, metric) for entry in newest.entries for metric in entry.rows.metrics
    ]
    result = json.loads(base.result)
    if not newest.complete:
        for table in COUNTED:
            rows = _counted(table, [*run_tables[table], *getattr(recovered, table)], {}, newest.number)
            setattr(recovered, table, rows)
        loss = f"rows from before step {base.step:,} are lost: {len(recovered.points):,} curve points and "
        loss += f"{len(recovered.evaluations):,} evaluations are left"
        recovered.source = "database and the journal"
        result = {**(result or {}), "lost": loss}
        recovered.row = base = base._replace(exact=0)
        recovered.lost.append(loss)
    recovered.row = base._replace(
        status=base.status if base.status == "done" else "interrupted",
        checkpoint=newest.number,
        points=len(recovered.points),
        evaluations=len(recovered.evaluations),
        metrics=len(recovered.metrics),
        result=json.dumps(result),
    )
    recovered.checkpoints = list(_proven(number, folder, newest))
    if furthest > newest.number:
        recovered.lost.append(f"everything after step {base.step:,}: it continues from there")
    return recovered


def _proven(run: int, folder: Path, newest: _Candidate) -> Iterable[CheckpointRow]:
    """Return the records of the whole checkpoints up to the newest."""
    for entry in newest.entries:
        if not _is_file(folder, entry.number, entry.written):
            continue
        header = checkpoints.about(file_of(folder, entry.number))
        times = {name: header[name] for name in ("step", "seconds", "cpu_seconds", "exact")}
        yield CheckpointRow(experiment=run, number=entry.number, **times, **entry.written._asdict())


def _anew(
    begun: ExperimentRow, folder: Path, run_tables: Mapping[str, list[Row]], records: Mapping[int, CheckpointRow]
) -> _Found:
    """Recover a run of which only the settings are left; it starts again at step 0."""
    facts = json.loads(begun.result) or {}
    result = json.dumps({name: facts[name] for name in ("label", "keep_replay", "files") if facts.get(name)} or None)
    identity: dict[str, Any] = {column: getattr(begun, column) for column in _BEGUN}
    row = ExperimentRow(**identity)._replace(status="interrupted", result=result)
    recovered = _Found(row, source="settings")
    rows = sum(len(run_tables[table]) for table in COUNTED)
    n_files = len(list(folder.glob("checkpoint-*.safetensors"))) if folder.is_dir() else 0
    if records or rows or n_files or begun.checkpoint:
        recovered.lost.append(
            f"no checkpoint is whole and rows are lost ({rows:,} are left): it begins again at step 0"
        )
    return recovered


def _tournaments(salvaged: Salvaged) -> list[dict[str, Any]]:
    """Recover tournaments; their rows, and those of cells, are deduplicated."""
    for table, age in (("tournaments", "seconds"), ("cells", "created")):
        names = [column.name for column in columns_of(table)]
        at = names.index(age)
        keys = [names.index(name) for name in key_of(table)]
        rows = sorted(salvaged.rows[table], key=lambda row: row[at])
        salvaged.rows[table][:] = list({tuple(row[k] for k in keys): row for row in rows}.values())
    cell_keys = {row[:3] for row in salvaged.rows["cells"]}
    recovered = []
    for values in sorted(salvaged.rows["tournaments"]):
        row = TournamentRow(*values)
        planned = {(pair["key"], *span) for pair in json.loads(row.plan)["pairs"] for span in pair["spans"]}
        n_cells = len(planned & cell_keys)
        recovered.append({"tournament": f"t{row.id}", "label": row.label, "cells": n_cells, "planned": len(planned)})
    return recovered


def _write(old: Path, new_lab: Path, recovered: Iterable[_Found], salvaged: Salvaged) -> None:
    """Make the new lab."""
    db = Database(prepare(new_lab))
    try:
        with db.writing():
            for run in recovered:
                db.insert("experiments", [run.row])
                db.insert("checkpoints", run.checkpoints)
                for table in COUNTED:
                    db.insert(table, getattr(run, table))
            for table in ("tournaments", "cells"):
                db.insert(table, salvaged.rows[table])
    finally:
        db.close()
    (new_lab / "runs").mkdir(exist_ok=True)
    for run in recovered:
        theirs, ours = (lab / "runs" / f"r{run.row.id}" for lab in (old, new_lab))
        ours.mkdir()
        if run.source == "settings":
            journal.begin(ours, run.row._asdict())
        else:
            names = [file_of(theirs, one.number).name for one in run.checkpoints]
            for name in (*names, journal.NAME):
                with suppress(FileNotFoundError):
                    shutil.copyfile(theirs / name, ours / name)
                    _sync(ours / name)
        sync_folder(ours)
    sync_folder(new_lab / "runs")


def _sync(path: Path) -> None:
    with open_own(path, "rb") as file:
        os.fsync(file.fileno())
