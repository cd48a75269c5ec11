"""Event files of TensorBoard: curves of a run, written while it trains.

One folder for every seed, which TensorBoard shows as a line of its own, and one for their mean:
``DIR/r5/seed-0``, ``DIR/r5/mean``. Steps are environment steps per seed. The tags are those of stable-baselines3, so
that runs of both stand in one chart:

=========================  ============================================================================================
``rollout/ep_rew_mean``    mean return of the training episodes that ended in a point of the learning curve
``eval/mean_reward``       mean return of a greedy evaluation; the exact expected return where it is known
``train/NAME``             a metric of the agent (``loss``, ``td_error``), about ten times a second
``time/fps``               environment steps of all seeds per second of training; in ``mean`` only
=========================  ============================================================================================

A file is a row of records (TFRecord): length, uint64; its checksum; the bytes of an ``Event``; their checksum. All
numbers are little-endian. A checksum is a CRC-32C (Castagnoli), masked, so that records within records do not look
valid. ``Event`` and ``Summary`` are messages of protocol buffers (tensorboard/compat/proto), written field by field.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from simulator.core.protocols import Array
from simulator.core.snapshots import RunSnapshot
from simulator.training.protobuf import field, key, number

MAX_SEEDS = 64  # with a folder of their own
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reversed
_MASK = 0xA282EAD8
_FIXED64 = 1  # wire types of protocol buffers
_FIXED32 = 5


class EventWriter:
    """Writes the snapshots of a run as event files; a view of it, see :class:`simulator.core.snapshots.View`.

    Args:
        folder: of all runs, made where it is missing.

    Raises:
        ValueError: it cannot be made; one line.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder}: cannot be made ({error.strerror}), expected a folder for events") from None
        self._folder = folder
        self._files: dict[str, EventFile] = {}
        self._has_begun = False
        self._n_points = 0  # of the curve, that are written
        self._n_evaluations = 0
        self._metrics_step = -1

    def show(self, snapshot: RunSnapshot) -> None:
        """Write what is new in a snapshot.

        Raises:
            ValueError: a file cannot be written; one line.
        """
        if not self._files:
            self._open(snapshot)
        self._write_points(snapshot)
        for evaluation in snapshot.evaluations[self._n_evaluations :]:
            scores = evaluation.returns.mean(axis=1) if evaluation.exact is None else evaluation.exact
            self._write("eval/mean_reward", evaluation.step, scores, snapshot.seeds)
        self._n_evaluations = len(snapshot.evaluations)
        if snapshot.metrics and snapshot.step > self._metrics_step:
            self._metrics_step = snapshot.step
            for name, values in snapshot.metrics.items():
                self._write(f"train/{name}", snapshot.step, np.asarray(values, np.float64), snapshot.seeds)
            if snapshot.training_seconds > 0:
                rate = len(snapshot.seeds) * snapshot.step / snapshot.training_seconds
                self._files["mean"].add(snapshot.step, {"time/fps": rate})
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Close the files; a snapshot after that opens others in the same folders."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def _open(self, snapshot: RunSnapshot) -> None:
        seeds = snapshot.seeds if len(snapshot.seeds) <= MAX_SEEDS else ()
        names = ["mean", *(f"seed-{seed}" for seed in seeds)]
        run = self._folder / snapshot.id
        goes_on = run.is_dir() and snapshot.step > 0 and not self._has_begun
        self._files = {name: EventFile(run / name) for name in names}
        self._has_begun = True
        if goes_on:  # what an earlier process wrote is there
            self._n_points = int((snapshot.curve.steps <= snapshot.step).sum())
            self._n_evaluations = len(snapshot.evaluations)

    def _write_points(self, snapshot: RunSnapshot) -> None:
        """Write the points of the curve that nothing is added to any more."""
        steps, mean, episodes = snapshot.curve
        n_final = len(steps) if snapshot.phase in ("done", "failed") else int((steps <= snapshot.step).sum())
        for p in range(self._n_points, n_final):
            values = np.where(episodes[:, p] > 0, np.ma.getdata(mean)[:, p], np.nan)
            self._write("rollout/ep_rew_mean", int(steps[p]), values, snapshot.seeds)
        self._n_points = n_final

    def _write(self, tag: str, step: int, values: Array, seeds: tuple[int, ...]) -> None:
        """Write a value of every seed, [S], and their mean; what is not finite is left out."""
        finite = np.isfinite(values)
        if finite.any():
            self._files["mean"].add(step, {tag: float(values[finite].mean())})
        for seed, value in zip(seeds, values, strict=True):
            file = self._files.get(f"seed-{seed}")
            if file is not None and np.isfinite(value):
                file.add(step, {tag: float(value)})


class EventFile:
    """One event file, ``events.out.tfevents.TIME.HOST.PROCESS``, made with its folder.

    Args:
        folder: where.

    Raises:
        ValueError: it cannot be written; one line.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = 0
            while self._path.exists():
                number += 1
                self._path = folder / f"{name}.{number}"
            self._file: BinaryIO = self._path.open("xb")
        except OSError as error:
            raise ValueError(f"{folder}: cannot be written ({error.strerror}), expected a folder for events") from None
        self._record(event(now, 0, version="brain.Event:2"))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add scalars of one step, by their tags."""
        self._record(event(time.time(), step, scalars))

    def flush(self) -> None:
        """Hand everything to the system, so that TensorBoard sees it."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, data: bytes) -> None:
        length = struct.pack("<Q", len(data))
        try:
            self._file.write(length + _checksum(length) + data + _checksum(data))
        except OSError as error:
            raise ValueError(f"{self._path}: cannot be written ({error.strerror}), expected room for events") from None


def event(wall_time: float, step: int, scalars: Mapping[str, float] | None = None, version: str = "") -> bytes:
    """Serialise an ``Event``: wall_time = 1, step = 2, file_version = 3, summary = 5."""
    parts = [key(1, _FIXED64), struct.pack("<d", wall_time)]
    if step:
        parts += [number(2, step)]
    if version:
        parts += [field(3, version.encode())]
    if scalars:  # Summary: value = 1; Value: tag = 1, simple_value = 2
        values = [
            field(1, field(1, tag.encode()) + key(2, _FIXED32) + struct.pack("<f", _single(number)))
            for tag, number in scalars.items()
        ]
        parts += [field(5, b"".join(values))]
    return b"".join(parts)


def _single(number: float) -> float:
    """Return the number within the range of float32."""
    return float(np.clip(number, -np.finfo(np.float32).max, np.finfo(np.float32).max))


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """Compute the CRC-32C (Castagnoli) of bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    table: list[Any] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _table()
