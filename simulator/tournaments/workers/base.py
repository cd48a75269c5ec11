"""Protocol of workers that run a tournament's jobs, and their answers."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from simulator.tournaments.cell_runner import JobSpec

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


class Answer(NamedTuple):
    """Outcome of a task."""

    key: str
    result: dict[str, Any] | None = None
    failed: str = ""  # reason within the cell: running it again would fail again
    died: str = ""  # its worker's fault: it can be taken up again
    stopped: bool = False  # as was asked for


class Workers(Protocol):
    """Workers that run cells."""

    n: int  # tasks at once

    def start(self, task: JobSpec) -> None:
        """Start a task; at most ``n`` at once."""

    def wait(self, seconds: float) -> list[Answer]:
        """Return the answers, waiting at most so long for the first."""

    def kill(self, key: str) -> None:
        """Kill a task; no answer will come."""

    def close(self) -> None:
        """Stop every task at a checkpoint."""
