"""The update of Q-learning, Sarsa and Expected Sarsa over one seed, and its loops over seeds.

``delta = r_t + discount_t * bootstrap(q_t) - q_tm1[a_tm1]`` and ``q_tm1[a_tm1] += step_size * delta``, with
``discount_t = gamma * (1 - terminated)``. Over several active features a value is their sum, and the step is shared
among them (Sutton and Barto 2018, equation 9.8 for linear values).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.parts.explore import Explore, argmax, choose, expectation, highest
from simulator.core.compiled import compiled, lane
from simulator.core.draws import uniform
from simulator.core.protocols import Array
from simulator.core.table import GOES_ON, TERMINATES, table_step

MAX, SARSA, EXPECTED = 0, 1, 2


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    target: int
    step_size: float
    power: float  # w of n**-w; 0: constant
    gamma: float
    explore: Explore


class Tables(NamedTuple):
    """Everything S learners know; D is 2 for double learning, else 1."""

    q: Array  # float64 [S, D, F, A]
    visits: Array  # int64 [S, D, F, A], updates of each entry; [S, 1, 1, 1] where the step size is constant
    next_action: Array  # int64 [S], the action that Sarsa has already chosen, or -1
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]
    error: Array  # float64 [S], running mean of |TD error| over about 100 steps


class Scratch(NamedTuple):
    """Room for compiled code, and the actions that exist; never part of the state."""

    prefer: Array  # float64 [S, A]
    value: Array  # float64 [S, A]
    at: Array  # int64 [S, k], the active features now
    then: Array  # int64 [S, k], those of the observation that the step led to
    moves: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which
    legal: Array  # bool, the same as a mask, for the policy


@lane
def _is_table(tables, scratch):
    """Whether a value is one entry of one table, so that its row can be read where it stands."""
    return tables.q.shape[1] == 1 and scratch.at.shape[1] == 1


@lane
def _add_up(row, tables, which, i, active):
    """Fill row [A] with the values of table ``which``, or of the tables' sum where it is negative."""
    for action in range(row.shape[0]):
        row[action] = 0.0
        for d in range(tables.q.shape[1]):
            if which < 0 or d == which:
                for k in range(active.shape[0]):
                    row[action] += tables.q[i, d, active[k], action]


@lane
def act_lane(tables, rule, scratch, i):
    """The exploring action of seed i at ``scratch.at``."""
    action, first = tables.next_action[i], scratch.at[i, 0]
    if action >= 0:
        tables.next_action[i] = -1
        return action
    moves = scratch.moves[first if scratch.moves.shape[0] > 1 else 0]
    if _is_table(tables, scratch):
        return choose(tables.stream, i, tables.q[i, 0, first], moves, rule.explore, tables.clock[i])
    _add_up(scratch.prefer[i], tables, -1, i, scratch.at[i])
    return choose(tables.stream, i, scratch.prefer[i], moves, rule.explore, tables.clock[i])


@lane
def _bootstrap(tables, rule, scratch, i, d, goes_on):
    """What ``scratch.then`` is worth to table d."""
    then, single = scratch.then[i, 0], tables.q.shape[1] == 1
    moves = scratch.moves[then if scratch.moves.shape[0] > 1 else 0]
    if rule.target == MAX and _is_table(tables, scratch):
        return highest(tables.q[i, 0, then], moves)
    prefer, value = scratch.prefer[i], scratch.value[i]
    _add_up(value, tables, 0 if single else 1 - d, i, scratch.then[i])
    if rule.target == MAX and single:
        return highest(value, moves)
    _add_up(prefer, tables, d if rule.target == MAX else -1, i, scratch.then[i])
    if rule.target == EXPECTED:
        return expectation(prefer, value, moves, rule.explore, tables.clock[i])
    if rule.target == MAX:
        return value[argmax(tables.stream, i, prefer, moves)]
    action = choose(tables.stream, i, prefer, moves, rule.explore, tables.clock[i])
    if goes_on:
        tables.next_action[i] = action
    return value[action]


@lane
def learn_lane(tables, rule, scratch, i, action, outcome):
    """Learn from one step of seed i; ``outcome`` is (reward, terminated, whether the episode goes on)."""
    reward, terminated, goes_on = outcome
    tables.clock[i] += 1
    d = 0
    if tables.q.shape[1] == 2:
        d = np.int64(uniform(tables.stream, i) < 0.5)
    bootstrap = 0.0 if terminated else _bootstrap(tables, rule, scratch, i, d, goes_on)
    before, n_active = 0.0, scratch.at.shape[1]
    for k in range(n_active):
        before += tables.q[i, d, scratch.at[i, k], action]
    delta = reward + rule.gamma * bootstrap - before
    for k in range(n_active):
        step_size = rule.step_size
        if rule.power > 0.0:
            tables.visits[i, d, scratch.at[i, k], action] += 1
            step_size *= tables.visits[i, d, scratch.at[i, k], action] ** -rule.power
        tables.q[i, d, scratch.at[i, k], action] += step_size / n_active * delta
    tables.error[i] += 0.01 * (abs(delta) - tables.error[i])


@compiled
def act_all(tables, rule, scratch, actions):
    """Exploring actions of all seeds, written to ``actions`` [S]."""
    for i in range(len(actions)):
        actions[i] = act_lane(tables, rule, scratch, i)


@compiled
def learn_all(tables, rule, scratch, actions, step):
    """One update of every seed from ``step`` (reward, terminated, truncated), each [S]."""
    reward, terminated, truncated = step
    for i in range(len(actions)):
        goes_on = not (terminated[i] or truncated[i])
        learn_lane(tables, rule, scratch, i, actions[i], (reward[i], terminated[i], goes_on))


@compiled
def stretch_block(block, brain, lanes, reward, ended):
    """Act, step and learn for the seeds from block[0] to block[1]; fills reward and ended, [S, T]."""
    tables, rule, scratch = brain
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            scratch.at[i, 0] = lanes.table.see[lanes.place[i]]
            action = act_lane(tables, rule, scratch, i)
            led_to, gain, end = table_step(lanes, i, action)
            scratch.then[i, 0] = lanes.table.see[led_to]
            gain = np.float32(gain)
            learn_lane(tables, rule, scratch, i, action, (gain, end == TERMINATES, end == GOES_ON))
            reward[i, t], ended[i, t] = gain, end != GOES_ON
