"""What a lab holds: the records that go into the store and come out of it, and the two ways it can refuse."""

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
    """A run that is about to begin.

    Attributes:
        agent: the agent's name.
        environment: the environment's name.
        seeds: its seeds, [S].
        steps: environment steps per seed in all.
        settings: the complete settings, TOML.
        settings_hash: the settings' content hash.
        versions: distribution -> version, of whatever the result can depend on.
        label: what people call it; no setting.
    """

    agent: str
    env: str
    seeds: tuple[int, ...]
    steps: int
    settings: str
    settings_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A run as the lab knows it: what :class:`NewRun` says, and how far it came.

    Attributes:
        run: its id, such as "r1".
        agent: see :class:`NewRun`, as for the next six.
        environment: likewise.
        seeds: likewise.
        steps: likewise.
        settings: likewise.
        settings_hash: likewise.
        versions: likewise.
        status: one of ``STATUSES`` as of the newest checkpoint: a killed run still says "running".
        created: when it began, ISO 8601 in UTC.
        step: environment steps per seed at the newest checkpoint.
        seconds: wall clock until then, over all sittings.
        cpu_seconds: CPU time until then.
        exact: False where a foreign environment could not be continued exactly.
        result: what is known as of the newest checkpoint, its label from the beginning; None where nothing is.
    """

    run: str
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
        """What people call it, or nothing."""
        return str(self.known("label") or "")

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The seeds that failed, each with ``seed``, ``step`` and ``reason``."""
        return list(self.known("failed") or ())

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that ended the run: ``reason``, ``kind``, ``file``, ``line`` and ``step``; None where none did."""
        found = self.known("error") if self.status == "failed" else None
        return dict(found) if found else None

    @property
    def machines(self) -> list[dict[str, str]]:
        """What it was made on, one entry for each machine that had a part; see :mod:`simulator.machine`."""
        return list(self.known("machines") or ())

    @property
    def lost(self) -> str:
        """What a repair of its lab could not recover, in one line; empty as a rule."""
        return str(self.known("lost") or "")

    def known(self, name: str) -> Any:
        """One fact of the result, or None."""
        return (self.result or {}).get(name)


@dataclass(frozen=True)
class Progress:
    """How far a run is: environment steps per seed, seconds, CPU seconds, and whether every resume was exact."""

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    exact: bool = True


class PointRows(NamedTuple):
    """Curve points, each the aggregate of the training episodes of one seed that ended in it; all [n]."""

    seed: Array  # int64
    point: Array  # int64, index along the curve, below 1000
    step: Array  # int64, last environment step of the point
    episodes: Array  # int64
    return_sum: Array  # float64, as for the rest; nan where there is none
    return_min: Array
    return_max: Array
    return_sq: Array  # sum of squared returns
    length_sum: Array  # sum of episode lengths, steps


class EvaluationRow(NamedTuple):
    """Greedy play of one seed at one moment."""

    step: int  # environment steps per seed that were trained before it
    seed: int
    mean: float  # of the returns
    exact: float | None  # expected return by the environment's finite MDP, where there is one
    returns: Array  # [E] float64, undiscounted


class Rows(NamedTuple):
    """What became final since the checkpoint before."""

    points: PointRows | None = None
    evaluations: tuple[EvaluationRow, ...] = ()


class Saved(NamedTuple):
    """A whole checkpoint."""

    progress: Progress
    state: State
    warnings: tuple[str, ...]  # a line for each newer checkpoint that is damaged
