"""What the lab's database says about runs: records as rows and back, and the changes that a checkpoint makes.

Values in rows have the types that SQLite gives back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from simulator.checkpoints import Written
from simulator.core.escaping import shortened
from simulator.database import Database, damaged
from simulator.lab import forgotten, told_of_forgotten
from simulator.records import EvaluationRow, NewRun, PointRows, Progress, Rows, RunRecord, StoreError

_N_INTS = 4  # of the columns of PointRows
RUN_ID = re.compile(r"r[1-9][0-9]{0,17}")


class RunRow(NamedTuple):
    """The table ``runs``; texts of more than one value are JSON."""

    id: int
    agent: str
    world: str
    seeds: str
    steps: int
    settings: str
    settings_hash: str
    versions: str
    status: str
    created: str
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    exact: int = 1
    result: str = "null"
    checkpoint: int = 0  # number of the newest, 0 before the first
    points: int = 0  # how many rows of the table points are this run's
    evaluations: int = 0  # likewise

    def record(self) -> RunRecord:
        """The run as others know it."""
        row = self._asdict() | {"run": f"r{self.id}", "seeds": tuple(json.loads(self.seeds)), "exact": bool(self.exact)}
        for name in ("versions", "result"):
            row[name] = json.loads(row[name])
        return RunRecord(**{name: row[name] for name in RunRecord.__dataclass_fields__})

    def moved(self, progress: Progress, status: str, result: str) -> RunRow:
        """The run as of its next checkpoint."""
        return self._replace(**_progress(progress), status=status, result=result, checkpoint=self.checkpoint + 1)


class CheckpointRow(NamedTuple):
    """The table ``checkpoints``."""

    run: int
    number: int
    step: int
    seconds: float
    cpu_seconds: float
    exact: int
    size: int
    sha256: str
    set_aside: int = 0  # 1: its file was found damaged, the run went on from an earlier one

    def progress(self) -> Progress:
        """How far the run was."""
        return Progress(self.step, self.seconds, self.cpu_seconds, bool(self.exact))

    def written(self) -> Written:
        """What its file must be."""
        return Written(self.size, self.sha256)


def of_new_run(number: int, new: NewRun, created: str) -> RunRow:
    """The first row of a run."""
    seeds, versions = json.dumps([int(seed) for seed in new.seeds]), json.dumps(new.versions)
    texts = (new.settings, new.settings_hash, versions, "running", created)
    result = json.dumps({"label": new.label} if new.label else None)
    return RunRow(number, new.agent, new.world, seeds, int(new.steps), *texts, result=result)


def of_checkpoint(run: int, number: int, progress: Progress, written: Written) -> CheckpointRow:
    """The row of a checkpoint file."""
    return CheckpointRow(run=run, number=number, **_progress(progress), **written._asdict())


def run_row(db: Database, run: str) -> RunRow:
    """The run of that id.

    Raises:
        StoreError: there is none; the nearest ids are offered.
    """
    found = db.select("runs", "WHERE id = ?", [int(run[1:])]) if RUN_ID.fullmatch(run) else []  # not by scanning them
    if not found:
        raise StoreError(_unknown(db, run))
    return RunRow(*found[0])


def has_run(db: Database, run: str) -> bool:
    """Whether there is a run of that id."""
    return bool(RUN_ID.fullmatch(run) and db.select("runs", "WHERE id = ?", [int(run[1:])]))


def run_rows(db: Database) -> list[RunRow]:
    """All runs, newest first."""
    return [RunRow(*row) for row in db.select("runs", "ORDER BY id DESC")]


def newest_run(db: Database) -> RunRow | None:
    """The run that was begun last, without reading the others."""
    found = db.select("runs", "ORDER BY id DESC LIMIT 1")
    return RunRow(*found[0]) if found else None


def _unknown(db: Database, name: str) -> str:
    runs, lab = [row.id for row in run_rows(db)], db.path.parent
    unknown = f"lab {lab} has no run {shortened(name)!r}"
    if lost := forgotten(lab, runs):
        return f"{unknown}: {told_of_forgotten(lab, lost)}"
    if not runs:
        return f"{unknown}: it has no runs yet"
    digits = re.search(r"[0-9]{1,18}", name)
    wanted = int(digits[0]) if digits else runs[0]
    near = sorted(runs, key=lambda run: abs(run - wanted))[:3]
    return f"{unknown}; nearest: {', '.join(f'r{run}' for run in near)}, or latest"


def checkpoint_rows(db: Database, run: int) -> list[CheckpointRow]:
    """A run's checkpoints, oldest first."""
    return [CheckpointRow(*row) for row in db.select("checkpoints", "WHERE run = ? ORDER BY number", [run])]


def candidates(db: Database, row: RunRow) -> list[CheckpointRow]:
    """The checkpoints that a run can go on from, newest first.

    Raises:
        StoreError: the newest one is not among them.
    """
    found = [checkpoint for checkpoint in reversed(checkpoint_rows(db, row.id)) if not checkpoint.set_aside]
    if row.checkpoint != (found[0].number if found else 0):
        raise damaged(db.path, f"checkpoint {row.checkpoint} of run r{row.id} is not in it")
    return found


def set_back(db: Database, row: RunRow, tip: int) -> RunRow:
    """Forget what a run recorded after checkpoint ``tip``; the damaged files stay where they are."""
    for later in checkpoint_rows(db, row.id):
        if later.number > tip:
            db.update("checkpoints", later._replace(set_aside=1), ("run", "number"))
    points = db.delete("points", "run = ? AND checkpoint > ?", [row.id, tip])
    evaluations = db.delete("evaluations", "run = ? AND checkpoint > ?", [row.id, tip])
    return row._replace(points=row.points - points, evaluations=row.evaluations - evaluations)


def add(db: Database, row: RunRow, number: int, rows: Rows) -> RunRow:
    """Record what came with checkpoint ``number``."""
    points = db.insert("points", of_points(row.id, number, rows.points))
    evaluations = db.insert("evaluations", (of_evaluation(row.id, number, e) for e in rows.evaluations))
    return row._replace(points=row.points + points, evaluations=row.evaluations + evaluations)


def prune(db: Database, run: int, keep: int) -> list[int]:
    """Forget the whole checkpoints that ``keep`` newer ones replace; their numbers."""
    old = [c.number for c in checkpoint_rows(db, run) if not c.set_aside][:-keep]
    for number in old:
        db.delete("checkpoints", "run = ? AND number = ?", [run, number])
    return old


def of_points(run: int, number: int, points: PointRows | None) -> Iterator[tuple[Any, ...]]:
    """Rows of the table ``points`` that come with checkpoint ``number``."""
    if points is not None:
        columns: list[list[Any]] = [np.asarray(column, np.int64).tolist() for column in points[:_N_INTS]]
        columns += [[_real(value) for value in np.asarray(column).tolist()] for column in points[_N_INTS:]]
        for values in zip(*columns, strict=True):
            yield (run, number, *values)


def to_points(found: list[Any]) -> PointRows:
    """Rows of the table ``points`` as arrays."""
    columns = list(zip(*found, strict=True))[2:] or [()] * len(PointRows._fields)
    kinds = [np.int64 if i < _N_INTS else np.float64 for i in range(len(columns))]
    return PointRows(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def of_evaluation(run: int, number: int, row: EvaluationRow) -> tuple[Any, ...]:
    """A row of the table ``evaluations`` that comes with checkpoint ``number``."""
    exact = None if row.exact is None else _real(row.exact)
    returns = np.asarray(row.returns, "<f8").tobytes()
    return (run, number, int(row.seed), int(row.step), _real(row.mean), exact, returns)


def to_evaluation(found: Any) -> EvaluationRow:
    """A row of the table ``evaluations`` as a record."""
    _, _, seed, step, mean, exact, returns = found
    return EvaluationRow(step, seed, np.nan if mean is None else mean, exact, np.frombuffer(returns, "<f8").copy())


def _progress(progress: Progress) -> dict[str, Any]:
    times = {"seconds": float(progress.seconds), "cpu_seconds": float(progress.cpu_seconds)}
    return {"step": int(progress.step), **times, "exact": int(progress.exact)}


def _real(value: float) -> float | None:
    """A number as SQLite keeps it: nan is NULL, and there is one zero."""
    return None if value != value else float(value) + 0.0
