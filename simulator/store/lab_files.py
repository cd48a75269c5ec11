"""Access to files inside a lab: regular files only, no links.

A lab may come from somewhere else. Through a link in it a run would overwrite whatever the link leads to, and on a pipe
it would wait for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from simulator.core.files.reading import kind_of

_MODES = {
    "rb": os.O_RDONLY,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}
_NO_DETOURS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


def open_own(path: Path, mode: Literal["rb", "wb", "ab"]) -> BinaryIO:
    """Open a file of a lab.

    Raises:
        OSError: it is a link, a pipe or anything else that is no regular file, or it cannot be opened.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, expected a file", str(path))
    handle = os.open(path, _MODES[mode] | _NO_DETOURS, 0o666)
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        raise OSError(errno.EINVAL, f"it is {kind_of(kind)}, expected a file", str(path))
    return os.fdopen(handle, mode)


def read_own(path: Path) -> bytes:
    """Read a file of a lab; see :func:`open_own`."""
    with open_own(path, "rb") as file:
        return file.read()


def write_own(path: Path, text: str) -> None:
    """Write a small file of a lab anew; see :func:`open_own`."""
    with open_own(path, "wb") as file:
        file.write(text.encode())


def folder_size(folder: Path) -> int:
    """Return the bytes of the files in a folder and in those within it; 0 where there is none."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it was removed in the meantime
            status = path.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total
