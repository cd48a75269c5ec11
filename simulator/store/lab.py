"""Folder of a lab: creation, and locks of its runs."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Container, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.core.files.escaping import MAX_PATH, checked_name, shortened, visible
from simulator.store.database import CHECKED, LOCK_TIMEOUT, NAME, create, repair_advice
from simulator.store.lab_files import read_own, write_own
from simulator.store.records import StoreError, StoreFailure

if TYPE_CHECKING:
    from filelock import FileLock

DELETED = "deleted"  # empty file that marks the folder of a run that was deleted


def prepare(lab: Path) -> Path:
    """Make the lab atomically if it does not exist, and return its database's path.

    Raises:
        StoreError: the path is no folder, or a lab that lost its database.
        OSError: the disk refused it.
    """
    check_can_be_lab(lab)
    path = lab / NAME
    if lab.exists() and not lab.is_dir():
        raise StoreError(f"lab {lab} is not a folder")
    if path.exists():
        if not path.is_file():
            raise StoreError(f"lab {lab}: {path} is not a file")
        return path
    rests = [lab / f"{NAME}-wal", *(lab / "runs").glob("*")]
    if any(leftover.exists() for leftover in rests):
        raise StoreError(
            f"lab {lab} has runs but lost its database {path}: put it back, or name another lab;"
            f" nothing was changed, the checkpoints are in {lab / 'runs'}; {repair_advice(lab)}"
        )
    _make(lab, path)
    return path


def check_can_be_lab(lab: Path) -> None:
    """Refuse a place where there is no folder and none can be made.

    Raises:
        StoreError: a name in it is too long, or a link in it leads nowhere, or to itself.
    """
    name = visible(shortened(str(lab), MAX_PATH))
    expected = "expected a folder, or a place where one can be made"
    try:
        os.stat(lab)
    except FileNotFoundError:
        for link in (lab, *lab.parents):
            if link.is_symlink() and not link.exists():
                leads = visible(shortened(os.readlink(link), MAX_PATH))
                which = "it" if link == lab else visible(shortened(str(link), MAX_PATH))
                raise StoreError(f"lab {name}: {which} is a link to {leads}, which is not there, {expected}") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            why = "it is a link that leads to itself" if error.errno == errno.ELOOP else error.strerror
            raise StoreError(f"lab {name}: {why}, {expected}") from None


def _make(lab: Path, path: Path) -> None:
    checked_name(str(lab), "lab", most=4096)
    gate = lab / "lock"
    missing = [folder for folder in (gate, lab, *lab.parents) if not folder.exists()]
    try:
        lab.mkdir(parents=True, exist_ok=True)
        lock = _acquire(gate, LOCK_TIMEOUT)
        if lock is None:
            raise StoreFailure(f"lab {lab} was locked by another process for more than {LOCK_TIMEOUT:g} s")
        try:
            if not path.exists():
                create(path)
        finally:
            lock.release()
    except BaseException:
        for created in missing:
            with suppress(OSError):
                created.unlink() if created == gate else created.rmdir()
        raise


def unmake(lab: Path) -> None:
    """Remove a lab without runs."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm", CHECKED, "lock"):
        (lab / name).unlink(missing_ok=True)
    for folder in (lab / "runs", lab):
        with suppress(OSError):  # another process has put something there
            folder.rmdir()


def existing(lab: str) -> str:
    """Return the lab, if it exists; creates nothing.

    Raises:
        ValueError: there is none.
    """
    check_can_be_lab(Path(lab))
    if not Path(lab).exists():
        raise ValueError(f"there is no run yet in {lab} (engram run AGENT ENV)")
    return lab


def forgotten(lab: Path, known: Container[int]) -> list[int]:
    """List runs that have checkpoints but are missing in the lab's database: it, or its log, was partly lost.

    Args:
        lab: its folder.
        known: the runs of its database.
    """
    paths = (lab / "runs").glob("r[0-9]*/checkpoint-*.safetensors")
    numbers = {int(path.parent.name[1:]) for path in paths if not (path.parent / DELETED).exists()}
    return sorted(number for number in numbers if number not in known)


def forgotten_line(lab: Path, runs: Sequence[int]) -> str:
    """Format a line about runs that a lab's database lost."""
    shown = ", ".join(f"r{number}" for number in runs[:6]) + (", ..." if len(runs) > 6 else "")
    problem = (
        f"the database knows fewer runs than there are checkpoints: {shown} {'are' if len(runs) > 1 else 'is'} not in"
    )
    return f"{problem} {lab / NAME}; {repair_advice(lab)}"


def lock_run(folder: Path) -> FileLock:
    """Lock a run for its writer; the operating system releases the lock when the process ends.

    Raises:
        StoreError: another process writes this run.
    """
    lock = _acquire(folder / "lock", 0.0)
    if lock is None:
        raise StoreError(f"run {folder.name} is being written by {_writer(folder)}")
    with suppress(OSError):  # named in the refusal of the next writer
        write_own(_note(folder), f"{os.getpid()} {socket.gethostname()}")
    return lock


def unlock_run(folder: Path, lock: FileLock) -> None:
    """Release a run."""
    with suppress(OSError):
        _note(folder).unlink()
    lock.release()


def is_written(folder: Path) -> bool:
    """Return whether a live process writes the run in ``folder``; one on another host is assumed alive."""
    return is_written_here(folder, elsewhere=True)


def is_written_here(folder: Path, *, elsewhere: bool = False) -> bool:
    """Tell whether a process on this host writes the run; ``elsewhere`` is returned for other hosts."""
    try:
        pid, host = read_own(_note(folder)).decode().split()
        if host != socket.gethostname():
            return elsewhere
        os.kill(int(pid), 0)
    except PermissionError:  # another user's process
        return True
    except (OSError, ValueError):
        return False
    return True


def _acquire(path: Path, timeout: float) -> FileLock | None:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=timeout, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _note(folder: Path) -> Path:
    return folder / "writer"


def _writer(folder: Path) -> str:
    try:
        pid, host = read_own(_note(folder)).decode().split()
    except (OSError, ValueError):
        return "another process"
    if host != socket.gethostname():
        return f"process {pid} on {host}"
    return "this process already" if int(pid) == os.getpid() else f"another process (pid {pid})"
