"""Deep Q-learning with a recurrence: updates on sequences, in the order of Kapturowski et al. 2019 (R2D2).

Both networks unroll a sequence by themselves from its first observation, and from the state that the network had there
when it acted. The first steps of a sequence that begins in the middle of an episode bring that state up to date, and
get no gradient. A target looks n steps ahead within the sequence; where that ends before its episode does, fewer.
Hausknecht and Stone 2015 have the first network of this kind. Acting, storing and losses are those of
:mod:`agents.dqn.update`.

The text is written once for two backends, which differ in ``encode_sequences``, ``unroll`` and
``apply_sequence_gradient``. Here these stand for torch, with all seeds at once and sequences padded to one length;
:mod:`agents.dqn.learner` holds the compiled ones, for which sequences lie one behind the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.common.replay.buffer import replay_size
from agents.common.replay.prioritized import update_priority
from agents.common.replay.sequences import SequenceReplay
from agents.common.spaces import legal_row
from agents.dqn.update import (
    TrainState,
    action_values,
    double_q_value,
    mark_failures,
    output_gradient,
    polyak_update,
    replace_overwritten,
    sample_batch,
    td_loss,
    td_loss_grad,
    train,
)
from simulator.core.jit import Seeds, jit_implementation, jit_inline, jit_shared
from simulator.core.protocols import Array


class SequenceBatch(NamedTuple):
    """A batch of B sequences in each of W rows, as up to R = B (L + 1) rows of steps, and the results of an update."""

    indices: Array  # int64 [W, B], in the replay
    weights: Array  # float32 [W, B], importance weights
    inputs: Array  # [W, R, *in]; the last row of a sequence is what its last step led to
    extras: Array  # float32 [W, R, E], the last action and reward; of torch's backend, the others have them in inputs
    begin: Array  # int64 [W, B], each sequence's first row
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
    n_rows: int,
    size: int,
    length: int,
    input_shape: tuple[int, ...],
    n_state: int,
    n_outputs: int,
    n_actions: int,
    *,
    input_dtype: type = np.float32,
    n_extras: int = 0,
) -> SequenceBatch:
    """Make the working space of updates on ``size`` sequences of up to ``length`` steps."""
    n_steps = size * (length + 1)
    return SequenceBatch(
        indices=np.zeros((n_rows, size), np.int64),
        weights=np.zeros((n_rows, size), np.float32),
        inputs=np.zeros((n_rows, n_steps, *input_shape), input_dtype),
        extras=np.zeros((n_rows, n_steps, n_extras), np.float32),
        begin=np.zeros((n_rows, size), np.int64),
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


# The learner: three functions in which the backends differ.


def encode_sequences(state: TrainState, seeds: Seeds) -> None:
    """Write the rows of the sampled sequences, and with what they begin."""
    batch: Any = state.batch
    replay: Any = state.replay
    oldest = state.observations.oldest()
    if oldest is not None:
        replace_overwritten(replay.obs[:, :, 0, 0], replay.n_added, batch, oldest)
    n_seeds, n_sequences = batch.indices.shape
    size = replay.obs.shape[2]  # rows of the longest sequence
    at = (np.arange(n_seeds)[:, None], batch.indices)
    length = replay.length[at].astype(np.int64)  # [S, B]
    t = np.arange(size)
    is_row = t <= length[..., None]  # [S, B, L + 1]
    inputs = state.observations.inputs(replay.obs[at].reshape(n_seeds, n_sequences * size, -1))
    batch.inputs[...] = inputs
    if inputs.dtype != np.uint8:
        batch.inputs[~is_row.reshape(n_seeds, -1)] = 0.0
    last_action = np.concatenate([replay.last_action[at][..., None], replay.action[at]], axis=-1)
    last_reward = np.concatenate([replay.last_reward[at][..., None], replay.reward[at]], axis=-1)
    n_action = replay.carry.action.shape[1]
    extras = batch.extras.reshape(n_seeds, n_sequences, size, -1)
    extras[..., :n_action] = last_action[..., None] == np.arange(n_action)
    extras[..., n_action:] = last_reward[..., None]
    extras[~is_row] = 0.0
    batch.begin[...] = size * np.arange(n_sequences)
    batch.end[...] = batch.begin + length + 1
    batch.carry[...] = replay.state[at]
    begins_episode = replay.last_action[at] < 0
    batch.burn_in[...] = np.where(begins_episode, 0, np.minimum(state.hyper.burn_in, length - 1))


def unroll(net: Any, batch: SequenceBatch, outputs: Array, keep: bool, failed_at: Array, seeds: Seeds) -> None:
    """Write the outputs [W, R, out] of a network at all rows; with ``keep`` the gradient can be taken at them.

    Compiled networks always keep their latest forward pass, so the one whose gradient is taken has to come last.
    """
    n_seeds, n_sequences = batch.indices.shape

    def padded(rows: Array) -> Array:
        return rows.reshape(n_seeds, n_sequences, -1, *rows.shape[2:])

    inputs = (padded(batch.inputs), padded(batch.extras), batch.carry, batch.burn_in)
    outputs[...] = net.unroll(inputs, keep).reshape(outputs.shape)


def apply_sequence_gradient(state: TrainState, lr_scale: float, seeds: Seeds) -> None:
    """Backpropagate ``batch.output_grad``, clip the gradient and step the optimiser; writes ``batch.grad_norm``."""
    batch = state.batch
    output_grad = batch.output_grad.reshape(*batch.indices.shape, -1, batch.output_grad.shape[-1])
    batch.grad_norm[:] = state.online_net.apply_gradient(output_grad, state.failed_at == 0, lr_scale)


# The update.


@jit_implementation(train, inline=False, of=SequenceReplay)
def train_sequences(state, params, seeds):
    """Update the networks ``gradient_steps`` times on batches of sequences."""
    batch = state.batch
    failed_at = state.failed_at
    for _ in range(state.hyper.gradient_steps):
        sample_batch(state.replay, state.priorities, state.sample_stream, batch, params.beta, failed_at, seeds)
        encode_sequences(state, seeds)  # batch.inputs [R, *in], begin, end, carry, burn_in
        unroll(state.target_net, batch, batch.target_outputs, False, failed_at, seeds)  # [R, out]
        unroll(state.online_net, batch, batch.online_outputs, True, failed_at, seeds)  # [R, out]
        td_gradient(state.hyper, state.replay, batch, failed_at, seeds)  # batch.td_error [R], output_grad [R, out]
        apply_sequence_gradient(state, params.lr_scale, seeds)  # backpropagate, clip, step the optimiser
        mark_failures(batch, state.loss, params.clock, failed_at, seeds)

        if params.tau > 0.0:
            polyak_update(state.target_net, state.online_net, params.tau, failed_at, seeds)
        if params.eval_ema > 0.0:
            polyak_update(state.eval_net, state.online_net, params.eval_ema, failed_at, seeds)
        update_sequence_priorities(state.replay, state.priorities, batch, failed_at, seeds)


@jit_shared
def td_gradient(hyper, replay, batch, failed_at, seeds):
    """Write TD errors, the loss, and its gradient; it is the mean over all steps that learn of weight * loss(error)."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] > 0:
            continue
        batch.td_error[row, :] = np.float32(0.0)
        batch.output_grad[row, :, :] = np.float32(0.0)
        n_learning = 0
        for b in range(batch.indices.shape[1]):
            n_learning += batch.end[row, b] - batch.begin[row, b] - 1 - batch.burn_in[row, b]
        total = 0.0
        for b in range(batch.indices.shape[1]):
            slot = batch.indices[row, b]
            weight = batch.weights[row, b]
            for t in range(batch.burn_in[row, b], replay.length[i, slot]):
                r = batch.begin[row, b] + t
                action = replay.action[i, slot, t]
                action_values(batch.online_outputs[row, r], hyper.dueling, batch.q_tm1[row])
                target = n_step_target(hyper, replay, batch, i, row, slot, t, batch.begin[row, b])
                td_error = np.float32(target) - batch.q_tm1[row, action]
                total += np.float64(weight * td_loss(td_error, hyper.huber))
                q_grad = td_loss_grad(td_error, hyper.huber) * weight / np.float32(n_learning)
                output_gradient(q_grad, action, hyper.dueling, batch.output_grad[row, r])
                batch.td_error[row, r] = td_error
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


@jit_shared
def update_sequence_priorities(replay, priorities, batch, failed_at, seeds):
    """Set the priorities of the sampled sequences, from the largest and the mean TD error of each."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] > 0:
            continue
        for b in range(batch.indices.shape[1]):
            largest = 0.0
            total = 0.0
            n = 0
            for r in range(batch.begin[row, b] + batch.burn_in[row, b], batch.end[row, b] - 1):
                largest = max(largest, abs(np.float64(batch.td_error[row, r])))
                total += abs(np.float64(batch.td_error[row, r]))
                n += 1
            priority = replay.max_share * largest + (1.0 - replay.max_share) * total / n
            update_priority(priorities, i, batch.indices[row, b], priority, replay_size(replay, i))
