"""How an agent chooses: greedy with random ties, epsilon-greedy, softmax, and their schedules.

Preferences are a ``row`` [A]; ``legal_actions`` [1 + A] lists the actions that exist: their number, then they.
Unsigned indices spare compiled code the check for indices that count from the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.rng_compiled import below, uniform


class Explore(NamedTuple):
    """A schedule of exploration in environment steps.

    ``level`` is the probability of a random action, or the temperature of a softmax.
    """

    softmax: bool
    first: float
    last: float
    steps: int  # environment steps from first to last; 0: always first
    exponential: bool


@jit_inline
def level(explore, clock):
    """The level after ``clock`` environment steps; exactly ``last`` from ``explore.steps`` on."""
    if explore.steps == 0:
        return explore.first
    if clock >= explore.steps:
        return explore.last
    share = clock / explore.steps
    if explore.exponential:
        return explore.first * (explore.last / explore.first) ** share
    return explore.first + (explore.last - explore.first) * share


@jit_inline
def argmax(stream, i, row, legal_actions):
    """The action of the highest preference. Ties are broken at random, and only they cost a draw."""
    chosen, ties = legal_actions[1], 1
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
    """The highest preference."""
    best = row[np.uint64(legal_actions[1])]
    for m in range(2, 1 + legal_actions[0]):
        best = max(best, row[np.uint64(legal_actions[m])])
    return best


@jit_inline
def choose(stream, i, row, legal_actions, explore, clock):
    """An exploring action."""
    now = level(explore, clock)
    if not explore.softmax:
        if uniform(stream, i) < now:
            return legal_actions[1 + below(stream, i, legal_actions[0])]
        return argmax(stream, i, row, legal_actions)
    best, total = highest(row, legal_actions), 0.0
    for m in range(1, 1 + legal_actions[0]):
        total += np.exp((row[np.uint64(legal_actions[m])] - best) / now)
    left = uniform(stream, i) * total
    for m in range(1, 1 + legal_actions[0]):
        left -= np.exp((row[np.uint64(legal_actions[m])] - best) / now)
        if left < 0.0:
            return legal_actions[m]
    return argmax(stream, i, row, legal_actions)  # rounding left a crumb


@jit_inline
def expectation(row, value, legal_actions, explore, clock):
    """The mean of ``value`` under the exploring policy that the preferences ``row`` give."""
    now, best = level(explore, clock), highest(row, legal_actions)
    total, weights, ties, greedy, uniformly = 0.0, 0.0, 0, 0.0, 0.0
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
