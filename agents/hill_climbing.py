"""Hill climbing in the space of policies: an incumbent, and candidates that try to replace it.

A candidate is the incumbent's weights plus sigma times normal noise. Both are evaluated by playing whole episodes in
the environment itself, so every step of an evaluation is an environment step. A candidate whose mean return is at least
the incumbent's is accepted: incumbent <- (1 - step_size) incumbent + step_size candidate. Ties must be accepted, or the
search ends on the first plateau.

Four settings go beyond the plain rule. A candidate that has fallen behind is rejected before its episodes are over
(``early_reject``). A lucky incumbent is found out by evaluating it again, all its episodes together, and a tie then
counts only over as many episodes as stand behind the incumbent (``reevaluation_fraction``). A search that reaches no
new highest mean restarts, and the best incumbent is kept (``patience``). The noise shrinks with success (``anneal``).
With ``early_reject`` off and the others 0, 0 and none it is the plain rule. Truncated episodes count as they are.
Evaluation gets the best incumbent so far, never a candidate. The search itself is
:mod:`agents.common.policy_search`.

Measured on CartPole-v1, 60,000 steps, evaluated every 250 (solved: the mean of ten episodes is at least 475):

| | seeds | solved | median first solve | later evaluations solved | solved at the end |
|---|---|---|---|---|---|
| default settings, preset cartpole-hill-climbing | 0-15 | 16 of 16 | 2,625 | 99 % | 16 of 16 |
| | 1000-1199 | 99.5 % | 5,250 | 95 % | 98 % |
| the plain rule, one episode, step_size 1, sigma 1 | 1000-1399 | 92 % | 3,500 | 57 % | 50 % |
| the plain rule, one episode, step_size .5, sigma .5 | 1000-1399 | 96 % | 4,750 | 75 % | 71 % |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search import PolicySearch, PolicySearchHyperparams, make_policy_search
from simulator.core.field_types import Count, CountOrZero, Positive, PositiveShare, Share, StepsOfRun, steps_of_run
from simulator.core.protocols import EnvSpec


@dataclass(frozen=True)
class Config:
    """Settings of hill climbing."""

    episodes: Count = 2
    """fresh episodes of an evaluation"""
    early_reject: bool = True
    """reject a candidate at the end of the first episode after which its mean return is below the incumbent's"""
    step_size: PositiveShare = 1.0
    """fraction of the way from the incumbent to an accepted candidate; 1: the candidate itself"""
    sigma: Positive = 1.0
    """standard deviation of the noise at first, in units of the weights"""
    anneal: Literal["none", "success", "schedule"] = "success"
    """change of sigma: none; divided by `sigma_factor` when a candidate is accepted and multiplied when it is rejected;
    or by the schedule of `anneal_steps`"""
    sigma_factor: Annotated[float, Meta(ge=1.0)] = 2.0
    """factor by which sigma changes, with anneal = success"""
    sigma_min: PositiveShare = 0.01
    """smallest sigma as a fraction of `sigma`, with success; the last one, with schedule"""
    sigma_max: Annotated[float, Meta(ge=1.0)] = 2.0
    """largest sigma as a multiple of `sigma`, with success"""
    anneal_steps: StepsOfRun = None
    """environment steps in which sigma falls, linearly, to its smallest, with schedule; none: as many as the run has;
    0: at once"""
    reevaluation_fraction: Share = 0.2
    """fraction of environment steps spent on evaluating the incumbent again; 1: after every candidate; 0: never, and
    the score of the accepted candidate is kept, even for weights in between"""
    patience: CountOrZero = 30
    """candidates in a row without a new highest mean, after which a search restarts from random weights; 0: never"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=()))
    """the policy; without hidden units it is linear"""
    bias: bool = False
    """units have a constant of their own beside their inputs"""


PRESETS = {
    "cartpole-hill-climbing": {
        "description": "the default settings: solved in about 5,000 steps (median), and nearly always from then on",
        "env": "CartPole-v1",
        "steps": 60_000,
        "agent": {"episodes": 2, "reevaluation_fraction": 0.2, "patience": 30},
    },
    "cartpole-hill-climbing-plain": {
        "description": "incumbent and candidate without anything else: quick, but a lucky incumbent keeps its score",
        "env": "CartPole-v1",
        "steps": 60_000,
        "agent": {
            "episodes": 1,
            "early_reject": False,
            "reevaluation_fraction": 0.0,
            "patience": 0,
            "anneal": "none",
        },
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
        patience=config.patience,
        step_size=float(config.step_size),
        independent=False,
        anneal=("none", "success", "schedule").index(config.anneal),
        sigma=float(config.sigma),
        sigma_factor=float(config.sigma_factor),
        sigma_min=float(config.sigma_min),
        sigma_max=float(config.sigma_max),
        anneal_steps=max(steps_of_run(config.anneal_steps), 1),
    )
    return make_policy_search("hill_climbing", spec, seed_list, hp, config.network, config.bias)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("hill_climbing")
