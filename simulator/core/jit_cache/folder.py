"""The folder of cached machine code: owned by the user, with a checksum for every file.

Cached code is executed. So the folder must belong to the user, and nobody else may write there; and every file can be
verified: a data file is named by the SHA-256 of its content, an index ends in the SHA-256 of the rest. A damaged file,
such as a power cut leaves, is removed and the function compiled again.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numba
import platformdirs

_ROOT = Path(__file__).parents[3]
INDEX, DATA = ".kept.nbi", ".kept.nbc"  # endings of our files; a folder of the user's may hold others
_SEAL = hashlib.sha256().digest_size
_PRIVATE_FOLDER = "ENGRAM_PRIVATE_CODE"  # the private folder of the process that started this one
_PROBE = bytes(1 << 16)


class Survey(NamedTuple):
    """Number of cached functions in a folder, and its damaged files."""

    n_functions: int
    damaged: tuple[Path, ...]


@cache
def folder() -> Path | None:
    """Return the folder of this process: NUMBA_CACHE_DIR, else one for every state of our sources, else None.

    Numba looks only at the file of the function itself, so a change in what it calls would go unnoticed.
    """
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR)
    digest = hashlib.sha256()
    for package in ("simulator", "agents", "memory", "envs"):
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    state = digest.hexdigest()[:16]
    for home in (_user_home, _spare_home, _private_home):
        place = home(state)
        if place is not None:
            return place
    warn_once("no folder for compiled code can be written: every process compiles again")
    return None


def survey(place: Path) -> Survey:
    """Verify every cached file in a folder."""
    indexes = sorted(place.rglob(f"*{INDEX}"))
    looked_at = [(is_whole_index, path) for path in indexes]
    looked_at += [(is_whole_data, path) for path in sorted(place.rglob(f"*{DATA}"))]
    damaged: list[Path] = []
    for is_whole, path in looked_at:
        try:
            if not is_whole(path):
                damaged.append(path)
        except FileNotFoundError:  # another process has just removed it
            continue
        except OSError:
            damaged.append(path)
    return Survey(len(indexes), tuple(damaged))


def mend(place: Path) -> Survey:
    """Remove damaged files, whose functions are compiled again, and survey the rest."""
    for path in survey(place).damaged:
        with suppress(OSError):
            path.unlink()
    return survey(place)


def _user_home(state: str) -> Path | None:
    """Return the folder in the user's cache folder; None where that cannot be written, or is not the user's."""
    home = Path(platformdirs.user_cache_dir("engram-rl"))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "written by others" in folder_fault(home.stat()):  # owned by the user, but its content cannot be trusted
            _reclaim(home)
        if fault := folder_fault(home.stat()):
            warn_once(f"{home} {fault}: compiled code is cached elsewhere")
            return None
        return _version_folder(home, state)
    except OSError:
        return None


def _reclaim(home: Path) -> None:
    """Empty a folder of the user's that others could write to, and make it private."""
    before = stat.S_IMODE(home.stat().st_mode)
    home.chmod(0o700)
    try:
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:
        home.chmod(before)  # what is left cannot be trusted the next time either
        raise
    warn_once(f"{home} could be written by others: it was emptied and made private")


def _spare_home(state: str) -> Path | None:
    """Return a folder in the user's own temporary folder, unless another user has made that before."""
    with suppress(OSError):
        home = Path(tempfile.gettempdir()) / f"engram-rl-{_user()}"
        with suppress(FileExistsError):
            home.mkdir(mode=0o700)
        fault = folder_fault(home.lstat(), alone=True)
        if not fault:
            return _version_folder(home, state)
        if not os.environ.get(_PRIVATE_FOLDER):
            warn_once(f"{home} {fault}: it is not used, compiled code is cached for this command only")
    return None


def _private_home(state: str) -> Path | None:
    """Return a new private folder, for this process and those that it starts."""
    with suppress(OSError):
        inherited = os.environ.get(_PRIVATE_FOLDER)
        if inherited and not folder_fault(os.lstat(inherited), alone=True):
            return _version_folder(Path(inherited), state)
        created = tempfile.mkdtemp(prefix="engram-rl-")
        os.environ[_PRIVATE_FOLDER] = created
        atexit.register(_remove, created, os.getpid())
        return _version_folder(Path(created), state)
    return None


def _remove(created: str, process: int) -> None:
    if os.getpid() == process:  # and not one that was forked from it
        shutil.rmtree(created, ignore_errors=True)


def _version_folder(home: Path, state: str) -> Path:
    """Return the folder of this state of our sources; only the last few of others are kept beside it.

    Raises:
        OSError: nothing can be written there, or there is no room for a new one. An existing one is read on a full disk
            too.
    """
    place = home / state
    if not os.access(home, os.W_OK | os.X_OK):
        raise PermissionError(f"{home} cannot be written")
    if place.exists() and not folder_fault(place.lstat()):
        return place
    shutil.rmtree(place, ignore_errors=True)
    with tempfile.TemporaryFile(dir=home) as probe:
        probe.write(_PROBE)
    for old in sorted(home.iterdir(), key=lambda path: path.stat().st_mtime)[:-8]:
        shutil.rmtree(old, ignore_errors=True)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def folder_fault(status: os.stat_result, alone: bool = False) -> str:
    """Describe why code from a folder must not be run; empty if it may. ``alone``: others may not read there either."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid != _user():
        return "belongs to another user"
    if status.st_mode & (0o077 if alone else 0o022) and os.name == "posix":
        return "can be read by others" if not status.st_mode & 0o022 else "can be written by others"
    return ""


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


@cache
def warn_once(line: str) -> None:
    """Print a warning, once a process."""
    print(f"engram: {line}", file=sys.stderr, flush=True)


def sealed(content: bytes) -> bytes:
    """Append the checksum to the content of an index."""
    return content + hashlib.sha256(content).digest()


def data_name(base: str, content: bytes) -> str:
    """Return the file name of compiled code: the hash of its content."""
    return f"{base}.{hashlib.sha256(content).hexdigest()[:32]}{DATA}"


def is_whole_index(path: Path) -> bool:
    """Tell whether an index matches its checksum."""
    content = path.read_bytes()
    return hashlib.sha256(content[:-_SEAL]).digest() == content[-_SEAL:]


def is_whole_data(path: Path) -> bool:
    """Tell whether a data file matches its name."""
    base = path.name.removesuffix(DATA).rpartition(".")[0]
    return path.name == data_name(base, path.read_bytes())


def drop(path: Path) -> None:
    """Remove a damaged file with a warning."""
    with suppress(OSError):
        path.unlink()
    warn_once(f"removed damaged compiled code in {path.parents[1]}; it is compiled again")
