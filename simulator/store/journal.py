"""Journal in a run's folder, from which the run can be restored without the lab's database.

``journal`` is an append-only file of frames: the first one describes the run, each checkpoint adds one with its number,
its parent's number, the SHA-256 of its file, and the rows that became final with it. The rows of a checkpoint are those
of its frame and of all its ancestors. An incomplete or damaged frame fails its checksum and is skipped. The journal is
read only if the database is damaged; see :mod:`simulator.store.repair`.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.store import checkpoints
from simulator.store.checkpoints import Written
from simulator.store.database import SCHEMA, other_schema
from simulator.store.lab_files import open_own, read_own
from simulator.store.records import EvaluationRow, MetricRow, PointRows, Rows, StoreError

NAME = "journal"
_MAGIC = b"\x89engr\r\n\x1a"
_HEAD = struct.Struct("<Q32s")  # length and SHA-256 of the rest


class JournalEntry(NamedTuple):
    """Rows that came with one checkpoint."""

    number: int
    parent: int  # the checkpoint that its writer went on from, 0 for the beginning
    written: Written  # its file
    rows: Rows


class Journal(NamedTuple):
    """The whole frames of a journal."""

    run: dict[str, Any] | None  # the row of the table ``experiments`` with which the run began
    entries: tuple[JournalEntry, ...]  # in the order in which they were written


def begin(folder: Path, run: dict[str, Any]) -> None:
    """Write the first frame, which describes the run.

    Args:
        folder: the run's.
        run: its row of the table ``experiments``.
    """
    _append(folder, {"run": run, "schema": SCHEMA})


def add(folder: Path, entry: JournalEntry) -> None:
    """Write the frame of a checkpoint, durably."""
    evaluations = entry.rows.evaluations
    packed = {
        "seed": np.array([row.seed for row in evaluations], np.int64),
        "step": np.array([row.step for row in evaluations], np.int64),
        "mean": np.array([row.mean for row in evaluations], np.float64),
        "exact": np.array([np.nan if row.exact is None else row.exact for row in evaluations], np.float64),
        "episodes": np.array([len(row.returns) for row in evaluations], np.int64),
        "returns": np.concatenate([np.zeros(0), *(np.asarray(row.returns, np.float64) for row in evaluations)]),
    }
    points = entry.rows.points
    state = {
        "number": entry.number,
        "parent": entry.parent,
        **entry.written._asdict(),
        "points": None if points is None else {name: np.asarray(values) for name, values in points._asdict().items()},
        "evaluations": packed,
        "metrics": {
            "seed": np.array([row.seed for row in entry.rows.metrics], np.int64),
            "step": np.array([row.step for row in entry.rows.metrics], np.int64),
            "name": [row.name for row in entry.rows.metrics],
            "value": np.array([row.value for row in entry.rows.metrics], np.float64),
        },
    }
    _append(folder, state)


def there(folder: Path) -> bool:
    """Return whether a run has a journal."""
    return (folder / NAME).exists()


def read(folder: Path) -> Journal:
    """Read the whole frames of a run's journal.

    Raises:
        OSError: it cannot be read.
        StoreError: another version of engram wrote it.
    """
    run: dict[str, Any] | None = None
    entries: list[JournalEntry] = []
    for state in _states(folder / NAME):
        if "run" in state:
            schema = state.get("schema", 0)
            if schema != SCHEMA:
                raise StoreError(other_schema(folder / NAME, schema, SCHEMA))
            run = run or state["run"]
        else:
            entries.append(_entry(state))
    return Journal(run, tuple(entries))


def _append(folder: Path, state: dict[str, Any]) -> None:
    """Append one frame; an incomplete one is skipped by readers."""
    payload = checkpoints.packed(state)
    with open_own(folder / NAME, "ab") as file:
        file.write(_MAGIC + _HEAD.pack(len(payload), hashlib.sha256(payload).digest()) + payload)
        file.flush()
        os.fsync(file.fileno())


def _states(path: Path) -> Iterator[dict[str, Any]]:
    data = read_own(path) if os.path.lexists(path) else b""
    at = 0
    while (at := data.find(_MAGIC, at)) >= 0:
        start = at + len(_MAGIC) + _HEAD.size
        if start > len(data):
            return
        length, digest = _HEAD.unpack_from(data, at + len(_MAGIC))
        payload = data[start : start + length]
        if len(payload) == length and hashlib.sha256(payload).digest() == digest:
            yield checkpoints.unpacked(payload)
            at = start + length
        else:
            at += len(_MAGIC)


def _entry(state: dict[str, Any]) -> JournalEntry:
    own = state["evaluations"]
    metrics = tuple(
        MetricRow(int(step), int(seed), name, float(value))
        for step, seed, name, value in zip(*(state["metrics"][key] for key in MetricRow._fields), strict=True)
    )
    ends = np.cumsum(own["episodes"])
    evaluations = tuple(
        EvaluationRow(int(step), int(seed), float(mean), None if np.isnan(exact) else float(exact), own["returns"][a:b])
        for step, seed, mean, exact, a, b in zip(
            own["step"], own["seed"], own["mean"], own["exact"], ends - own["episodes"], ends, strict=True
        )
    )
    points = None if state["points"] is None else PointRows(**state["points"])
    written = Written(state["size"], state["sha256"])
    return JournalEntry(state["number"], state["parent"], written, Rows(points, evaluations, metrics))
