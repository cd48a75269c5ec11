"""Deep Q-learning with a recurrence: updates on sequences, in the order of Kapturowski et al. 2019 (R2D2).

Both networks unroll a sequence by themselves from its first observation, and from the state that the network had there
when it acted. The first steps of a sequence that begins in the middle of an episode bring that state up to date, and
get no gradient. A target looks n steps ahead within the sequence; where that ends before its episode does, fewer.
Hausknecht and Stone 2015 have the first network of this kind. Acting, storing and losses are those of
:mod:`agents.dqn.update`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.networks.compiled import backward, copy_outputs, forward, write_one_hot
from agents.common.networks.optimizers import clip_and_update
from agents.common.networks.recurrent import Sequences
from agents.common.observation_store import expand_vector
from agents.common.replay.buffer import replay_size
from agents.common.replay.prioritized import update_priority
from agents.common.replay.sequences import SequenceReplay
from agents.common.spaces import legal_row
from agents.dqn.update import (
    action_values,
    double_q_value,
    mark_failures,
    output_gradient,
    polyak_update,
    sample_batch,
    td_loss,
    td_loss_grad,
    train,
)
from simulator.core.jit import jit_implementation, jit_inline
from simulator.core.protocols import Array


class SequenceBatch(NamedTuple):
    """A batch of B sequences in each of W rows, as up to R = B (L + 1) rows of steps, and the results of an update."""

    indices: Array  # int64 [W, B], in the replay
    weights: Array  # float32 [W, B], importance weights
    inputs: Array  # float32 [W, R, in]; the last row of a sequence is what its last step led to
    end: Array  # int64 [W, B], the row behind each sequence's last
    carry: Array  # float32 [W, B, C], before its first row
    burn_in: Array  # int64 [W, B]
    online_outputs: Array  # float32 [W, R, out]
    target_outputs: Array  # float32 [W, R, out]
    q_t: Array  # float32 [W, A], scratch
    q_t_selector: Array  # float32 [W, A], scratch
    q_tm1: Array  # float32 [W, A], scratch
    td_error: Array  # float32 [W, R]; 0 where nothing is learned
    output_grad: Array  # float32 [W, R, out], dL/d(online_outputs)
    loss: Array  # float64 [W]
    grad_norm: Array  # float64 [W], before clipping


def make_sequence_batch(
    n_rows: int, size: int, length: int, n_inputs: int, n_state: int, n_outputs: int, n_actions: int
) -> SequenceBatch:
    """Make the working space of updates on ``size`` sequences of up to ``length`` steps."""
    n_steps = size * (length + 1)
    return SequenceBatch(
        indices=np.zeros((n_rows, size), np.int64),
        weights=np.zeros((n_rows, size), np.float32),
        inputs=np.zeros((n_rows, n_steps, n_inputs), np.float32),
        end=np.zeros((n_rows, size), np.int64),
        carry=np.zeros((n_rows, size, n_state), np.float32),
        burn_in=np.zeros((n_rows, size), np.int64),
        online_outputs=np.zeros((n_rows, n_steps, n_outputs), np.float32),
        target_outputs=np.zeros((n_rows, n_steps, n_outputs), np.float32),
        q_t=np.zeros((n_rows, n_actions), np.float32),
        q_t_selector=np.zeros((n_rows, n_actions), np.float32),
        q_tm1=np.zeros((n_rows, n_actions), np.float32),
        td_error=np.zeros((n_rows, n_steps), np.float32),
        output_grad=np.zeros((n_rows, n_steps, n_outputs), np.float32),
        loss=np.zeros(n_rows),
        grad_norm=np.zeros(n_rows),
    )


@jit_implementation(train, inline=False, of=SequenceReplay)
def _train(state, params, seeds):
    batch = state.batch
    failed_at = state.failed_at
    for _ in range(state.hyper.gradient_steps):
        sample_batch(state.replay, state.priorities, state.sample_stream, batch, params.beta, failed_at, seeds)
        for i in range(seeds.first, seeds.last):
            row = seeds.row + i - seeds.first
            if failed_at[i] == 0:
                _encode(state, i, row)  # batch.inputs [R, in], end, carry, burn_in
                _unroll(state.target_net, batch, i, row, batch.target_outputs)  # [R, out]
                _unroll(state.online_net, batch, i, row, batch.online_outputs)  # [R, out], kept for the gradient
                _td_gradient(state.hyper, state.replay, batch, i, row)  # batch.td_error [R], output_grad [R, out]
                _apply_gradient(state, i, row, params.lr_scale)
        mark_failures(batch, state.loss, params.clock, failed_at, seeds)

        if params.tau > 0.0:
            polyak_update(state.target_net, state.online_net, params.tau, failed_at, seeds)
        if params.eval_ema > 0.0:
            polyak_update(state.eval_net, state.online_net, params.eval_ema, failed_at, seeds)
        for i in range(seeds.first, seeds.last):
            if failed_at[i] == 0:
                _update_priorities(state.replay, state.priorities, batch, i, seeds.row + i - seeds.first)


@jit_inline
def _encode(state, i, row):
    """Write the rows of the sampled sequences, and with what they begin."""
    replay = state.replay
    batch = state.batch
    n_action = replay.carry.action.shape[1]
    n_obs = batch.inputs.shape[2] - n_action - replay.carry.reward.shape[1]
    first = 0
    for b in range(batch.indices.shape[1]):
        slot = batch.indices[row, b]
        n_steps = replay.length[i, slot]
        for t in range(n_steps + 1):
            x = batch.inputs[row, first + t]
            expand_vector(state.observations, replay.obs[i, slot, t], x[:n_obs])
            last_action = replay.action[i, slot, t - 1] if t > 0 else replay.last_action[i, slot]
            write_one_hot(x[n_obs : n_obs + n_action], last_action)
            if replay.carry.reward.shape[1] > 0:
                x[n_obs + n_action] = replay.reward[i, slot, t - 1] if t > 0 else replay.last_reward[i, slot]
        for k in range(batch.carry.shape[2]):
            batch.carry[row, b, k] = replay.state[i, slot, k]
        begins_episode = replay.last_action[i, slot] < 0
        batch.burn_in[row, b] = 0 if begins_episode else min(state.hyper.burn_in, n_steps - 1)
        first += n_steps + 1
        batch.end[row, b] = first


@jit_inline
def _unroll(net, batch, i, row, outputs):
    """Write the outputs of one network at all rows."""
    n_rows = batch.end[row, -1]
    forward(net, i, row, batch.inputs[row, :n_rows], Sequences(batch.end[row], batch.carry[row], batch.burn_in[row]))
    copy_outputs(net, row, outputs[row, :n_rows])


@jit_inline
def _td_gradient(hyper, replay, batch, i, row):
    """Write TD errors, the loss, and its gradient; it is the mean over all steps that learn of weight * loss(error)."""
    first = 0
    n_learning = 0
    for b in range(batch.indices.shape[1]):
        n_learning += batch.end[row, b] - first - 1 - batch.burn_in[row, b]
        first = batch.end[row, b]
    total = 0.0
    first = 0
    for b in range(batch.indices.shape[1]):
        slot = batch.indices[row, b]
        weight = batch.weights[row, b]
        n_steps = replay.length[i, slot]
        for t in range(n_steps + 1):
            r = first + t
            batch.td_error[row, r] = np.float32(0.0)
            batch.output_grad[row, r, :] = np.float32(0.0)
            if batch.burn_in[row, b] <= t < n_steps:
                action = replay.action[i, slot, t]
                action_values(batch.online_outputs[row, r], hyper.dueling, batch.q_tm1[row])
                target = n_step_target(hyper, replay, batch, i, row, slot, t, first)
                td_error = np.float32(target) - batch.q_tm1[row, action]
                total += np.float64(weight * td_loss(td_error, hyper.huber))
                q_grad = td_loss_grad(td_error, hyper.huber) * weight / np.float32(n_learning)
                output_gradient(q_grad, action, hyper.dueling, batch.output_grad[row, r])
                batch.td_error[row, r] = td_error
        first += n_steps + 1
    batch.loss[row] = total / n_learning


@jit_inline
def n_step_target(hyper, replay, batch, i, row, slot, t, first):
    """Return the target of step t of a sequence whose rows begin at ``first``: rewards of n steps, then a value."""
    n_steps = replay.length[i, slot]
    target = 0.0
    discount = 1.0
    after = t
    while after < min(t + hyper.n_step, n_steps):
        target += discount * replay.reward[i, slot, after]
        discount *= replay.gamma
        after += 1
    if after == n_steps and replay.terminated[i, slot]:
        return target
    q_t = batch.q_t[row]
    selector = batch.q_t_selector[row]
    action_values(batch.target_outputs[row, first + after], hyper.dueling, q_t)
    chooser = batch.online_outputs if hyper.double else batch.target_outputs
    action_values(chooser[row, first + after], hyper.dueling, selector)
    legal = hyper.legal_actions[legal_row(hyper.legal_actions, replay.obs[i, slot, after])]
    return target + discount * double_q_value(selector, q_t, legal)


@jit_inline
def _apply_gradient(state, i, row, lr_scale):
    batch = state.batch
    net = state.online_net
    n_rows = batch.end[row, -1]
    sequences = Sequences(batch.end[row], batch.carry[row], batch.burn_in[row])
    backward(net, i, row, batch.inputs[row, :n_rows], batch.output_grad[row, :n_rows], sequences)
    batch.grad_norm[row] = clip_and_update(state.optimizer, i, net.params[i], net.gradient[row], lr_scale)


@jit_inline
def _update_priorities(replay, priorities, batch, i, row):
    """Set the priorities of the sampled sequences, from the largest and the mean TD error of each."""
    first = 0
    for b in range(batch.indices.shape[1]):
        largest = 0.0
        total = 0.0
        n = 0
        for r in range(first + batch.burn_in[row, b], batch.end[row, b] - 1):
            largest = max(largest, abs(np.float64(batch.td_error[row, r])))
            total += abs(np.float64(batch.td_error[row, r]))
            n += 1
        first = batch.end[row, b]
        priority = replay.max_share * largest + (1.0 - replay.max_share) * total / n
        update_priority(priorities, i, batch.indices[row, b], priority, replay_size(replay, i))
