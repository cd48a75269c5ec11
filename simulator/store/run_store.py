"""Store of runs: settings, curves, evaluations and checkpoints, crash-safe.

Rows are in SQLite, checkpoints are files beside it. A checkpoint is on the disk before the one transaction that records
it together with the rows that came with it, so both become visible at once or not at all. Rows carry the number of
their checkpoint: if a run continues from an earlier one because a later file is damaged, the later rows are deleted.

After ``kill -9`` a run continues in this order:

1. :meth:`Store.take`: the lock of the dead process is free again; files that no row records are deleted.
2. :meth:`Store.newest`: the newest checkpoint whose size and SHA-256 are right, else the one before.
3. ``TrainingLoop`` restores the session from it, and steps on.
4. :meth:`Store.checkpoint`: the first new one deletes the rows that are later than the one restored from.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.core.protocols import State
from simulator.store import checkpoints, journal
from simulator.store import rows as tables
from simulator.store.checkpoints import Damaged, file_of, sync_folder
from simulator.store.database import NAME, Database, damaged, repair_advice, translated
from simulator.store.lab import (
    DELETED,
    forgotten,
    forgotten_line,
    is_written,
    lock_run,
    prepare,
    unlock_run,
    unmake,
)
from simulator.store.lab_files import folder_size, write_own
from simulator.store.records import (
    STATUSES,
    EvaluationRow,
    MetricRow,
    NewRun,
    PointRows,
    Rows,
    RunProgress,
    RunRecord,
    Saved,
    StoreError,
    StoreFailure,
)

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = [
    "EvaluationRow",
    "MetricRow",
    "NewRun",
    "PointRows",
    "Rows",
    "RunProgress",
    "RunRecord",
    "Saved",
    "Store",
    "StoreError",
    "StoreFailure",
]
KEEP = 3  # whole checkpoints of a run while it is trained: some before the newest, if that is damaged
KEEP_STOPPED = {"interrupted": 2, "done": 1, "failed": 1}  # once it has stopped with a checkpoint
FINISHED = ("done", "failed")  # status with which the last checkpoint of a run is written


class ResumePoint(NamedTuple):
    """The checkpoint from which a writer continued; everything newer than ``newest`` is the writer's own."""

    base_checkpoint: int  # that it continued from, 0 before the first
    newest: int  # newest one recorded then, damaged or not


class ChangedSteps(NamedTuple):
    """A run's settings with another number of steps."""

    steps: int
    settings: str  # TOML
    settings_hash: str
    change: dict[str, Any]  # what is recorded of it: ``step`` at which it was made, ``from`` and ``to`` steps, ...


class Store:
    """One lab, used from one thread. Its methods raise StoreError or StoreFailure, with one line.

    Args:
        lab: its folder; made if it does not exist. Without write permission it can be read.
    """

    def __init__(self, lab: Path | str) -> None:
        self.lab = Path(lab)
        self._locks: dict[str, FileLock] = {}
        self._resume_points: dict[str, ResumePoint | None] = {}  # of held runs; None: taken but not read yet
        self._fresh = not os.path.exists(self.lab / NAME)  # False too where it may not be looked at
        with translated(self.lab / NAME):
            path = prepare(self.lab)
        self._db = Database(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None) -> None:
        is_refused = isinstance(value, ValueError) and not isinstance(value, StoreError)
        is_in_vain = is_refused and self._fresh and not self.runs()
        self.close()
        if is_in_vain:  # bad input leaves no lab behind that was made for it
            unmake(self.lab)

    def close(self) -> None:
        """Release every run and close the database."""
        for run in list(self._locks):
            self.release(run)
        self._db.close()

    def begin(self, new: NewRun) -> str:
        """Record a new run durably, become its writer, and return its id."""
        run = ""
        try:
            with self._db.writing():
                number, folder = self._make_folder()
                run = folder.name
                self._locks[run] = lock_run(folder)
                created = datetime.now(UTC).isoformat(timespec="seconds")
                row = tables.of_new_run(number, new, created)
                with translated(folder):
                    journal.begin(folder, row._asdict())
                self._db.insert("experiments", [row])
        except BaseException:
            self._unmake_folder(run)
            raise
        self._resume_points[run] = ResumePoint(0, 0)
        return run

    def take(self, run: str) -> None:
        """Become the writer of an existing run, and clean up after a crash in its folder; then ask for ``newest``."""
        with self._db.writing():
            row = tables.run_row(self._db, run)
            folder = self.folder(run)
            lock = lock_run(folder)
            try:
                (folder / DELETED).unlink(missing_ok=True)  # of a deletion that was interrupted before it began
                tables.candidates(self._db, row)  # never remove runs that a damaged database lost
                self._check_remembered(row, folder)
                checkpoints.sweep(folder, {c.number for c in tables.checkpoint_rows(self._db, row.id)})
            except BaseException:
                unlock_run(folder, lock)
                raise
        self._locks[run] = lock
        self._resume_points[run] = None

    def hold(self, run: str) -> None:
        """Take the lock of a run, only to delete it: a folder that is missing or damaged is no reason to keep it.

        Raises:
            StoreError: there is no such run, or some process is writing it.
        """
        with self._db.reading():
            tables.run_row(self._db, run)
        folder = self.lab / "runs" / run
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._locks[run] = lock_run(folder)

    def _check_remembered(self, row: tables.ExperimentRow, folder: Path) -> None:
        """Raise an error if a run has newer checkpoints than a crash can leave: the database, or its log, lost them."""
        newest = max((checkpoints.number_of(path) for path in folder.glob("checkpoint-*.safetensors")), default=0)
        if newest > row.checkpoint + 1:
            fault = (
                f"the database knows fewer checkpoints of run r{row.id} than there are: {row.checkpoint} of {newest}"
            )
            raise StoreError(f"{fault}; {repair_advice(self.lab)}")

    def release(self, run: str) -> None:
        """Release a run; does nothing if it is not held."""
        if run in self._locks:
            unlock_run(self.lab / "runs" / run, self._locks.pop(run))
            self._resume_points.pop(run, None)

    def discard(self, run: str) -> None:
        """Delete a new run that has no checkpoint yet.

        A lab that this store made for it is deleted too, and the store is closed.

        Raises:
            StoreFailure: the run is not held, or has a checkpoint.
        """
        with self._db.writing():
            row = tables.run_row(self._db, run)
            if run not in self._locks or row.checkpoint:
                raise StoreFailure(f"run {run} is not discarded: it has a checkpoint, or no writer here")
            self._db.delete("experiments", "id = ?", [row.id])
        self._unmake_folder(run)
        if self._fresh and not self.runs():
            self._db.close()
            unmake(self.lab)
            self._fresh = False

    def checkpoint(
        self,
        run: str,
        progress: RunProgress,
        state: State,
        rows: Rows,
        status: str = "running",
        result: dict[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint and the rows that became final before it, in one transaction.

        After :meth:`take`, call :meth:`newest` first: the run continues from there, and later rows are deleted.

        Raises:
            StoreError: an unknown status, or a lab that cannot be written.
            StoreFailure: the run is not held, the state cannot be stored, or the disk refused it.
        """
        outcome = json.dumps(result)
        if status not in STATUSES:
            raise StoreError(f"status {status!r} of run {run}: expected one of {', '.join(STATUSES)}")
        with self._db.reading():
            row = tables.run_row(self._db, run)
        base_checkpoint = self._base_checkpoint(row)
        number = row.checkpoint + 1
        folder = self.folder(run)
        about = row.moved(progress, status, outcome)._asdict() | {"parent": base_checkpoint}
        with translated(file_of(folder, number)):
            self._keep_journal(row, base_checkpoint, folder)
            written = checkpoints.write(folder, number, state, about)
            journal.add(folder, journal.JournalEntry(number, base_checkpoint, written, rows))
        with self._db.writing():
            row = tables.add(self._db, tables.truncate_after(self._db, row, base_checkpoint), number, rows)
            self._db.insert("checkpoints", [tables.of_checkpoint(row.id, number, progress, written)])
            self._db.update("experiments", row.moved(progress, status, outcome), ("id",))
            dropped = tables.prune(self._db, row.id, KEEP_STOPPED.get(status, KEEP))
        for old in dropped:
            with suppress(OSError):  # a file that stays is cleared away by the next writer
                file_of(folder, old).unlink()

    def mark(self, run: str, status: str, error: dict[str, Any] | None = None) -> None:
        """Record the status of a run held here, without a checkpoint: that it failed, for example.

        Its next checkpoint, if there is one, overrides both.
        """
        with self._db.writing():
            row = tables.run_row(self._db, run)
            result = row.result if error is None else json.dumps({**(json.loads(row.result) or {}), "error": error})
            self._db.update("experiments", row._replace(status=status, result=result), ("id",))

    def extend(self, run: str, config: ChangedSteps) -> None:
        """Record that a run held here goes on to another number of steps, in one transaction.

        Its next checkpoint repeats what is recorded (``extended`` of its result), and so do later ones.

        Raises:
            StoreFailure: the run is not held.
        """
        with self._db.writing():
            row = tables.run_row(self._db, run)
            if run not in self._locks:
                raise StoreFailure(f"run {run} has no writer here: take it first")
            result = json.loads(row.result) or {}
            extended = [*result.get("extended", ()), config.change]
            changed = row._replace(
                steps=config.steps,
                settings=config.settings,
                settings_hash=config.settings_hash,
                status="interrupted",
                result=json.dumps({**result, "extended": extended}),
            )
            self._db.update("experiments", changed, ("id",))

    def change(self, run: str, settings: str, settings_hash: str) -> None:
        """Record other settings of a run held here, which its agents learn with from now on, in one transaction.

        Args:
            run: its id.
            settings: the complete settings with their changes, TOML.
            settings_hash: their content hash.

        Raises:
            StoreFailure: the run is not held.
        """
        with self._db.writing():
            row = tables.run_row(self._db, run)
            if run not in self._locks:
                raise StoreFailure(f"run {run} has no writer here: take it first")
            changed = row._replace(settings=settings, settings_hash=settings_hash)
            self._db.update("experiments", changed, ("id",))

    def delete(self, run: str) -> None:
        """Delete a run held here: first its rows, in one transaction, then its files.

        After ``kill -9`` the run is there as before, or gone with an unused rest of its folder, which
        :meth:`sweep_deleted` removes. The number of the newest run is not given to another one: its folder stays,
        empty but for a mark.

        Raises:
            StoreFailure: the run is not held.
        """
        if run not in self._locks:
            raise StoreFailure(f"run {run} has no writer here: take it first")
        folder = self.lab / "runs" / run
        with translated(folder):
            write_own(folder / DELETED, "")
            sync_folder(folder)
        with self._db.writing():
            row = tables.run_row(self._db, run)
            for table in (*tables.COUNTED, "checkpoints"):
                self._db.delete(table, "experiment = ?", [row.id])
            self._db.delete("experiments", "id = ?", [row.id])
        self.release(run)
        self.sweep_deleted()

    def sweep_deleted(self, *, dry_run: bool = False) -> int:
        """Remove what is left of deleted runs, and return its size in bytes; ``dry_run``: only measure it."""
        with self._db.reading():
            known = {f"r{row.id}" for row in tables.run_rows(self._db)}
            newest = tables.newest_run(self._db)
        freed = 0
        for mark in sorted((self.lab / "runs").glob(f"r*/{DELETED}")):
            folder = mark.parent
            if folder.name in known or not tables.RUN_ID.fullmatch(folder.name):
                continue
            for path in folder.iterdir():
                if path != mark and not path.is_dir():
                    freed += path.lstat().st_size
                    if not dry_run:
                        path.unlink(missing_ok=True)
            if newest and int(folder.name[1:]) < newest.id and not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
        return freed

    def drop_replay(self, run: str) -> None:
        """Write the checkpoint of a finished run held here anew without its replay, and drop all others.

        Raises:
            StoreFailure: the run is not held.
            StoreError: none of its checkpoints is whole.
        """
        saved = self.newest(run)
        record = self.find(run)
        if saved is not None:
            state = checkpoints.without_replay(saved.state)
            result = {**(record.result or {}), "replay_dropped": True}
            self.checkpoint(run, saved.progress, state, Rows(), status=record.status, result=result)

    def drop_old_checkpoints(self, run: str) -> None:
        """Delete what the newest whole checkpoint of a finished run held here replaces, damaged ones too.

        Raises:
            StoreError: its newest checkpoint is not whole.
        """
        with self._db.reading():
            row = tables.run_row(self._db, run)
            newest = next(iter(tables.candidates(self._db, row)), None)
        folder = self.folder(run)
        if newest is None:
            return
        try:
            checkpoints.verify(file_of(folder, newest.number), newest.written())
        except Damaged as fault:
            raise StoreError(f"checkpoint {file_of(folder, newest.number)} is damaged: {fault}") from None
        with self._db.writing():
            self._db.delete("checkpoints", "experiment = ? AND number <> ?", [row.id, newest.number])
        checkpoints.sweep(folder, {newest.number})

    def checkpoint_sizes(self, run: str) -> dict[int, int]:
        """Return the bytes of each recorded checkpoint of a run by its number, the oldest first."""
        with self._db.reading():
            row = tables.run_row(self._db, run)
            return {checkpoint.number: checkpoint.size for checkpoint in tables.checkpoint_rows(self._db, row.id)}

    def size_of(self, run: str) -> int:
        """Return the bytes of a run's folder; 0 where it is missing."""
        return folder_size(self.lab / "runs" / run)

    def compact(self) -> int:
        """Give the room of deleted rows back to the disk, and return its bytes."""
        return self._db.compact()

    def newest(self, run: str) -> Saved | None:
        """Return the newest whole checkpoint, None if none was written; damaged ones are left as they are.

        Raises:
            StoreError: none of the run's checkpoints is whole.
        """
        with self._db.reading():
            row = tables.run_row(self._db, run)
            folder = self.folder(run)
            rows = tables.candidates(self._db, row)
        faults: list[str] = []
        for checkpoint in rows:
            path = file_of(folder, checkpoint.number)
            try:
                state = checkpoints.read(path, checkpoint.written())
            except Damaged as fault:
                if not self._recorded(row.id, checkpoint.number):  # its writer dropped it in the meantime
                    return self.newest(run)
                faults.append(f"checkpoint {path} is damaged: {fault}")
                continue
            self._note_resume_point(row, checkpoint.number)
            return Saved(checkpoint.progress(), state, tuple(f"{fault}; an earlier one is used" for fault in faults))
        if rows:
            raise StoreError(f"run {run}: none of its {len(rows)} checkpoints is whole; {faults[0]}")
        self._note_resume_point(row, 0)
        return None

    def find(self, name: str) -> RunRecord:
        """Return the run of an id, or the newest for "latest"."""
        with self._db.reading():
            newest = tables.newest_run(self._db) if name == "latest" else None
            return (newest or tables.run_row(self._db, name)).record()

    def has(self, run: str) -> bool:
        """Return whether there is a run of that id, or any for "latest"."""
        with self._db.reading():
            return tables.newest_run(self._db) is not None if run == "latest" else tables.has_run(self._db, run)

    def is_written(self, run: str) -> bool:
        """Return whether a process is writing the run now."""
        return is_written(self.lab / "runs" / run)

    def runs(self) -> list[RunRecord]:
        """Return all runs, newest first."""
        with self._db.reading():
            return [row.record() for row in tables.run_rows(self._db)]

    def forgotten(self) -> str:
        """Return a line about runs that the database lost though their checkpoints exist; usually empty."""
        with self._db.reading():
            ids = {row.id for row in tables.run_rows(self._db)}
        lost = forgotten(self.lab, ids)
        return forgotten_line(self.lab, lost) if lost else ""

    def points(self, run: str) -> PointRows:
        """Return a run's curve, ordered by seed and step."""
        return tables.to_points(self._rows("points", run))

    def evaluations(self, run: str) -> tuple[EvaluationRow, ...]:
        """Return a run's evaluations, ordered by seed and step."""
        return tuple(tables.to_evaluation(row) for row in self._rows("evaluations", run))

    def metrics(self, run: str) -> tuple[MetricRow, ...]:
        """Return a run's metrics, ordered by seed, step and name."""
        return tuple(map(tables.to_metric, self._rows("metrics", run)))

    def folder(self, run: str) -> Path:
        """Return the folder of a run.

        Raises:
            StoreError: it is missing.
        """
        folder = self.lab / "runs" / run
        if not folder.is_dir():
            raise StoreError(f"run {run} is in the lab's database, but its folder {folder} is gone")
        return folder

    def _rows(self, table: str, run: str) -> list[Any]:
        """Return all rows of a run, up to the checkpoint that its writer went back to."""
        with self._db.reading():
            row = tables.run_row(self._db, run)
            rows = self._db.select(table, "WHERE experiment = ?", [row.id])
        expected = row._asdict()[table]
        if len(rows) != expected:
            raise damaged(self._db.path, f"run {run} has {len(rows)} rows of {table} instead of {expected}")
        rows.sort(key=lambda values: values[2:4])  # seed, then point or step
        last = self._base_checkpoint(row) if self._resume_points.get(run) else row.checkpoint
        return [values for values in rows if values[1] <= last]

    def _recorded(self, run_id: int, number: int) -> bool:
        with self._db.reading():
            return number in [c.number for c in tables.checkpoint_rows(self._db, run_id)]

    def _base_checkpoint(self, row: tables.ExperimentRow) -> int:
        """Return the checkpoint from which the writer of a run continues, 0 before the first."""
        run = f"r{row.id}"
        if run not in self._resume_points:
            raise StoreFailure(f"run {run} has no writer here: begin or take it first")
        point = self._resume_points[run]
        if point is None:
            raise StoreFailure(f"run {run} was taken but not read: ask for its newest checkpoint first")
        return point.base_checkpoint if point.newest == row.checkpoint else row.checkpoint

    def _note_resume_point(self, row: tables.ExperimentRow, base_checkpoint: int) -> None:
        """Note that the writer of a run continues from that checkpoint."""
        run = f"r{row.id}"
        if run in self._resume_points and self._resume_points[run] is None:
            self._resume_points[run] = ResumePoint(base_checkpoint, row.checkpoint)

    def _keep_journal(self, row: tables.ExperimentRow, base_checkpoint: int, folder: Path) -> None:
        """Write the journal of a run anew if it is lost."""
        if journal.there(folder):
            return
        journal.begin(folder, row._asdict())
        if base_checkpoint:
            run = f"r{row.id}"
            with self._db.reading():
                rows = tables.checkpoint_rows(self._db, row.id)
                base = next(table for table in rows if table.number == base_checkpoint)
            known = Rows(self.points(run), self.evaluations(run), self.metrics(run))
            journal.add(folder, journal.JournalEntry(base_checkpoint, 0, base.written(), known))

    def _make_folder(self) -> tuple[int, Path]:
        """Make a folder for a new run, the first free number after the newest run, and return both.

        Neither the runs nor their folders are listed, so the thousandth run begins as fast as the first. A folder that
        is missing in the database is never used.
        """
        runs = self.lab / "runs"
        runs.mkdir(exist_ok=True)
        newest = tables.newest_run(self._db)
        number = newest.id + 1 if newest else 1
        while (folder := runs / f"r{number}").exists():
            number += 1
        folder.mkdir()
        for place in (folder, runs, self.lab):
            sync_folder(place)
        return number, folder

    def _unmake_folder(self, run: str) -> None:
        self.release(run)
        if run:
            shutil.rmtree(self.lab / "runs" / run, ignore_errors=True)
