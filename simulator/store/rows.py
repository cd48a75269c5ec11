"""Rows of the lab's database about experiments: conversion to records and back, and their changes.

Values in rows have the types that SQLite gives back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from simulator.core.experiment_kinds import noun_of
from simulator.core.files.escaping import shortened
from simulator.store.checkpoints import Written
from simulator.store.database import Database, damaged
from simulator.store.lab import forgotten, forgotten_line
from simulator.store.records import (
    EvaluationRow,
    MetricRow,
    NewRun,
    PointRows,
    Rows,
    RunProgress,
    RunRecord,
    StoreError,
)

_N_INTS = 4  # of the columns of PointRows
COUNTED = ("points", "evaluations", "metrics")  # tables of which an experiment's row counts its rows
RUN_ID = re.compile(r"r[1-9][0-9]{0,17}")
CELLS_ID = re.compile(r"t[1-9][0-9]{0,17}")  # of a tournament or a tuning


class TournamentRow(NamedTuple):
    """Table ``tournaments``; texts of more than one value are JSON."""

    id: int
    kind: str
    label: str
    settings: str
    settings_hash: str
    plan: str
    versions: str
    status: str
    created: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class ExperimentRow(NamedTuple):
    """Table ``experiments``; texts of more than one value are JSON."""

    id: int
    kind: str
    agent: str
    env: str
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
    points: int = 0  # how many rows of the table points are this experiment's
    evaluations: int = 0  # likewise
    metrics: int = 0  # likewise

    def record(self) -> RunRecord:
        """Convert to a record."""
        row = self._asdict() | {"run": f"r{self.id}", "seeds": tuple(json.loads(self.seeds)), "exact": bool(self.exact)}
        for name in ("versions", "result"):
            row[name] = json.loads(row[name])
        return RunRecord(**{name: row[name] for name in RunRecord.__dataclass_fields__})

    def moved(self, progress: RunProgress, status: str, result: str) -> ExperimentRow:
        """Return the row at the next checkpoint."""
        return self._replace(**_progress(progress), status=status, result=result, checkpoint=self.checkpoint + 1)


class CheckpointRow(NamedTuple):
    """Table ``checkpoints``."""

    experiment: int
    number: int
    step: int
    seconds: float
    cpu_seconds: float
    exact: int
    size: int
    sha256: str
    quarantined: int = 0  # 1: its file was found damaged, the run continued from an earlier one

    def progress(self) -> RunProgress:
        """Return the progress of the run at this checkpoint."""
        return RunProgress(self.step, self.seconds, self.cpu_seconds, bool(self.exact))

    def written(self) -> Written:
        """Size and hash that its file must have."""
        return Written(self.size, self.sha256)


def of_new_run(number: int, new: NewRun, created: str) -> ExperimentRow:
    """Make the first row of a run."""
    seeds = json.dumps([int(seed) for seed in new.seeds])
    versions = json.dumps(new.versions)
    texts = (new.settings, new.settings_hash, versions, "running", created)
    facts = {name: getattr(new, name) for name in ("label", "keep_replay", "files") if getattr(new, name)}
    result = json.dumps(facts or None)
    return ExperimentRow(number, new.kind, new.agent, new.env, seeds, int(new.steps), *texts, result=result)


def of_checkpoint(run: int, number: int, progress: RunProgress, written: Written) -> CheckpointRow:
    """Make the row of a checkpoint file."""
    return CheckpointRow(experiment=run, number=number, **_progress(progress), **written._asdict())


def run_row(db: Database, run: str) -> ExperimentRow:
    """Return the run of an id.

    Raises:
        StoreError: there is none; the nearest ids are offered.
    """
    rows = (
        db.select("experiments", "WHERE id = ?", [int(run[1:])]) if RUN_ID.fullmatch(run) else []
    )  # not by scanning them
    if not rows:
        raise StoreError(_unknown(db, run))
    return ExperimentRow(*rows[0])


def has_run(db: Database, run: str) -> bool:
    """Return whether a run of an id exists."""
    return bool(RUN_ID.fullmatch(run) and db.select("experiments", "WHERE id = ?", [int(run[1:])]))


def run_rows(db: Database) -> list[ExperimentRow]:
    """Return all runs, newest first."""
    return [ExperimentRow(*row) for row in db.select("experiments", "ORDER BY id DESC")]


def newest_run(db: Database) -> ExperimentRow | None:
    """Return the run that began last, without reading the others."""
    rows = db.select("experiments", "ORDER BY id DESC LIMIT 1")
    return ExperimentRow(*rows[0]) if rows else None


def _unknown(db: Database, name: str) -> str:
    if of_cells := _of_cells(db, name):
        return f"{name} is a {noun_of(of_cells.kind)}, expected a run (engram show {name})"
    if CELLS_ID.fullmatch(name):
        return _unknown_of_cells(db, name)
    runs = [row.id for row in run_rows(db)]
    lab = db.path.parent
    unknown = f"lab {lab} has no run {shortened(name)!r}"
    if lost := forgotten(lab, runs):
        return f"{unknown}: {forgotten_line(lab, lost)}"
    if not runs:
        return f"{unknown}: it has no runs yet"
    digits = re.search(r"[0-9]{1,18}", name)
    wanted = int(digits[0]) if digits else runs[0]
    nearest = sorted(runs, key=lambda run: abs(run - wanted))[:3]
    return f"{unknown}; nearest: {', '.join(f'r{run}' for run in nearest)}, or latest"


def of_cells_row(db: Database, name: str) -> TournamentRow:
    """Return the experiment of an id that is made of cells, a tournament or a tuning.

    Raises:
        StoreError: there is none; the newest ids are offered.
    """
    if row := _of_cells(db, name):
        return row
    if has_run(db, name):
        noun = noun_of(run_row(db, name).kind)
        raise StoreError(f"{name} is a {noun}, expected a tournament or a tuning (engram show {name})")
    raise StoreError(_unknown_of_cells(db, name))


def _of_cells(db: Database, name: str) -> TournamentRow | None:
    rows = db.select("tournaments", "WHERE 't' || id = ?", [name])
    return TournamentRow(*rows[0]) if rows else None


def _unknown_of_cells(db: Database, name: str) -> str:
    ids = [TournamentRow(*row).id for row in db.select("tournaments", "ORDER BY id DESC")]
    hint = f"; nearest: {', '.join(f't{n}' for n in ids[:3])}, or latest" if ids else ": it has none yet"
    return f"lab {db.path.parent} has no tournament or tuning {shortened(name)!r}{hint}"


def checkpoint_rows(db: Database, run: int) -> list[CheckpointRow]:
    """Return a run's checkpoints, oldest first."""
    return [CheckpointRow(*row) for row in db.select("checkpoints", "WHERE experiment = ? ORDER BY number", [run])]


def candidates(db: Database, row: ExperimentRow) -> list[CheckpointRow]:
    """Return the checkpoints from which a run can continue, newest first.

    Raises:
        StoreError: the newest one is not among them.
    """
    checkpoints = [checkpoint for checkpoint in reversed(checkpoint_rows(db, row.id)) if not checkpoint.quarantined]
    if row.checkpoint != (checkpoints[0].number if checkpoints else 0):
        raise damaged(db.path, f"checkpoint {row.checkpoint} of run r{row.id} is not in it")
    return checkpoints


def truncate_after(db: Database, row: ExperimentRow, base_checkpoint: int) -> ExperimentRow:
    """Delete the rows recorded after a checkpoint, and quarantine the checkpoints after it; damaged files stay."""
    for later in checkpoint_rows(db, row.id):
        if later.number > base_checkpoint:
            db.update("checkpoints", later._replace(quarantined=1), ("experiment", "number"))
    counts = {}
    for table in COUNTED:
        n_deleted = db.delete(table, "experiment = ? AND checkpoint > ?", [row.id, base_checkpoint])
        counts[table] = getattr(row, table) - n_deleted
    return row._replace(**counts)


def add(db: Database, row: ExperimentRow, number: int, rows: Rows) -> ExperimentRow:
    """Insert the rows that came with checkpoint ``number``."""
    points = db.insert("points", of_points(row.id, number, rows.points))
    evaluations = db.insert(
        "evaluations", (of_evaluation(row.id, number, evaluation) for evaluation in rows.evaluations)
    )
    metrics = db.insert("metrics", (of_metric(row.id, number, metric) for metric in rows.metrics))
    return row._replace(
        points=row.points + points, evaluations=row.evaluations + evaluations, metrics=row.metrics + metrics
    )


def prune(db: Database, run: int, keep: int) -> list[int]:
    """Delete whole checkpoints that ``keep`` newer ones replace, and return their numbers."""
    old = [c.number for c in checkpoint_rows(db, run) if not c.quarantined][:-keep]
    for number in old:
        db.delete("checkpoints", "experiment = ? AND number = ?", [run, number])
    return old


def of_points(run: int, number: int, points: PointRows | None) -> Iterator[tuple[Any, ...]]:
    """Convert to rows of the table ``points`` of checkpoint ``number``."""
    if points is not None:
        columns: list[list[Any]] = [np.asarray(column, np.int64).tolist() for column in points[:_N_INTS]]
        columns += [[_real(value) for value in np.asarray(column).tolist()] for column in points[_N_INTS:]]
        for values in zip(*columns, strict=True):
            yield (run, number, *values)


def to_points(rows: list[Any]) -> PointRows:
    """Convert rows of the table ``points`` to arrays."""
    columns = list(zip(*rows, strict=True))[2:] or [()] * len(PointRows._fields)
    kinds = [np.int64 if i < _N_INTS else np.float64 for i in range(len(columns))]
    return PointRows(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def of_evaluation(run: int, number: int, row: EvaluationRow) -> tuple[Any, ...]:
    """Convert to a row of the table ``evaluations`` of checkpoint ``number``."""
    exact = None if row.exact is None else _real(row.exact)
    returns = np.asarray(row.returns, "<f8").tobytes()
    return (run, number, int(row.seed), int(row.step), _real(row.mean), exact, returns)


def to_evaluation(row: Any) -> EvaluationRow:
    """Convert a row of the table ``evaluations`` to a record."""
    _, _, seed, step, mean, exact, returns = row
    return EvaluationRow(step, seed, np.nan if mean is None else mean, exact, np.frombuffer(returns, "<f8").copy())


def of_metric(run: int, number: int, row: MetricRow) -> tuple[Any, ...]:
    """Convert to a row of the table ``metrics`` of checkpoint ``number``."""
    return (run, number, int(row.seed), int(row.step), row.name, _real(row.value))


def to_metric(row: Any) -> MetricRow:
    """Convert a row of the table ``metrics`` to a record."""
    _, _, seed, step, name, value = row
    return MetricRow(step, seed, name, np.nan if value is None else value)


def _progress(progress: RunProgress) -> dict[str, Any]:
    times = {"seconds": float(progress.seconds), "cpu_seconds": float(progress.cpu_seconds)}
    return {"step": int(progress.step), **times, "exact": int(progress.exact)}


def _real(value: float) -> float | None:
    """Convert a number for SQLite: NaN is NULL, -0.0 is 0.0."""
    return None if value != value else float(value) + 0.0
