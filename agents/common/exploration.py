"""Exploration: greedy with random ties, epsilon-greedy, softmax, and their schedules.

Preferences are a ``row`` [A]; ``legal_actions`` [1 + A] lists the actions that exist: their number, then they.
Unsigned indices spare compiled code the check for indices that count from the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from simulator.core.field_types import CountOrZero, NonNegative, Share
from simulator.core.jit import jit_inline
from simulator.core.rng_compiled import below, uniform


@dataclass(frozen=True)
class ExploreSettings:
    """Epsilon-greedy or softmax, constant or on a schedule in environment steps."""

    kind: Literal["epsilon", "softmax"] = "epsilon"
    """epsilon: the best action, or with probability epsilon a random one; softmax: P ~ exp(preference / temperature)"""
    epsilon_start: Share = 0.1
    """probability that a random action begins, at environment step 0; counts only where kind is epsilon"""
    epsilon_end: Share = 0.0
    """the same from environment step `decay_steps` on; counts only where decay_steps is above 0"""
    temperature_start: NonNegative = 0.1
    """temperature of the softmax at environment step 0, in units of reward; counts only where kind is softmax"""
    temperature_end: NonNegative = 0.0
    """the same from environment step `decay_steps` on; counts only where decay_steps is above 0"""
    decay_steps: CountOrZero = 0
    """environment steps in which epsilon or the temperature goes from its start to its end; 0 keeps the start"""
    schedule: Literal["linear", "exponential"] = "linear"
    """shape of that decay"""


class Explore(NamedTuple):
    """A schedule of exploration in environment steps: of epsilon, or of a softmax's temperature."""

    softmax: bool
    start: float
    end: float
    decay_steps: int  # environment steps from start to end; 0: always start
    exponential: bool


GREEDY = Explore(softmax=False, start=0.0, end=0.0, decay_steps=0, exponential=False)


def make_explore(settings: ExploreSettings) -> Explore:
    """Check the settings and give them as compiled code takes them.

    Raises:
        ValueError: a value that the kind or the schedule cannot have.
    """
    softmax = settings.kind == "softmax"
    exponential = settings.schedule == "exponential"
    name = "temperature" if softmax else "epsilon"
    start = float(getattr(settings, f"{name}_start"))
    end = float(getattr(settings, f"{name}_end"))
    used = {f"{name}_start": start, f"{name}_end": end} if settings.decay_steps else {f"{name}_start": start}
    for field, value in used.items():
        if not softmax and value > 1.0:
            raise ValueError(f"agent.explore.{field} = {value}: expected a probability, 0 to 1")
        if value <= 0.0 and (softmax or (exponential and settings.decay_steps)):
            reason = "kind = 'softmax'" if softmax else "schedule = 'exponential'"
            raise ValueError(f"agent.explore.{field} = {value}: expected a number above 0 with {reason}")
    return Explore(softmax, start, end, settings.decay_steps, exponential)


@jit_inline
def scheduled(explore, clock):
    """Return epsilon or the temperature after ``clock`` environment steps; exactly ``end`` from ``decay_steps`` on."""
    if explore.decay_steps == 0:
        return explore.start
    if clock >= explore.decay_steps:
        return explore.end
    fraction = clock / explore.decay_steps
    if explore.exponential:
        return explore.start * (explore.end / explore.start) ** fraction
    return explore.start + (explore.end - explore.start) * fraction


@jit_inline
def argmax(stream, i, row, legal_actions):
    """Return the action of the highest preference. Only ties draw a random number."""
    chosen = legal_actions[1]
    ties = 1
    best = row[np.uint64(chosen)]
    for m in range(2, 1 + legal_actions[0]):  # selections, not branches: nothing foresees which action is best
        value = row[np.uint64(legal_actions[m])]
        better = value > best
        ties = 1 if better else ties + (value == best)
        chosen = legal_actions[m] if better else chosen
        best = value if better else best
    if ties == 1:
        return chosen
    skip = below(stream, i, ties)
    for m in range(1, 1 + legal_actions[0]):
        if row[np.uint64(legal_actions[m])] == best:
            if skip == 0:
                return legal_actions[m]
            skip -= 1
    return chosen


@jit_inline
def highest(row, legal_actions):
    """Return the highest preference among the legal actions."""
    best = row[np.uint64(legal_actions[1])]
    for m in range(2, 1 + legal_actions[0]):
        best = max(best, row[np.uint64(legal_actions[m])])
    return best


@jit_inline
def choose(stream, i, row, legal_actions, explore, clock):
    """Sample an exploring action."""
    now = scheduled(explore, clock)
    if not explore.softmax:
        if uniform(stream, i) < now:
            return legal_actions[1 + below(stream, i, legal_actions[0])]
        return argmax(stream, i, row, legal_actions)
    best = highest(row, legal_actions)
    total = 0.0
    for m in range(1, 1 + legal_actions[0]):
        total += np.exp((row[np.uint64(legal_actions[m])] - best) / now)
    left = uniform(stream, i) * total
    for m in range(1, 1 + legal_actions[0]):
        left -= np.exp((row[np.uint64(legal_actions[m])] - best) / now)
        if left < 0.0:
            return legal_actions[m]
    return argmax(stream, i, row, legal_actions)  # rounding left a remainder


@jit_inline
def expectation(row, value, legal_actions, explore, clock):
    """Compute the mean of ``value`` under the exploring policy of the preferences ``row``."""
    now = scheduled(explore, clock)
    best = highest(row, legal_actions)
    total = 0.0
    weights = 0.0
    ties = 0
    greedy = 0.0
    uniformly = 0.0
    for m in range(1, 1 + legal_actions[0]):
        action = legal_actions[m]
        uniformly += value[action]
        if row[action] == best:
            ties += 1
            greedy += value[action]
        if explore.softmax:
            weight = np.exp((row[action] - best) / now)
            weights += weight
            total += weight * value[action]
    if explore.softmax:
        return total / weights
    return (1.0 - now) * greedy / ties + now * uniformly / legal_actions[0]
