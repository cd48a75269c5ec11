"""Images from the user's idx file: MNIST, Fashion-MNIST and others in this format.

Pixels are bytes. Nothing is downloaded: the files are asked for by path, gzipped or not, and read strictly. The format:
a magic number (two zero bytes, the type of a number, how many sizes follow), the sizes as big-endian 32-bit numbers,
and the numbers (LeCun, Cortes and Burges, The MNIST database, file formats).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from gzip import GzipFile
from math import prod
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, Pool, distinct
from simulator.core.files.escaping import visible
from simulator.core.files.reading import DATA, DEFLATED, check_size, unpacked
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

_UBYTE = 8  # the type of unsigned bytes
_CHUNK = 1 << 20
_EXPECTED = "an idx file, plain or gzipped"
MAX_BRIGHTNESS = 255.0


@dataclass(frozen=True)
class Config:
    """Settings of an idx file."""

    path: str = ""
    """the file of pictures, as train-images-idx3-ubyte.gz"""
    labels: str = ""
    """the file of their classes; empty: the one beside it of MNIST's name, if there is one"""
    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1 by the threshold; grey: scaled to -1 to 1"""
    threshold: Annotated[float, Meta(ge=0.0, lt=255.0)] = 127.5
    """brightness, of 255, above which a pixel is +1, with levels = two"""


def files(config: Config) -> list[str]:
    """Return the files that the patterns are read from, those that are there."""
    paths = [config.path, config.labels or find_labels(config.path)]
    return [path for path in paths if os.path.isfile(path)]


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make the pictures of the file, in a random order for every seed.

    Raises:
        ValueError: no path, an unreadable or truncated file, another format, labels of another number; one line.
    """
    if not config.path:
        raise ValueError(
            "idx: path = '': expected a file of pictures, such as MNIST's train-images-idx3-ubyte.gz, which is not "
            "downloaded: --challenge.path FILE"
        )
    pool, height, width = _pool(config)
    return Patterns("idx", PatternSpec((height, width), config.levels == "two"), len(pool.values), seed_list, pool.row)


def _pool(config: Config) -> tuple[Pool, int, int]:
    pictures = read_idx(config.path, 3)
    labels = np.full(len(pictures), -1)
    where = config.labels or find_labels(config.path)
    if where:
        labels = read_idx(where, 1).astype(np.int64)
        if len(labels) != len(pictures):
            expected = f"{len(pictures):,} as there are pictures in {config.path}"
            raise ValueError(f"{where}: found {len(labels):,} labels, expected {expected}")
    n, height, width = pictures.shape
    pool = Pool(pictures.reshape(n, -1), labels, config.levels, config.threshold, MAX_BRIGHTNESS)
    return distinct("idx", pool), height, width


def read_idx(path: str | os.PathLike[str], n_sizes: int) -> Array:
    """Read the unsigned bytes of an idx file with that many sizes: 3 for pictures [M, H, W], 1 for labels [M].

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
                available = f"at most {size * DEFLATED:,}" if packed else f"{most:,}"
                raise ValueError(f"{source}: found {available} bytes after the head, expected {named}, more than none")
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
    """Read the declared bytes, and one more if there are more; in chunks, as the header can be wrong."""
    page = bytearray()
    while len(page) <= declared and (chunk := file.read(min(declared + 1 - len(page), _CHUNK))):
        page += chunk
    return page


def find_labels(path: str) -> str:
    """Find the file of labels beside one of pictures, by MNIST's names; empty where there is none."""
    pictures = Path(path)
    if not pictures.name:
        return ""
    for old, new in (("images-idx3", "labels-idx1"), ("images.idx3", "labels.idx1")):
        other = pictures.with_name(pictures.name.replace(old, new))
        if other != pictures and os.path.isfile(other):
            return str(other)
    return ""


if __name__ == "__main__":
    import sys

    from envs.common.patterns.demo import show_patterns

    show_patterns("idx", make([0], Config(path="".join(sys.argv[1:]))))
