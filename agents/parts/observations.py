"""What networks are given: observations as rows of float32, a discrete one as the class it names."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, Spec

LARGEST_RANGE = 1e6  # wider bounds say nothing


class Inputs(NamedTuple):
    """How a world's observations become a network's input.

    ``store`` maps [B, *obs] to float32 [B, F]: a vector as it is, or the class of a discrete observation (F = 1).
    """

    width: int  # units of the input layer
    n_stored: int  # F
    n_classes: int  # of a discrete observation, which the network sees as one-hot; 0: a vector
    store: Callable[[Array], Array]


def make_inputs(spec: Spec, agent: str, scaled: bool = False) -> Inputs:
    """The inputs of a network in a world of vectors or of discrete observations.

    Args:
        spec: the world.
        agent: who asks, for errors.
        scaled: numbers with bounds are moved from them to -1 and 1.

    Raises:
        ValueError: a space that is neither.
    """
    space = spec.observation
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return Inputs(int(space.n), 1, int(space.n), _column)
    numbers = isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete) and not is_image(spec)
    if not numbers or space.shape is None or prod(space.shape) == 0:
        raise ValueError(f"{agent} on {spec.id}: observation space {space}, expected Discrete or a Box of numbers")
    width = prod(space.shape)
    return Inputs(width, width, 0, _scaled_rows(space) if scaled and isinstance(space, spaces.Box) else _rows)


def is_image(spec: Spec) -> bool:
    """Whether a world shows pictures: uint8, [height, width] or [height, width, colours]."""
    space = spec.observation
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _column(obs: Array) -> Array:
    return np.asarray(obs, np.float32).reshape(-1, 1)


def _rows(obs: Array) -> Array:
    obs = np.ascontiguousarray(obs, np.float32)
    return obs if obs.ndim == 2 else obs.reshape(len(obs), -1)


def _scaled_rows(space: spaces.Box) -> Callable[[Array], Array]:
    finite = np.isfinite(space.low.ravel()) & np.isfinite(space.high.ravel())
    low, high = (np.where(finite, each.ravel(), 0.0).astype(np.float64) for each in (space.low, space.high))
    bounded = (high > low) & (high - low < LARGEST_RANGE)
    middle = np.where(bounded, (low + high) / 2.0, 0.0).astype(np.float32)
    size = np.where(bounded, 2.0 / np.where(bounded, high - low, 1.0), 1.0).astype(np.float32)
    return lambda obs: (_rows(obs) - middle) * size
