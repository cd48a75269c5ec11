"""What networks are given: observations as rows of float32, a discrete one as the class it names."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec

LARGEST_RANGE = 1e6  # wider bounds say nothing


class Inputs(NamedTuple):
    """How an environment's observations become a network's input.

    ``store`` maps [B, *obs] to float32 [B, F]: a vector as it is, or the class of a discrete observation (F = 1).
    """

    width: int  # units of the input layer
    n_stored: int  # F
    n_classes: int  # of a discrete observation, which the network sees as one-hot; 0: a vector
    store: Callable[[Array], Array]
    scale: Array  # float32 [2, F], of a vector: what is taken off a feature, and what it is then multiplied by


def make_inputs(spec: EnvSpec, agent: str, scaled: bool = False) -> Inputs:
    """The inputs of a network in an environment of vectors or of discrete observations.

    Args:
        spec: the environment.
        agent: who asks, for errors.
        scaled: numbers with bounds are moved from them to -1 and 1.

    Raises:
        ValueError: a space that is neither.
    """
    space = spec.observation
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return Inputs(int(space.n), 1, int(space.n), _column, _no_scale(1))
    numbers = isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete) and not is_image(spec)
    if not numbers or space.shape is None or prod(space.shape) == 0:
        raise ValueError(f"{agent} on {spec.id}: observation space {space}, expected Discrete or a Box of numbers")
    width = prod(space.shape)
    if not scaled or not isinstance(space, spaces.Box):
        return Inputs(width, width, 0, _rows, _no_scale(width))
    scale = _scale(space)
    return Inputs(width, width, 0, lambda obs: (_rows(obs) - scale[0]) * scale[1], scale)


def is_image(spec: EnvSpec) -> bool:
    """Whether an environment shows pictures: uint8, [height, width] or [height, width, colours]."""
    space = spec.observation
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _column(obs: Array) -> Array:
    return np.asarray(obs, np.float32).reshape(-1, 1)


def _rows(obs: Array) -> Array:
    obs = np.ascontiguousarray(obs, np.float32)
    return obs if obs.ndim == 2 else obs.reshape(len(obs), -1)


def _no_scale(width: int) -> Array:
    return np.repeat(np.array([[0.0], [1.0]], np.float32), width, axis=1)


def _scale(space: spaces.Box) -> Array:
    finite = np.isfinite(space.low.ravel()) & np.isfinite(space.high.ravel())
    low, high = (np.where(finite, each.ravel(), 0.0).astype(np.float64) for each in (space.low, space.high))
    bounded = (high > low) & (high - low < LARGEST_RANGE)
    middle = np.where(bounded, (low + high) / 2.0, 0.0)
    size = np.where(bounded, 2.0 / np.where(bounded, high - low, 1.0), 1.0)
    return np.array([middle, size], np.float32)
