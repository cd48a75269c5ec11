"""Records of the store, and its two errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulator.core.protocols import Array, State

STATUSES = ("running", "interrupted", "done", "failed")


class StoreError(ValueError):
    """Bad input, or a lab that cannot be used; one line."""


class StoreFailure(RuntimeError):  # noqa: N818 - it is the failing of a lab, beside StoreError's refusing
    """A lab that failed while working: disk full, locked, lost; one line."""


@dataclass(frozen=True)
class NewRun:
    """A training run or a recall benchmark that is about to begin.

    Attributes:
        kind: ``RUN``, ``RECALL`` or ``PREDICT`` of :mod:`simulator.core.experiment_kinds`.
        agent: the agent's name, or those of the memories.
        env: the environment's name, or the challenge's.
        seeds: its seeds, [S].
        steps: units of work in all: environment steps per seed, or cells of a recall benchmark.
        settings: the complete settings, TOML.
        settings_hash: the settings' content hash.
        versions: distribution -> version, of whatever the result can depend on.
        label: name of it; no setting.
        keep_replay: whether its replay is kept when it is over.
        files: path -> content hash, of every file that the result depends on.
    """

    kind: str
    agent: str
    env: str
    seeds: tuple[int, ...]
    steps: int
    settings: str
    settings_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    label: str = ""
    keep_replay: bool = False
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """Stored training run or recall benchmark: its :class:`NewRun`, and its progress.

    Attributes:
        run: its id, such as "r1".
        kind: see :class:`NewRun`, as for the next seven.
        agent: likewise.
        env: likewise.
        seeds: likewise.
        steps: likewise.
        settings: likewise.
        settings_hash: likewise.
        versions: likewise.
        status: one of ``STATUSES`` as of the newest checkpoint: a killed run still says "running".
        created: when it began, ISO 8601 in UTC.
        step: units of work at the newest checkpoint.
        seconds: wall-clock time until then, of all processes.
        cpu_seconds: CPU time until then.
        exact: False where a foreign environment could not be continued exactly.
        result: what is known as of the newest checkpoint, its label from the beginning; None where nothing is.
    """

    run: str
    kind: str
    agent: str
    env: str
    seeds: tuple[int, ...]
    steps: int
    settings: str
    settings_hash: str
    versions: dict[str, str]
    status: str
    created: str
    step: int
    seconds: float
    cpu_seconds: float
    exact: bool
    result: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Its id, as every record of an experiment has it."""
        return self.run

    @property
    def label(self) -> str:
        """Label that people gave it, or nothing."""
        return str(self.known("label") or "")

    @property
    def keep_replay(self) -> bool:
        """True if its replay is kept when it is over."""
        return bool(self.known("keep_replay"))

    @property
    def files(self) -> dict[str, str]:
        """The content hash of every file that the result depends on, by path; empty where none was stored."""
        return dict(self.known("files") or {})

    @property
    def extended(self) -> list[dict[str, Any]]:
        """The changes of its steps: ``step`` at which it was made, ``from`` and ``to`` steps, ``replay_kept``."""
        return list(self.known("extended") or ())

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The seeds that failed, each with ``seed``, ``step`` and ``reason``."""
        return list(self.known("failed") or ())

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that ended the run: ``reason``, ``kind``, ``file``, ``line`` and ``step``; None where none did."""
        stored_error = self.known("error") if self.status == "failed" else None
        return dict(stored_error) if stored_error else None

    @property
    def machines(self) -> list[dict[str, str]]:
        """Machines that it was made on; see :mod:`simulator.machine`."""
        return list(self.known("machines") or ())

    @property
    def lost(self) -> str:
        """Loss that a repair of its lab could not recover, in one line; empty as a rule."""
        return str(self.known("lost") or "")

    def known(self, name: str) -> Any:
        """Return one fact of the result, or None."""
        return (self.result or {}).get(name)


@dataclass(frozen=True)
class RunProgress:
    """Work behind an experiment.

    Attributes:
        step: environment steps per seed, or cells of a recall benchmark.
        seconds: wall-clock time.
        cpu_seconds: CPU time.
        exact: whether every resume was exact.
    """

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    exact: bool = True


class PointRows(NamedTuple):
    """Curve points, each the aggregate of the training episodes of one seed that ended in it; all [n]."""

    seed: Array  # int64
    point: Array  # int64, index along the curve, below 1000 unless the run went on to more steps
    step: Array  # int64, last environment step of the point
    episodes: Array  # int64
    return_sum: Array  # float64, as for the rest; NaN where there is none
    return_min: Array
    return_max: Array
    return_sq: Array  # sum of squared returns
    length_sum: Array  # sum of episode lengths, steps


class EvaluationRow(NamedTuple):
    """Greedy evaluation of one seed at one step."""

    step: int  # environment steps per seed that were trained before it
    seed: int
    mean: float  # of the returns
    exact: float | None  # expected return by the environment's finite MDP, where there is one
    returns: Array  # [E] float64, undiscounted


class MetricRow(NamedTuple):
    """One metric of one seed at one step. A metric that was not measured has no row."""

    step: int  # unit of work after which it was measured: number of the cell, from 1, of a recall benchmark
    seed: int
    name: str
    value: float


class Rows(NamedTuple):
    """Rows that became final since the checkpoint before."""

    points: PointRows | None = None
    evaluations: tuple[EvaluationRow, ...] = ()
    metrics: tuple[MetricRow, ...] = ()


class Saved(NamedTuple):
    """A whole checkpoint."""

    progress: RunProgress
    state: State
    warnings: tuple[str, ...]  # a line for each newer checkpoint that is damaged
