"""Adapter from an environment's spaces to policy networks: observations as rows, sampled numbers as actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec


class SpaceAdapter(NamedTuple):
    """Shapes of a network's inputs and outputs, and the two conversions."""

    obs_dim_stored: int  # numbers that a batch stores of an observation
    obs_dim: int  # inputs of a network
    action_dim: int  # numbers sampled for an action
    n_outputs: int  # of a policy network
    one_hot_obs: bool  # an observation is stored as its number, and networks see a one-hot vector
    discrete_actions: bool
    encode_obs: Callable[[Array], Array]  # [B, *obs] -> float32 [B, obs_dim_stored], contiguous
    decode_action: Callable[[Array], Array]  # float32 [S, action_dim] -> [S, *action]


def make_space_adapter(agent: str, spec: EnvSpec) -> SpaceAdapter:
    """The adapter for an environment of Discrete or Box observations and actions.

    Numbers of an observation stay as they are, but integers between bounds become 0 to 1. Box actions are sampled in
    units of half their range around its middle, and clipped into it on their way to the environment.

    Raises:
        ValueError: spaces that a policy network cannot have.
    """
    one_hot_obs = isinstance(spec.observation, spaces.Discrete)
    discrete_actions = isinstance(spec.action, spaces.Discrete)
    obs_dim, encode_obs = _encoder(agent, spec)
    n_outputs, decode_action = _decoder(agent, spec)
    return SpaceAdapter(
        obs_dim_stored=1 if one_hot_obs else obs_dim,
        obs_dim=obs_dim,
        action_dim=1 if discrete_actions else n_outputs,
        n_outputs=n_outputs,
        one_hot_obs=one_hot_obs,
        discrete_actions=discrete_actions,
        encode_obs=encode_obs,
        decode_action=decode_action,
    )


def _encoder(agent: str, spec: EnvSpec) -> tuple[int, Callable[[Array], Array]]:
    """Inputs of a network, and ``encode_obs``."""
    space = spec.observation
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return int(space.n), lambda obs: np.asarray(obs, np.float32).reshape(-1, 1)
    if not isinstance(space, spaces.Box):
        raise ValueError(f"{agent} on {spec.id}: observation {space}, expected a discrete one or a box of numbers")
    size = int(np.prod(space.shape))
    if space.dtype.kind == "f" or not np.all(space.high > space.low):
        return size, lambda obs: np.ascontiguousarray(obs, np.float32).reshape(-1, size)
    low = space.low.astype(np.float32).ravel()
    width = space.high.astype(np.float32).ravel() - low
    return size, lambda obs: (np.asarray(obs, np.float32).reshape(-1, size) - low) / width


def _decoder(agent: str, spec: EnvSpec) -> tuple[int, Callable[[Array], Array]]:
    """Outputs of a policy network, and ``decode_action``."""
    space = spec.action
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return int(space.n), lambda action: action[:, 0].astype(np.int64)
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise ValueError(
            f"{agent} on {spec.id}: actions {space}, expected Discrete ones from 0 or a Box of real numbers"
        )
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    middle = np.where(bounded, (space.low + space.high) / 2.0, 0.0)
    half = np.where(bounded, (space.high - space.low) / 2.0, 1.0)

    def decode_action(action: Array) -> Array:
        inside = middle + half * action.reshape(-1, *space.shape)
        return np.clip(inside, space.low, space.high).astype(space.dtype)

    return int(np.prod(space.shape)), decode_action
