"""Between an environment and a policy network: observations as rows of numbers, and drawn numbers as actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec


class Border(NamedTuple):
    """How observations come in and actions go out."""

    n_kept: int  # numbers that are kept of an observation
    n_inputs: int  # numbers that a network sees of it
    n_drawn: int  # numbers drawn for an action
    n_outputs: int  # numbers that a policy network gives
    one_hot: bool  # an observation is a number, and a network sees a vector with a one
    discrete: bool  # an action is a number
    encode: Callable[[Array], Array]  # [B, *obs] -> float32 [B, n_kept], contiguous
    actions: Callable[[Array], Array]  # float32 [S, n_drawn] -> [S, *action]


def make_border(agent: str, spec: EnvSpec) -> Border:
    """The border of an environment.

    Raises:
        ValueError: spaces that a dense policy network cannot have.
    """
    one_hot, discrete = isinstance(spec.observation, spaces.Discrete), isinstance(spec.action, spaces.Discrete)
    n_inputs, encode = _inward(agent, spec)
    n_outputs, actions = _outward(agent, spec)
    return Border(
        1 if one_hot else n_inputs,
        n_inputs,
        1 if discrete else n_outputs,
        n_outputs,
        one_hot,
        discrete,
        encode,
        actions,
    )


def _inward(agent: str, spec: EnvSpec) -> tuple[int, Callable[[Array], Array]]:
    """Numbers stay as they are; whole ones between bounds become 0 to 1."""
    space = spec.observation
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return int(space.n), lambda obs: np.asarray(obs, np.float32).reshape(-1, 1)
    if not isinstance(space, spaces.Box):
        raise ValueError(f"{agent} on {spec.id}: observation {space}, expected a discrete one or a box of numbers")
    size = int(np.prod(space.shape))
    if space.dtype.kind == "f" or not np.all(space.high > space.low):
        return size, lambda obs: np.ascontiguousarray(obs, np.float32).reshape(-1, size)
    low, width = space.low.astype(np.float32).ravel(), space.high.astype(np.float32).ravel()
    width = width - low

    def scaled(obs: Array) -> Array:
        return (np.asarray(obs, np.float32).reshape(-1, size) - low) / width

    return size, scaled


def _outward(agent: str, spec: EnvSpec) -> tuple[int, Callable[[Array], Array]]:
    """Box actions are drawn in units of half their range around its middle, and clipped into it on their way out."""
    space = spec.action
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return int(space.n), lambda drawn: drawn[:, 0].astype(np.int64)
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise ValueError(
            f"{agent} on {spec.id}: actions {space}, expected Discrete ones from 0 or a Box of real numbers"
        )
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    middle = np.where(bounded, (space.low + space.high) / 2.0, 0.0)
    half = np.where(bounded, (space.high - space.low) / 2.0, 1.0)

    def clipped(drawn: Array) -> Array:
        there = middle + half * drawn.reshape(-1, *space.shape)
        return np.clip(there, space.low, space.high).astype(space.dtype)

    return int(np.prod(space.shape)), clipped
