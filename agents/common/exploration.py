"""How an agent chooses: greedy with random ties, epsilon-greedy, softmax, and their schedules.

Preferences are a ``row`` [A]; ``moves`` [1 + A] lists the actions that exist: their number, then they. Unsigned indices
spare compiled code the check for indices that count from the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import lane
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


@lane
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


@lane
def argmax(stream, i, row, moves):
    """The action of the highest preference. Ties are broken at random, and only they cost a draw."""
    chosen, ties = moves[1], 1
    best = row[np.uint64(chosen)]
    for m in range(2, 1 + moves[0]):  # selections, not branches: nothing foresees which action is best
        value = row[np.uint64(moves[m])]
        better = value > best
        ties = 1 if better else ties + (value == best)
        chosen = moves[m] if better else chosen
        best = value if better else best
    if ties == 1:
        return chosen
    skip = below(stream, i, ties)
    for m in range(1, 1 + moves[0]):
        if row[np.uint64(moves[m])] == best:
            if skip == 0:
                return moves[m]
            skip -= 1
    return chosen


@lane
def highest(row, moves):
    """The highest preference."""
    best = row[np.uint64(moves[1])]
    for m in range(2, 1 + moves[0]):
        best = max(best, row[np.uint64(moves[m])])
    return best


@lane
def choose(stream, i, row, moves, explore, clock):
    """An exploring action."""
    now = level(explore, clock)
    if not explore.softmax:
        if uniform(stream, i) < now:
            return moves[1 + below(stream, i, moves[0])]
        return argmax(stream, i, row, moves)
    best, total = highest(row, moves), 0.0
    for m in range(1, 1 + moves[0]):
        total += np.exp((row[np.uint64(moves[m])] - best) / now)
    left = uniform(stream, i) * total
    for m in range(1, 1 + moves[0]):
        left -= np.exp((row[np.uint64(moves[m])] - best) / now)
        if left < 0.0:
            return moves[m]
    return argmax(stream, i, row, moves)  # rounding left a crumb


@lane
def expectation(row, value, moves, explore, clock):
    """The mean of ``value`` under the exploring policy that the preferences ``row`` give."""
    now, best = level(explore, clock), highest(row, moves)
    total, weights, ties, greedy, uniformly = 0.0, 0.0, 0, 0.0, 0.0
    for m in range(1, 1 + moves[0]):
        action = moves[m]
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
    return (1.0 - now) * greedy / ties + now * uniformly / moves[0]
