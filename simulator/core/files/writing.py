"""Atomic writing of files at paths that people name, never over files that Engram did not write.

Every file that Engram writes ends in a seal (HTML, SVG: a comment; PDF: a comment; PNG: a text chunk) that holds the
SHA-256 of the rest. A file with a whole seal is Engram's own and may be replaced; one without, or one that was changed
since, is not, unless the caller says ``force``. Nothing is ever written into a lab, whatever leads there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import tempfile
import zlib
from pathlib import Path

from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import UnreadableError, kind_of, open_file

LAB = "engram.sqlite3"  # files of a lab's folder
OWN_NAMES = ("runs", "cells", "lock", "checked")  # of a lab, beside its database; other files may lie there too
_SQLITE = b"SQLite format 3\0"  # the first bytes of a lab's database
_APPLICATION = b"engr"  # its bytes at 68
_SEALS = {  # ending -> last line of a file, with the digest of the lines above
    ".html": b"<!-- engram %s -->\n",
    ".svg": b"<!-- engram %s -->\n",
    ".pdf": b"%%engram %s\n",
}
_SEAL = re.compile(rb"(?:<!-- |%)engram ([0-9a-f]{64})(?: -->)?\n\Z")
_MAX_SEAL = 100  # bytes, of a seal
_PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_PNG_KEY = b"engram\0"
_CHUNK = 12 + len(_PNG_KEY) + 64  # bytes of the chunk with the seal


def write_file(path: Path, data: bytes, *, force: bool = False, in_lab: bool = False, kind: str = "") -> None:
    """Write a file to a temporary name and rename it, so that it is never seen half written.

    Args:
        path: where.
        data: what it holds, without the seal.
        force: replace a file that Engram did not write.
        in_lab: the place is Engram's own, inside a lab.
        kind: the ending whose seal it gets; empty: the path's own.

    Raises:
        ValueError: the place is not to be written (see :func:`check_place`), or cannot be; one line.
    """
    target = check_place(path, force=force, in_lab=in_lab)
    aside = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:40]}.", delete=False) as file:
            aside = Path(file.name)
            file.write(sealed(data, kind or path.suffix))
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(_mode(target))
        if check_place(target, force=force, in_lab=in_lab).exists():
            aside.replace(target)
        else:
            _put(aside, target)
    except OSError as error:
        reason = "it has been created meanwhile" if isinstance(error, FileExistsError) else error.strerror
        raise ValueError(f"{_named(path)}: cannot be written ({reason}), expected a place that can") from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def check_place(path: Path, *, force: bool = False, in_lab: bool = False) -> Path:
    """Resolve a path, links followed, if a file may be written there.

    Raises:
        ValueError: it is among what a lab stores, or a lab's database; there is a folder, a pipe, a device; there is a
            file that Engram did not write, or that was changed since, without ``force``; one line.
    """
    name = _named(path)
    try:
        target = Path(os.path.realpath(path))
        lab = next((parent for parent in target.parents if not in_lab and _is_lab(parent)), None)
        mode = target.lstat().st_mode if os.path.lexists(target) else None
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{name}: cannot be written ({reason}), expected a place that can") from error
    if lab is not None and (target.parent != lab or target.name in OWN_NAMES or target.name.startswith(LAB)):
        raise ValueError(f"{name}: it is inside the lab {_named(lab)}, expected a place outside of what the lab stores")
    if mode is None:
        return target
    if not stat.S_ISREG(mode):
        raise ValueError(f"{name}: cannot be written (it is {kind_of(mode)}), expected a place that can")
    if _is_database(target):
        raise ValueError(f"{name}: it is the database of a lab, expected another place")
    if not force and not is_ours(target):
        raise ValueError(
            f"{name} already exists, and was not written by Engram or has changed since:"
            f" expected another place, or --force to replace it"
        )
    return target


def sealed(data: bytes, ending: str) -> bytes:
    """Append the seal to a file's bytes, if its format has a place for one."""
    digest = hashlib.sha256(data).hexdigest().encode()
    if ending == ".png" and data.endswith(_PNG_END):
        return data[: -len(_PNG_END)] + _png_end(digest)
    form = _SEALS.get(ending)
    if form is None:
        return data
    lines = data if data.endswith(b"\n") else data + b"\n"
    return lines + form % hashlib.sha256(lines).hexdigest().encode()


def is_ours(path: Path) -> bool:
    """Tell whether Engram wrote this file and it was not changed since."""
    try:
        with open_file(path, usual=None) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - _CHUNK - len(_PNG_END), 0))
            end = file.read()
            stored_digest = end[8 + len(_PNG_KEY) :][:64]
            if end == _png_end(stored_digest):
                stop = size - len(end)
                tail = _PNG_END
            elif match := _SEAL.search(end[-_MAX_SEAL:]):
                stored_digest = match[1]
                stop = size - len(match[0])
                tail = b""
            else:
                return False
            digest = hashlib.sha256()
            file.seek(0)
            while stop > 0 and (chunk := file.read(min(stop, 1 << 20))):
                digest.update(chunk)
                stop -= len(chunk)
            digest.update(tail)
            return digest.hexdigest().encode() == stored_digest
    except (UnreadableError, OSError):
        return False


def _png_end(digest: bytes) -> bytes:
    """Return the last two chunks of a PNG file: the seal, and the end."""
    body = b"tEXt" + _PNG_KEY + digest
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + _PNG_END


def _is_lab(folder: Path) -> bool:
    return any((folder / name).exists() for name in (LAB, f"{LAB}-wal"))


def _is_database(path: Path) -> bool:
    """Tell by its content whether a file is a lab's database, such as a hard link to one."""
    try:
        with open_file(path, usual=None) as file:
            head = file.read(72)
    except (UnreadableError, OSError):
        return False
    return head.startswith(_SQLITE) and head[68:72] == _APPLICATION


def _put(aside: Path, target: Path) -> None:
    """Rename a file, unless the name has been taken meanwhile.

    Raises:
        FileExistsError: it has been taken.
    """
    try:
        os.link(aside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with contextlib.suppress(OSError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            aside.replace(target)
            return
        raise


def _mode(target: Path) -> int:
    """Return the permissions of the replaced file, or those of a new one."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


def _named(path: Path) -> str:
    return visible(shortened(os.fspath(path), MAX_PATH))
