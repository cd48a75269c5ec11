"""The update of deep Q-learning: pure pieces over one seed, and the compiled loop that they make.

Mnih et al. 2015; van Hasselt et al. 2016 (double); Wang et al. 2016 (dueling, mean form, eq. 9); Schaul et al. 2016
(prioritized); Huber 1964. The loss is the mean over the batch of weight * loss(TD error); its gradient with respect to
the network's outputs is formed here, and a network of either kind takes it from there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.parts.dense import Net, backward, follow, forward, forward_row, outputs_at
from agents.parts.explore import Explore, argmax, choose, level
from agents.parts.optimizers import Optimizer, step_down
from agents.parts.priorities import Priorities, admit, draw, revise
from agents.parts.replay import Replay, expand, fill_of, push
from simulator.core.compiled import compiled, lane
from simulator.core.draws import below, uniform
from simulator.core.protocols import Array

GREEDY = Explore(False, 0.0, 0.0, 0, False)


class Rule(NamedTuple):
    """The variant of the update."""

    double: bool
    dueling: bool
    huber: bool
    n_classes: int  # of a discrete observation, which is seen as one-hot; 0: a vector
    moves: Array  # int64 [n_observations or 1, 1 + A], actions that exist: their number, then they


class Brain(NamedTuple):
    """The networks of S seeds."""

    online: Net
    target: Net
    average: Net  # running average of the online weights, or the online ones themselves
    optimizer: Optimizer


class Batch(NamedTuple):
    """Room for one batch of each seed."""

    picked: Array  # int64 [S, B]
    weights: Array  # float32 [S, B]
    x: Array  # float32 [S, B, in]
    following: Array  # float32 [S, B, in]
    dy: Array  # float32 [S, B, out], dL/d(outputs)
    q: Array  # float32 [S, 2, A], a row of action values of each network


class Pace(NamedTuple):
    """How fast things go at this moment."""

    updates: int  # of the networks, one after the other
    beta: float  # correction of prioritized draws
    share: float  # of the first learning rate
    target_share: float  # towards the online weights after every update; 0: only when they are copied
    average_share: float  # towards the online weights after every update; 0: there is no average
    clock: int  # environment steps


def make_batch(n_seeds: int, size: int, sizes: tuple[int, int, int]) -> Batch:
    """Room for batches of ``size``; ``sizes`` are inputs, outputs and actions."""
    width, out, n_actions = sizes
    x, dy = np.zeros((n_seeds, size, width), np.float32), np.zeros((n_seeds, size, out), np.float32)
    drawn = (np.zeros((n_seeds, size), np.int64), np.zeros((n_seeds, size), np.float32))
    return Batch(*drawn, x, x.copy(), dy, np.zeros((n_seeds, 2, n_actions), np.float32))


@lane
def action_values(outputs, dueling, q):
    """Action values q [A] from a network's outputs: themselves, or V + A - mean A from [V, A ...]."""
    n = len(q)
    if dueling:
        mean = np.float32(0.0)
        for a in range(n):
            mean += outputs[1 + a]
        shift = outputs[0] - mean / np.float32(n)
        for a in range(n):
            q[a] = outputs[1 + a] + shift
    else:
        for a in range(n):
            q[a] = outputs[a]


@lane
def output_gradient(slope, action, dueling, dy):
    """dL/d(outputs) dy [out] from ``slope`` = dL/dq(action)."""
    dy[:] = np.float32(0.0)
    if dueling:
        n = len(dy) - 1
        for a in range(n):
            dy[1 + a] = -slope / np.float32(n)
        dy[0], dy[1 + action] = slope, dy[1 + action] + slope
    else:
        dy[action] = slope


@lane
def loss_slope(td_error, huber):
    """Loss of one TD error (target - value), and its slope with respect to the value."""
    if huber and abs(td_error) > np.float32(1.0):
        return abs(td_error) - np.float32(0.5), -np.sign(td_error)
    return np.float32(0.5) * td_error * td_error, -td_error


@lane
def worth(chooser, valuer, moves):
    """What the next state is worth: the action that ``chooser`` [A] prefers, by the values of ``valuer`` [A]."""
    best = moves[1]
    for m in range(2, 1 + moves[0]):
        best = moves[m] if chooser[moves[m]] > chooser[best] else best
    return valuer[best]


@lane
def row_at(rule, stored):
    """Which row of ``rule.moves`` counts at a stored observation."""
    return np.int64(stored[0]) if rule.moves.shape[0] > 1 else 0


@lane
def _gather(replay, rule, batch, i, w):
    for j in range(batch.picked.shape[1]):
        at = batch.picked[w, j]
        expand(replay.obs[i, at], rule.n_classes, batch.x[w, j])
        expand(replay.following[i, at], rule.n_classes, batch.following[w, j])


@lane
def targets(outputs, replay, rule, batch, i, w):
    """Targets of seed i's batch, float32 [B], into ``batch.dy[w, :, 0]``.

    ``outputs`` are those of the target and of the online network [B * out] at what the transitions led to; the online
    ones count only with double Q.
    """
    n_rows, out, chooser, valuer = batch.dy.shape[1], batch.dy.shape[2], batch.q[w, 0], batch.q[w, 1]
    for j in range(n_rows):
        at = batch.picked[w, j]
        action_values(outputs[0][j * out : (j + 1) * out], rule.dueling, valuer)
        if rule.double:
            action_values(outputs[1][j * out : (j + 1) * out], rule.dueling, chooser)
        value = worth(chooser if rule.double else valuer, valuer, rule.moves[row_at(rule, replay.following[i, at])])
        batch.dy[w, j, 0] = replay.earned[i, at] + replay.discount[i, at] * value


@lane
def gradients(outputs, replay, rule, batch, i, w):
    """Targets in ``batch.dy[w, :, 0]`` become dL/d(outputs) [B, out]; TD errors go to ``batch.weights[w]``; the loss.

    ``outputs`` [B * out] are the online network's at the batch.
    """
    n_rows, out, loss, q = batch.dy.shape[1], batch.dy.shape[2], 0.0, batch.q[w, 0]
    for j in range(n_rows):
        at = batch.picked[w, j]
        action_values(outputs[j * out : (j + 1) * out], rule.dueling, q)
        action, weight = replay.action[i, at], batch.weights[w, j]
        td_error = batch.dy[w, j, 0] - q[action]
        part, slope = loss_slope(td_error, rule.huber)
        loss += np.float64(weight * part)
        output_gradient(slope * weight / np.float32(n_rows), action, rule.dueling, batch.dy[w, j])
        batch.weights[w, j] = td_error
    return loss / n_rows


@lane
def revise_all(priorities, batch, fill, i, w):
    """TD errors in ``batch.weights[w]`` become priorities."""
    for j in range(batch.picked.shape[1]):
        revise(priorities, i, batch.picked[w, j], batch.weights[w, j], fill)


@compiled
def train_block(block, brain: Brain, stored, rule: Rule, batch: Batch, told):
    """Some updates of every seed from ``block[0]`` to before ``block[1]``, in the room of the first of them."""
    (replay, priorities, streams), (pace, loss, failed_at) = stored, told
    w = block[0]
    for i in range(block[0], block[1]):
        for _ in range(pace.updates):
            if failed_at[i] > 0:
                break
            draw(priorities, streams, i, (fill_of(replay, i), pace.beta), batch.picked[w], batch.weights[w])
            _gather(replay, rule, batch, i, w)
            start = outputs_at(brain.online, batch.dy.shape[1])
            forward(brain.target, i, w, batch.following[w])
            if rule.double:
                forward(brain.online, i, w, batch.following[w])
            led_to = (brain.target.outputs[w, start:], brain.online.outputs[w, start:])
            targets(led_to, replay, rule, batch, i, w)
            forward(brain.online, i, w, batch.x[w])
            now = gradients(brain.online.outputs[w, start:], replay, rule, batch, i, w)
            backward(brain.online, i, w, batch.x[w], batch.dy[w])
            norm = step_down(brain.optimizer, brain.online, i, w, pace.share)
            if not (np.isfinite(now) and np.isfinite(norm)):
                failed_at[i] = pace.clock
                break
            loss[i] = now
            revise_all(priorities, batch, fill_of(replay, i), i, w)
            if pace.target_share > 0.0:
                follow(brain.target, brain.online, i, pace.target_share)
            if pace.average_share > 0.0:
                follow(brain.average, brain.online, i, pace.average_share)


@compiled
def copy_all(brain: Brain):
    """The target networks become the online ones."""
    for i in range(brain.online.params.shape[0]):
        follow(brain.target, brain.online, i, 1.0)


@lane
def roam(streams, i, moves, now, habit):
    """A random action of seed i, or -1 where it should be greedy.

    ``habit``: (longest, held [S], left [S]). A random action is kept for k steps or more with probability 1/k, up to
    ``longest`` (after Dabney, Ostrovski and Barreto 2021), and is dropped where it does not exist.
    """
    longest, held, left = habit
    if left[i] > 0:
        left[i] -= 1
        for m in range(1, 1 + moves[0]):
            if moves[m] == held[i]:
                return held[i]
        left[i] = 0
    if uniform(streams, i) >= now:
        return -1
    held[i] = moves[1 + below(streams, i, moves[0])]
    if longest > 1:
        left[i] = np.int64(min(1.0 / (1.0 - uniform(streams, i)), longest)) - 1
    return held[i]


@compiled
def act_all(net: Net, rule: Rule, seen, streams, choice, actions):
    """Exploring actions [S] at stored observations ``seen`` [S, F]."""
    explore, clock, habit, (x, q) = choice
    now = level(explore, clock)
    for i in range(len(actions)):
        moves = rule.moves[row_at(rule, seen[i])]
        actions[i] = -1 if explore.softmax else roam(streams, i, moves, now, habit)
        if actions[i] < 0:
            values_at(net, rule, i, seen[i], x, q)
            if explore.softmax:
                actions[i] = choose(streams, i, q, moves, explore, clock)
            else:
                actions[i] = argmax(streams, i, q, moves)


def make_habit(longest: int, n_seeds: int) -> tuple[int, Array, Array]:
    """Nothing held yet; see :func:`roam`."""
    return longest, np.zeros(n_seeds, np.int64), np.zeros(n_seeds, np.int64)


@lane
def values_at(net, rule, i, stored, x, q):
    """Action values of seed i at one stored observation, into ``q`` [A]; ``x`` [2, max(in, out)] is room."""
    expand(stored, rule.n_classes, x[0, : net.sizes[0]])
    forward_row(net, i, i, x[0], x[1])
    action_values(x[1], rule.dueling, q)


@compiled
def values_all(net: Net, rule: Rule, stored, room, values):
    """Action values [S, B, A] at stored observations [B, F]; actions that do not exist are left as they are."""
    x, q = room
    for i in range(values.shape[0]):
        for b in range(values.shape[1]):
            values_at(net, rule, i, stored[b], x, q)
            moves = rule.moves[row_at(rule, stored[b])]
            for m in range(1, 1 + moves[0]):
                values[i, b, moves[m]] = q[moves[m]]


@compiled
def push_all(replay: Replay, priorities: Priorities, seen, actions, step):
    """Store one step of every seed; the first seed whose observation or reward is no number, or -1."""
    reward, terminated, truncated, led_to = step
    for i in range(len(actions)):
        sound = np.isfinite(reward[i])
        for f in range(led_to.shape[1]):
            sound &= np.isfinite(led_to[i, f])
        if not sound:
            return i
        before = replay.pushed[i]
        push(replay, i, seen[i], actions[i], (reward[i], terminated[i], truncated[i], led_to[i]))
        for count in range(before, replay.pushed[i]):
            admit(priorities, i, count % replay.action.shape[1], count)
    return -1
