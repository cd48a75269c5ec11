"""Hosting of experiments: locks, resuming, clocks, and the status after an error.

The loop of every kind of experiment is an iterator of snapshots that its caller drives: not asking for the next one
pauses it, and closing it writes a checkpoint. :func:`hosted` wraps each of these loops.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from simulator.config.codec import to_toml
from simulator.core.errors import BadInputError
from simulator.core.jit import working_seconds
from simulator.core.snapshots import Snapshot
from simulator.core.stopping import Stopped
from simulator.machine import differences, joined, machine
from simulator.store.cell_store import CellStore, TournamentRecord
from simulator.store.records import NewRun, RunProgress, RunRecord, Saved, StoreError, StoreFailure
from simulator.store.run_records import failure_of, installed, not_as_stored
from simulator.store.run_store import Store

S_co = TypeVar("S_co", bound=Snapshot, covariant=True)


class Loop(Protocol[S_co]):
    """The loop of one experiment in this process."""

    @property
    def step(self) -> int:
        """The last finished unit of work, for the record of a failure."""

    def snapshots(self) -> Iterator[S_co]:
        """Yield snapshots until the end."""

    def suspend(self) -> None:
        """Store everything needed to continue, when no more snapshots are wanted."""


class Lease(Protocol):
    """Write lock of this process on one experiment, until it is released."""

    def abandon(self) -> None:
        """Delete a new experiment whose loop could not be built."""

    def interrupt(self) -> None:
        """Record that a signal ended this process's work in the middle of a step."""

    def fail(self, error: BaseException, step: int) -> None:
        """Record the error that ended the experiment after a unit of work."""

    def release(self) -> None:
        """Let other processes write the experiment."""


def hosted(lease: Lease, make_loop: Callable[[], Loop[S_co]]) -> Generator[S_co, None, None]:
    """Work on one experiment under its lease, which is released in the end.

    Args:
        lease: taken before; a loop that cannot be built leaves nothing of a new experiment behind.
        make_loop: builds the loop, resumed from the newest checkpoint.

    Yields:
        The loop's snapshots.
    """
    try:
        try:
            loop = make_loop()
        except BaseException:
            lease.abandon()
            raise
        try:
            yield from loop.snapshots()
        except GeneratorExit:
            loop.suspend()
            raise
        except (KeyboardInterrupt, Stopped):
            lease.interrupt()
            raise
        except BaseException as error:
            lease.fail(error, loop.step)
            raise
    finally:
        lease.release()


class WorkSeconds(NamedTuple):
    """Time spent on an experiment, without compiling."""

    wall: float
    cpu: float


class WorkClock:
    """Time spent on an experiment by this process and by those before it.

    Args:
        wall: seconds that earlier processes spent on it.
        cpu: CPU seconds that earlier processes spent on it.
    """

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self._before = WorkSeconds(wall, cpu)
        self._began = WorkSeconds(*working_seconds())

    def read(self) -> WorkSeconds:
        """Return the time of all processes together."""
        now = WorkSeconds(*working_seconds())
        wall = now.wall - self._began.wall + self._before.wall
        cpu = now.cpu - self._began.cpu + self._before.cpu
        return WorkSeconds(wall, cpu)


class RunLease:
    """Lease of a training run or a recall benchmark, with the facts that each of its checkpoints repeats.

    Args:
        store: the lab.
        run: id of a stored experiment, to be continued from its newest whole checkpoint; None: a new one.
        new: record of a new one; stored at once, so that it can be resumed if killed during preparation.
        is_as_stored: predicate of a stored record, whether its settings are those in use.

    Raises:
        ValueError: other settings than stored, or a lab that cannot be used.
    """

    def __init__(
        self, store: Store, run: str | None, new: Callable[[], NewRun], is_as_stored: Callable[[RunRecord], bool]
    ) -> None:
        self.store = store
        self._is_new = run is None
        if run is None:
            self.id = store.begin(new())
            return
        record = store.find(run)
        if not is_as_stored(record):
            raise ValueError(not_as_stored(record))
        store.take(run)
        self.id = run

    def newest_checkpoint(self, threads: int | None) -> Resumed:
        """Read the newest whole checkpoint, and note the machine that this process works on.

        Args:
            threads: number of threads that share the seeds; None: one per core.
        """
        saved = self.store.newest(self.id)
        record = self.store.find(self.id)
        machines = joined(record.machines, machine(threads))
        warnings = saved.warnings if saved else ()
        changes = differences(record.machines[-1:], machines[-1]) if saved else {}
        if changes:
            listed = ", ".join(f"{name} was {then}, now {now}" for name, (then, now) in changes.items())
            warnings += (f"it continues on another machine, where results can differ in the last bits: {listed}",)
        provenance: dict[str, Any] = {"machines": machines}
        facts = {name: getattr(record, name) for name in ("lost", "label", "keep_replay", "files", "extended")}
        provenance |= {name: value for name, value in facts.items() if value}
        return Resumed(record, saved, saved.progress if saved else RunProgress(), provenance, warnings)

    def abandon(self) -> None:
        """Delete a new experiment."""
        if self._is_new:
            self.store.discard(self.id)

    def interrupt(self) -> None:
        """Mark it interrupted; it continues from its newest checkpoint."""
        with suppress(StoreError, StoreFailure):
            self.store.mark(self.id, "interrupted")

    def fail(self, error: BaseException, step: int) -> None:
        """Mark it failed; delete it if its input was invalid and nothing is stored yet."""
        with suppress(StoreError, StoreFailure):  # the lab itself may have failed
            if isinstance(error, BadInputError) and not self.store.find(self.id).step:
                self.store.discard(self.id)
            else:
                self.store.mark(self.id, "failed", failure_of(error, step))

    def release(self) -> None:
        """Release the lock."""
        self.store.release(self.id)


class Resumed(NamedTuple):
    """An experiment restored from its newest whole checkpoint."""

    record: RunRecord
    saved: Saved | None  # None before the first checkpoint
    progress: RunProgress  # zeros before the first checkpoint
    provenance: dict[str, Any]  # facts that every checkpoint repeats: machines, label, losses of a repair, ...
    warnings: tuple[str, ...]


class CellsLease:
    """Lease of the cells of a lab, which all of its tournaments and tunings share, and the record of the one that runs.

    Args:
        store: the lab.
        kind: of the experiment: ``TOURNAMENT`` or ``TUNE``.
        identity: hash of its settings.

    Raises:
        StoreError: another process holds it.
    """

    def __init__(self, store: CellStore, kind: str, identity: str) -> None:
        self.store = store
        self.id = ""  # of the experiment, as soon as it is known that it can be run
        self._kind = kind
        self._identity = identity
        self._clock = WorkClock()
        self._cpu_seconds_before = 0.0  # of all cells that earlier processes ran
        self._lock = ExitStack()
        self._lock.enter_context(store.hosting())

    def earlier(self) -> TournamentRecord | None:
        """Return the stored experiment of the same settings, which is continued; None: it is a new one."""
        stored = self.store.tournaments(self._kind)
        return next((each for each in stored if each.settings_hash == self._identity), None)

    def begin(self, config: Any, plan: dict[str, Any], label: str) -> None:
        """Record the experiment as running: ``config``, the cells of its plan, and the label of a new one."""
        self.id = self.store.begin(to_toml(config), self._identity, plan, label, installed(), self._kind)
        record = self.store.find(self.id)
        self._cpu_seconds_before = record.cpu_seconds
        self._clock = WorkClock(record.seconds)
        self.store.mark(self.id, "running")

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all processes that worked on the experiment."""
        return self._clock.read().wall

    def mark(self, status: str, cpu_seconds: float) -> None:
        """Record the status, and the time with the CPU seconds of the cells that this process ran."""
        self.store.mark(self.id, status, self.seconds, self._cpu_seconds_before + cpu_seconds)

    def abandon(self) -> None:
        """Do nothing: an experiment is recorded once its loop is built."""

    def interrupt(self) -> None:
        """Mark the experiment interrupted."""
        with suppress(StoreError, StoreFailure):
            self.store.mark(self.id, "interrupted")

    def fail(self, error: BaseException, step: int) -> None:
        """Mark it interrupted: every cell has a status of its own, and the others can still run."""
        self.interrupt()

    def release(self) -> None:
        """Release the lock."""
        self._lock.close()
