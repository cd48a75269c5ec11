"""Adapters between an environment's spaces and networks: observations as inputs, outputs as actions that exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.jit import jit_inline
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

    def arrays(self) -> dict[str, Array | str]:
        """Return what an observation becomes an input with, for exports."""
        if self.n_classes:
            return {"encoding": "one_hot", "n_classes": np.array(self.n_classes)}
        return {"encoding": "vector", "offset": self.scale[0], "factor": self.scale[1]}


def make_observation_adapter(
    spec: EnvSpec, agent: str, normalize: bool = False, unit_integers: bool = False
) -> ObservationAdapter:
    """Make the adapter of an environment of vectors or of discrete observations.

    Args:
        spec: the environment.
        agent: name of the agent, for errors.
        normalize: move features with bounds from these to -1 and 1.
        unit_integers: move integers with bounds from these to 0 and 1, unless ``normalize`` moves them.

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
    if isinstance(space, spaces.Box) and (normalize or (unit_integers and space.dtype.kind != "f")):
        scale = _scale_to_unit(space, symmetric=normalize)
        return ObservationAdapter(n_features, n_features, 0, scale, lambda obs: (_rows(obs) - scale[0]) * scale[1])
    return ObservationAdapter(n_features, n_features, 0, _identity_scale(n_features), _rows)


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


def _scale_to_unit(space: spaces.Box, *, symmetric: bool) -> Array:
    """Offset and factor that move a feature with finite bounds into [-1, 1] or [0, 1]; others stay as they are."""
    finite = np.isfinite(space.low.ravel()) & np.isfinite(space.high.ravel())
    low = np.where(finite, space.low.ravel(), 0.0).astype(np.float64)
    high = np.where(finite, space.high.ravel(), 0.0).astype(np.float64)
    bounded = (high > low) & (high - low < MAX_RANGE)
    zero = (low + high) / 2.0 if symmetric else low
    width = 2.0 if symmetric else 1.0
    offset = np.where(bounded, zero, 0.0)
    factor = np.where(bounded, width / np.where(bounded, high - low, 1.0), 1.0)
    return np.array([offset, factor], np.float32)


class ActionAdapter(NamedTuple):
    """Converter of numbers to the actions of an environment.

    ``decode`` maps [S, D] to [S, *action]: the index of a discrete action (D = 1), or the numbers of a Box action.
    """

    n_outputs: int  # of a policy network: one for each discrete action, or D
    action_dim: int  # D
    discrete: bool
    legal: Array  # bool [n_observations or 1, n_outputs]
    decode: Callable[[Array], Array]
    arrays: Mapping[str, Array | str]  # what outputs become an action with, for exports


def make_action_adapter(spec: EnvSpec, agent: str, squash: bool = False) -> ActionAdapter:
    """Make the adapter of an environment of Discrete or Box actions.

    Numbers of a Box action are in units of half its range around its middle, or as they are without bounds, and are
    clipped to the bounds. With ``squash`` they are real numbers, moved into the bounds by tanh.

    Raises:
        ValueError: other actions, or, with ``squash``, a Box without bounds.
    """
    space = spec.action
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        n = int(space.n)
        legal = legal_rows(spec, n)
        arrays: dict[str, Array | str] = {"output": "argmax", "legal": legal}
        return ActionAdapter(n, 1, True, legal, lambda index: index[:, 0].astype(np.int64), arrays)
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f" or (squash and not space.is_bounded()):
        box = "a bounded Box" if squash else "a Box"
        raise ValueError(
            f"{agent} on {spec.id}: action space {space}, expected Discrete actions from 0 or {box} of real numbers"
        )
    n = prod(space.shape)
    decode = _squasher(space) if squash else _clipper(space)
    output = {"output": "tanh" if squash else "clip", "low": space.low, "high": space.high}
    return ActionAdapter(n, n, False, np.ones((1, n), np.bool_), decode, output)


def _clipper(space: spaces.Box) -> Callable[[Array], Array]:
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    middle = np.where(bounded, (space.low + space.high) / 2.0, 0.0)
    half = np.where(bounded, (space.high - space.low) / 2.0, 1.0)

    def clipped(numbers: Array) -> Array:
        inside = middle + half * numbers.reshape(-1, *space.shape)
        return np.clip(inside, space.low, space.high).astype(space.dtype)

    return clipped


def _squasher(space: spaces.Box) -> Callable[[Array], Array]:
    def squashed(numbers: Array) -> Array:
        real = numbers.reshape(-1, *space.shape).astype(np.float64)
        inside = space.low + (0.5 + 0.5 * np.tanh(real)) * (space.high - space.low)
        return np.clip(inside.astype(space.dtype), space.low, space.high)

    return squashed


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


@jit_inline
def legal_row(legal_actions, stored):
    """Index in ``legal_actions`` of the actions that exist at one stored observation [F]."""
    return np.int64(stored[0]) if legal_actions.shape[0] > 1 else 0


def legal_mask(legal_actions: Array) -> Array:
    """Return bool [n_observations or 1, A] of the lists of :func:`action_lists`."""
    legal = np.zeros((len(legal_actions), legal_actions.shape[1] - 1), np.bool_)
    for row, actions in zip(legal, legal_actions, strict=True):
        row[actions[1 : 1 + actions[0]]] = True
    return legal


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
