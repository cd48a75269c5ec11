"""Linear features: observations as the indices of a few active features out of many, or as numbers.

A discrete observation is one feature, itself. A box is cut into bins (one feature) or covered by tilings (one
feature each; Sutton and Barto 2018, section 9.5.4). Or its numbers are the features themselves, all of them active,
each as much as the number says, beside a constant one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.field_types import Count, Positive
from simulator.core.protocols import Array, EnvSpec

MAX_FEATURES = 20_000_000


@dataclass(frozen=True)
class BoxFeatures:
    """Discretization of a box of real observations; discrete observations need none of it."""

    kind: Literal["bins", "tiles", "linear"] | None = None
    """bins: one cell of a grid; tiles: several shifted grids, one active tile in each; linear: the numbers as they are,
    and a constant 1; none: linear behind an encoder, bins elsewhere"""
    n_bins: Count = 10
    """cells along every dimension; no more than values where these are whole numbers"""
    n_tilings: Count = 8
    """shifted grids, with tiles"""
    unbounded: Positive = 4.0
    """range assumed for a dimension without bounds: from minus to plus this, in its own unit"""


class Features(NamedTuple):
    """An encoding of observations.

    ``encode`` maps [B, *obs] to int64 [B, n_active], each in [0, n_features). ``activations`` maps it to float64
    [B, n_active], how active each of them is; None: all are 1.
    """

    n_features: int
    n_active: int
    encode: Callable[[Array], Array]
    discrete: bool  # the observation is its own feature
    arrays: Mapping[str, Array | str]  # what encode computes with, for exports
    activations: Callable[[Array], Array] | None = None


def make_features(spec: EnvSpec, box: BoxFeatures) -> Features:
    """Make the encoding of an environment's observations.

    Raises:
        ValueError: a space that cannot be cut (images, text, more cells than memory).
    """
    space = spec.observation
    if isinstance(space, spaces.Discrete):
        encode = lambda obs: np.asarray(obs, np.int64).reshape(-1, 1)  # noqa: E731
        return Features(int(space.n), 1, encode, True, {"encoding": "index"})
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape, 2)
        return _product(spec, [int(n) for n in np.ravel(sizes)])
    if isinstance(space, spaces.Box) and len(space.shape) <= 1:
        if box.kind == "linear":
            return _linear(spec, space)
        return _grid(spec, space, box)
    raise ValueError(
        f"{spec.id}: observation {space} cannot be cut into features; expected a discrete one or a flat box of numbers"
    )


def _product(spec: EnvSpec, sizes: list[int]) -> Features:
    _check_size(spec, prod(sizes))
    strides = np.array([prod(sizes[i + 1 :]) for i in range(len(sizes))], np.int64)

    def encode(obs: Array) -> Array:
        return (np.asarray(obs, np.int64).reshape(-1, len(sizes)) @ strides)[:, None]

    return Features(prod(sizes), 1, encode, False, {"encoding": "product", "strides": strides})


def _linear(spec: EnvSpec, space: spaces.Box) -> Features:
    """Take the numbers of a box as features, behind a constant one."""
    n_features = 1 + prod(space.shape)
    _check_size(spec, n_features)

    def encode(obs: Array) -> Array:
        return np.tile(np.arange(n_features), (len(np.asarray(obs)), 1))

    def activations(obs: Array) -> Array:
        rows = np.asarray(obs, np.float64).reshape(-1, n_features - 1)
        return np.column_stack([np.ones(len(rows)), rows])

    return Features(n_features, n_features, encode, False, {"encoding": "linear"}, activations)


def _grid(spec: EnvSpec, space: spaces.Box, box: BoxFeatures) -> Features:
    """Cut a box into bins, or cover it by tilings.

    Tilings are displaced by odd multiples (1, 3, 5, ...) of a tile's n_tilings-th part.
    """
    low = np.ravel(space.low).astype(np.float64)
    high = np.ravel(space.high).astype(np.float64)
    endless = ~(np.isfinite(low) & np.isfinite(high)) | (np.abs(high) > 1e18)
    low = np.where(endless, -box.unbounded, low)
    high = np.where(endless, box.unbounded, high)
    width = np.where(high > low, high - low, 1.0)
    n_bins = np.full(len(low), box.n_bins, np.int64)
    if space.dtype.kind in "iu":
        n_bins = np.minimum(n_bins, width + 1).astype(np.int64)
    is_tiled = box.kind == "tiles"
    n_grids = box.n_tilings if is_tiled else 1
    n_cells = [int(n) + is_tiled for n in n_bins]
    cells_per_grid = prod(n_cells)
    _check_size(spec, n_grids * cells_per_grid)
    strides = np.array([prod(n_cells[i + 1 :]) for i in range(len(n_cells))], np.int64)
    odd = 2 * np.arange(len(low)) + 1
    shifts = (np.arange(n_grids)[:, None] * odd % n_grids) / n_grids  # [grids, D] in tiles

    def encode(obs: Array) -> Array:
        position = (np.asarray(obs, np.float64).reshape(-1, len(low)) - low) / width
        position = np.clip(position, 0.0, 1.0 - 1e-12) * n_bins  # [B, D]
        cells = np.floor(position[:, None, :] + shifts).astype(np.int64)  # [B, grids, D]
        return cells @ strides + np.arange(n_grids) * cells_per_grid

    first = np.arange(n_grids) * cells_per_grid
    arrays = {"low": low, "width": width, "n_bins": n_bins, "shifts": shifts, "strides": strides, "first": first}
    return Features(n_grids * cells_per_grid, n_grids, encode, False, {"encoding": "grid", **arrays})


def _check_size(spec: EnvSpec, n_features: int) -> None:
    if n_features > MAX_FEATURES:
        raise ValueError(
            f"{spec.id}: observation {spec.observation} makes {n_features:.3g} features, "
            f"expected at most {MAX_FEATURES:,}; give fewer bins, or an agent with a network"
        )
