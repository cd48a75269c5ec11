"""The lab: every run's settings, curve, evaluations and checkpoints, nothing lost and nothing twice.

Rows are in SQLite, checkpoints are files beside it. A checkpoint is on the disk before the one transaction that records
it together with the rows that came with it, so both become visible at once or not at all. Rows carry the number of
their checkpoint: where a run goes on from an earlier one because a later file is damaged, the later rows go.
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
from simulator.store import rows as ledger
from simulator.store.checkpoints import Damaged, file_of, sync_folder
from simulator.store.database import NAME, Database, damaged, repair_advice, translated
from simulator.store.lab import forgotten, is_written, lock_run, prepare, told_of_forgotten, unlock_run, unmake
from simulator.store.records import (
    STATUSES,
    EvaluationRow,
    NewRun,
    PointRows,
    Progress,
    Rows,
    RunRecord,
    Saved,
    StoreError,
    StoreFailure,
)

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = [
    "EvaluationRow",
    "NewRun",
    "PointRows",
    "Progress",
    "Rows",
    "RunRecord",
    "Saved",
    "Store",
    "StoreError",
    "StoreFailure",
]
KEEP = 3  # whole checkpoints per run


class _Stand(NamedTuple):
    """Where a writer began: only it records more, so whatever is newer than ``newest`` is its own."""

    tip: int  # checkpoint that it went on from, 0 before the first
    newest: int  # newest one recorded then, damaged or not


class Store:
    """One lab, used from one thread. Its methods refuse with StoreError or StoreFailure, of one line.

    Args:
        lab: its folder; made where there is none. One without write permission can be read.
    """

    def __init__(self, lab: Path | str) -> None:
        self.lab = Path(lab)
        self._locks: dict[str, FileLock] = {}
        self._stands: dict[str, _Stand | None] = {}  # of held runs; None: taken but not read yet
        self._fresh = not os.path.exists(self.lab / NAME)  # False too where it may not be looked at
        with translated(self.lab / NAME):
            path = prepare(self.lab)
        self._db = Database(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every run and of the database."""
        for run in list(self._locks):
            self.release(run)
        self._db.close()

    def begin(self, new: NewRun) -> str:
        """Record a new run, durably, and become its writer; its id."""
        run = ""
        try:
            with self._db.writing():
                number, folder = self._make_folder()
                run = folder.name
                self._locks[run] = lock_run(folder)
                created = datetime.now(UTC).isoformat(timespec="seconds")
                row = ledger.of_new_run(number, new, created)
                with translated(folder):
                    journal.begin(folder, row._asdict())
                self._db.insert("runs", [row])
        except BaseException:
            self._unmake_folder(run)
            raise
        self._stands[run] = _Stand(0, 0)
        return run

    def take(self, run: str) -> None:
        """Become the writer of a run that is there, and clear away what a crash left in its folder."""
        with self._db.writing():
            row, folder = ledger.run_row(self._db, run), self.folder(run)
            lock = lock_run(folder)
            try:
                ledger.candidates(self._db, row)  # never clear away what a damaged database forgot
                self._check_remembered(row, folder)
                checkpoints.sweep(folder, {c.number for c in ledger.checkpoint_rows(self._db, row.id)})
            except BaseException:
                unlock_run(folder, lock)
                raise
        self._locks[run], self._stands[run] = lock, None

    def _check_remembered(self, row: ledger.RunRow, folder: Path) -> None:
        """Refuse a run with newer checkpoints than a crash can leave: the database lost them, or its log was lost."""
        newest = max((checkpoints.number_of(path) for path in folder.glob("checkpoint-*.safetensors")), default=0)
        if newest > row.checkpoint + 1:
            told = f"the database knows fewer checkpoints of run r{row.id} than there are: {row.checkpoint} of {newest}"
            raise StoreError(f"{told}; {repair_advice(self.lab)}")

    def release(self, run: str) -> None:
        """Let go of a run; nothing happens where it was not held."""
        if run in self._locks:
            unlock_run(self.lab / "runs" / run, self._locks.pop(run))
            self._stands.pop(run, None)

    def discard(self, run: str) -> None:
        """Take back a run that was begun and never came to a checkpoint; it leaves nothing behind, nor does its lab.

        A lab that this store made for it goes too, and the store is closed then.

        Raises:
            StoreFailure: the run is not held, or has a checkpoint.
        """
        with self._db.writing():
            row = ledger.run_row(self._db, run)
            if run not in self._locks or row.checkpoint:
                raise StoreFailure(f"run {run} is not discarded: it has a checkpoint, or no writer here")
            self._db.delete("runs", "id = ?", [row.id])
        self._unmake_folder(run)
        if self._fresh and not self.runs():
            self._db.close()
            unmake(self.lab)

    def checkpoint(
        self,
        run: str,
        progress: Progress,
        state: State,
        rows: Rows,
        status: str = "running",
        result: dict[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint and the rows that became final before it: both are there afterwards, or neither.

        After :meth:`take`, :meth:`newest` comes first: it says where the run goes on, and rows recorded later go.

        Raises:
            StoreError: a status that there is not, or a lab that cannot be written.
            StoreFailure: the run is not held, the state cannot be kept, or the disk did not take it.
        """
        outcome = json.dumps(result)
        if status not in STATUSES:
            raise StoreError(f"status {status!r} of run {run}: expected one of {', '.join(STATUSES)}")
        with self._db.reading():
            row = ledger.run_row(self._db, run)
        tip, number = self._tip(row), row.checkpoint + 1
        folder = self.folder(run)
        about = row.moved(progress, status, outcome)._asdict() | {"parent": tip}
        with translated(file_of(folder, number)):
            self._keep_journal(row, tip, folder)
            written = checkpoints.write(folder, number, state, about)
            journal.add(folder, journal.Entry(number, tip, written, rows))
        with self._db.writing():
            row = ledger.add(self._db, ledger.truncate_after(self._db, row, tip), number, rows)
            self._db.insert("checkpoints", [ledger.of_checkpoint(row.id, number, progress, written)])
            self._db.update("runs", row.moved(progress, status, outcome), ("id",))
            dropped = ledger.prune(self._db, row.id, KEEP)
        for old in dropped:
            with suppress(OSError):  # a file that stays is cleared away by the next writer
                file_of(folder, old).unlink()

    def mark(self, run: str, status: str, error: dict[str, Any] | None = None) -> None:
        """Say what became of a run held here, without a checkpoint: it failed, say, and why.

        Its next checkpoint, where there is one, takes both back.
        """
        with self._db.writing():
            row = ledger.run_row(self._db, run)
            result = row.result if error is None else json.dumps({**(json.loads(row.result) or {}), "error": error})
            self._db.update("runs", row._replace(status=status, result=result), ("id",))

    def newest(self, run: str) -> Saved | None:
        """The newest whole checkpoint, or None where none was ever written; damaged ones are left as they are.

        Raises:
            StoreError: none of the run's checkpoints is whole.
        """
        with self._db.reading():
            row, folder = ledger.run_row(self._db, run), self.folder(run)
            found = ledger.candidates(self._db, row)
        faults: list[str] = []
        for checkpoint in found:
            path = file_of(folder, checkpoint.number)
            try:
                state = checkpoints.read(path, checkpoint.written())
            except Damaged as fault:
                if not self._recorded(row.id, checkpoint.number):  # its writer dropped it in the meantime
                    return self.newest(run)
                faults.append(f"checkpoint {path} is damaged: {fault}")
                continue
            self._stand(row, checkpoint.number)
            return Saved(checkpoint.progress(), state, tuple(f"{fault}; an earlier one is used" for fault in faults))
        if found:
            raise StoreError(f"run {run}: none of its {len(found)} checkpoints is whole; {faults[0]}")
        self._stand(row, 0)
        return None

    def find(self, name: str) -> RunRecord:
        """The run of that id, or the one begun last for "latest"."""
        with self._db.reading():
            newest = ledger.newest_run(self._db) if name == "latest" else None
            return (newest or ledger.run_row(self._db, name)).record()

    def has(self, run: str) -> bool:
        """Whether there is a run of that id, or any for "latest"."""
        with self._db.reading():
            return ledger.newest_run(self._db) is not None if run == "latest" else ledger.has_run(self._db, run)

    def is_written(self, run: str) -> bool:
        """Whether some process is at work on the run now."""
        return is_written(self.lab / "runs" / run)

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        with self._db.reading():
            return [row.record() for row in ledger.run_rows(self._db)]

    def forgotten(self) -> str:
        """One line about runs that the database forgot though their checkpoints are there; empty as a rule."""
        with self._db.reading():
            known = {row.id for row in ledger.run_rows(self._db)}
        found = forgotten(self.lab, known)
        return told_of_forgotten(self.lab, found) if found else ""

    def points(self, run: str) -> PointRows:
        """A run's curve, ordered by seed and step."""
        return ledger.to_points(self._rows("points", run))

    def evaluations(self, run: str) -> tuple[EvaluationRow, ...]:
        """A run's evaluations, ordered by seed and step."""
        return tuple(ledger.to_evaluation(row) for row in self._rows("evaluations", run))

    def folder(self, run: str) -> Path:
        """The folder of a run.

        Raises:
            StoreError: it is gone.
        """
        folder = self.lab / "runs" / run
        if not folder.is_dir():
            raise StoreError(f"run {run} is in the lab's database, but its folder {folder} is gone")
        return folder

    def _rows(self, table: str, run: str) -> list[Any]:
        """All rows of a run; where its writer went back to an earlier checkpoint, those up to there."""
        with self._db.reading():
            row = ledger.run_row(self._db, run)
            found = self._db.select(table, "WHERE run = ?", [row.id])
        expected = row._asdict()[table]
        if len(found) != expected:
            raise damaged(self._db.path, f"run {run} has {len(found)} rows of {table} instead of {expected}")
        found.sort(key=lambda values: values[2:4])  # seed, then point or step
        tip = self._tip(row) if self._stands.get(run) else row.checkpoint
        return [values for values in found if values[1] <= tip]

    def _recorded(self, run: int, number: int) -> bool:
        with self._db.reading():
            return number in [c.number for c in ledger.checkpoint_rows(self._db, run)]

    def _tip(self, row: ledger.RunRow) -> int:
        """The checkpoint that the writer of a run goes on from, 0 before the first."""
        run = f"r{row.id}"
        if run not in self._stands:
            raise StoreFailure(f"run {run} has no writer here: begin or take it first")
        stand = self._stands[run]
        if stand is None:
            raise StoreFailure(f"run {run} was taken but not read: ask for its newest checkpoint first")
        return stand.tip if stand.newest == row.checkpoint else row.checkpoint

    def _stand(self, row: ledger.RunRow, tip: int) -> None:
        """Whoever writes a run goes on from that checkpoint."""
        run = f"r{row.id}"
        if run in self._stands and self._stands[run] is None:
            self._stands[run] = _Stand(tip, row.checkpoint)

    def _keep_journal(self, row: ledger.RunRow, tip: int, folder: Path) -> None:
        """Begin the journal of a run that a former version began, with everything so far."""
        if journal.there(folder):
            return
        journal.begin(folder, row._asdict())
        if tip:
            run = f"r{row.id}"
            with self._db.reading():
                own = next(each for each in ledger.checkpoint_rows(self._db, row.id) if each.number == tip)
            journal.add(folder, journal.Entry(tip, 0, own.written(), Rows(self.points(run), self.evaluations(run))))

    def _make_folder(self) -> tuple[int, Path]:
        """The number and the folder of a run to come: the first after the newest run whose folder is not there yet.

        Neither the runs nor their folders are listed, so the thousandth run begins as fast as the first. A folder that
        the database does not know of is never used.
        """
        runs = self.lab / "runs"
        runs.mkdir(exist_ok=True)
        newest = ledger.newest_run(self._db)
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
