"""Files in the idx format of MNIST and Fashion-MNIST, plain or gzipped, read strictly.

A magic number (two zero bytes, the type of a number, how many sizes follow), the sizes as big-endian 32-bit numbers,
and the numbers (LeCun, Cortes and Burges, The MNIST database, file formats).
"""

from __future__ import annotations

import gzip
import os
import zlib
from math import prod
from pathlib import Path

import numpy as np

from simulator.core.protocols import Array

_UBYTE = 8  # the type of unsigned bytes
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str], n_sizes: int) -> Array:
    """The unsigned bytes of an idx file with that many sizes: 3 for pictures [M, H, W], 1 for labels [M].

    Raises:
        ValueError: no readable file, another format, or fewer or more bytes than its sizes say; one line.
    """
    source = os.fspath(path)
    page = _unpacked(source)
    magic, expected = page[:4], bytes((0, 0, _UBYTE, n_sizes))
    if magic != expected:
        raise ValueError(f"{source}: found the magic number 0x{magic.hex()}, expected 0x{expected.hex()}")
    first = 4 + 4 * n_sizes
    if len(page) < first:
        raise ValueError(f"{source}: found {len(page)} bytes, expected a head of {first}")
    shape = tuple(int(size) for size in np.frombuffer(page, ">u4", n_sizes, 4))
    if len(page) - first != prod(shape) or not prod(shape):
        named = " x ".join(map(str, shape))
        raise ValueError(
            f"{source}: found {len(page) - first:,} bytes after the head, expected {named}, more than none"
        )
    return np.frombuffer(page, np.uint8, offset=first).reshape(shape)


def find_labels(path: str) -> str:
    """The file of labels beside one of pictures, by MNIST's names; empty where there is none."""
    pictures = Path(path)
    for old, new in (("images-idx3", "labels-idx1"), ("images.idx3", "labels.idx1")):
        other = pictures.with_name(pictures.name.replace(old, new))
        if other != pictures and other.is_file():
            return str(other)
    return ""


def _unpacked(source: str) -> bytes:
    """All bytes of a file, gunzipped where it is gzipped, whatever its name."""
    try:
        page = Path(source).read_bytes()
        return gzip.decompress(page) if page.startswith(_GZIP) else page
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{source}: cannot be read: {reason}, expected an idx file, plain or gzipped") from error
