"""Taxi: fetch a passenger and bring them where they want to go (Gymnasium's Taxi, by table).

Bit for bit Gymnasium's ``Taxi-v4``, which runs this environment too, with its finite MDP. A fickle passenger draws
beside the table: then the original is stepped, and there is no MDP.
Source: Dietterich, Hierarchical reinforcement learning with the MAXQ value function decomposition, 2000, section 7.1.

=========  =====================
action     meaning
=========  =====================
0          move down
1          move up
2          move right
3          move left
4          pick up the passenger
5          drop off the passenger
=========  =====================

=============  ======================================================================================
observation    Discrete(500): ((row * 5 + column) * 5 + passenger) * 4 + destination
=============  ======================================================================================
passenger      0 to 3: waits at R, G, Y or B; 4: in the taxi
destination    0 to 3: R, G, Y or B
=============  ======================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             -1
pick up or drop off where it is not possible       -10
drop off at the destination                        20; terminates
200 steps (``max_steps``)                          truncates
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from envs.common.demo import show_env
from envs.common.gymnasium import adapter
from simulator.core.field_types import CountOrZero, Share
from simulator.core.protocols import Env


@dataclass(frozen=True)
class Config:
    """Settings of the taxi."""

    is_rainy: bool = False
    """moves also go to either side"""
    rainy_probability: Share = 0.8
    """probability that a move in the rain goes where it was meant to"""
    fickle_passenger: bool = False
    """the passenger may change their mind about the destination, once an episode; runs in Python"""
    fickle_probability: Share = 0.3
    """probability of an episode in which they do"""
    masks: bool = False
    """let agents choose among the actions of Taxi's action_mask only, those that change something"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: 200, as Taxi-v4"""


def make(seed_list: Sequence[int], config: Config) -> Env:
    """Make one taxi for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    kwargs = asdict(config)
    our_settings = {name: kwargs.pop(name) for name in ("max_steps", "masks")}
    return adapter.make("Taxi-v4", seed_list, adapter.Config(kwargs=kwargs, **our_settings), "taxi")


if __name__ == "__main__":
    show_env("taxi")
