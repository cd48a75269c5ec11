"""The update of a Monte Carlo policy gradient, in every seed whose batch of episodes is complete.

Two passes over the batch in chunks that stay in the cache: the value network's, which also gives the baseline, and the
policy's. Their gradients add up before either takes a step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.networks.dense import Net, backward, forward, forward_row, outputs_at
from agents.common.networks.optimizers import Optimizer, apply_update, clip_grad_norm
from agents.reinforce.episodes import Counts, Hand, policy_slopes, see, weigh
from agents.reinforce.gradient import VALUE, returns_to_go, squared_gradient
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array

CHUNK = 128  # rows that go through a network at once: they stay in the cache


class Brain(NamedTuple):
    """Everything that an update changes."""

    policy: Net
    policy_optimizer: Optimizer
    hand: Hand
    std_optimizer: Optimizer
    value: Net
    value_optimizer: Optimizer
    counts: Counts
    loss: Array  # float64 [S, 3], of the latest update: the policy's, the value's, and the mean entropy


class Kept(NamedTuple):
    """The arrays of a brain that a checkpoint holds beside the networks."""

    log_std: Array
    stream: Array
    std_slots: Array
    std_updates: Array
    clock: Array
    failed_at: Array
    loss: Array


def kept(brain: Brain) -> Kept:
    """What of a brain goes into a checkpoint beside the networks."""
    hand, optimizer = brain.hand, brain.std_optimizer
    return Kept(hand.log_std, hand.stream, optimizer.moments, optimizer.step_count, *brain.counts, brain.loss)


class Scratch(NamedTuple):
    """Room for one update in each row w; never part of the state."""

    x: Array  # float32 [S, CHUNK, F]
    dy: Array  # float32 [S, CHUNK * widest output]
    value: Array  # float64 [S, T]
    returns: Array  # float64 [S, T]
    advantage: Array  # float64 [S, T]
    tail: Array  # float64 [S, E]
    policy_slope: Array  # float32 [S, P]
    value_slope: Array  # float32 [S, P]
    std_slope: Array  # float64 [S, D]
    std_gradient: Array  # float32 [S, D]


def make_scratch(brain: Brain, n_episodes: int, longest: int) -> Scratch:
    """Room for batches. Only one row per thread is ever used, and untouched memory costs nothing."""
    n, n_rows, widest = len(brain.hand.y), n_episodes * longest, int(brain.policy.sizes[-1])
    wide = np.zeros((n, CHUNK, int(brain.policy.sizes[0])), np.float32)
    rows = [np.zeros((n, n_rows)) for _ in range(3)]
    slopes = [np.zeros_like(net.params) for net in (brain.policy, brain.value)]
    std = np.zeros(brain.hand.log_std.shape)
    dy = np.zeros((n, CHUNK * widest), np.float32)
    return Scratch(wide, dy, *rows, np.zeros((n, n_episodes)), *slopes, std, std.astype(np.float32))


@jit
def _returns(brain, episodes, rule, scratch, at):
    """Returns of every row; after the last step of a truncated episode follows V of what it led to."""
    i, w = at
    for e in range(episodes.end.shape[1]):
        scratch.tail[w, e] = 0.0
        if episodes.truncated[i, e] and rule.bootstrap and rule.baseline == VALUE:
            see(episodes.final_obs[i, e : e + 1], rule, scratch.x[w, :1])
            forward_row(brain.value, i, w, scratch.x[w, 0], scratch.dy[w, :1])
            scratch.tail[w, e] = scratch.dy[w, 0]
    reward = episodes.reward[i, : episodes.n_rows[i]]
    returns_to_go(reward, episodes.end[i], scratch.tail[w], rule.gamma, scratch.returns[w])


@jit_inline
def _add(total, part):
    for k in range(len(total)):
        total[k] += part[k]


@jit
def _value_pass(brain, episodes, rule, scratch, at):
    """Value every row, and gather the gradient of half the mean squared error; that loss, nan if either is broken."""
    (i, w), loss, first = at, 0.0, 0
    n_rows = episodes.n_rows[i] if rule.baseline == VALUE else 0
    scratch.value_slope[w, :] = np.float32(0.0)
    while first < n_rows:
        n = min(CHUNK, n_rows - first)
        x, dy = scratch.x[w, :n], scratch.dy[w, :n].reshape((n, 1))
        see(episodes.obs[i, first : first + n], rule, x)
        forward(brain.value, i, w, x)
        start = outputs_at(brain.value, n)
        for r in range(n):
            value = brain.value.outputs[w, start + r]
            scratch.value[w, first + r] = value
            slope, part = squared_gradient(value, scratch.returns[w, first + r], 1.0 / n_rows)
            dy[r, 0] = slope
            loss += part
        backward(brain.value, i, w, x, dy)
        _add(scratch.value_slope[w], brain.value.gradient[w])
        first += n
    return loss if np.isfinite(clip_grad_norm(brain.value_optimizer, scratch.value_slope[w])) else np.nan


@jit
def _policy_pass(brain, episodes, rule, scratch, at):
    """Gather the gradient of the policy's loss; that loss and the mean entropy."""
    (i, w), loss, entropy, first = at, 0.0, 0.0, 0
    n_rows, width = episodes.n_rows[i], brain.policy.sizes[-1]
    scratch.policy_slope[w, :] = np.float32(0.0)
    scratch.std_slope[w, :] = 0.0
    while first < n_rows:
        n = min(CHUNK, n_rows - first)
        x = scratch.x[w, :n]
        see(episodes.obs[i, first : first + n], rule, x)
        forward(brain.policy, i, w, x)
        start = outputs_at(brain.policy, n)
        y, dy = brain.policy.outputs[w, start : start + n * width], scratch.dy[w, : n * width]
        arrays = (y, dy, scratch.advantage[w], scratch.std_slope[w])
        part, more = policy_slopes(episodes, brain.hand, rule, (i, first, n), arrays)
        backward(brain.policy, i, w, x, scratch.dy[w, : n * width].reshape((n, width)))
        _add(scratch.policy_slope[w], brain.policy.gradient[w])
        loss += part
        entropy += more
        first += n
    return loss, entropy / n_rows


@jit
def _follow(optimizer, i, weights, slope, share):
    """One step of an optimiser in seed i, compiled once for all three: inlined, it triples what has to be compiled."""
    apply_update(optimizer, i, weights[i], slope, share)


@jit_inline
def _improve_policy(brain, rule, scratch, at, share):
    """One step of the policy and its log std; False, and nothing done, where a gradient is not finite."""
    i, w = at
    for d in range(scratch.std_slope.shape[1]):
        scratch.std_gradient[w, d] = scratch.std_slope[w, d]
    norm = clip_grad_norm(brain.policy_optimizer, scratch.policy_slope[w])
    if not rule.discrete:
        norm += clip_grad_norm(brain.std_optimizer, scratch.std_gradient[w])
    if not np.isfinite(norm):
        return False
    _follow(brain.policy_optimizer, i, brain.policy.params, scratch.policy_slope[w], share)
    if not rule.discrete:
        _follow(brain.std_optimizer, i, brain.hand.log_std, scratch.std_gradient[w], share)
    return True


@jit_inline
def _learn_policy(brain, episodes, rule, scratch, at, share):
    """One step along the advantages; False, and nothing done, where loss or gradient is not finite."""
    i, w = at
    weigh(episodes, rule, i, (scratch.returns[w], scratch.value[w], scratch.advantage[w]))
    loss, entropy = _policy_pass(brain, episodes, rule, scratch, at)
    if not np.isfinite(loss) or not _improve_policy(brain, rule, scratch, at, share):
        return False
    brain.loss[i, 0], brain.loss[i, 2] = loss, entropy
    return True


@jit
def update_block(block, brain, episodes, rule, scratch, shares):
    """Update the seeds from block[0] to block[1] whose batches are complete, and empty these.

    ``shares`` are the learning rates of policy and value as shares of their first.
    """
    for i in range(block[0], block[1]):
        if episodes.n_episodes[i] == episodes.end.shape[1]:
            at, fine = (i, block[0]), True
            _returns(brain, episodes, rule, scratch, at)
            for update in range(rule.value_updates):
                value_loss = _value_pass(brain, episodes, rule, scratch, at)
                fine = fine and np.isfinite(value_loss)
                if fine and update == 0:
                    brain.loss[i, 1] = value_loss
                    fine = _learn_policy(brain, episodes, rule, scratch, at, shares[0])
                if fine and rule.baseline == VALUE:
                    _follow(brain.value_optimizer, i, brain.value.params, scratch.value_slope[block[0]], shares[1])
            if not fine:
                brain.counts.failed_at[i] = brain.counts.clock[i]
            episodes.n_rows[i], episodes.n_episodes[i] = 0, 0
