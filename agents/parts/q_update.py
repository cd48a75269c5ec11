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
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


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
def act_lane(tables, rule, scratch, i, first):
    """The exploring action of seed i; ``first`` is the first of the features that are active now."""
    action = tables.next_action[i] if rule.target == SARSA else -1
    if action >= 0:
        tables.next_action[i] = -1
        return action
    moves = scratch.moves[first if scratch.moves.shape[0] > 1 else np.uint64(0)]
    if _is_table(tables, scratch):
        return choose(tables.stream, i, tables.q[i, 0, first], moves, rule.explore, tables.clock[i])
    _add_up(scratch.prefer[i], tables, -1, i, scratch.at[i])
    return choose(tables.stream, i, scratch.prefer[i], moves, rule.explore, tables.clock[i])


@lane
def _bootstrap(tables, rule, scratch, i, d, then):
    """What the observation that the step led to is worth to table d, and the action chosen there, or -1."""
    moves = scratch.moves[then if scratch.moves.shape[0] > 1 else np.uint64(0)]
    if _is_table(tables, scratch):
        row = tables.q[i, 0, then]
        return (highest(row, moves), -1) if rule.target == MAX else _chosen(tables, rule, i, row, row, moves)
    prefer, value, double = scratch.prefer[i], scratch.value[i], tables.q.shape[1] == 2
    _add_up(value, tables, 1 - d if double else 0, i, scratch.then[i])
    _add_up(prefer, tables, d if rule.target == MAX else -1, i, scratch.then[i])
    return _chosen(tables, rule, i, prefer, value, moves)


@lane
def _chosen(tables, rule, i, prefer, value, moves):
    """What ``value`` says of the choice that ``prefer`` makes, and Sarsa's choice, or -1."""
    if rule.target == EXPECTED:
        return expectation(prefer, value, moves, rule.explore, tables.clock[i]), -1
    if rule.target == MAX:
        return value[argmax(tables.stream, i, prefer, moves)], -1
    action = choose(tables.stream, i, prefer, moves, rule.explore, tables.clock[i])
    return value[action], action


@lane
def _target(tables, rule, scratch, i, d, outcome):
    """What the step was worth; Sarsa's choice is kept while the episode goes on."""
    reward, terminated, goes_on, then = outcome
    if terminated:
        return np.float64(reward)
    bootstrap, action = _bootstrap(tables, rule, scratch, i, d, then)
    if rule.target == SARSA and goes_on:
        tables.next_action[i] = action
    return reward + rule.gamma * bootstrap


@lane
def _step_size(tables, rule, entry):
    """The share of an entry's error that is learned now; counts the update where that share falls."""
    i, d, feature, action = entry
    if rule.power == 0.0:
        return rule.step_size
    tables.visits[i, d, feature, action] += 1
    return rule.step_size * tables.visits[i, d, feature, action] ** -rule.power


@lane
def _move(tables, i, entry, change):
    """Add to a value of seed i, which fails where that is no finite number; the value then stays."""
    d, feature, action = entry
    moved = tables.q[i, d, feature, action] + change
    if np.isfinite(moved):
        tables.q[i, d, feature, action] = moved
    else:
        tables.failed_at[i] = tables.clock[i]


@lane
def learn_lane(tables, rule, scratch, i, moved, outcome):
    """Learn from one step of seed i.

    ``moved`` is (first active feature, action), ``outcome`` (reward, terminated, whether the episode goes on, first
    feature of the observation that the step led to).
    """
    at, action = moved
    tables.clock[i] += 1
    if tables.failed_at[i] > 0:
        return
    d = np.int64(0)
    if tables.q.shape[1] == 2:
        d = np.int64(uniform(tables.stream, i) < 0.5)
    delta = _target(tables, rule, scratch, i, d, outcome)
    if _is_table(tables, scratch):
        delta -= tables.q[i, 0, at, action]
        _move(tables, i, (0, at, action), _step_size(tables, rule, (i, 0, at, action)) * delta)
    else:
        active, n_active = scratch.at[i], scratch.at.shape[1]
        for k in range(n_active):
            delta -= tables.q[i, d, active[k], action]
        for k in range(n_active):
            step_size = _step_size(tables, rule, (i, d, active[k], action)) / n_active
            _move(tables, i, (d, active[k], action), step_size * delta)
    if tables.failed_at[i] == 0:
        tables.error[i] += 0.01 * (abs(delta) - tables.error[i])


@compiled
def act_all(tables, rule, scratch, actions):
    """Exploring actions of all seeds at ``scratch.at``, written to ``actions`` [S]."""
    for i in range(len(actions)):
        actions[i] = act_lane(tables, rule, scratch, i, np.uint64(scratch.at[i, 0]))


@compiled
def learn_all(tables, rule, scratch, actions, step):
    """One update of every seed from ``step`` (reward, terminated, truncated), each [S]."""
    reward, terminated, truncated = step
    for i in range(len(actions)):
        goes_on = not (terminated[i] or truncated[i])
        moved = (np.uint64(scratch.at[i, 0]), np.uint64(actions[i]))
        outcome = (reward[i], terminated[i], goes_on, np.uint64(scratch.then[i, 0]))
        learn_lane(tables, rule, scratch, i, moved, outcome)


@compiled
def stretch_block(block, brain, lanes, reward, ended):
    """Act, step and learn for the seeds from block[0] to block[1]; fills reward and ended, [S, T]."""
    tables, rule, scratch = brain
    many = not _is_table(tables, scratch)
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            at = np.uint64(lanes.table.see[np.uint64(lanes.place[i])])
            if many:
                scratch.at[i, 0] = at
            action = np.uint64(act_lane(tables, rule, scratch, i, at))
            led_to, gain, end = table_step(lanes, i, action)
            then, gain = np.uint64(lanes.table.see[np.uint64(led_to)]), np.float32(gain)
            if many:
                scratch.then[i, 0] = then
            learn_lane(tables, rule, scratch, i, (at, action), (gain, end == TERMINATES, end == GOES_ON, then))
            reward[i, t], ended[i, t] = gain, end != GOES_ON
