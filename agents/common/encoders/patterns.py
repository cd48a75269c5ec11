"""Observations as patterns, vectors of numbers from -1 to 1, which encoders and models of transitions learn.

=================  ====================================================================================
observation        pattern
=================  ====================================================================================
a class            one unit for each: 1 for the class, -1 for the others
numbers            each moved from its bounds to -1 and 1; without bounds x / (1 + abs(x))
an image           its colours, each the means of equal squares of pixels, from -1 (0) to 1 (255)
=================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from agents.common.spaces import MAX_RANGE, is_image, make_observation_adapter
from simulator.core.protocols import Array, EnvSpec


class PatternAdapter(NamedTuple):
    """Converter between the observations of an environment and patterns."""

    shape: tuple[int, ...]  # (N,), or (colours, height, width) of an image
    is_class: bool  # one unit is 1
    encode: Callable[[Array], Array]  # [B, *obs] -> float32 [B, N]
    decode: Callable[[Array], Array] | None  # [B, N] -> [B, *obs]; None for images

    @property
    def n(self) -> int:
        """Number of units N."""
        return prod(self.shape)


def make_pattern_adapter(spec: EnvSpec, field: str, image_side: int = 24) -> PatternAdapter:
    """Make the adapter of an environment.

    Args:
        spec: the environment.
        field: the setting that asks for it, for errors: ``agent.encoder = 'vae'``.
        image_side: pixels of a longer side of an image, at most.

    Raises:
        ValueError: observations that are neither classes, nor numbers, nor images.
    """
    if is_image(spec):
        return _of_images(spec.observation.shape or (), image_side)
    adapter = make_observation_adapter(spec, field)
    if adapter.n_classes:
        return _of_classes(adapter.n_classes)
    return _of_numbers(spec, adapter.n_stored)


def _of_classes(n: int) -> PatternAdapter:
    def encode(obs: Array) -> Array:
        is_of_class = np.asarray(obs, np.int64).reshape(-1, 1) == np.arange(n)
        return np.where(is_of_class, np.float32(1.0), np.float32(-1.0))

    return PatternAdapter((n,), True, encode, lambda patterns: patterns.argmax(axis=-1))


def _of_numbers(spec: EnvSpec, n: int) -> PatternAdapter:
    space = spec.observation
    shape = space.shape or ()
    low = np.full(n, -np.inf)
    high = np.full(n, np.inf)
    if isinstance(space, spaces.Box):
        low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    elif isinstance(space, spaces.MultiBinary):
        low, high = np.zeros(n), np.ones(n)
    elif isinstance(space, spaces.MultiDiscrete):
        low = np.asarray(space.start, np.float64).ravel()
        high = low + space.nvec.ravel() - 1.0
    finite = np.isfinite(low) & np.isfinite(high)
    bounded = finite & (np.where(finite, high, 0.0) > np.where(finite, low, 0.0))
    bounded &= np.where(finite, high, 0.0) - np.where(finite, low, 0.0) < MAX_RANGE
    middle = np.zeros(n)
    middle[bounded] = (low[bounded] + high[bounded]) / 2.0
    half = np.ones(n)
    half[bounded] = (high[bounded] - low[bounded]) / 2.0

    def encode(obs: Array) -> Array:
        x = (np.asarray(obs, np.float64).reshape(-1, n) - middle) / half
        return np.where(bounded, np.clip(x, -1.0, 1.0), x / (1.0 + np.abs(x))).astype(np.float32)

    def decode(patterns: Array) -> Array:
        y = np.clip(patterns.reshape(-1, n).astype(np.float64), -1.0, 1.0)
        inside = np.clip(y, -1.0 + 1e-6, 1.0 - 1e-6)
        numbers = np.where(bounded, y * half + middle, inside / (1.0 - np.abs(inside)))
        if np.dtype(space.dtype or np.float32).kind != "f":
            numbers = np.rint(numbers)
        return numbers.reshape(-1, *shape).astype(space.dtype)

    return PatternAdapter((n,), False, encode, decode)


def _of_images(shape: tuple[int, ...], side: int) -> PatternAdapter:
    height, width = shape[:2]
    step = max(1, ceil(max(height, width) / side))
    rows, columns = ceil(height / step), ceil(width / step)
    colours = shape[2] if len(shape) == 3 else 1
    row_starts, column_starts = np.arange(0, height, step), np.arange(0, width, step)
    area = np.diff([*row_starts, height])[:, None] * np.diff([*column_starts, width])

    def encode(obs: Array) -> Array:
        pixels = np.asarray(obs).reshape(-1, height, width, colours)
        sums = np.add.reduceat(pixels, row_starts, axis=1, dtype=np.int32)
        sums = np.add.reduceat(sums, column_starts, axis=2)
        means = sums.astype(np.float32) / (area[:, :, None] * 127.5).astype(np.float32) - np.float32(1.0)
        return np.ascontiguousarray(np.moveaxis(means, 3, 1)).reshape(len(pixels), -1)

    return PatternAdapter((colours, rows, columns), False, encode, None)
