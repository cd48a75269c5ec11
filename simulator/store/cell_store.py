"""What a lab holds of tournaments: their plans, and every cell that was ever played in it.

Cells are known by what they depend on (see :mod:`simulator.tournaments.plan`), so any tournament of the lab finds those
that another one has played. A cell is recorded in one transaction once it is over; cells in flight leave nothing here.
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

from simulator.core.protocols import Array
from simulator.store.database import NAME, Database, translated
from simulator.store.lab import lock_run, prepare, unlock_run
from simulator.store.records import StoreError
from simulator.store.run_records import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

Span = tuple[int, int]  # a block of seeds: the first, and how many
Slot = tuple[str, Span]  # a pair's key and a block of seeds


class Cell(NamedTuple):
    """One cell that was played.

    ``scores`` [S] is nan where a seed failed; ``second`` [S] is what the other side of a match scored, else empty;
    ``steps`` [K] and ``curve`` [S, K] are the evaluations on the way. A failed cell has no numbers and a reason.
    """

    pair: str  # what it depends on, but for its seeds
    span: Span
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
    """A tournament as the lab knows it."""

    id: int
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
    """The tournaments of one lab, used from one thread; see :class:`simulator.store.run_store.Store`.

    Args:
        lab: its folder; made where there is none.
    """

    def __init__(self, lab: Path | str) -> None:
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
        """Be the one host that plays tournaments in this lab.

        Raises:
            StoreError: another process is; the line names it.
        """
        folder = self.lab / "cells"
        with translated(folder):
            folder.mkdir(exist_ok=True)
        lock = lock_run(folder)
        try:
            yield
        finally:
            unlock_run(folder, lock)

    def scratch(self, pair: str, span: Span) -> Path:
        """Where a cell in flight keeps its checkpoints."""
        return self.lab / "cells" / f"{pair[:24]}-{span[0]}-{span[1]}"

    def begin(self, settings: str, settings_hash: str, plan: dict[str, Any], label: str, versions: Any) -> str:
        """The tournament of these settings: the one that is there, or a new one; its id."""
        with self._db.writing():
            rows = self._db.select("tournaments", "WHERE settings_hash = ? ORDER BY id DESC", [settings_hash])
            if rows:
                found = rows[0]
                texts = {"plan": json.dumps(plan), "settings": settings, "versions": json.dumps(versions)}
                row = TournamentRow(*found)._replace(label=label or found[1], **texts)
                self._db.update("tournaments", row, ("id",))
                return f"t{found[0]}"
            number = 1 + max((row[0] for row in self._db.select("tournaments")), default=0)
            texts = (label, settings, settings_hash, json.dumps(plan), json.dumps(versions))
            created = datetime.now(UTC).isoformat(timespec="seconds")
            self._db.insert("tournaments", [TournamentRow(number, *texts, "running", created)])
        return f"t{number}"

    def keep_plan(self, name: str, plan: dict[str, Any]) -> None:
        """Record how a plan has grown."""
        self._change(name, plan=json.dumps(plan))

    def mark(self, name: str, status: str, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        """Say how a tournament stands, and add the time of a sitting."""
        row = self._row(name)
        self._change(
            name, status=status, seconds=row.seconds + seconds, cpu_seconds=row.cpu_seconds + float(cpu_seconds)
        )

    def tournaments(self) -> list[TournamentRecord]:
        """All tournaments, newest first."""
        with self._db.reading():
            return [_record(row) for row in self._db.select("tournaments", "ORDER BY id DESC")]

    def find(self, name: str) -> TournamentRecord:
        """The tournament of that id.

        Raises:
            StoreError: there is none.
        """
        return _record(self._row(name))

    def add(self, cell: Cell) -> None:
        """Record a cell, durably; one that is there already is replaced."""
        with self._db.writing():
            self._db.delete("cells", "pair = ? AND first = ? AND count = ?", [cell.pair, *cell.span])
            self._db.insert("cells", [_of_cell(cell)])
        with suppress(OSError):
            shutil.rmtree(self.scratch(cell.pair, cell.span), ignore_errors=True)

    def add_all(self, cells: Iterable[Cell]) -> None:
        """Record many new cells in one transaction."""
        with self._db.writing():
            self._db.insert("cells", map(_of_cell, cells))

    def forget(self, pair: str, span: Span) -> None:
        """Take a cell out: it is to be played again."""
        with self._db.writing():
            self._db.delete("cells", "pair = ? AND first = ? AND count = ?", [pair, *span])

    def cells(self, pairs: Sequence[str]) -> dict[tuple[str, Span], Cell]:
        """Every cell of these pairs."""
        found: dict[tuple[str, Span], Cell] = {}
        with self._db.reading():
            for pair in dict.fromkeys(pairs):
                for row in self._db.select("cells", "WHERE pair = ?", [pair]):
                    found[pair, (row[1], row[2])] = _to_cell(row)
        return found

    def fingerprint(self, pairs: Sequence[str]) -> str:
        """What changes whenever a cell of these pairs does, without reading them."""
        with self._db.reading():
            return json.dumps(self._db.fingerprint("cells", "pair", list(dict.fromkeys(pairs))))

    def keep_verdict(self, name: str, cells: str, verdict: dict[str, Any]) -> None:
        """Record what a tournament came to, for cells of that fingerprint."""
        number = self._row(name).id
        with self._db.writing():
            self._db.delete("verdicts", "tournament = ?", [number])
            self._db.insert("verdicts", [(number, cells, json.dumps(verdict))])

    def verdict(self, name: str, cells: str) -> dict[str, Any] | None:
        """What was recorded so for cells of that fingerprint; None where there is nothing, or for other cells."""
        with self._db.reading():
            rows = self._db.select("verdicts", "WHERE 't' || tournament = ? AND cells = ?", [name, cells])
        return json.loads(rows[0][2]) if rows else None

    def sweep(self, keep: Iterable[Slot]) -> None:
        """Clear away what cells in flight left, but for these: nobody will go on with the others."""
        wanted = {self.scratch(*slot) for slot in keep}
        for path in (self.lab / "cells").glob("*-*-*"):
            if path not in wanted and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _row(self, name: str) -> TournamentRow:
        with self._db.reading():
            rows = self._db.select("tournaments", "WHERE 't' || id = ?", [name])
            known = [row[0] for row in self._db.select("tournaments", "ORDER BY id DESC")]
        if not rows:
            near = f"; nearest: {', '.join(f't{n}' for n in known[:3])}" if known else ": it has none yet"
            raise StoreError(f"lab {self.lab} has no tournament {name!r}{near}")
        return TournamentRow(*rows[0])

    def _change(self, name: str, **changes: Any) -> None:
        row = self._row(name)
        with self._db.writing():
            self._db.update("tournaments", row._replace(**changes), ("id",))


class TournamentRow(NamedTuple):
    """The table ``tournaments``; texts of more than one value are JSON."""

    id: int
    label: str
    settings: str
    settings_hash: str
    plan: str
    versions: str
    status: str
    created: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def of_result(slot: Slot, result: dict[str, Any]) -> Cell:
    """A cell that was played, as the lab keeps it."""
    scores = np.array(result["scores"], np.float64)
    facts = {**result["facts"], "failed": result["failed"]}
    second, steps = np.array(result.get("second") or [], np.float64), np.array(result["steps"], np.int64)
    curve = np.array(result["curve"], np.float64).reshape(len(scores), len(steps))
    times = (float(result["seconds"]), float(result["cpu_seconds"]), bool(result["exact"]))
    return Cell(*slot, "done", "", scores, second, steps, curve, facts, installed(), *times)


def failed(slot: Slot, reason: str) -> Cell:
    """A cell that came to nothing."""
    nothing = np.zeros(0)
    arrays = (nothing, nothing, nothing.astype(np.int64), nothing.reshape(0, 0))
    return Cell(*slot, "failed", reason, *arrays, {}, installed(), 0.0, 0.0, True)


def is_tournament(name: str, lab: str | os.PathLike[str]) -> bool:
    """Whether that is the id of a tournament in a lab that is there, or "latest" where no run is newer."""
    if not (Path(lab) / NAME).exists() or not (name == "latest" or name[:1] == "t"):
        return False
    with CellStore(lab) as store:
        known = store.tournaments()
        if name != "latest":
            return any(each.name == name for each in known)
        newest = [row[9] for row in store._db.select("runs", "ORDER BY id DESC LIMIT 1")]
        return bool(known) and (not newest or known[0].created > newest[0])


def _record(row: Sequence[Any]) -> TournamentRecord:
    known = TournamentRow(*row)._asdict()
    return TournamentRecord(**known | {name: json.loads(known[name]) for name in ("plan", "versions")})


def _of_cell(cell: Cell) -> tuple[Any, ...]:
    arrays = [np.asarray(each, "<f8").tobytes() for each in (cell.scores, cell.second)]
    arrays += [np.asarray(cell.steps, "<i8").tobytes(), np.asarray(cell.curve, "<f8").tobytes()]
    texts = (json.dumps(cell.facts), json.dumps(cell.versions))
    times = (float(cell.seconds), float(cell.cpu_seconds), int(cell.exact))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return (cell.pair, *cell.span, cell.status, cell.reason, *arrays, *texts, *times, created)


def _to_cell(row: Sequence[Any]) -> Cell:
    pair, first, count, status, reason, scores, second, steps, curve, facts, versions, *times, exact, _ = row
    along = np.frombuffer(steps, "<i8")
    numbers = np.frombuffer(curve, "<f8")
    return Cell(
        pair,
        (first, count),
        status,
        reason,
        np.frombuffer(scores, "<f8"),
        np.frombuffer(second, "<f8"),
        along,
        numbers.reshape(-1, len(along)) if len(along) else numbers.reshape(0, 0),
        json.loads(facts),
        json.loads(versions),
        *times,
        bool(exact),
    )
