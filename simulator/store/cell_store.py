"""Experiments that are made of cells, tournaments and tunings of a lab: their plans, and every stored cell.

Cells are identified by all that they depend on (see :mod:`simulator.tournaments.plan`), so experiments of the lab share
them. A cell is recorded in one transaction when it has finished; running cells leave nothing here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simulator.core.experiment_kinds import TOURNAMENT, TUNE, noun_of
from simulator.core.protocols import Array
from simulator.store import rows as tables
from simulator.store.database import NAME, Database, translated
from simulator.store.lab import lock_run, prepare, unlock_run, unmake
from simulator.store.lab_files import folder_size
from simulator.store.records import StoreError
from simulator.store.rows import TournamentRow
from simulator.store.run_records import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_CELLS = (TOURNAMENT, TUNE)  # kinds of experiment that are made of cells
_JOB = "pair = ? AND first = ? AND count = ?"


class SeedRange(NamedTuple):
    """A block of neighbouring seeds."""

    first: int
    count: int  # type: ignore[assignment]  # hides the method of tuples


class JobKey(NamedTuple):
    """Identity of a job of a tournament: everything that its result depends on."""

    pair: str  # key of a matchup, everything but the seeds
    span: SeedRange


class JobRecord(NamedTuple):
    """A stored result of one cell.

    ``scores`` [S] is NaN where a seed failed; ``second`` [S] is the score of the other side of a match, else empty;
    ``steps`` [K] and ``curve`` [S, K] are the evaluations during training. A failed cell has a reason and no numbers.
    """

    pair: str  # identity of the cell without its seeds
    span: SeedRange
    status: str  # done or failed
    reason: str
    scores: Array
    second: Array
    steps: Array
    curve: Array
    facts: dict[str, Any]
    versions: dict[str, str]
    seconds: float
    cpu_seconds: float
    exact: bool


class TournamentRecord(NamedTuple):
    """Stored tournament or tuning."""

    id: int
    kind: str  # TOURNAMENT or TUNE
    label: str
    settings: str  # TOML
    settings_hash: str
    plan: dict[str, Any]
    versions: dict[str, str]
    status: str  # running, interrupted or done
    created: str
    seconds: float
    cpu_seconds: float

    @property
    def name(self) -> str:
        """Its id, such as "t1"."""
        return f"t{self.id}"


class CellStore:
    """The tournaments and tunings of one lab, used from one thread; see :class:`simulator.store.run_store.Store`.

    Args:
        lab: its folder; made where there is none.
    """

    def __init__(self, lab: str | os.PathLike[str]) -> None:
        self.lab = Path(lab)
        with translated(self.lab / NAME):
            path = prepare(self.lab)
        self._db = Database(path)

    def __enter__(self) -> CellStore:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def hosting(self) -> Iterator[None]:
        """Hold the lock of the one process that runs tournaments or tunings in this lab.

        Raises:
            StoreError: another process holds it; the line names it.
        """
        folder = self.lab / "cells"
        with translated(folder):
            folder.mkdir(exist_ok=True)
        lock = lock_run(folder)
        try:
            yield
        finally:
            unlock_run(folder, lock)

    def scratch(self, pair: str, span: SeedRange) -> Path:
        """Return the folder of a running job's checkpoints."""
        return self.lab / "cells" / f"{pair[:24]}-{span[0]}-{span[1]}"

    def begin(
        self,
        settings: str,
        settings_hash: str,
        plan: dict[str, Any],
        label: str,
        versions: Any,
        kind: str = TOURNAMENT,
    ) -> str:
        """Return the id of the experiment of these settings, an existing one or a new one.

        Args:
            settings: TOML.
            settings_hash: of the settings.
            plan: with ``pairs``, each with the ``key`` and the ``spans`` of its cells.
            label: for people.
            versions: of distributions.
            kind: ``TOURNAMENT`` or ``TUNE``.
        """
        with self._db.writing():
            same = "WHERE settings_hash = ? AND kind = ? ORDER BY id DESC"
            rows = self._db.select("tournaments", same, [settings_hash, kind])
            if rows:
                known = TournamentRow(*rows[0])
                again = known._replace(
                    label=label or known.label,
                    plan=json.dumps(plan),
                    settings=settings,
                    versions=json.dumps(versions),
                )
                self._db.update("tournaments", again, ("id",))
                return f"t{known.id}"
            newest = newest_tournament(self._db)
            row = TournamentRow(
                id=newest.id + 1 if newest else 1,
                kind=kind,
                label=label,
                settings=settings,
                settings_hash=settings_hash,
                plan=json.dumps(plan),
                versions=json.dumps(versions),
                status="running",
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self._db.insert("tournaments", [row])
        return f"t{row.id}"

    def keep_plan(self, name: str, plan: dict[str, Any]) -> None:
        """Record how a plan has grown."""
        row = self._row(name)
        with self._db.writing():
            self._db.update("tournaments", row._replace(plan=json.dumps(plan)), ("id",))

    def mark(self, name: str, status: str, seconds: float | None = None, cpu_seconds: float | None = None) -> None:
        """Record the status of a tournament, and the time spent on it so far where it is given."""
        row = self._row(name)
        changes: dict[str, Any] = {"status": status}
        if seconds is not None:
            changes["seconds"] = float(seconds)
        if cpu_seconds is not None:
            changes["cpu_seconds"] = float(cpu_seconds)
        with self._db.writing():
            self._db.update("tournaments", row._replace(**changes), ("id",))

    def tournaments(self, kind: str = TOURNAMENT) -> list[TournamentRecord]:
        """Return all tournaments, or all experiments of another kind that is made of cells; newest first."""
        with self._db.reading():
            return [_record(row) for row in self._db.select("tournaments", "WHERE kind = ? ORDER BY id DESC", [kind])]

    def is_empty(self) -> bool:
        """Tell whether there is no experiment of cells, of any kind."""
        with self._db.reading():
            return newest_tournament(self._db) is None

    def unfinished(self) -> set[JobKey]:
        """Return the jobs of every experiment that is not done, of any kind."""
        with self._db.reading():
            rows = [TournamentRow(*row) for row in self._db.select("tournaments", "WHERE status != 'done'")]
        return set().union(*map(_planned, rows), *map(_going_on, rows))

    def id_of(self, name: str, kind: str = TOURNAMENT) -> str:
        """Return the id of a tournament, or of an experiment of another kind; of "latest" the newest one's.

        Raises:
            StoreError: there is none, or it is of another kind than that.
        """
        if name == "latest":
            with self._db.reading():
                rows = self._db.select("tournaments", "WHERE kind = ? ORDER BY id DESC LIMIT 1", [kind])
            if not rows:
                raise StoreError(f"lab {self.lab} has no {noun_of(kind)} yet")
            return _record(rows[0]).name
        row = self._row(name)
        if row.kind != kind:
            raise StoreError(f"{name} is a {noun_of(row.kind)}, expected a {noun_of(kind)} (engram show {name})")
        return name

    def find(self, name: str) -> TournamentRecord:
        """Return the tournament or tuning of an id.

        Raises:
            StoreError: there is none.
        """
        return _record(self._row(name))

    def add(self, cell: JobRecord) -> None:
        """Record a cell durably, replacing an existing one."""
        with self._db.writing():
            self._db.delete("cells", _JOB, [cell.pair, *cell.span])
            self._db.insert("cells", [_of_cell(cell)])
        with suppress(OSError):
            shutil.rmtree(self.scratch(cell.pair, cell.span), ignore_errors=True)

    def add_all(self, cells: Iterable[JobRecord]) -> None:
        """Record many new cells in one transaction."""
        with self._db.writing():
            self._db.insert("cells", map(_of_cell, cells))

    def forget(self, pair: str, span: SeedRange) -> None:
        """Delete a cell, which will be run again."""
        with self._db.writing():
            self._db.delete("cells", _JOB, [pair, *span])

    def cells(self, pairs: Sequence[str]) -> dict[JobKey, JobRecord]:
        """Return every cell of these pairs."""
        records: dict[JobKey, JobRecord] = {}
        with self._db.reading():
            for pair in dict.fromkeys(pairs):
                for row in self._db.select("cells", "WHERE pair = ?", [pair]):
                    cell = _to_cell(CellRow(*row))
                    records[JobKey(pair, cell.span)] = cell
        return records

    def fingerprint(self, pairs: Sequence[str]) -> str:
        """Compute a text that changes whenever a cell of these pairs does, without reading them."""
        with self._db.reading():
            return json.dumps(self._db.fingerprint("cells", "pair", list(dict.fromkeys(pairs))))

    def keep_analysis(self, name: str, cells: str, analysis: dict[str, Any]) -> None:
        """Store the analysis of a tournament, for cells of that fingerprint."""
        number = self._row(name).id
        with self._db.writing():
            self._db.delete("analyses", "tournament = ?", [number])
            self._db.insert("analyses", [AnalysisRow(number, cells, json.dumps(analysis))])

    def analysis(self, name: str, cells: str) -> dict[str, Any] | None:
        """Read the analysis that was stored for cells of that fingerprint; None if there is none."""
        with self._db.reading():
            rows = self._db.select("analyses", "WHERE 't' || tournament = ? AND cells = ?", [name, cells])
        return json.loads(AnalysisRow(*rows[0]).analysis) if rows else None

    def kind_of(self, name: str) -> str:
        """Return the kind of an experiment of the lab; see :func:`kind_of`."""
        with self._db.reading():
            if name != "latest":
                if tables.has_run(self._db, name):
                    return tables.run_row(self._db, name).kind
                rows = self._db.select("tournaments", "WHERE 't' || id = ?", [name])
                return TournamentRow(*rows[0]).kind if rows else ""
            run = tables.newest_run(self._db)
            tournament = newest_tournament(self._db)
        if tournament and (run is None or tournament.created > run.created):
            return tournament.kind
        return run.kind if run else ""

    def delete(self, name: str) -> None:
        """Delete a tournament, and the cells that no other tournament of the lab shares, in one transaction.

        The caller holds the lock of :meth:`hosting`. After ``kill -9`` all of it is there, or nothing but checkpoints
        of cells, which :meth:`sweep` deletes.
        """
        row = self._row(name)
        with self._db.writing():
            self._db.delete("analyses", "tournament = ?", [row.id])
            self._db.delete("tournaments", "id = ?", [row.id])
            self._delete_cells(_planned(row) - self._planned())
        self.sweep_unplanned()

    def orphans(self) -> list[JobKey]:
        """Return the stored cells that no tournament of the lab has in its plan."""
        with self._db.reading():
            stored = {_job_of(CellRow(*row)) for row in self._db.select("cells")}
            return sorted(stored - self._planned())

    def delete_orphans(self) -> None:
        """Delete the cells that no tournament has in its plan; the caller holds the lock of :meth:`hosting`."""
        orphans = self.orphans()
        with self._db.writing():
            self._delete_cells(orphans)

    def sweep_unplanned(self, *, dry_run: bool = False) -> int:
        """Delete the checkpoints of jobs that no tournament waits for, and return their bytes.

        The caller holds the lock of :meth:`hosting`; ``dry_run``: only measure them.
        """
        with self._db.reading():
            stored = {_job_of(CellRow(*row)) for row in self._db.select("cells")}
            unfinished = [TournamentRow(*row) for row in self._db.select("tournaments", "WHERE status != 'done'")]
            waiting = self._planned().union(*map(_going_on, unfinished)) - stored
        wanted = {self.scratch(*job) for job in waiting}
        unplanned = [path for path in (self.lab / "cells").glob("*-*-*") if path not in wanted and path.is_dir()]
        size = sum(map(folder_size, unplanned))
        if not dry_run:
            self.sweep(waiting)
        return size

    def size_of(self, jobs: Iterable[JobKey]) -> int:
        """Return the bytes of stored cells."""
        with self._db.reading():
            return sum(self._db.size_of("cells", _JOB, [job.pair, *job.span]) for job in jobs)

    def size_of_tournament(self, name: str) -> int:
        """Return the bytes of a tournament with its cells, shared ones too, and their checkpoints."""
        row = self._row(name)
        planned = _planned(row)
        with self._db.reading():
            size = self._db.size_of("tournaments", "id = ?", [row.id])
            size += sum(self._db.size_of("cells", "pair = ?", [pair]) for pair in {job.pair for job in planned})
        return size + sum(folder_size(self.scratch(*job)) for job in planned)

    def compact(self) -> int:
        """Give the room of deleted rows back to the disk, and return its bytes."""
        return self._db.compact()

    def _planned(self) -> set[JobKey]:
        """Return the jobs in the plans of all tournaments."""
        rows = [TournamentRow(*row) for row in self._db.select("tournaments")]
        return set().union(*map(_planned, rows))

    def _delete_cells(self, jobs: Iterable[JobKey]) -> None:
        for job in jobs:
            self._db.delete("cells", _JOB, [job.pair, *job.span])

    def sweep(self, keep: Iterable[JobKey]) -> None:
        """Delete the checkpoints of all jobs but these, and of those that have a result: none will be continued."""
        with self._db.reading():
            stored = {_job_of(CellRow(*row)) for row in self._db.select("cells")}
        wanted = {self.scratch(*job) for job in set(keep) - stored}
        for path in (self.lab / "cells").glob("*-*-*"):
            if path not in wanted and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _row(self, name: str) -> TournamentRow:
        with self._db.reading():
            return tables.of_cells_row(self._db, name)


@contextmanager
def made_for(lab: Path | str) -> Iterator[CellStore]:
    """Open a lab for a new experiment of cells; a lab that was made for one that cannot be is taken away again."""
    new = not Path(lab).exists()
    try:
        with CellStore(lab) as store:
            yield store
    except ValueError:
        if new:
            _unmake(Path(lab))
        raise


def _unmake(lab: Path) -> None:
    """Take away a lab that was made for an experiment that cannot be, unless something is in it by now."""
    with suppress(OSError, ValueError, RuntimeError):
        with CellStore(lab) as store:
            if not store.is_empty():
                return
            with store.hosting():  # no other process is about to fill it
                (lab / "cells" / "lock").unlink(missing_ok=True)
        (lab / "cells").rmdir()
        unmake(lab)


class AnalysisRow(NamedTuple):
    """Table ``analyses``."""

    tournament: int
    cells: str
    analysis: str


class CellRow(NamedTuple):
    """Table ``cells``; arrays are little-endian bytes, texts of more than one value are JSON."""

    pair: str
    first: int
    count: int  # type: ignore[assignment]
    status: str
    reason: str
    scores: bytes
    second: bytes
    steps: bytes
    curve: bytes
    facts: str
    versions: str
    seconds: float
    cpu_seconds: float
    exact: int
    created: str


def _planned(row: TournamentRow) -> set[JobKey]:
    """Return the jobs in the plan of a tournament."""
    pairs = json.loads(row.plan)["pairs"]
    return {JobKey(pair["key"], SeedRange(*span)) for pair in pairs for span in pair["spans"]}


def _going_on(row: TournamentRow) -> set[JobKey]:
    """Return the jobs of a plan that go on from what others of it have trained, whose checkpoints stay for that."""
    pairs = [pair for pair in json.loads(row.plan)["pairs"] if "goes_on" in pair]
    return {JobKey(pair["goes_on"], SeedRange(*span)) for pair in pairs for span in pair["spans"]}


def _job_of(row: CellRow) -> JobKey:
    return JobKey(row.pair, SeedRange(row.first, row.count))


def newest_tournament(db: Database) -> TournamentRow | None:
    """Return the row of the newest tournament."""
    rows = db.select("tournaments", "ORDER BY id DESC LIMIT 1")
    return TournamentRow(*rows[0]) if rows else None


def of_result(job: JobKey, result: dict[str, Any]) -> JobRecord:
    """Make the record of a finished job."""
    scores = np.array(result["scores"], np.float64)
    steps = np.array(result["steps"], np.int64)
    return JobRecord(
        *job,
        status="done",
        reason="",
        scores=scores,
        second=np.array(result.get("second") or [], np.float64),
        steps=steps,
        curve=np.array(result["curve"], np.float64).reshape(len(scores), len(steps)),
        facts={**result["facts"], "failed": result["failed"]},
        versions=installed(),
        seconds=float(result["seconds"]),
        cpu_seconds=float(result["cpu_seconds"]),
        exact=bool(result["exact"]),
    )


def failed(job: JobKey, reason: str) -> JobRecord:
    """Make the record of a failed cell."""
    nothing = np.zeros(0)
    return JobRecord(
        *job,
        status="failed",
        reason=reason,
        scores=nothing,
        second=nothing,
        steps=nothing.astype(np.int64),
        curve=nothing.reshape(0, 0),
        facts={},
        versions=installed(),
        seconds=0.0,
        cpu_seconds=0.0,
        exact=True,
    )


def kind_of(lab: str | os.PathLike[str], name: str) -> str:
    """Return the kind of a stored experiment: a constant of :mod:`simulator.core.experiment_kinds`.

    Args:
        lab: its folder; nothing is created.
        name: id of the experiment, or "latest" for the newest.

    Returns:
        ``RUN``, ``RECALL``, ``PREDICT``, ``TOURNAMENT`` or ``TUNE``; empty where there is no such experiment.
    """
    if not (Path(lab) / NAME).exists():
        return ""
    with CellStore(lab) as store:
        return store.kind_of(name)


def _record(row: Sequence[Any]) -> TournamentRecord:
    values = TournamentRow(*row)._asdict()
    return TournamentRecord(**values | {name: json.loads(values[name]) for name in ("plan", "versions")})


def _of_cell(cell: JobRecord) -> CellRow:
    return CellRow(
        pair=cell.pair,
        first=cell.span[0],
        count=cell.span[1],
        status=cell.status,
        reason=cell.reason,
        scores=np.asarray(cell.scores, "<f8").tobytes(),
        second=np.asarray(cell.second, "<f8").tobytes(),
        steps=np.asarray(cell.steps, "<i8").tobytes(),
        curve=np.asarray(cell.curve, "<f8").tobytes(),
        facts=json.dumps(cell.facts),
        versions=json.dumps(cell.versions),
        seconds=float(cell.seconds),
        cpu_seconds=float(cell.cpu_seconds),
        exact=int(cell.exact),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _to_cell(row: CellRow) -> JobRecord:
    steps = np.frombuffer(row.steps, "<i8")
    curve = np.frombuffer(row.curve, "<f8")
    return JobRecord(
        pair=row.pair,
        span=SeedRange(row.first, row.count),
        status=row.status,
        reason=row.reason,
        scores=np.frombuffer(row.scores, "<f8"),
        second=np.frombuffer(row.second, "<f8"),
        steps=steps,
        curve=curve.reshape(-1, len(steps)) if len(steps) else curve.reshape(0, 0),
        facts=json.loads(row.facts),
        versions=json.loads(row.versions),
        seconds=row.seconds,
        cpu_seconds=row.cpu_seconds,
        exact=bool(row.exact),
    )
