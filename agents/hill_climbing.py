"""Hill climbing in the space of policies: a champion, and mutants that try to take its place.

A mutant is the champion's weights plus sigma times normal noise. Both are judged by playing whole episodes in the
environment itself, so every step of judging is an environment step. A mutant whose mean return is at least the
champion's
wins: champion <- (1 - blend) champion + blend mutant. Ties must win, or the climb ends on the first plateau.

Beyond the plain rule, each by a field: a mutant that has fallen behind is dropped before its episodes are over
(``race``); a champion that was lucky is found out by judging it again, all its episodes together, and a tie then
counts only over as many episodes as stand behind the champion (``rejudge``); a climb that reaches no new height starts
again, and the best champion is kept (``restart_after``); the noise shrinks with success (``anneal``). With ``race``
off and the others 0, 0 and none it is the plain rule. Truncated episodes count as they are. What is given away for
evaluation is the best champion so far, never a mutant.

Measured on CartPole-v1, 60,000 steps, evaluated every 250 (solved: the mean of ten episodes is at least 475):

| | seeds | solved | median first solve | later evaluations solved | solved at the end |
|---|---|---|---|---|---|
| default settings, preset cartpole-hill-climbing | 0-15 | 16 of 16 | 2,625 | 99 % | 16 of 16 |
| | 1000-1199 | 99.5 % | 5,250 | 95 % | 98 % |
| the plain rule, one episode, blend 1, sigma 1 | 1000-1399 | 92 % | 3,500 | 57 % | 50 % |
| the plain rule, one episode, blend .5, sigma .5 | 1000-1399 | 96 % | 4,750 | 75 % | 71 % |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search.agent import Climber, make_climber
from agents.common.policy_search.selection import Rule
from simulator.core.field_types import Count, CountOrZero, Positive, PositiveShare, Share, StepsOfRun, steps_of_run
from simulator.core.protocols import EnvSpec


@dataclass(frozen=True)
class Config:
    """Settings of hill climbing."""

    episodes: Count = 2
    """fresh episodes in a judgement"""
    race: bool = True
    """a mutant is dropped at the end of the first episode after which its mean return is below the champion's"""
    blend: PositiveShare = 1.0
    """share of the winning mutant in the new champion; 1: the mutant itself"""
    sigma: Positive = 1.0
    """standard deviation of the noise, in units of the weights"""
    anneal: Literal["none", "success", "schedule"] = "success"
    """how sigma changes: never; divided by `factor` when a mutant wins and multiplied when it loses; or by the clock"""
    factor: Annotated[float, Meta(ge=1.0)] = 2.0
    """what sigma is divided or multiplied by, with anneal = success"""
    lowest: PositiveShare = 0.01
    """least sigma as a share of `sigma`, with success; the last one, with schedule"""
    highest: Annotated[float, Meta(ge=1.0)] = 2.0
    """greatest sigma as a multiple of `sigma`, with success"""
    anneal_steps: StepsOfRun = None
    """environment steps in which sigma falls, linearly, to its lowest, with schedule; none: as many as the run has; 0:
    it is there at once"""
    rejudge: Share = 0.2
    """share of environment steps that go into judging the champion again; 1: each round; 0: never, and the score of
    the mutant that won is kept, even for a blend of the two"""
    restart_after: CountOrZero = 30
    """mutants in a row without a new highest mean, after which a climb starts again from random weights; 0: never"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=()))
    """the policy; without hidden units it is linear"""
    bias: bool = False
    """units have a constant of their own beside their inputs"""


PRESETS = {
    "cartpole-hill-climbing": {
        "description": "the default settings: solved in about 5,000 steps (median), and nearly always from then on",
        "env": "CartPole-v1",
        "steps": 60_000,
        "agent": {"episodes": 2, "rejudge": 0.2, "restart_after": 30},
    },
    "cartpole-hill-climbing-plain": {
        "description": "champion and mutant without anything else: quick, but a lucky champion keeps its score",
        "env": "CartPole-v1",
        "steps": 60_000,
        "agent": {"episodes": 1, "race": False, "rejudge": 0.0, "restart_after": 0, "anneal": "none"},
    },
}


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Climber:
    """Climbers for an environment of discrete actions or of actions in a bounded box.

    Raises:
        ValueError: a space or a size that this agent cannot have.
    """
    rule = Rule(
        episodes=config.episodes,
        race=config.race,
        rejudge=float(config.rejudge),
        restart_after=config.restart_after,
        blend=float(config.blend),
        fresh=False,
        anneal=("none", "success", "schedule").index(config.anneal),
        sigma=float(config.sigma),
        factor=float(config.factor),
        lowest=float(config.lowest),
        highest=float(config.highest),
        steps=max(steps_of_run(config.anneal_steps), 1),
    )
    return make_climber("hill_climbing", spec, seed_list, rule, config.network, config.bias)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("hill_climbing", make, Config())
