"""Safe reading of foreign files: regular files only, with a size limit checked before reading.

A file is opened first and checked by its descriptor, so that it cannot be replaced in between, and
opening never waits for the other end of a pipe. Sizes that a file declares (its head) are held against what is there
and against the limit before anything is allocated. The limits are ``TEXT``, ``DATA`` and so on megabytes, or for all
of them what ``--max-file-mb`` or the environment variable ``ENGRAM_MAX_FILE_MB`` says.
"""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from simulator.core.files.escaping import MAX_PATH, shortened, visible

if TYPE_CHECKING:
    from numpy.typing import NDArray

Place = str | os.PathLike[str]
LIMIT = "ENGRAM_MAX_FILE_MB"
TEXT = 4.0  # MB of a text: settings, a map, a matrix of rooms
DATA = 1024.0  # MB of data: pictures unpacked, a recording, a model
DEFLATED = 1032  # bytes at most that one byte of deflate (gzip, PNG) can unpack to
MEGABYTE = 1 << 20
_ADVICE = re.compile(r"Exceeds the limit \([^)]*\) for integer string conversion(?:: value has (\d+) digits)?[^,]*")
MAX_DEPTH = 64  # of tables within tables
_CHUNK = 1 << 20
# Keys of too many parts: tomllib's time is quadratic in their number.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*+(?:{_PART}[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}", re.MULTILINE)
_FLAGS = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_GZIP = b"\x1f\x8b"
_MARK = "\ufeff"  # of the byte order
_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class UnreadableError(ValueError):
    """File that cannot be read; one line that names it."""


def set_limit(megabytes: float) -> None:
    """Set the largest file size in megabytes, here and in the processes that are started from here."""
    os.environ[LIMIT] = f"{megabytes:g}"


def most_bytes(usual: float) -> int:
    """Return the size limit in bytes, packed and unpacked: the one that is set, else ``usual`` megabytes.

    Raises:
        ValueError: the limit that is set is no number above 0.
    """
    text = os.environ.get(LIMIT, "")
    try:
        megabytes = float(text) if text else usual
    except ValueError:
        megabytes = math.nan
    if not 0.0 < megabytes < math.inf:
        raise ValueError(f"{LIMIT} = {text!r}: expected a number of megabytes above 0")
    return int(megabytes * MEGABYTE)


def check_size(size: int, usual: float, place: Place, what: str = "bytes") -> None:
    """Check a size against the limit.

    Raises:
        UnreadableError: ``size`` bytes are too many; the line says how to allow them.
    """
    most = most_bytes(usual)
    if size > most:
        raise UnreadableError(
            f"{_named(place)}: {size:,} {what}, expected at most {most:,} (--max-file-mb or {LIMIT} sets the limit)"
        )


def open_file(place: Place, what: str = "a file", usual: float | None = DATA) -> BinaryIO:
    """Open a regular file within the size limit.

    Args:
        place: where it is.
        what: what was expected there, for the line.
        usual: megabytes that it may have unless another limit is set; None: any size, for callers that read in chunks.

    Raises:
        UnreadableError: there is none, it is something else (a folder, a pipe, a device, a socket), it is too large,
            or it may not be read.
    """
    try:
        _check_kind(os.stat(place).st_mode, place, what)  # opening a device can do something by itself
        handle = os.open(place, _FLAGS)
    except UnreadableError:
        raise
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise UnreadableError(f"{_named(place)}: cannot be read: {_line(error)}, expected {what}") from error
    try:
        status = os.fstat(handle)
        _check_kind(status.st_mode, place, what)
        if usual is not None:
            check_size(status.st_size, usual, place)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check_kind(mode: int, place: Place, what: str) -> None:
    if not stat.S_ISREG(mode):
        raise UnreadableError(f"{_named(place)}: cannot be read: it is {kind_of(mode)}, expected {what}")


def kind_of(mode: int) -> str:
    """Describe the kind of a file by its mode."""
    return next((words for is_kind, words in _KINDS.items() if is_kind(mode)), "no regular file")


def why_unread(place: Place) -> str:
    """Describe why a place cannot be read as a file; empty where it can."""
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        return _line(error)
    return "" if stat.S_ISREG(mode) else f"it is {kind_of(mode)}"


def read_bytes(place: Place, what: str = "a file", usual: float = DATA) -> bytes:
    """Read a regular file as a whole.

    Raises:
        UnreadableError: see :func:`open_file`; also where it grows while it is read.
    """
    with open_file(place, what, usual) as file:
        return _bytes_of(file, place, what, usual)


def read_text(place: Place, what: str = "a text file", usual: float = TEXT, *, allow_pipe: bool = False) -> str:
    """Read a regular file in UTF-8, without a byte order mark.

    Args:
        place: where it is.
        what: what was expected there, for the line.
        usual: megabytes that it may have unless another limit is set.
        allow_pipe: accept a pipe if it is an open descriptor of this process, as ``/dev/fd/63`` of ``<(...)``.

    Raises:
        UnreadableError: see :func:`open_file`, or it is no UTF-8.
    """
    page = _piped(place, usual) if allow_pipe and _is_open_pipe(place) else read_bytes(place, what, usual)
    try:
        return page.decode("utf-8").removeprefix(_MARK)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{_named(place)}: byte {error.start} is not UTF-8, expected {what}") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: no TOML, or tables within tables without end; one line, with tomllib's place behind it.
    """
    deep = f"nested too deep, expected at most {MAX_DEPTH} tables within each other"
    if _LONG_KEY.search(text):
        raise ValueError(deep)
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    except ValueError as error:
        raise ValueError(readable_reason(error)) from error
    if is_deep(tables):
        raise ValueError(deep)
    return tables


def is_deep(value: Any) -> bool:
    """Tell whether tables or lists are nested deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for item in level
            if isinstance(item, Mapping | list | tuple)
            for inner in (item.values() if isinstance(item, Mapping) else item)
        ]
    return bool(level)


def readable_reason(error: Exception) -> str:
    """Return the message of a parser in one line, without Python's advice on long integers."""
    return _ADVICE.sub(r"found a whole number of \1 digits, expected at most 19", " ".join(str(error).split()))


@contextmanager
def unpacked(place: Place, what: str = "a file", usual: float = DATA) -> Iterator[BinaryIO]:
    """Open a regular file, decompressing gzip by its content, whatever its name.

    Callers ask for no more than the file's own head declares, after :func:`check_size` has allowed that.

    Raises:
        UnreadableError: see :func:`open_file`.
    """
    import gzip

    with open_file(place, what, usual) as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        yield gzip.GzipFile(fileobj=file, mode="rb") if packed else file  # type: ignore[misc]


def read_npy(place: Place, what: str = "a .npy file of numbers", usual: float = DATA) -> NDArray[Any]:
    """Read a numeric .npy file; its size must match its header.

    Raises:
        UnreadableError: see :func:`open_file`; not such a file.
    """
    import numpy as np

    with open_file(place, what, usual) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                version = np.lib.format.read_magic(file)
                read_head = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                    version, np.lib.format.read_array_header_2_0
                )
                shape, by_columns, dtype = read_head(file)
        except Exception as error:  # numpy's own parser of the head fails in many ways
            raise UnreadableError(f"{_named(place)}: cannot be read: {_line(error)}, expected {what}") from error
        if dtype.hasobject:
            raise UnreadableError(
                f"{_named(place)}: cannot be read: Object arrays cannot be loaded without running what they hold,"
                f" expected {what}"
            )
        if dtype.kind not in "biuf":
            raise UnreadableError(f"{_named(place)}: found an array of {visible(str(dtype))[:60]}, expected numbers")
        if any(type(size) is not int or size < 0 for size in shape):  # numpy lets True through
            raise UnreadableError(
                f"{_named(place)}: cannot be read: its head declares {_sizes(shape)} numbers, expected {what}"
            )
        declared = math.prod(shape) * dtype.itemsize
        n_bytes = os.fstat(file.fileno()).st_size - file.tell()
        if declared != n_bytes:
            raise UnreadableError(
                f"{_named(place)}: cannot be read: found {n_bytes:,} bytes after the head, which declares "
                f"{_sizes(shape)} numbers of {dtype.itemsize} bytes, expected {what}"
            )
        page = _bytes_of(file, place, what, usual)
        if len(page) != declared:
            raise UnreadableError(f"{_named(place)}: cannot be read: it changed meanwhile, expected {what}")
        array = np.frombuffer(page, dtype)
        try:
            return array.reshape(shape[::-1]).transpose() if by_columns else array.reshape(shape)
        except ValueError as error:  # more dimensions, or beside a size of 0 larger ones, than numpy can hold
            raise UnreadableError(f"{_named(place)}: cannot be read: {_line(error)}, expected {what}") from error


def add_to(digest: Any, place: Place) -> None:
    """Update a digest with a file's content, in chunks, whatever its size.

    Raises:
        UnreadableError: see :func:`open_file`.
    """
    with open_file(place, "a regular file", None) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)


def is_path(text: str) -> bool:
    """Tell whether a text is written as a path and not as a name: it has a separator, or ends in ``.toml``."""
    return "/" in text or os.sep in text or text.endswith(".toml")


def names_file(text: Any) -> bool:
    """Tell whether the value of a setting is the path of an existing file, with a separator or an ending.

    A bare word is a name: a file of that name in the working folder changes nothing.
    """
    written = isinstance(text, str) and len(text) < 4096 and "\0" not in text
    return written and (is_path(text) or bool(Path(text).suffix)) and os.path.isfile(text)


def _bytes_of(file: BinaryIO, place: Place, what: str, usual: float) -> bytes:
    """Read the rest of a file, if it is not larger than when it was opened."""
    n_bytes = os.fstat(file.fileno()).st_size
    check_size(n_bytes, usual, place)
    try:
        page = file.read(n_bytes + 1)
    except (OSError, MemoryError) as error:
        raise UnreadableError(f"{_named(place)}: cannot be read: {_line(error)}, expected {what}") from error
    if len(page) > n_bytes:
        raise UnreadableError(f"{_named(place)}: cannot be read: it grows while it is read, expected {what}")
    return page


def _is_open_pipe(place: Place) -> bool:
    """Tell whether the path is an open descriptor of this process that is a pipe."""
    name = os.fspath(place)
    if not (name == "/dev/stdin" or name.startswith(("/dev/fd/", "/proc/self/fd/"))):
        return False
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except OSError:
        return False


def _piped(place: Place, usual: float) -> bytes:
    with open(place, "rb") as file:
        page = file.read(most_bytes(usual) + 1)
    check_size(len(page), usual, place)
    return page


def _named(place: Place) -> str:
    return visible(shortened(os.fspath(place), MAX_PATH))


def _line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return visible(text or type(error).__name__)


def _sizes(shape: tuple[int, ...]) -> str:
    return shortened(" x ".join(f"{size:,}" if type(size) is int else str(size) for size in shape)) or "1"
