"""Handwritten digits of 8 x 8 pixels, which scikit-learn ships: 1,797 of them, of classes 0 to 9.

Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, test set, UCI; pixels go from 0 to 16. Of those
that are equal once they are patterns only the first is kept (1,750 with two levels at the default threshold).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, Pool, make_pool
from simulator.core.memories import PatternSpec

MAX_BRIGHTNESS = 16.0


@dataclass(frozen=True)
class Config:
    """Settings of the digits."""

    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1 by the threshold; grey: scaled to -1 to 1"""
    threshold: Annotated[float, Meta(ge=0.0, lt=16.0)] = 7.5
    """brightness, of 16, above which a pixel is +1, with levels = two"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make digits in a random order for every seed, labelled 0 to 9.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    pool = _pool(config.levels, config.threshold)
    return Patterns("digits", PatternSpec((8, 8), config.levels == "two"), len(pool.values), seed_list, pool.row)


@lru_cache(maxsize=8)
def _pool(levels: str, threshold: float) -> Pool:
    try:
        from sklearn.datasets import load_digits  # takes a second
    except ImportError as error:
        raise ValueError(f"digits: {error}: expected scikit-learn, which has the pictures, to be installed") from error
    pixels, classes = load_digits(return_X_y=True)
    return make_pool(Pool(pixels.astype(np.float32), classes.astype(np.int64), levels, threshold, MAX_BRIGHTNESS))


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("digits", make([0], Config()))
