"""Pictures of the user's: a .npy array, or a folder of image files, whose sub-folders are classes.

Colours become grey; what is transparent shows the background, which is white. What is given as numbers is read as 0 to
1, -1 to 1, 0 to 255 or 0 to 65535, the first of these that holds all of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from envs.parts.pattern_draws import Patterns, Pool, distinct
from envs.parts.pictures_in import read_pictures
from simulator.core.memories import Units


@dataclass(frozen=True)
class Config:
    """Settings of pictures."""

    path: str = ""
    """a .npy file of shape (pictures, height, width), or a folder of images"""
    size: Annotated[int, Meta(ge=0, le=1024)] = 0
    """pixels along a side that pictures are resized to; 0: as they are, and then they must agree"""
    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1 by the threshold; grey: scaled to -1 to 1"""
    threshold: Annotated[float, Meta(ge=0.0, lt=1.0)] | None = None
    """share of white above which a pixel is +1, with levels = two; none: 0.5, but numbers between -1 and 1 are refused
    where some are below 0"""
    background: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0
    """brightness that shows through where a picture is transparent: 1 is white, 0 black"""


def files(config: Config) -> list[str]:
    """The files that the patterns come from."""
    path = Path(config.path)
    found = sorted(path.rglob("*")) if os.path.isdir(config.path) else [path]
    return [str(each) for each in found if os.path.isfile(each)]


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """The pictures in a random order for every seed.

    Raises:
        ValueError: no path, an unreadable or truncated file, sizes that differ, a pixel that is no number, or one
            between -1 and 1 that two levels would turn into one of them unasked; one line.
    """
    if not config.path:
        raise ValueError("images: path = '': expected a .npy file or a folder of images")
    pool, shape = _pool(config)
    return Patterns("images", Units(shape, config.levels == "two"), len(pool.values), seed_list, pool.row)


def _pool(config: Config) -> tuple[Pool, tuple[int, ...]]:
    judged = config.levels == "grey" or config.threshold is not None
    pictures, labels = read_pictures(config.path, config.size, config.background, signs=not judged)
    threshold = 0.5 if config.threshold is None else config.threshold
    pool = Pool(pictures.reshape(len(pictures), -1), labels, config.levels, threshold, 1.0)
    return distinct("images", pool), pictures.shape[1:]


if __name__ == "__main__":
    import sys

    from envs.parts.pattern_show import show_patterns

    show_patterns("images", make([0], Config(path="".join(sys.argv[1:]))))
