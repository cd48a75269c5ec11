"""How a champion is judged against its mutants, over one seed: compiled, and free of what the weights are for.

A judgement is some fresh episodes, played in the world itself. A record is the mean return of all the episodes that
were judged with the same weights, and how many they were. A mutant wins by a higher mean over ``episodes`` episodes,
or by an equal mean over as many as stand behind the champion: with nothing judged twice that is the plain ``>=``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.compiled import lane
from simulator.core.draws import normal, uniform
from simulator.core.protocols import Array

CHAMPION, MUTANT, BEST = 0, 1, 2  # whose record
LOSES, PLAYS_ON, WINS = -1, 0, 1
FIXED, BY_SUCCESS, BY_SCHEDULE = 0, 1, 2


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    episodes: int  # in a judgement
    race: bool  # a mutant that has fallen behind is dropped at once
    rejudge_every: int  # mutants between two judgements of the champion; 0: it is judged once
    restart_after: int  # mutants in a row without a higher mean; 0: never
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
    left: Array  # int64 [S], episodes that it still lasts
    since: Array  # int64 [S], mutants since the champion was judged
    stale: Array  # int64 [S], mutants in a row that were not better than the champion
    leads: Array  # bool [S], the champion is the best so far
    sigma: Array  # float64 [S]
    score: Array  # float64 [S], the champion's mean return; 0 before it is judged
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]


def make_climb(playing: Array, rule: Rule, stream: Array) -> Climb:
    """Climbers whose first champions have the weights ``playing`` [S, P], as nothing is judged yet."""
    n = len(playing)
    ints = [np.zeros(n, np.int64) for _ in range(5)]
    who, left, since, stale, clock = ints
    left[:] = rule.episodes
    records = np.zeros((n, 3)), np.zeros((n, 3), np.int64)
    flags = np.ones(n, np.bool_), np.full(n, rule.sigma), np.zeros(n)
    return Climb(playing, playing.copy(), playing.copy(), *records, who, left, since, stale, *flags, clock, stream)


@lane
def ahead(mean, n, other_mean, other_n):
    """Whether a record beats another: a higher mean, or an equal one over at least as many episodes."""
    return mean > other_mean or (mean == other_mean and n >= other_n)


@lane
def verdict(rule, mean, n, champion_mean, champion_n):
    """What a mutant's record of n episodes comes to: WINS, LOSES or PLAYS_ON. nan never wins."""
    if n < rule.episodes:
        return LOSES if rule.race and mean < champion_mean else PLAYS_ON
    if mean == champion_mean and n < champion_n:
        return PLAYS_ON
    return WINS if mean >= champion_mean else LOSES


@lane
def blended(champion, mutant, blend):
    """The new champion's weight; exactly the mutant's with a blend of 1."""
    return np.float32((1.0 - blend) * champion + blend * mutant)


@lane
def annealed(rule, sigma, won):
    """The noise after a mutant won or lost, within its bounds."""
    if rule.anneal != BY_SUCCESS:
        return sigma
    if won:
        return max(sigma / rule.factor, rule.lowest * rule.sigma)
    return min(sigma * rule.factor, rule.highest * rule.sigma)


@lane
def scheduled(rule, clock):
    """The noise after ``clock`` environment steps; exactly its last from ``rule.steps`` on."""
    share = min(clock / rule.steps, 1.0)
    return rule.sigma * ((1.0 - share) + share * rule.lowest)


@lane
def _mean(climb, i, whose):
    return climb.total[i, whose] / climb.count[i, whose]


@lane
def _copy(weights, to):
    for k in range(len(weights)):
        to[k] = weights[k]


@lane
def _take(climb, i, whose, to):
    """One record becomes another's."""
    climb.total[i, to], climb.count[i, to] = climb.total[i, whose], climb.count[i, whose]


@lane
def _clear(climb, i, whose):
    climb.total[i, whose], climb.count[i, whose] = 0.0, 0


@lane
def _judge_champion(climb, rule, i):
    """Let the champion play."""
    climb.who[i], climb.left[i], climb.since[i] = CHAMPION, rule.episodes, 0
    _copy(climb.champion[i], climb.playing[i])


@lane
def _judge_mutant(climb, rule, scale, i):
    """Let new weights play; ``scale`` [P] bounds fresh ones and is 0 where there is to be no weight."""
    climb.who[i], climb.left[i] = MUTANT, rule.episodes
    _clear(climb, i, MUTANT)
    if rule.anneal == BY_SCHEDULE:
        climb.sigma[i] = scheduled(rule, climb.clock[i])
    for k in range(len(scale)):
        if rule.fresh:
            climb.playing[i, k] = scale[k] * np.float32(2.0 * uniform(climb.stream, i) - 1.0)
        elif scale[k] > np.float32(0.0):
            climb.playing[i, k] = climb.champion[i, k] + np.float32(climb.sigma[i] * normal(climb.stream, i))


@lane
def _restart(climb, rule, scale, i):
    """Keep the best champion aside and begin another climb."""
    if climb.leads[i]:
        _copy(climb.champion[i], climb.best[i])
        _take(climb, i, CHAMPION, BEST)
    climb.leads[i], climb.stale[i], climb.sigma[i] = False, 0, rule.sigma
    for k in range(len(scale)):
        climb.champion[i, k] = scale[k] * np.float32(2.0 * uniform(climb.stream, i) - 1.0)
    _clear(climb, i, CHAMPION)


@lane
def _crown(climb, rule, i):
    """The champion moves towards the mutant that won; as a blend of two it has no record of its own."""
    for k in range(climb.champion.shape[1]):
        climb.champion[i, k] = blended(climb.champion[i, k], climb.playing[i, k], rule.blend)
    _take(climb, i, MUTANT, CHAMPION)
    climb.score[i] = _mean(climb, i, CHAMPION)
    if rule.blend < 1.0 and rule.rejudge_every > 0:
        _clear(climb, i, CHAMPION)


@lane
def _end_mutant(climb, rule, i, won):
    """What follows from a mutant's judgement."""
    better = won and _mean(climb, i, MUTANT) > _mean(climb, i, CHAMPION)
    climb.stale[i] = 0 if better else climb.stale[i] + 1
    climb.since[i] += 1
    climb.sigma[i] = annealed(rule, climb.sigma[i], won)
    if won:
        _crown(climb, rule, i)


@lane
def _compare_with_best(climb, i):
    """The champion leads once its record beats the best one's."""
    if not climb.leads[i] and climb.count[i, CHAMPION] > 0:
        record = _mean(climb, i, BEST), climb.count[i, BEST]
        climb.leads[i] = ahead(_mean(climb, i, CHAMPION), climb.count[i, CHAMPION], record[0], record[1])


@lane
def _next_judgement(climb, rule, scale, i):
    """Who plays next, when a judgement is over."""
    _compare_with_best(climb, i)
    if 0 < rule.restart_after <= climb.stale[i]:
        _restart(climb, rule, scale, i)
    if climb.count[i, CHAMPION] == 0 or 0 < rule.rejudge_every <= climb.since[i]:
        _judge_champion(climb, rule, i)
    else:
        _judge_mutant(climb, rule, scale, i)


@lane
def learn_lane(climb, rule, scale, i, reward, ended):
    """One environment step of seed i: its reward, and whether an episode ended by either way."""
    who = climb.who[i]
    climb.total[i, who] += reward
    climb.clock[i] += 1
    if not ended:
        return
    climb.count[i, who] += 1
    climb.left[i] -= 1
    if who == MUTANT:
        record = _mean(climb, i, CHAMPION), climb.count[i, CHAMPION]
        said = verdict(rule, _mean(climb, i, MUTANT), climb.count[i, MUTANT], record[0], record[1])
        if said != PLAYS_ON:
            _end_mutant(climb, rule, i, said == WINS)
            _next_judgement(climb, rule, scale, i)
    elif climb.left[i] == 0:
        climb.score[i] = _mean(climb, i, CHAMPION)
        _next_judgement(climb, rule, scale, i)
