"""A layout made into a finite environment, as grids and graphs of rooms hand it to ``envs/rooms.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.mdp.solve import FiniteMDP
from simulator.core.protocols import Array
from simulator.core.scene import Scene

TABLE_BYTES = 32 << 20  # views of all states are kept as a table up to this size, and made when asked for beyond it


class Rules(NamedTuple):
    """How walkers move and what ends an episode, on any layout."""

    slip: float = 0.0
    slip_kind: str = "perpendicular"  # or "uniform"
    step_cost: float | None = None  # None: the layout's own
    goal: str = "layout"  # "absorbing", "terminal"
    start: str = "layout"  # "fixed", "random"
    max_steps: int = 0  # 0: the layout's own


class Look(NamedTuple):
    """What is seen of a state."""

    kind: str = "index"
    window: int = 5  # cells
    see_through: bool = False
    cell_pixels: int = 8


class Views(NamedTuple):
    """What is seen in every state of a finite environment."""

    space: spaces.Space[Any]
    look: Callable[[Array], Array]  # states int64 [B] -> [B, *obs]
    table: Array | None = None  # [N, *obs]; None where it would be too large
    legal: Array | None = None  # bool [n_observations, A]; None: every action exists


class Ground(NamedTuple):
    """A layout as a finite environment."""

    mdp: FiniteMDP
    draw: Callable[[int, int], Scene]  # (state, steps of the episode) -> what can be drawn
    views: Callable[[Look], Views]


def indexed(see: Array, n_observations: int, legal: Array | None = None) -> Views:
    """Discrete views: observation number ``see[state]``."""
    see = np.ascontiguousarray(see, np.int64)
    return Views(spaces.Discrete(n_observations), see.__getitem__, see, legal)


def boxed(box: spaces.Box, compute: Callable[[Array], Array], n_states: int) -> Views:
    """Views as arrays, looked up where a table of all of them is small enough."""
    size = n_states * int(np.prod(box.shape)) * box.dtype.itemsize
    if size > TABLE_BYTES:
        return Views(box, compute)
    table = np.ascontiguousarray(compute(np.arange(n_states)), box.dtype)
    return Views(box, table.__getitem__, table)


def onehot(see: Array, n_observations: int) -> Views:
    """The observation's number as a vector of zeros and a one, float32 [n_observations]."""
    see = np.asarray(see)
    box = spaces.Box(0.0, 1.0, (n_observations,), np.float32)

    def compute(states: Array) -> Array:
        seen = np.zeros((len(states), n_observations), np.float32)
        seen[np.arange(len(states)), see[states]] = 1.0
        return seen

    return boxed(box, compute, len(see))


def placed(places: Array) -> Views:
    """Places in the unit square (or cube) as they are, float32 [N, D]."""
    table = np.ascontiguousarray(places, np.float32)
    return boxed(spaces.Box(0.0, 1.0, table.shape[1:], np.float32), table.__getitem__, len(table))


def all_legal(mdp: FiniteMDP) -> FiniteMDP:
    """The same law where every action may be sent, those that lead nowhere too."""
    return mdp if mdp.legal.all() else replace(mdp, legal=np.ones_like(mdp.legal))
