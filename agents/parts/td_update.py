"""TD(lambda) of state values over one seed, a model learned from counts, and the loops over seeds.

``delta = r_t + discount_t * v_t - v_tm1`` with ``discount_t = gamma * (1 - terminated)``; every state learns
``step_size * delta * trace`` (Sutton 1988; Sutton and Barto 2018, section 12.2, backward view).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.parts.explore import Explore, choose
from simulator.core.compiled import compiled, lane
from simulator.core.draws import uniform
from simulator.core.protocols import Array
from simulator.core.table import GOES_ON, TERMINATES, table_step


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    control: bool  # choose by look-ahead through the model; otherwise by a given policy
    step_size: float
    power: float  # w of n**-w; 0: constant
    gamma: float
    decay: float  # lambda
    replacing: bool  # traces are set to 1 instead of raised by 1
    untried_first: bool
    initial: float
    explore: Explore


class Tables(NamedTuple):
    """Everything S learners know. K successors are remembered; a successor that ends the episode is F + state."""

    v: Array  # float64 [S, F]
    trace: Array  # float64 [S, F]; [S, 1] where lambda is 0
    visits: Array  # int64 [S, F], updates of each state
    successor: Array  # int32 [S, F, A, K], -1 where none is known
    count: Array  # int32 [S, F, A, K]
    gain: Array  # float64 [S, F, A], sum of rewards
    overflow: Array  # int64 [S], 1 + the first feature that had more than K successors, or 0
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]
    error: Array  # float64 [S], running mean of |TD error| over about 100 steps
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


class Scratch(NamedTuple):
    """Room for compiled code and what is given; never part of the state."""

    prefer: Array  # float64 [S, A]
    at: Array  # int64 [S, 1], the state now
    then: Array  # int64 [S, 1], the state that the step led to
    moves: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which
    legal: Array  # bool, the same as a mask, for the policy
    given: Array  # float64 [F, A], the given policy's cumulative probabilities; [1, A] when controlling


@lane
def look_ahead(tables, rule, i, at, action):
    """The value of an action by the learned model, mean reward plus discounted mean of the next; nan: untried."""
    total, n = 0.0, 0
    for k in range(tables.successor.shape[3]):
        then = tables.successor[i, at, action, k]
        if then < 0:
            break
        n += tables.count[i, at, action, k]
        if then < tables.v.shape[1]:
            total += tables.count[i, at, action, k] * rule.gamma * tables.v[i, then]
    return (total + tables.gain[i, at, action]) / n if n else np.nan


@lane
def act_lane(tables, rule, scratch, i):
    """The action of seed i at ``scratch.at``."""
    at = scratch.at[i, 0]
    if not rule.control:
        draw, action = uniform(tables.stream, i), 0
        while action < scratch.given.shape[1] - 1 and scratch.given[at, action] <= draw:
            action += 1
        return action
    moves = scratch.moves[at if scratch.moves.shape[0] > 1 else 0]
    for m in range(1, 1 + moves[0]):
        value = look_ahead(tables, rule, i, at, moves[m])
        if np.isnan(value):
            value = 1e300 if rule.untried_first else rule.initial
        scratch.prefer[i, moves[m]] = value
    return choose(tables.stream, i, scratch.prefer[i], moves, rule.explore, tables.clock[i])


@lane
def _remember(tables, i, at, action, then):
    """Count one more move from ``at`` to ``then``."""
    for k in range(tables.successor.shape[3]):
        if tables.successor[i, at, action, k] < 0:
            tables.successor[i, at, action, k] = then
        if tables.successor[i, at, action, k] == then:
            tables.count[i, at, action, k] += 1
            return
    tables.overflow[i] = max(tables.overflow[i], at + 1)


@lane
def _move(tables, i, at, change):
    """Add to a value of seed i, which fails where that is no finite number; the value then stays."""
    moved = tables.v[i, at] + change
    if np.isfinite(moved):
        tables.v[i, at] = moved
    else:
        tables.failed_at[i] = tables.clock[i]


@lane
def _learn_values(tables, rule, i, at, delta, ends):
    """Move the values along delta, by the traces."""
    step_size = rule.step_size
    tables.visits[i, at] += 1
    if rule.power > 0.0:
        step_size *= tables.visits[i, at] ** -rule.power
    if rule.decay == 0.0:
        _move(tables, i, at, step_size * delta)
        return
    for f in range(tables.trace.shape[1]):
        tables.trace[i, f] *= rule.gamma * rule.decay
    tables.trace[i, at] = 1.0 if rule.replacing else tables.trace[i, at] + 1.0
    for f in range(tables.trace.shape[1]):
        _move(tables, i, f, step_size * delta * tables.trace[i, f])
        if ends:
            tables.trace[i, f] = 0.0


@lane
def learn_lane(tables, rule, scratch, i, action, outcome):
    """Learn from one step of seed i; ``outcome`` is (reward, terminated, whether the episode goes on)."""
    reward, terminated, goes_on = outcome
    at, then = scratch.at[i, 0], scratch.then[i, 0]
    tables.clock[i] += 1
    if tables.failed_at[i] > 0:
        return
    delta = reward + (0.0 if terminated else rule.gamma * tables.v[i, then]) - tables.v[i, at]
    if rule.control:
        _remember(tables, i, at, action, then + tables.v.shape[1] if terminated else then)
        tables.gain[i, at, action] += reward
    _learn_values(tables, rule, i, at, delta, not goes_on)
    if tables.failed_at[i] == 0:
        tables.error[i] += 0.01 * (abs(delta) - tables.error[i])


@compiled
def act_all(tables, rule, scratch, actions):
    """Actions of all seeds, written to ``actions`` [S]."""
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
def look_ahead_all(tables, rule, q):
    """The model's action values, written to ``q`` [S, F, A]; an untried action is worth ``rule.initial``."""
    for i in range(q.shape[0]):
        for at in range(q.shape[1]):
            for action in range(q.shape[2]):
                value = look_ahead(tables, rule, i, at, action)
                q[i, at, action] = rule.initial if np.isnan(value) else value


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
