"""Files in the idx format of MNIST and Fashion-MNIST, plain or gzipped, read strictly.

A magic number (two zero bytes, the type of a number, how many sizes follow), the sizes as big-endian 32-bit numbers,
and the numbers (LeCun, Cortes and Burges, The MNIST database, file formats).
"""

from __future__ import annotations

import os
import zlib
from gzip import GzipFile
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from simulator.core.files.escaping import visible
from simulator.core.files.reading import DATA, DEFLATED, check_size, unpacked
from simulator.core.protocols import Array

_UBYTE = 8  # the type of unsigned bytes
_PIECE = 1 << 20
_EXPECTED = "an idx file, plain or gzipped"


def read_idx(path: str | os.PathLike[str], n_sizes: int) -> Array:
    """The unsigned bytes of an idx file with that many sizes: 3 for pictures [M, H, W], 1 for labels [M].

    Raises:
        ValueError: no readable file, another format, or fewer or more bytes than its sizes say; one line.
    """
    source = visible(os.fspath(path))
    first = 4 + 4 * n_sizes
    expected = bytes((0, 0, _UBYTE, n_sizes))
    try:
        with unpacked(path, _EXPECTED) as file:
            head = bytes(_read(file, first - 1))
            if head[:4] != expected:
                raise ValueError(f"{source}: found the magic number 0x{head[:4].hex()}, expected 0x{expected.hex()}")
            if len(head) < first:
                raise ValueError(f"{source}: found {len(head)} bytes, expected a head of {first}")
            shape = tuple(int(size) for size in np.frombuffer(head, ">u4", n_sizes, 4))
            named = " x ".join(map(str, shape))
            size = os.fstat(file.fileno()).st_size
            most = size - first
            packed = isinstance(file, GzipFile)
            if not prod(shape) or (prod(shape) > size * DEFLATED if packed else prod(shape) != most):
                there = f"at most {size * DEFLATED:,}" if packed else f"{most:,}"
                raise ValueError(f"{source}: found {there} bytes after the head, expected {named}, more than none")
            check_size(prod(shape), DATA, path, f"bytes, {named} as its head declares")
            page = _read(file, prod(shape))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or visible(str(error))
        raise ValueError(f"{source}: cannot be read: {reason}, expected {_EXPECTED}") from error
    if len(page) != prod(shape):
        found = f"{len(page):,}" if len(page) <= prod(shape) else f"more than {prod(shape):,}"
        raise ValueError(f"{source}: found {found} bytes after the head, expected {named}")
    return np.frombuffer(page, np.uint8).reshape(shape)


def _read(file: BinaryIO, declared: int) -> bytearray:
    """So many bytes, and one more where there are more; piece by piece, for who declared them can lie."""
    page = bytearray()
    while len(page) <= declared and (piece := file.read(min(declared + 1 - len(page), _PIECE))):
        page += piece
    return page


def find_labels(path: str) -> str:
    """The file of labels beside one of pictures, by MNIST's names; empty where there is none."""
    pictures = Path(path)
    for old, new in (("images-idx3", "labels-idx1"), ("images.idx3", "labels.idx1")):
        other = pictures.with_name(pictures.name.replace(old, new))
        if other != pictures and os.path.isfile(other):
            return str(other)
    return ""
