"""The update of deep Q-learning: pure pieces over one seed, and the compiled loop that they make.

Mnih et al. 2015; van Hasselt et al. 2016 (double); Wang et al. 2016 (dueling, mean form, eq. 9); Schaul et al. 2016
(prioritized); Huber 1964. The loss is the mean over the batch of weight * loss(TD error); its gradient with respect to
the network's outputs is formed here, and a network of either kind takes it from there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.common.networks.dense import Net, backward, forward, outputs_at, polyak_update
from agents.common.networks.optimizers import Optimizer, clip_and_update
from agents.common.replay.buffer import Replay, expand, fill_of, push
from agents.common.replay.prioritized import Priorities, admit, draw, revise
from agents.dqn.targets import Rule, action_values, row_at
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array


class Brain(NamedTuple):
    """The networks of S seeds."""

    online: Net
    target: Net
    average: Array  # float32 [S, P], running average of the online weights, or the online ones themselves
    optimizer: Optimizer


class Batch(NamedTuple):
    """Room for one batch of each seed."""

    picked: Array  # int64 [S, B]
    weights: Array  # float32 [S, B]
    x: Array  # float32 [S, B, in]
    following: Array  # float32 [S, B, in]
    dy: Array  # float32 [S, B, out], dL/d(outputs)
    q: Array  # float32 [S, 2, A], a row of action values of each network


class Parts(NamedTuple):
    """What S learners are made of, as compiled code takes it."""

    rule: Rule
    brain: Brain
    replay: Replay
    priorities: Priorities
    streams: Array  # uint64 [S, 4], of the draws from the replay
    batch: Batch
    hand: Any  # see :class:`agents.dqn.policy.Hand`
    scale: Array  # float32 [2, F], see :class:`agents.common.spaces.Inputs`
    views: Array  # float32 [S, 2, F], room for what a step began with and what it led to
    loss: Array  # float64 [S]
    failed_at: Array  # int64 [S]


def make_batch(n_seeds: int, size: int, sizes: tuple[int, int, int]) -> Batch:
    """Room for batches of ``size``; ``sizes`` are inputs, outputs and actions."""
    width, out, n_actions = sizes
    x, dy = np.zeros((n_seeds, size, width), np.float32), np.zeros((n_seeds, size, out), np.float32)
    drawn = (np.zeros((n_seeds, size), np.int64), np.zeros((n_seeds, size), np.float32))
    return Batch(*drawn, x, x.copy(), dy, np.zeros((n_seeds, 2, n_actions), np.float32))


@jit_inline
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


@jit_inline
def loss_slope(td_error, huber):
    """Loss of one TD error (target - value), and its slope with respect to the value."""
    if huber and abs(td_error) > np.float32(1.0):
        return abs(td_error) - np.float32(0.5), -np.sign(td_error)
    return np.float32(0.5) * td_error * td_error, -td_error


@jit_inline
def worth(chooser, valuer, legal_actions):
    """What the next state is worth: the action that ``chooser`` [A] prefers, by the values of ``valuer`` [A]."""
    best = legal_actions[1]
    for m in range(2, 1 + legal_actions[0]):
        best = legal_actions[m] if chooser[legal_actions[m]] > chooser[best] else best
    return valuer[best]


@jit_inline
def _gather(replay, rule, batch, i, w):
    for j in range(batch.picked.shape[1]):
        at = batch.picked[w, j]
        expand(replay.obs[i, at], rule.n_classes, batch.x[w, j])
        expand(replay.following[i, at], rule.n_classes, batch.following[w, j])


@jit_inline
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
        value = worth(
            chooser if rule.double else valuer, valuer, rule.legal_actions[row_at(rule, replay.following[i, at])]
        )
        batch.dy[w, j, 0] = replay.earned[i, at] + replay.discount[i, at] * value


@jit_inline
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


@jit_inline
def revise_all(priorities, batch, fill, i, w):
    """TD errors in ``batch.weights[w]`` become priorities."""
    for j in range(batch.picked.shape[1]):
        revise(priorities, i, batch.picked[w, j], batch.weights[w, j], fill)


@jit
def train_one(parts: Parts, i, w, pace):
    """One training of seed i, in the room of row w."""
    brain, replay, batch, rule = parts.brain, parts.replay, parts.batch, parts.rule
    for _ in range(pace.gradient_steps):
        if parts.failed_at[i] > 0:
            break
        fill = fill_of(replay, i)
        draw(parts.priorities, parts.streams, i, (fill, pace.beta), batch.picked[w], batch.weights[w])
        _gather(replay, rule, batch, i, w)
        loss = _improve(brain, replay, rule, batch, (i, w), pace.share)
        if not np.isfinite(loss):
            parts.failed_at[i] = pace.clock
            break
        parts.loss[i] = loss
        revise_all(parts.priorities, batch, fill, i, w)
        if pace.tau > 0.0:
            polyak_update(brain.target.params, brain.online.params, i, pace.tau)
        if pace.eval_ema > 0.0:
            polyak_update(brain.average, brain.online.params, i, pace.eval_ema)


@jit
def _improve(brain, replay, rule, batch, place, share):
    """One update of the online network from the batch in its row; the loss, not finite where the gradient is not."""
    i, w = place
    start = outputs_at(brain.online, batch.dy.shape[1])
    forward(brain.target, i, w, batch.following[w])
    if rule.double:
        forward(brain.online, i, w, batch.following[w])
    led_to = (brain.target.outputs[w, start:], brain.online.outputs[w, start:])
    targets(led_to, replay, rule, batch, i, w)
    forward(brain.online, i, w, batch.x[w])
    loss = gradients(brain.online.outputs[w, start:], replay, rule, batch, i, w)
    backward(brain.online, i, w, batch.x[w], batch.dy[w])
    norm = clip_and_update(brain.optimizer, i, brain.online.params[i], brain.online.gradient[w], share)
    return loss if np.isfinite(norm) else norm


@jit
def train_block(block, parts: Parts, pace):
    """One training of every seed from ``block[0]`` to before ``block[1]``, in the room of the first of them."""
    for i in range(block[0], block[1]):
        train_one(parts, i, block[0], pace)


@jit
def copy_all(brain: Brain):
    """The target networks become the online ones."""
    for i in range(brain.online.params.shape[0]):
        polyak_update(brain.target.params, brain.online.params, i, 1.0)


@jit_inline
def push_lane(replay, priorities, i, seen, action, result):
    """Store one step of seed i; False, and nothing is stored, where an observation or the reward is no number."""
    reward, terminated, truncated, led_to = result
    sound = np.isfinite(reward)
    for f in range(len(led_to)):
        sound &= np.isfinite(led_to[f])
    if sound:
        before = replay.pushed[i]
        push(replay, i, seen, action, (reward, terminated, truncated, led_to))
        for count in range(before, replay.pushed[i]):
            admit(priorities, i, count % replay.action.shape[1], count)
    return sound


@jit
def push_all(replay: Replay, priorities: Priorities, seen, actions, step):
    """Store one step of every seed; the first seed whose observation or reward is no number, or -1."""
    reward, terminated, truncated, led_to = step
    for i in range(len(actions)):
        result = (reward[i], terminated[i], truncated[i], led_to[i])
        if not push_lane(replay, priorities, i, seen[i], actions[i], result):
            return i
    return -1
