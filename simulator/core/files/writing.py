"""Atomic writing of files at paths that people name, never over files that Engram did not write.

Every file that Engram writes ends in a seal (HTML, SVG, PDF, GIF: a comment; PNG: a text chunk; MP4: a box without
meaning; asciicast: a marker) that holds the SHA-256 of the rest. A file with a whole seal is Engram's own and may be
replaced; one without, or one that was changed since, is not, unless the caller says ``force``. Nothing is ever written
into a lab, whatever leads there.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import UnreadableError, kind_of, open_file

LAB = "engram.sqlite3"  # files of a lab's folder
OWN_NAMES = ("runs", "cells", "lock", "checked")  # of a lab, beside its database; other files may lie there too
_SQLITE = b"SQLite format 3\0"  # the first bytes of a lab's database
_APPLICATION = b"engr"  # its bytes at 68
_PNG_KEY = b"engram\0"
_PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


class _Seal(NamedTuple):
    """End of the files of a format."""

    make: Callable[[bytes, bytes], bytes]  # digest, as 64 hexadecimal digits, and what stands before -> the seal
    found: re.Pattern[bytes]  # the seal and what follows it, at a file's end, with the digest
    end: bytes = b""  # last bytes that the format asks for, which stand behind the seal


def _png_seal(digest: bytes, _: bytes) -> bytes:
    body = b"tEXt" + _PNG_KEY + digest
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _cast_seal(digest: bytes, before: bytes) -> bytes:
    """Make a marker at the time of the event before it: [time, "m", words]."""
    event = re.search(rb'\n\[([\d.]+), "', before[before.rfind(b"\n", 0, -1) :])
    return b'[%s, "m", "engram %s"]\n' % (event[1] if event else b"0", digest)


_DIGEST = rb"([0-9a-f]{64})"
_COMMENT = _Seal(
    lambda digest, _: b"<!-- engram %s -->\n" % digest, re.compile(rb"<!-- engram " + _DIGEST + rb" -->\n\Z")
)
_PNG = _Seal(
    _png_seal,
    re.compile(rb"\x00{3}\x47tEXtengram\x00" + _DIGEST + rb".{4}" + re.escape(_PNG_END) + rb"\Z", re.DOTALL),
    _PNG_END,
)
_SEALS = {  # by ending; the lines of texts are whole before it
    ".html": _COMMENT,
    ".svg": _COMMENT,
    ".pdf": _Seal(lambda digest, _: b"%%engram %s\n" % digest, re.compile(rb"%engram " + _DIGEST + rb"\n\Z")),
    ".png": _PNG,
    ".apng": _PNG,
    ".gif": _Seal(
        lambda digest, _: b"\x21\xfe\x47engram %s\x00" % digest,
        re.compile(rb"\x21\xfe\x47engram " + _DIGEST + rb"\x00;\Z"),
        b";",
    ),
    ".mp4": _Seal(
        lambda digest, _: b"\x00\x00\x00\x4ffreeengram %s" % digest,
        re.compile(rb"\x00\x00\x00\x4ffreeengram " + _DIGEST + rb"\Z"),
    ),
    ".cast": _Seal(_cast_seal, re.compile(rb'\[[\d.]+, "m", "engram ' + _DIGEST + rb'"\]\n\Z')),
}
_LINES = (".html", ".svg", ".pdf", ".cast")  # endings of texts
_MAX_END = 200  # bytes: more than a seal has with what follows it, and than the event before it


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
    with replacing(path, force=force, in_lab=in_lab, kind=kind) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, force: bool = False, in_lab: bool = False, kind: str = "") -> Iterator[BinaryIO]:
    """Give a temporary file to write, which gets its seal and its name at the end of the block.

    After an error in the block there is no new file. Files of a form that ends in bytes behind the seal, such as a
    GIF's, are written with them.

    Args:
        path: where.
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
            yield cast(BinaryIO, file)
            file.flush()
            _seal(aside, kind or path.suffix)
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
            file that Engram did not write, or that was changed since, without ``force``; its folder does not exist;
            one line.
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
        if not target.parent.is_dir():
            raise ValueError(f"{name}: cannot be written (No such file or directory), expected a place that can")
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
    seal = _SEALS.get(ending)
    if seal is None or not data.endswith(seal.end):
        return data
    lines = data if ending not in _LINES or data.endswith(b"\n") else data + b"\n"
    digest = hashlib.sha256(lines).hexdigest().encode()
    before = lines[: len(lines) - len(seal.end)]
    return before + seal.make(digest, before[-_MAX_END:]) + seal.end


def _seal(path: Path, ending: str) -> None:
    """Append the seal to a file, as :func:`sealed` does to its bytes, without reading it as a whole."""
    seal = _SEALS.get(ending)
    if seal is None:
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = _end_of(file, size)
        if not end.endswith(seal.end):
            return
        if ending in _LINES and not end.endswith(b"\n"):
            file.write(b"\n")
            size += 1
        digest = _digest(file, size)
        stop = size - len(seal.end)
        before = _end_of(file, stop)
        file.seek(stop)
        file.write(seal.make(digest, before) + seal.end)
        file.flush()
        os.fsync(file.fileno())


def _end_of(file: BinaryIO, size: int) -> bytes:
    """Read the last of the first bytes of a file."""
    start = max(size - _MAX_END, 0)
    file.seek(start)
    return file.read(size - start)


def _digest(file: BinaryIO, size: int, more: bytes = b"") -> bytes:
    """Compute the SHA-256 of the first bytes of a file, and more, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (chunk := file.read(min(size, 1 << 20))):
        digest.update(chunk)
        size -= len(chunk)
    digest.update(more)
    return digest.hexdigest().encode()


def is_ours(path: Path) -> bool:
    """Tell whether Engram wrote this file and it was not changed since."""
    try:
        with open_file(path, usual=None) as file:
            size = os.fstat(file.fileno()).st_size
            end = _end_of(file, size)
            for seal in _SEALS.values():
                match = seal.found.search(end)
                if match is None:
                    continue
                stop = size - len(match[0])
                before = _end_of(file, stop)
                if match[0] == seal.make(match[1], before) + seal.end:
                    return _digest(file, stop, seal.end) == match[1]
            return False
    except (UnreadableError, OSError):
        return False


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
