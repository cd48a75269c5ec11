"""Five probe environments; each finds its own kind of bug in seconds.

Constant reward; reward that depends on the observation; a delay of two steps, which shows the discount; reward that
depends on the action; reward that depends on both. Every one is a player by dotted path: ``make(seeds, config)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.common.tabular_env import TabularEnv
from simulator.core import rng
from simulator.core.mdp.model import FiniteMDP
from simulator.core.protocols import EnvSpec
from simulator.core.scene import Scene
from simulator.core.transition_table import make_table

Kind = Literal["constant", "observed", "delayed", "action", "both"]
GAMMA = 0.9
VALUES = {  # best action value of every state a walker is seen in, by hand
    "constant": [1.0],
    "observed": [-1.0, 1.0],
    "delayed": [GAMMA, 1.0],
    "action": [1.0],
    "both": [1.0, 1.0],
}


@dataclass(frozen=True)
class Config:
    """The choice of the probe."""

    kind: Kind = "constant"
    """the probe"""


def mdp(kind: Kind) -> FiniteMDP:
    """Return the probe's MDP: two actions, one outcome each."""
    n = len(VALUES[kind])
    reward, following, end = np.zeros((n, 2, 1)), np.zeros((n, 2, 1), np.int64), np.ones((n, 2, 1), np.uint8)
    start = np.full(n, 1.0 / n)
    if kind == "constant":
        reward[:] = 1.0
    elif kind == "observed":
        reward[0], reward[1] = -1.0, 1.0
    elif kind == "delayed":
        following[0], end[0], reward[1], start = 1, 0, 1.0, np.array([1.0, 0.0])
    elif kind == "action":
        reward[0, 1] = 1.0
        reward[0, 0] = -1.0
    else:
        reward[0, 0], reward[1, 1] = 1.0, 1.0
        reward[0, 1], reward[1, 0] = -1.0, -1.0
    return FiniteMDP(np.ones((n, 2, 1)), following, reward, end, start, np.ones((n, 2), np.bool_), 10)


def make(seed_list: list[int], config: Config) -> TabularEnv:
    """Make the probe for these seeds."""
    law = mdp(config.kind)
    n = len(law.start)
    spec = EnvSpec(f"probe-{config.kind}", spaces.Discrete(n), spaces.Discrete(2), 10, mdp=law, state_obs=np.arange(n))
    return TabularEnv(spec, make_table(law), rng.pcg64_states(seed_list, "env"), lambda place, clock: Scene("probe"))
