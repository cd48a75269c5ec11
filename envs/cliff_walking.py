"""Cliff walking: the shortest way runs along a cliff (Gymnasium's CliffWalking, by table).

Bit for bit Gymnasium's ``CliffWalking-v1`` and ``CliffWalkingSlippery-v1``, which run this environment too, with its
finite MDP. Source: Sutton and Barto, Reinforcement Learning, 2018, example 6.6; gymnasium.envs.toy_text.cliffwalking.

=========  ==========
action     meaning
=========  ==========
0          up
1          right
2          down
3          left
=========  ==========

=============  ==================================================================================
observation    Discrete(48): row * 12 + column; an episode begins in the lower left corner, at 36
=============  ==================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             -1
a step into the cliff                              -100, and back to the start
the goal, in the lower right corner                -1; terminates
``max_steps``                                      truncates; never by default
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envs.common.demo import show_env
from envs.common.gymnasium import adapter
from simulator.core.field_types import CountOrZero
from simulator.core.protocols import Env


@dataclass(frozen=True)
class Config:
    """Settings of the cliff."""

    is_slippery: bool = False
    """moves also go to either side, each way with probability 1/3; as CliffWalkingSlippery-v1"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: never"""


def make(seed_list: Sequence[int], config: Config) -> Env:
    """Make one walker for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    env_id = "CliffWalkingSlippery-v1" if config.is_slippery else "CliffWalking-v1"
    settings = adapter.Config(max_steps=config.max_steps)
    return adapter.make(env_id, seed_list, settings, "cliff_walking")


if __name__ == "__main__":
    show_env("cliff_walking")
