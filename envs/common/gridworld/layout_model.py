"""Model of a layout, grid or graph of rooms: its MDP, its picture and its observations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.mdp.model import FiniteMDP
from simulator.core.protocols import Array
from simulator.core.scene import Scene

MAX_TABLE_BYTES = 32 << 20  # observations of all states are tabulated up to this size, and computed on demand beyond it


class LayoutRules(NamedTuple):
    """The rules of movement and of the end of an episode, on any layout."""

    slip: float = 0.0
    slip_direction: str = "perpendicular"  # or "uniform"
    step_cost: float | None = None  # None: the layout's own
    goal: str = "layout"  # "absorbing", "terminal"
    start: str = "layout"  # "fixed", "random"
    max_steps: int = 0  # 0: the layout's own
    editable: bool = False  # every cell is a state, so that states keep their numbers where cells change


class ObservationConfig(NamedTuple):
    """The kind of observation and its sizes."""

    kind: str = "index"
    window: int = 5  # cells
    xray: bool = False
    cell_pixels: int = 8


class ObservationModel(NamedTuple):
    """The observation of every state of a finite environment."""

    space: spaces.Space[Any]
    encode: Callable[[Array], Array]  # states int64 [B] -> [B, *obs]
    table: Array | None = None  # [N, *obs]; None where it would be too large
    legal_actions: Array | None = None  # bool [n_observations, A]; None: all of them


class LayoutModel(NamedTuple):
    """A layout's MDP, picture and observations."""

    mdp: FiniteMDP
    render: Callable[[int, int], Scene]  # (state, steps of the episode) -> its picture
    observations: Callable[[ObservationConfig], ObservationModel]


def index_observations(
    obs_of_state: Array, n_observations: int, legal_actions: Array | None = None
) -> ObservationModel:
    """Observe the number ``obs_of_state[state]``."""
    table = np.ascontiguousarray(obs_of_state, np.int64)
    return ObservationModel(spaces.Discrete(n_observations), table.__getitem__, table, legal_actions)


def box_observations(box: spaces.Box, encode: Callable[[Array], Array], n_states: int) -> ObservationModel:
    """Observe arrays, looked up where a table of all of them is small enough."""
    size = n_states * int(np.prod(box.shape)) * box.dtype.itemsize
    if size > MAX_TABLE_BYTES:
        return ObservationModel(box, encode)
    table = np.ascontiguousarray(encode(np.arange(n_states)), box.dtype)
    return ObservationModel(box, table.__getitem__, table)


def onehot_observations(obs_of_state: Array, n_observations: int) -> ObservationModel:
    """Observe the number ``obs_of_state[state]`` as a one-hot vector, float32 [n_observations]."""
    obs_of_state = np.asarray(obs_of_state)

    def encode(states: Array) -> Array:
        onehot = np.zeros((len(states), n_observations), np.float32)
        onehot[np.arange(len(states)), obs_of_state[states]] = 1.0
        return onehot

    return box_observations(spaces.Box(0.0, 1.0, (n_observations,), np.float32), encode, len(obs_of_state))


def position_observations(positions: Array) -> ObservationModel:
    """Observe positions in the unit square (or cube) as they are, float32 [N, D]."""
    table = np.ascontiguousarray(positions, np.float32)
    return box_observations(spaces.Box(0.0, 1.0, table.shape[1:], np.float32), table.__getitem__, len(table))


def all_legal(mdp: FiniteMDP) -> FiniteMDP:
    """Return the same MDP with every action legal, those that lead nowhere too."""
    return mdp if mdp.legal.all() else replace(mdp, legal=np.ones_like(mdp.legal))
