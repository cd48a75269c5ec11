"""Small specs and steps for tests worked by hand."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import EnvSpec, Step


def discrete(n_states: int, n_actions: int, legal: np.ndarray | None = None) -> EnvSpec:
    """Return a spec of numbered states and actions, and nothing else."""
    return EnvSpec("by-hand", spaces.Discrete(n_states), spaces.Discrete(n_actions), legal_actions=legal)


def step(reward: float, then: int, *, terminated: bool = False, truncated: bool = False, obs: int = -1) -> Step:
    """Return a step of one seed; a new episode begins at ``obs`` if one ended."""
    after = then if obs < 0 else obs
    return Step(
        np.array([after]),
        np.array([reward], np.float32),
        np.array([terminated]),
        np.array([truncated]),
        np.array([then]),
    )
