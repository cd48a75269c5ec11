"""Taxi: fetch a passenger and bring them where they want to go (Gymnasium's Taxi, by table).

Bit for bit Gymnasium's ``Taxi-v4``, which runs this environment too, with its finite MDP. Only a fickle passenger draws
beside the table: then the original is stepped, and there is no MDP.
Source: Dietterich, Hierarchical reinforcement learning with the MAXQ value function decomposition, 2000, section 7.1.
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
    """whether moves also go to either side"""
    rainy_probability: Share = 0.8
    """probability that a move in the rain goes where it was meant to"""
    fickle_passenger: bool = False
    """whether the passenger may change their mind about the destination, once an episode; runs in Python"""
    fickle_probability: Share = 0.3
    """probability of an episode in which they do"""
    masks: bool = False
    """whether agents choose among the actions of Taxi's action_mask only, those that change something"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: 200, as Taxi-v4"""


def make(seed_list: Sequence[int], config: Config) -> Env:
    """One taxi for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    kwargs = asdict(config)
    own = {name: kwargs.pop(name) for name in ("max_steps", "masks")}
    return adapter.make("Taxi-v4", seed_list, adapter.Config(kwargs=kwargs, **own), "taxi")


if __name__ == "__main__":
    show_env(make([0], Config()))
