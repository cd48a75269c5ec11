"""The settings of exploration, shared by agents that explore around a preference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.common.exploration import Explore
from simulator.core.field_types import CountOrZero, NonNegative


@dataclass(frozen=True)
class ExploreSettings:
    """Epsilon-greedy or softmax, constant or on a schedule in environment steps."""

    kind: Literal["epsilon", "softmax"] = "epsilon"
    """epsilon: the best action but for a share of random ones; softmax: in proportion to exp(preference / level)"""
    level: NonNegative = 0.1
    """probability that a random action begins (epsilon), or temperature in units of reward (softmax), at the start"""
    last: NonNegative = 0.0
    """level from environment step `steps` on; counts only where steps is above 0"""
    steps: CountOrZero = 0
    """environment steps from `level` to `last`; 0 keeps the level constant"""
    schedule: Literal["linear", "exponential"] = "linear"
    """how the level falls in between"""


def make_explore(settings: ExploreSettings) -> Explore:
    """The settings as compiled code takes them.

    Raises:
        ValueError: levels that the kind or the schedule cannot have.
    """
    softmax, exponential = settings.kind == "softmax", settings.schedule == "exponential"
    levels = (settings.level, settings.last) if settings.steps else (settings.level,)
    for name, value in zip(("level", "last"), levels, strict=False):
        if not softmax and value > 1.0:
            raise ValueError(f"agent.explore.{name} = {value}: expected a probability, 0 to 1, with kind = 'epsilon'")
        if value <= 0.0 and (softmax or (exponential and settings.steps)):
            reason = "kind = 'softmax'" if softmax else "schedule = 'exponential'"
            raise ValueError(f"agent.explore.{name} = {value}: expected a number above 0 with {reason}")
    return Explore(softmax, float(settings.level), float(settings.last), settings.steps, exponential)
