"""Random search in the space of policies: new random weights for every judgement, and the best are kept.

The baseline of :mod:`agents.hill_climbing`: the same judging, but nothing is learned from the champion. Every step of
judging is an environment step. The champion is judged again now and then, all its episodes together, and a tie counts
only over as many episodes as stand behind it: without that, whoever was lucky once would keep the title.

Measured on CartPole-v1, 30,000 steps, evaluated every 250 (solved: the mean of ten episodes is at least 475):

| | seeds | solved | median first solve | later evaluations solved | solved at the end |
|---|---|---|---|---|---|
| default settings | 0-15 | 16 of 16 | 3,750 | 82 % | 15 of 16 |
| | 1000-1399 | 100 % | 3,125 | 80 % | 83 % |
| preset cartpole-random-search: rejudge .1 | 0-15 | 16 of 16 | 3,125 | 69 % | 13 of 16 |
| | 1000-1399 | 100 % | 2,750 | 70 % | 72 % |
| rejudge 0 | 1000-1399 | 100 % | 2,750 | 53 % | 46 % |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search.agent import Climber, make_climber
from agents.common.policy_search.selection import FIXED, Rule
from simulator.core.field_types import Count, Share
from simulator.core.protocols import EnvSpec


@dataclass(frozen=True)
class Config:
    """Settings of random search."""

    episodes: Count = 1
    """fresh episodes in a judgement"""
    race: bool = True
    """weights are dropped at the end of the first episode after which their mean return is below the champion's"""
    rejudge: Share = 0.2
    """share of environment steps that go into judging the champion again; 1: each round; 0: never, and the score of
    its first judgement is kept"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=()))
    """the policy; without hidden units it is linear"""
    bias: bool = False
    """units have a constant of their own beside their inputs"""


PRESETS = {
    "cartpole-random-search": {
        "description": "the quickest first solve, about 2,800 steps (median)",
        "env": "CartPole-v1",
        "steps": 30_000,
        "agent": {"rejudge": 0.1},
    },
}


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Climber:
    """Searchers for an environment of discrete actions or of actions in a bounded box.

    Raises:
        ValueError: a space or a size that this agent cannot have.
    """
    rule = Rule(
        episodes=config.episodes,
        race=config.race,
        rejudge=float(config.rejudge),
        restart_after=0,
        blend=1.0,
        fresh=True,
        anneal=FIXED,
        sigma=1.0,
        factor=1.0,
        lowest=1.0,
        highest=1.0,
        steps=1,
    )
    return make_climber("random_search", spec, seed_list, rule, config.network, config.bias)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("random_search", make, Config())
