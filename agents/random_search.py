"""Random search in the space of policies: new random weights for every evaluation, and the best are kept.

The baseline of :mod:`agents.hill_climbing`: the same evaluations, but nothing is learned from the incumbent. Every step
of an evaluation is an environment step. The incumbent is evaluated again now and then, all its episodes together, and a
tie counts only over as many episodes as stand behind it: without that, lucky weights would stay for good. The search
itself is :mod:`agents.common.policy_search`.

Measured on CartPole-v1, 30,000 steps, evaluated every 250 (solved: the mean of ten episodes is at least 475):

| | seeds | solved | median first solve | later evaluations solved | solved at the end |
|---|---|---|---|---|---|
| default settings | 0-15 | 16 of 16 | 3,750 | 82 % | 15 of 16 |
| | 1000-1399 | 100 % | 3,125 | 80 % | 83 % |
| preset cartpole-random-search: reevaluation_fraction .1 | 0-15 | 16 of 16 | 3,125 | 69 % | 13 of 16 |
| | 1000-1399 | 100 % | 2,750 | 70 % | 72 % |
| reevaluation_fraction 0 | 1000-1399 | 100 % | 2,750 | 53 % | 46 % |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search import FIXED, PolicySearch, PolicySearchHyperparams, make_policy_search
from simulator.core.field_types import Count, Share
from simulator.core.protocols import EnvSpec


@dataclass(frozen=True)
class Config:
    """Settings of random search."""

    episodes: Count = 1
    """fresh episodes of an evaluation"""
    early_reject: bool = True
    """reject weights at the end of the first episode after which their mean return is below the incumbent's"""
    reevaluation_fraction: Share = 0.2
    """fraction of environment steps spent on evaluating the incumbent again; 1: after every candidate; 0: never, and
    the score of its first evaluation is kept"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=()))
    """the policy; without hidden units it is linear"""
    bias: bool = False
    """units have a constant of their own beside their inputs"""


PRESETS = {
    "cartpole-random-search": {
        "description": "the quickest first solve, about 2,800 steps (median)",
        "env": "CartPole-v1",
        "steps": 30_000,
        "agent": {"reevaluation_fraction": 0.1},
    },
}


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> PolicySearch:
    """Make searches for an environment of discrete actions or of actions in a bounded box.

    Raises:
        ValueError: a space or a size that this agent cannot have.
    """
    hp = PolicySearchHyperparams(
        episodes=config.episodes,
        early_reject=config.early_reject,
        reevaluation_fraction=float(config.reevaluation_fraction),
        patience=0,
        step_size=1.0,
        independent=True,
        anneal=FIXED,
        sigma=1.0,
        sigma_factor=1.0,
        sigma_min=1.0,
        sigma_max=1.0,
        anneal_steps=1,
    )
    return make_policy_search("random_search", spec, seed_list, hp, config.network, config.bias)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("random_search")
