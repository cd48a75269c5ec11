"""How a champion is judged against its mutants, over one seed: compiled, and free of what the weights are for.

A judgement is some fresh episodes, played in the environment itself. A record is the mean return of all the episodes
that were judged with the same weights, and how many they were. A mutant wins by a higher mean over ``episodes``
episodes, or by an equal mean over as many as stand behind the champion: with nothing judged twice that is the plain
``>=``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import normal, uniform

CHAMPION, MUTANT, BEST = 0, 1, 2  # whose record
LOSES, PLAYS_ON, WINS = -1, 0, 1
FIXED, BY_SUCCESS, BY_SCHEDULE = 0, 1, 2


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    episodes: int  # in a judgement
    race: bool  # a mutant that has fallen behind is dropped at once
    rejudge: float  # share of the steps that judge the champion again; 0: never, 1: each round
    restart_after: int  # mutants in a row without a new highest mean; 0: never
    blend: float
    fresh: bool  # a mutant is made of new weights, not of the champion's
    anneal: int
    sigma: float
    factor: float
    lowest: float  # times sigma
    highest: float  # times sigma
    steps: int  # environment steps of the schedule


class Climb(NamedTuple):
    """Everything S climbers know."""

    playing: Array  # float32 [S, P], the weights that are judged now
    champion: Array  # float32 [S, P]
    best: Array  # float32 [S, P], the best champion of the climbs before this one
    total: Array  # float64 [S, 3], sum of rewards of a record: the champion's, the mutant's, the best's
    count: Array  # int64 [S, 3], its episodes
    who: Array  # int64 [S], whose judgement this is
    left: Array  # int64 [S], episodes that it still lasts, at least
    spent: Array  # int64 [S], its environment steps so far
    cost: Array  # int64 [S], environment steps of the champion's latest judgement
    since: Array  # int64 [S], environment steps of mutants since the champion itself was judged
    stale: Array  # int64 [S], mutants in a row without a new highest mean
    peak: Array  # float64 [S], the highest mean of this climb
    leads: Array  # bool [S], the champion is the best so far
    sigma: Array  # float64 [S]
    score: Array  # float64 [S], the champion's mean return; 0 before it is judged
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]
    failed_at: Array  # int64 [S], the step at which weights or outputs were not finite, or 0; it climbs no more then


def make_climb(playing: Array, rule: Rule, stream: Array) -> Climb:
    """Climbers whose first champions have the weights ``playing`` [S, P], as nothing is judged yet."""
    n = len(playing)
    records = np.zeros((n, 3)), np.zeros((n, 3), np.int64)
    left, counters = np.full(n, rule.episodes), [np.zeros(n, np.int64) for _ in range(6)]
    who, clock, counters = counters[0], counters[1], (left, *counters[2:])
    floats = np.full(n, -np.inf), np.ones(n, np.bool_), np.full(n, rule.sigma), np.zeros(n)
    weights = playing, playing.copy(), playing.copy()
    return Climb(*weights, *records, who, *counters, *floats, clock, stream, np.zeros(n, np.int64))


@jit_inline
def ahead(mean, n, other_mean, other_n):
    """Whether a record beats another: a higher mean, or an equal one over at least as many episodes."""
    return mean > other_mean or (mean == other_mean and n >= other_n)


@jit_inline
def verdict(rule, mean, n, champion_mean, champion_n):
    """What a mutant's record of n episodes comes to: WINS, LOSES or PLAYS_ON. nan never wins."""
    if n < rule.episodes:
        return LOSES if rule.race and mean < champion_mean else PLAYS_ON
    if mean == champion_mean and n < champion_n:
        return PLAYS_ON
    return WINS if mean >= champion_mean else LOSES


@jit_inline
def blended(champion, mutant, blend):
    """The new champion's weight; exactly the mutant's with a blend of 1."""
    return np.float32((1.0 - blend) * champion + blend * mutant)


@jit_inline
def annealed(rule, sigma, won):
    """The noise after a mutant won or lost, within its bounds."""
    if rule.anneal != BY_SUCCESS:
        return sigma
    if won:
        return max(sigma / rule.factor, rule.lowest * rule.sigma)
    return min(sigma * rule.factor, rule.highest * rule.sigma)


@jit_inline
def scheduled(rule, clock):
    """The noise after ``clock`` environment steps; exactly its last from ``rule.steps`` on."""
    share = min(clock / rule.steps, 1.0)
    return rule.sigma * ((1.0 - share) + share * rule.lowest)


@jit_inline
def _mean(climb, i, whose):
    return climb.total[i, whose] / climb.count[i, whose]


@jit_inline
def _copy(weights, to):
    for k in range(len(weights)):
        to[k] = weights[k]


@jit_inline
def _take(climb, i, whose, to):
    """One record becomes another's."""
    climb.total[i, to], climb.count[i, to] = climb.total[i, whose], climb.count[i, whose]


@jit_inline
def _clear(climb, i, whose):
    climb.total[i, whose], climb.count[i, whose] = 0.0, 0


@jit_inline
def _judge_champion(climb, rule, i):
    """Let the champion play."""
    climb.who[i], climb.left[i], climb.spent[i] = CHAMPION, rule.episodes, 0
    _copy(climb.champion[i], climb.playing[i])


@jit_inline
def _judge_mutant(climb, rule, scale, i):
    """Let new weights play; ``scale`` [P] bounds fresh ones and is 0 where there is to be no weight."""
    climb.who[i], climb.left[i], climb.spent[i] = MUTANT, rule.episodes, 0
    _clear(climb, i, MUTANT)
    if rule.anneal == BY_SCHEDULE:
        climb.sigma[i] = scheduled(rule, climb.clock[i])
    for k in range(len(scale)):
        if rule.fresh:
            climb.playing[i, k] = scale[k] * np.float32(2.0 * uniform(climb.stream, i) - 1.0)
        elif scale[k] > np.float32(0.0):
            climb.playing[i, k] = climb.champion[i, k] + np.float32(climb.sigma[i] * normal(climb.stream, i))


@jit_inline
def _restart(climb, rule, scale, i):
    """Keep the best champion aside and begin another climb."""
    if climb.leads[i]:
        _copy(climb.champion[i], climb.best[i])
        _take(climb, i, CHAMPION, BEST)
    climb.leads[i], climb.stale[i], climb.peak[i], climb.sigma[i] = False, 0, -np.inf, rule.sigma
    for k in range(len(scale)):
        climb.champion[i, k] = scale[k] * np.float32(2.0 * uniform(climb.stream, i) - 1.0)
    _clear(climb, i, CHAMPION)


@jit_inline
def _crown(climb, rule, i):
    """The champion moves towards the mutant that won; as a blend of two it has no record of its own."""
    for k in range(climb.champion.shape[1]):
        climb.champion[i, k] = blended(climb.champion[i, k], climb.playing[i, k], rule.blend)
    _take(climb, i, MUTANT, CHAMPION)
    climb.score[i], climb.cost[i] = _mean(climb, i, CHAMPION), climb.spent[i]
    climb.peak[i] = max(climb.peak[i], climb.score[i])
    if rule.blend < 1.0 and rule.rejudge > 0.0:
        _clear(climb, i, CHAMPION)


@jit_inline
def _end_mutant(climb, rule, i, won):
    """What follows for champion and noise when a mutant's judgement is over."""
    higher = won and _mean(climb, i, MUTANT) > climb.peak[i]
    climb.stale[i] = 0 if higher else climb.stale[i] + 1
    climb.since[i] += climb.spent[i]
    climb.sigma[i] = annealed(rule, climb.sigma[i], won)
    if won:
        _crown(climb, rule, i)


@jit_inline
def _end_champion(climb, i):
    """What follows when the champion's judgement is over."""
    climb.score[i], climb.cost[i], climb.since[i] = _mean(climb, i, CHAMPION), climb.spent[i], 0
    climb.peak[i] = max(climb.peak[i], climb.score[i])


@jit_inline
def is_due(rule, cost, since):
    """Whether judging the champion again keeps within its share of the steps."""
    return rule.rejudge * (since + cost) >= cost


@jit_inline
def _compare_with_best(climb, i):
    """The champion leads once its record beats the best one's."""
    if not climb.leads[i] and climb.count[i, CHAMPION] > 0:
        mean, n = _mean(climb, i, BEST), climb.count[i, BEST]
        climb.leads[i] = ahead(_mean(climb, i, CHAMPION), climb.count[i, CHAMPION], mean, n)


@jit_inline
def _next_judgement(climb, rule, scale, i):
    """Who plays next: a mutant after the champion; after a mutant either."""
    again = False
    if climb.who[i] == MUTANT:
        if 0 < rule.restart_after <= climb.stale[i]:
            _restart(climb, rule, scale, i)
        again = climb.count[i, CHAMPION] == 0 or is_due(rule, climb.cost[i], climb.since[i])
    if again:
        _judge_champion(climb, rule, i)
    else:
        _judge_mutant(climb, rule, scale, i)


@jit_inline
def _check(climb, i, numbers):
    """Fail seed i where a number is not finite: its champion plays on, and nothing is judged any more."""
    for number in numbers:
        if not np.isfinite(number) and climb.failed_at[i] == 0:
            climb.failed_at[i] = climb.clock[i]
            _copy(climb.champion[i], climb.playing[i])


@jit_inline
def learn_lane(climb, rule, scale, i, reward, ended, outputs):
    """One environment step of seed i: its reward, whether an episode ended by either way, and what the network said."""
    climb.clock[i] += 1
    _check(climb, i, outputs)
    if climb.failed_at[i] == 0:
        _count(climb, rule, scale, i, reward, ended)
        if ended:
            _check(climb, i, climb.playing[i])


@jit_inline
def _count(climb, rule, scale, i, reward, ended):
    """Count a step in, and judge where an episode is over."""
    who, over = climb.who[i], False
    climb.total[i, who] += reward
    climb.spent[i] += 1
    if not ended:
        return
    climb.count[i, who] += 1
    climb.left[i] -= 1
    if who == MUTANT:
        mean, n = _mean(climb, i, CHAMPION), climb.count[i, CHAMPION]
        said = verdict(rule, _mean(climb, i, MUTANT), climb.count[i, MUTANT], mean, n)
        over = said != PLAYS_ON
        if over:
            _end_mutant(climb, rule, i, said == WINS)
    else:
        over = climb.left[i] == 0
        if over:
            _end_champion(climb, i)
    if over:
        _compare_with_best(climb, i)
        _next_judgement(climb, rule, scale, i)
