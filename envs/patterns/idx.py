"""Pictures from an idx file of the user's: MNIST, Fashion-MNIST and whatever else comes in that format.

Pixels are bytes. Nothing is downloaded: the files are asked for by path, gzipped or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.idx_reader import find_labels, read_idx
from envs.common.patterns.sampling import Patterns, Pool, distinct
from simulator.core.memories import PatternSpec

_TOP = 255.0  # the brightest pixel


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
    """The files that the patterns come from, those that are there."""
    found = [config.path, config.labels or find_labels(config.path)]
    return [path for path in found if os.path.isfile(path)]


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """The pictures of the file in a random order for every seed.

    Raises:
        ValueError: no path, an unreadable or truncated file, another format, labels of another number; one line.
    """
    if not config.path:
        raise ValueError("idx: path = '': expected an idx file of pictures, as train-images-idx3-ubyte.gz")
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
    pool = Pool(pictures.reshape(n, -1), labels, config.levels, config.threshold, _TOP)
    return distinct("idx", pool), height, width


if __name__ == "__main__":
    import sys

    from envs.common.patterns.demo import show_patterns

    show_patterns("idx", make([0], Config(path="".join(sys.argv[1:]))))
