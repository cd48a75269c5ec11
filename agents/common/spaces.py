"""Adapters between an environment's spaces and agents: observations as network inputs, and the actions that exist."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec

MAX_RANGE = 1e6  # wider bounds tell nothing about the numbers between them


class ObservationAdapter(NamedTuple):
    """Converter of observations to rows of float32, and their size as a network's input.

    ``encode`` maps [B, *obs] to float32 [B, F]: a vector, or the class of a discrete observation (F = 1).
    """

    n_inputs: int  # units of the input layer
    n_stored: int  # F
    n_classes: int  # of a discrete observation, which a network gets as one-hot; 0: a vector
    scale: Array  # float32 [2, F]: offset that is subtracted from a feature, factor by which it is then multiplied
    encode: Callable[[Array], Array]


def make_observation_adapter(spec: EnvSpec, agent: str, normalize: bool = False) -> ObservationAdapter:
    """Make the adapter of an environment of vectors or of discrete observations.

    Args:
        spec: the environment.
        agent: name of the agent, for errors.
        normalize: move features with bounds from these to -1 and 1.

    Raises:
        ValueError: an observation space that is neither.
    """
    space = spec.observation
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return ObservationAdapter(int(space.n), 1, int(space.n), _identity_scale(1), _column)
    is_vector = isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete) and not is_image(spec)
    if not is_vector or space.shape is None or prod(space.shape) == 0:
        raise ValueError(f"{agent} on {spec.id}: observation space {space}, expected Discrete or a Box of numbers")
    n_features = prod(space.shape)
    if not normalize or not isinstance(space, spaces.Box):
        return ObservationAdapter(n_features, n_features, 0, _identity_scale(n_features), _rows)
    scale = _scale_to_unit(space)
    return ObservationAdapter(n_features, n_features, 0, scale, lambda obs: (_rows(obs) - scale[0]) * scale[1])


def is_image(spec: EnvSpec) -> bool:
    """Tell whether an environment shows images: uint8, [height, width] or [height, width, colours]."""
    space = spec.observation
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _column(obs: Array) -> Array:
    return np.asarray(obs, np.float32).reshape(-1, 1)


def _rows(obs: Array) -> Array:
    obs = np.ascontiguousarray(obs, np.float32)
    return obs if obs.ndim == 2 else obs.reshape(len(obs), -1)


def _identity_scale(n_features: int) -> Array:
    return np.repeat(np.array([[0.0], [1.0]], np.float32), n_features, axis=1)


def _scale_to_unit(space: spaces.Box) -> Array:
    """Offset and factor that move a feature with finite bounds into [-1, 1]; others stay as they are."""
    finite = np.isfinite(space.low.ravel()) & np.isfinite(space.high.ravel())
    low = np.where(finite, space.low.ravel(), 0.0).astype(np.float64)
    high = np.where(finite, space.high.ravel(), 0.0).astype(np.float64)
    bounded = (high > low) & (high - low < MAX_RANGE)
    offset = np.where(bounded, (low + high) / 2.0, 0.0)
    factor = np.where(bounded, 2.0 / np.where(bounded, high - low, 1.0), 1.0)
    return np.array([offset, factor], np.float32)


def n_actions(spec: EnvSpec, agent: str) -> int:
    """Count the actions of an environment.

    Raises:
        ValueError: actions that are not 0, 1, ..., n - 1.
    """
    if not isinstance(spec.action, spaces.Discrete) or int(spec.action.start) != 0:
        raise ValueError(f"{agent} on {spec.id}: action space {spec.action}, expected Discrete actions from 0")
    return int(spec.action.n)


def legal_rows(spec: EnvSpec, n: int) -> Array:
    """Bool [n_observations, A], or one row of True for an environment where every action exists."""
    return (
        np.ones((1, n), np.bool_) if spec.legal_actions is None else np.ascontiguousarray(spec.legal_actions, np.bool_)
    )


def action_lists(legal: Array) -> Array:
    """Legal actions as lists, int64 [n_observations, 1 + A]: their number, then they, then zeros."""
    listed = np.zeros((len(legal), 1 + legal.shape[1]), np.int64)
    listed[:, 0] = legal.sum(axis=1)
    exist_first = np.argsort(~legal, axis=1, kind="stable")
    listed[:, 1:] = np.where(np.arange(legal.shape[1]) < listed[:, :1], exist_first, 0)
    return listed


def uniform_best(y: Array, legal_actions: Array, stored: Array) -> Array:
    """Probabilities [S, B, A], uniform over the highest outputs y of the legal actions at ``stored`` [B, K]."""
    listed = (
        legal_actions[stored[:, 0].astype(np.int64)]
        if len(legal_actions) > 1
        else np.repeat(legal_actions, len(stored), axis=0)
    )
    legal = np.zeros(y.shape[1:], np.bool_)
    for row, actions in zip(legal, listed, strict=True):
        row[actions[1 : 1 + actions[0]]] = True
    preference = np.where(legal, y, -np.inf)
    best = preference == preference.max(axis=-1, keepdims=True)
    return best / best.sum(axis=-1, keepdims=True)


def discount(spec: EnvSpec, gamma: float | None) -> float:
    """Discount per step: the setting, or the environment's own."""
    return float(spec.gamma if gamma is None else gamma)
