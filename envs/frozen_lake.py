"""Frozen lake: cross the ice to the goal without falling into a hole (Gymnasium's FrozenLake, by table).

Bit for bit Gymnasium's ``FrozenLake-v1`` and ``FrozenLake8x8-v1``, which run this environment too, with its finite MDP.
Source: gymnasium.envs.toy_text.frozen_lake.

=========  ==========
action     meaning
=========  ==========
0          left
1          down
2          right
3          up
=========  ==========

=============  ==================================================================================
observation    Discrete(16), or Discrete(64) on 8x8: row * width + column; an episode begins at 0
=============  ==================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             0
a hole                                             0; terminates
the goal, in the lower right corner                1; terminates
100 steps, 200 on 8x8 (``max_steps``)              truncates
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from envs.common.demo import show_env
from envs.common.gymnasium import adapter
from simulator.core.field_types import CountOrZero, Share
from simulator.core.protocols import Env

IDS = {"4x4": "FrozenLake-v1", "8x8": "FrozenLake8x8-v1"}


@dataclass(frozen=True)
class Config:
    """Settings of the frozen lake."""

    map_name: Literal["4x4", "8x8"] = "4x4"
    """size of the lake"""
    is_slippery: bool = True
    """moves also go to either side"""
    success_rate: Share = 1.0 / 3.0
    """probability that a move on slippery ice goes where it was meant to"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: 100 on 4x4, 200 on 8x8, as registered"""


def make(seed_list: Sequence[int], config: Config) -> Env:
    """Make one walker for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    kwargs: dict[str, bool | int | float | str] = {
        "is_slippery": config.is_slippery,
        "success_rate": config.success_rate,
    }
    settings = adapter.Config(kwargs=kwargs, max_steps=config.max_steps)
    return adapter.make(IDS[config.map_name], seed_list, settings, "frozen_lake")


if __name__ == "__main__":
    show_env("frozen_lake")
