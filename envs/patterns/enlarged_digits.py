"""Handwritten digits enlarged to 28 x 28 pixels, the size of MNIST's, in more variants than there are originals.

The 1,797 pictures of :mod:`envs.patterns.digits` are interpolated by cubic splines. The first variant of each is the
picture itself, enlarged; every other one is also turned, scaled and moved by amounts drawn once for all from a stream
of its own, so the pictures are the same for every run and seed. Pixels go from 0 to 16. Of those that are equal once
they are patterns only the first is kept (14,376 remain at the default settings).

Stored and held-out patterns can be variants of the same original: novel ones are harder to tell from stored ones than
other people's digits would be, and easier to reconstruct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, Pool, make_pool
from simulator.core import rng
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array
from simulator.core.stopping import raise_if_stopped

SIDE = 28  # pixels
MAX_BRIGHTNESS = 16.0
MARGIN = 4  # empty pixels around an original


@dataclass(frozen=True)
class Config:
    """Settings of the enlarged digits."""

    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1 by the threshold; grey: scaled to -1 to 1"""
    threshold: Annotated[float, Meta(ge=0.0, lt=16.0)] = 7.5
    """brightness, of 16, above which a pixel is +1, with levels = two"""
    variants: Annotated[int, Meta(ge=1, le=64)] = 8
    """pictures made of each original: itself, and others turned, scaled and moved"""
    max_rotation: Annotated[float, Meta(ge=0.0, le=180.0)] = 15.0
    """largest angle that a variant is turned by, in degrees"""
    max_scaling: Annotated[float, Meta(ge=1.0, le=2.0)] = 1.15
    """largest factor that a variant is scaled by; the smallest is 1 divided by it"""
    max_shift: Annotated[float, Meta(ge=0.0, le=14.0)] = 2.0
    """largest shift of a variant along either side, in pixels"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make enlarged digits in a random order for every seed, labelled 0 to 9.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    pool = _pool(config)
    spec = PatternSpec((SIDE, SIDE), config.levels == "two")
    return Patterns("enlarged_digits", spec, len(pool.values), seed_list, pool.row)


@lru_cache(maxsize=2)
def _pool(config: Config) -> Pool:
    try:
        from sklearn.datasets import load_digits  # takes a second
    except ImportError as error:
        raise ValueError(
            f"enlarged_digits: {error}: expected scikit-learn, which has the pictures, to be installed"
        ) from error
    pixels, classes = load_digits(return_X_y=True)
    pictures = _enlarge(pixels.reshape(-1, 8, 8), config).reshape(-1, SIDE * SIDE)
    labels = np.tile(classes.astype(np.int64), config.variants)
    return make_pool(Pool(pictures, labels, config.levels, config.threshold, MAX_BRIGHTNESS))


def _enlarge(pictures: Array, config: Config) -> Array:
    """Make all variants of pictures [M, 8, 8]: float32 [variants M, 28, 28], the M unchanged ones first."""
    from scipy.ndimage import affine_transform, spline_filter1d

    n, side, _ = pictures.shape
    padded = np.pad(pictures, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    splines = spline_filter1d(spline_filter1d(padded, axis=1), axis=2)
    [stream] = rng.generators([0], "patterns")
    out = np.empty((config.variants * n, SIDE, SIDE), np.float32)
    for variant in range(config.variants):
        raise_if_stopped()
        draws = stream.uniform(-1.0, 1.0, (n, 4)) if variant else np.zeros((n, 4))
        angles = np.radians(config.max_rotation) * draws[:, 0]
        pixel_sizes = side / SIDE * config.max_scaling ** draws[:, 1]  # in pixels of the original
        centers = (SIDE - 1) / 2 + config.max_shift * draws[:, 2:]
        for i in range(n):
            sine, cosine = np.sin(angles[i]), np.cos(angles[i])
            to_original = pixel_sizes[i] * np.array([[cosine, -sine], [sine, cosine]])
            offset = MARGIN + (side - 1) / 2 - to_original @ centers[i]
            out[variant * n + i] = affine_transform(
                splines[i], to_original, offset, (SIDE, SIDE), order=3, mode="constant", prefilter=False
            )
    return out.clip(0.0, MAX_BRIGHTNESS, out=out)


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("enlarged_digits", make([0], Config()))
