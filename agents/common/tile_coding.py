"""Observations as a few active features out of many: what a table or a linear value function is indexed with.

A discrete observation is one feature, itself. A box is cut into bins (one feature) or covered by tilings (one
feature each; Sutton and Barto 2018, section 9.5.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.field_types import Count, Positive
from simulator.core.protocols import Array, EnvSpec

LARGEST = 20_000_000  # features


@dataclass(frozen=True)
class BoxFeatures:
    """How a box of real observations becomes features; discrete observations need none of it."""

    kind: Literal["bins", "tiles"] = "bins"
    """bins: one cell of a grid; tiles: several shifted grids, one active tile in each"""
    n_bins: Count = 10
    """cells along every dimension; no more than values where these are whole numbers"""
    n_tilings: Count = 8
    """shifted grids, with tiles"""
    unbounded: Positive = 4.0
    """range assumed for a dimension without bounds: from minus to plus this, in its own unit"""


class Features(NamedTuple):
    """An encoding of observations.

    ``encode`` maps [B, *obs] to int64 [B, n_active], each in [0, n_features).
    """

    n_features: int
    n_active: int
    encode: Callable[[Array], Array]
    discrete: bool  # the observation is its own feature


def make_features(spec: EnvSpec, box: BoxFeatures) -> Features:
    """The encoding for an environment's observations.

    Raises:
        ValueError: a space that cannot be cut (images, text, more cells than memory).
    """
    space = spec.observation
    if isinstance(space, spaces.Discrete):
        return Features(int(space.n), 1, lambda obs: np.asarray(obs, np.int64).reshape(-1, 1), True)
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape, 2)
        return _product(spec, [int(n) for n in np.ravel(sizes)])
    if isinstance(space, spaces.Box) and len(space.shape) <= 1:
        return _grid(spec, space, box)
    raise ValueError(
        f"{spec.id}: observation {space} cannot be cut into features; expected a discrete one or a flat box of numbers"
    )


def _product(spec: EnvSpec, sizes: list[int]) -> Features:
    _check_size(spec, prod(sizes))
    strides = np.array([prod(sizes[i + 1 :]) for i in range(len(sizes))], np.int64)

    def encode(obs: Array) -> Array:
        return (np.asarray(obs, np.int64).reshape(-1, len(sizes)) @ strides)[:, None]

    return Features(prod(sizes), 1, encode, False)


def _grid(spec: EnvSpec, space: spaces.Box, box: BoxFeatures) -> Features:
    """Bins, or tilings displaced by odd multiples (1, 3, 5, ...) of a tile's n_tilings-th part."""
    low, high = (np.ravel(bound).astype(np.float64) for bound in (space.low, space.high))
    endless = ~(np.isfinite(low) & np.isfinite(high)) | (np.abs(high) > 1e18)
    low, high = np.where(endless, -box.unbounded, low), np.where(endless, box.unbounded, high)
    width = np.where(high > low, high - low, 1.0)
    n_bins = np.full(len(low), box.n_bins, np.int64)
    if space.dtype.kind in "iu":
        n_bins = np.minimum(n_bins, width + 1).astype(np.int64)
    tiles = box.kind == "tiles"
    n_grids, n_cells = (box.n_tilings, [int(n) + 1 for n in n_bins]) if tiles else (1, [int(n) for n in n_bins])
    per_grid = prod(n_cells)
    _check_size(spec, n_grids * per_grid)
    strides = np.array([prod(n_cells[i + 1 :]) for i in range(len(n_cells))], np.int64)
    odd = 2 * np.arange(len(low)) + 1
    shifts = (np.arange(n_grids)[:, None] * odd % n_grids) / n_grids  # [grids, D] in tiles

    def encode(obs: Array) -> Array:
        at = (np.asarray(obs, np.float64).reshape(-1, len(low)) - low) / width
        at = np.clip(at, 0.0, 1.0 - 1e-12) * n_bins  # [B, D]
        cells = np.floor(at[:, None, :] + shifts).astype(np.int64)  # [B, grids, D]
        return cells @ strides + np.arange(n_grids) * per_grid

    return Features(n_grids * per_grid, n_grids, encode, False)


def _check_size(spec: EnvSpec, n_features: int) -> None:
    if n_features > LARGEST:
        raise ValueError(
            f"{spec.id}: observation {spec.observation} makes {n_features:.3g} features, expected at most {LARGEST:,}; "
            "give fewer bins, or an agent with a network"
        )
