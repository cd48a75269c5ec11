"""Deep Q-learning, in the order of the papers: act, store, sample, targets, gradient, target network, priorities.

Mnih et al. 2015; van Hasselt et al. 2016 (double); Wang et al. 2016 (dueling, mean form, eq. 9); Schaul et al. 2016
(prioritized replay); Huber 1964; Dabney et al. 2021 (repeated random actions). Names carry the time, as in rlax: a
transition leads from obs_tm1 by a_tm1 to r_t, discount_t and obs_t.

The text is written once for two backends. Networks are compiled ones, and a whole rollout of one seed after the other
is a single compiled call; or they are torch's, and Python calls the same functions with all seeds at once. The backends
differ in the five functions of a learner: ``encode``, ``forward``, ``forward_obs``, ``apply_gradient``,
``polyak_update``. Here they stand for torch; :mod:`agents.dqn.learner` holds the compiled ones. Updates on sequences
are in :mod:`agents.dqn.recurrent`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.common.exploration import Explore, argmax, choose, make_explore, scheduled
from agents.common.networks.compiled import is_recurrent, step_networks, write_one_hot
from agents.common.networks.optimizers import linear_decay
from agents.common.networks.recurrent import Carry
from agents.common.replay.buffer import ReplayBuffer, add_step, replay_size
from agents.common.replay.prioritized import Priorities, add_priority, sample, update_priority
from agents.common.spaces import legal_row
from simulator.core.field_types import steps_of_run
from simulator.core.jit import (
    Seeds,
    compiled_or_python,
    jit_implementation,
    jit_inline,
    jit_or_python,
    jit_shared,
)
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below, uniform


class DQNHyperparams(NamedTuple):
    """The settings as compiled code takes them; see :class:`agents.dqn.Config`."""

    double: bool
    dueling: bool
    huber: bool
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], legal actions: their number, then they
    learning_starts: int
    train_frequency: int
    gradient_steps: int
    n_step: int
    burn_in: int  # of sequences, see :mod:`agents.dqn.recurrent`
    target_update_interval: int  # 0: soft updates by tau
    tau: float
    eval_ema: float
    beta: float
    beta_steps: int
    learning_rate: float
    lr_end: float
    lr_decay_steps: int
    explore: Explore
    max_action_repeat: int


class UpdateParams(NamedTuple):
    """The parameters of an update that change with the environment step."""

    clock: int  # environment steps
    beta: float  # exponent of the importance weights
    lr_scale: float  # fraction of the first learning rate
    tau: float  # of the target network, after every update; 0: it is copied at intervals
    eval_ema: float  # weight of the newest weights in the average that evaluation plays by; 0: no average


class ActionSampler(NamedTuple):
    """Random streams and repeated actions of S seeds, and scratch for the outputs that they choose by."""

    stream: Array  # uint64 [S, 4]
    repeated_action: Array  # int64 [S]
    repeats_left: Array  # int64 [S]
    carry: Carry  # of the network that chooses
    inputs: Array  # float32 [S, in], scratch
    outputs: Array  # float32 [S, out], scratch
    q: Array  # float32 [S, A], scratch


class Batch(NamedTuple):
    """A batch of B transitions in each of W rows, and the intermediate results of an update."""

    indices: Array  # int64 [W, B], in the replay
    weights: Array  # float32 [W, B], importance weights
    obs_tm1: Array  # [W, B, *in]
    obs_t: Array  # [W, B, *in]
    target_outputs_t: Array  # float32 [W, B, out], the target network's at obs_t
    online_outputs_t: Array  # float32 [W, B, out], the online network's at obs_t; unused without double
    outputs_tm1: Array  # float32 [W, B, out], the online network's at obs_tm1
    q_t: Array  # float32 [W, A], action values at one obs_t
    q_t_selector: Array  # float32 [W, A], action values that select the action there
    q_tm1: Array  # float32 [W, A], action values at one obs_tm1
    td_target: Array  # float32 [W, B]
    td_error: Array  # float32 [W, B]
    loss: Array  # float64 [W]
    output_grad: Array  # float32 [W, B, out], dL/d(outputs_tm1)
    grad_norm: Array  # float64 [W], before clipping


class TrainState(NamedTuple):
    """Train state of S learners."""

    hyper: DQNHyperparams
    online_net: Any  # networks of the backend
    target_net: Any
    eval_net: Any  # running average of the online weights, or the online networks themselves
    optimizer: Any  # of the compiled backend; torch's networks hold their own
    replay: Any  # ReplayBuffer; of recurrent networks SequenceReplay
    priorities: Priorities
    sample_stream: Array  # uint64 [S, 4]
    observations: Any  # a store of observations, or its ``VectorEncoding`` with the compiled backend
    sampler: ActionSampler
    batch: Batch
    loss: Array  # float64 [S], the latest
    failed_at: Array  # int64 [S], the environment step at which loss or gradient was not finite; 0: none


def make_hyperparams(config: Any, legal_actions: Array) -> DQNHyperparams:
    """Check the settings of :class:`agents.dqn.Config` and give them as compiled code takes them.

    Raises:
        ValueError: exploration out of range, or random actions repeated where a softmax chooses all of them.
    """
    explore = make_explore(config.explore)
    if explore.softmax and config.max_action_repeat > 1:
        raise ValueError(
            f"agent.max_action_repeat = {config.max_action_repeat}: expected 1 with agent.explore.kind = 'softmax'"
        )
    return DQNHyperparams(
        double=config.double,
        dueling=config.dueling,
        huber=config.loss == "huber",
        legal_actions=legal_actions,
        learning_starts=config.learning_starts,
        train_frequency=config.train_frequency,
        gradient_steps=config.gradient_steps,
        n_step=config.n_step,
        burn_in=config.sequence.burn_in,
        target_update_interval=config.target_update_interval,
        tau=0.0 if config.target_update_interval else float(config.tau),
        eval_ema=float(config.eval_ema),
        beta=float(config.priority.beta),
        beta_steps=steps_of_run(config.priority.beta_steps),
        learning_rate=float(config.optimizer.learning_rate),
        lr_end=float(config.optimizer.lr_end),
        lr_decay_steps=config.optimizer.lr_decay_steps,
        explore=explore,
        max_action_repeat=config.max_action_repeat,
    )


def make_sampler(stream: Array, n_inputs: int, n_outputs: int, n_actions: int, carry: Carry) -> ActionSampler:
    """Make a sampler that draws from ``stream`` [S, 4] and repeats nothing yet."""
    n_seeds = len(stream)
    return ActionSampler(
        stream=stream,
        repeated_action=np.zeros(n_seeds, np.int64),
        repeats_left=np.zeros(n_seeds, np.int64),
        carry=carry,
        inputs=np.zeros((n_seeds, n_inputs), np.float32),
        outputs=np.zeros((n_seeds, n_outputs), np.float32),
        q=np.zeros((n_seeds, n_actions), np.float32),
    )


def make_batch(
    n_rows: int, size: int, input_shape: tuple[int, ...], input_dtype: type, n_outputs: int, n_actions: int
) -> Batch:
    """Make the working space of updates on batches of ``size``."""
    return Batch(
        indices=np.zeros((n_rows, size), np.int64),
        weights=np.zeros((n_rows, size), np.float32),
        obs_tm1=np.zeros((n_rows, size, *input_shape), input_dtype),
        obs_t=np.zeros((n_rows, size, *input_shape), input_dtype),
        target_outputs_t=np.zeros((n_rows, size, n_outputs), np.float32),
        online_outputs_t=np.zeros((n_rows, size, n_outputs), np.float32),
        outputs_tm1=np.zeros((n_rows, size, n_outputs), np.float32),
        q_t=np.zeros((n_rows, n_actions), np.float32),
        q_t_selector=np.zeros((n_rows, n_actions), np.float32),
        q_tm1=np.zeros((n_rows, n_actions), np.float32),
        td_target=np.zeros((n_rows, size), np.float32),
        td_error=np.zeros((n_rows, size), np.float32),
        loss=np.zeros(n_rows),
        output_grad=np.zeros((n_rows, size, n_outputs), np.float32),
        grad_norm=np.zeros(n_rows),
    )


# The learner: five functions in which the backends differ. These bodies are torch's, for all seeds at once;
# agents/dqn/learner.py registers the compiled ones, for one seed after the other.


def encode(state: TrainState, seeds: Seeds) -> None:
    """Write the network inputs of the sampled transitions to ``batch.obs_tm1`` and ``batch.obs_t``."""
    batch = state.batch
    oldest = state.observations.oldest()
    if oldest is not None:
        replace_overwritten(state.replay.obs[..., 0], state.replay.n_added, batch, oldest)
    indices = batch.indices[..., None]
    batch.obs_tm1[...] = state.observations.inputs(np.take_along_axis(state.replay.obs, indices, axis=1))
    batch.obs_t[...] = state.observations.inputs(np.take_along_axis(state.replay.next_obs, indices, axis=1))


def forward(net: Any, x: Array, outputs: Array, keep: bool, seeds: Seeds) -> None:
    """Write the outputs [W, B, out] at x [W, B, *in]; with ``keep`` the gradient can be taken at them.

    Compiled networks always keep their latest forward pass, so the one whose gradient is taken has to come last.
    """
    outputs[...] = net.forward(x, keep=keep)


def forward_obs(net: Any, observations: Any, sampler: ActionSampler, obs: Array, actions: Array, seeds: Seeds) -> None:
    """Write ``sampler.outputs`` [S, out] at stored observations ``obs`` [S, F], where actions [S] are still open."""
    step_networks(net, observations.inputs(obs[:, None])[:, 0], sampler.carry, sampler.outputs)


def apply_gradient(state: TrainState, lr_scale: float, seeds: Seeds) -> None:
    """Backpropagate ``batch.output_grad``, clip the gradient and step the optimiser; writes ``batch.grad_norm``."""
    state.batch.grad_norm[:] = state.online_net.apply_gradient(state.batch.output_grad, state.failed_at == 0, lr_scale)


def polyak_update(net: Any, online: Any, tau: float, failed_at: Array, seeds: Seeds) -> None:
    """Move the weights of ``net`` towards the online ones by the fraction ``tau``; 1 copies them."""
    net.polyak_update(online, tau)


# Acting.


@jit_or_python(inline=True)
def act(net, observations, hyper, sampler, obs, clock, actions, seeds):
    """Write exploring actions [S] at stored observations ``obs`` [S, F], after ``clock`` environment steps."""
    n_open = explore_actions(hyper, sampler, obs, clock, actions, seeds)
    if n_open > 0 or is_recurrent(net):  # what a recurrence carries goes on in every step
        forward_obs(net, observations, sampler, obs, actions, seeds)
    if n_open > 0:
        value_actions(hyper, sampler, obs, clock, actions, seeds)
    carry_actions(sampler.carry, actions, seeds)


@jit_shared
def explore_actions(hyper, sampler, obs, clock, actions, seeds):
    """Write random actions where exploration begins or goes on, and -1 elsewhere; the number of the latter."""
    n_open = 0
    for i in range(seeds.first, seeds.last):
        actions[i] = -1
        if not hyper.explore.softmax:
            legal = hyper.legal_actions[legal_row(hyper.legal_actions, obs[i])]
            actions[i] = ez_greedy_action(sampler, i, legal, scheduled(hyper.explore, clock), hyper.max_action_repeat)
        n_open += actions[i] < 0
    return n_open


@jit_inline
def ez_greedy_action(sampler, i, legal_actions, epsilon, max_repeat):
    """Return a random action of seed i, or -1 where it should be greedy.

    A random action is repeated for k steps or more with probability 1/k, up to ``max_repeat`` (after Dabney,
    Ostrovski and Barreto 2021), and is dropped where it is not legal.
    """
    if sampler.repeats_left[i] > 0:
        sampler.repeats_left[i] -= 1
        for m in range(1, 1 + legal_actions[0]):
            if legal_actions[m] == sampler.repeated_action[i]:
                return sampler.repeated_action[i]
        sampler.repeats_left[i] = 0
    if uniform(sampler.stream, i) >= epsilon:
        return -1
    sampler.repeated_action[i] = legal_actions[1 + below(sampler.stream, i, legal_actions[0])]
    if max_repeat > 1:
        duration = min(1.0 / (1.0 - uniform(sampler.stream, i)), max_repeat)
        sampler.repeats_left[i] = np.int64(duration) - 1
    return sampler.repeated_action[i]


@jit_shared
def value_actions(hyper, sampler, obs, clock, actions, seeds):
    """Choose by the action values of ``sampler.outputs`` [S, out] where actions are still open."""
    for i in range(seeds.first, seeds.last):
        if actions[i] < 0:
            legal = hyper.legal_actions[legal_row(hyper.legal_actions, obs[i])]
            action_values(sampler.outputs[i], hyper.dueling, sampler.q[i])
            if hyper.explore.softmax:
                actions[i] = choose(sampler.stream, i, sampler.q[i], legal, hyper.explore, clock)
            else:
                actions[i] = argmax(sampler.stream, i, sampler.q[i], legal)


@jit_inline
def action_values(outputs, dueling, q):
    """Write action values q [A] of a network's outputs: themselves, or V + A - mean A from [V, A ...]."""
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


@jit_shared
def carry_actions(carry, actions, seeds):
    """Carry the actions [S] on to the next step, where a recurrence sees them."""
    for i in range(seeds.first, seeds.last):
        write_one_hot(carry.action[i], actions[i])


# Storing.


@jit_shared
def store_steps(replay, priorities, obs, actions, reward, terminated, truncated, next_obs, seeds):
    """Store one environment step of every seed in the block.

    Observations [S, F] are stored ones. A seed whose reward or next observation is not finite ends this: its number
    is returned, and -1 where there is none.
    """
    for i in range(seeds.first, seeds.last):
        finite = np.isfinite(reward[i])
        for f in range(next_obs.shape[1]):
            finite &= np.isfinite(next_obs[i, f])
        if not finite:
            return i
        n_before = replay.n_added[i]
        add_step(replay, i, obs[i], actions[i], reward[i], terminated[i], truncated[i], next_obs[i])
        for count in range(n_before, replay.n_added[i]):
            add_priority(priorities, i, count % replay.action.shape[1], count)
    return -1


# Learning.


@jit_or_python(inline=True)
def learn(state, clock, seeds):
    """Train, and copy the target network, each where environment step ``clock``, counted from 1, is its time."""
    if trains_at(state.hyper, clock):
        train(state, update_params(state.hyper, clock), seeds)
    if copies_at(state.hyper, clock):
        polyak_update(state.target_net, state.online_net, 1.0, state.failed_at, seeds)


@jit_or_python(inline=True)
def trains_at(hyper, clock):
    """Tell whether environment step ``clock`` ends with updates."""
    return clock >= hyper.learning_starts and clock % hyper.train_frequency == 0


@jit_or_python(inline=True)
def copies_at(hyper, clock):
    """Tell whether environment step ``clock`` ends with a copy of the online network to the target."""
    return hyper.target_update_interval > 0 and clock % hyper.target_update_interval == 0


@jit_or_python(inline=True)
def update_params(hyper, clock):
    """Return the update parameters at environment step ``clock``."""
    progress = min(clock / hyper.beta_steps, 1.0) if hyper.beta_steps else 0.0
    eval_ema = 0.0
    if hyper.eval_ema > 0.0:  # a plain mean at first, so that no trace of the first weights is left
        first = (hyper.learning_starts - 1) // hyper.train_frequency
        n_updates = max(max(clock - 1, 0) // hyper.train_frequency - first, 0) * hyper.gradient_steps
        eval_ema = max(hyper.eval_ema, 1.0 / (1 + n_updates))
    return UpdateParams(
        clock,
        hyper.beta + (1.0 - hyper.beta) * progress,
        linear_decay(clock, hyper.lr_decay_steps, hyper.learning_rate, hyper.lr_end),
        hyper.tau,
        eval_ema,
    )


@compiled_or_python
def train(state: TrainState, params: UpdateParams, seeds: Seeds) -> None:
    """Update the networks ``gradient_steps`` times, in the way of the replay: on transitions, or on sequences."""


@jit_implementation(train, inline=False, of=ReplayBuffer)
def train_transitions(state, params, seeds):
    """Update the networks ``gradient_steps`` times on batches of transitions."""
    batch = state.batch
    failed_at = state.failed_at
    for _ in range(state.hyper.gradient_steps):
        sample_batch(state.replay, state.priorities, state.sample_stream, batch, params.beta, failed_at, seeds)
        encode(state, seeds)  # batch.obs_tm1, batch.obs_t [B, *in]

        forward(state.target_net, batch.obs_t, batch.target_outputs_t, False, seeds)  # [B, out]
        if state.hyper.double:
            forward(state.online_net, batch.obs_t, batch.online_outputs_t, False, seeds)
        td_targets(state.hyper, state.replay, batch, failed_at, seeds)  # batch.td_target [B]

        forward(state.online_net, batch.obs_tm1, batch.outputs_tm1, True, seeds)
        loss_gradient(state.hyper, state.replay, batch, failed_at, seeds)  # batch.td_error [B], output_grad [B, out]
        apply_gradient(state, params.lr_scale, seeds)  # backpropagate, clip, step the optimiser
        mark_failures(batch, state.loss, params.clock, failed_at, seeds)

        if params.tau > 0.0:
            polyak_update(state.target_net, state.online_net, params.tau, failed_at, seeds)
        if params.eval_ema > 0.0:
            polyak_update(state.eval_net, state.online_net, params.eval_ema, failed_at, seeds)
        update_priorities(state.replay, state.priorities, batch, failed_at, seeds)


@jit_shared
def sample_batch(replay, priorities, stream, batch, beta, failed_at, seeds):
    """Sample ``batch.indices`` and their importance weights (Schaul et al. 2016, section 3.4)."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] == 0:
            sample(priorities, stream, i, replay_size(replay, i), beta, batch.indices[row], batch.weights[row])


@jit_shared
def td_targets(hyper, replay, batch, failed_at, seeds):
    """Write targets r_t + discount_t * q_t(a) to ``batch.td_target`` (Mnih et al. 2015; van Hasselt et al. 2016)."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] > 0:
            continue
        q_t = batch.q_t[row]
        q_t_selector = batch.q_t_selector[row]
        for j in range(batch.indices.shape[1]):
            k = batch.indices[row, j]
            r_t = replay.n_step_return[i, k]
            discount_t = replay.discount[i, k]
            action_values(batch.target_outputs_t[row, j], hyper.dueling, q_t)
            action_values(
                batch.online_outputs_t[row, j] if hyper.double else batch.target_outputs_t[row, j],
                hyper.dueling,
                q_t_selector,
            )
            legal = hyper.legal_actions[legal_row(hyper.legal_actions, replay.next_obs[i, k])]
            batch.td_target[row, j] = r_t + discount_t * double_q_value(q_t_selector, q_t, legal)


@jit_inline
def double_q_value(q_t_selector, q_t, legal_actions):
    """Return ``q_t`` [A] of the best legal action in ``q_t_selector`` [A] (van Hasselt et al. 2016, eq. 4)."""
    best = legal_actions[1]
    for m in range(2, 1 + legal_actions[0]):
        best = legal_actions[m] if q_t_selector[legal_actions[m]] > q_t_selector[best] else best
    return q_t[best]


@jit_shared
def loss_gradient(hyper, replay, batch, failed_at, seeds):
    """Write TD errors, the loss, and dL/d(outputs_tm1); L is the mean over the batch of weight * loss(TD error)."""
    n = batch.indices.shape[1]
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] > 0:
            continue
        q_tm1 = batch.q_tm1[row]
        total = 0.0
        for j in range(n):
            a_tm1 = replay.action[i, batch.indices[row, j]]
            action_values(batch.outputs_tm1[row, j], hyper.dueling, q_tm1)
            td_error = batch.td_target[row, j] - q_tm1[a_tm1]
            weight = batch.weights[row, j]
            total += np.float64(weight * td_loss(td_error, hyper.huber))
            q_grad = td_loss_grad(td_error, hyper.huber) * weight / np.float32(n)
            output_gradient(q_grad, a_tm1, hyper.dueling, batch.output_grad[row, j])
            batch.td_error[row, j] = td_error
        batch.loss[row] = total / n


@jit_inline
def td_loss(td_error, huber):
    """Return half the squared TD error (target - value), or Huber's loss: linear beyond 1."""
    if huber and abs(td_error) > np.float32(1.0):
        return abs(td_error) - np.float32(0.5)
    return np.float32(0.5) * td_error * td_error


@jit_inline
def td_loss_grad(td_error, huber):
    """Return the derivative of :func:`td_loss` with respect to the value."""
    if huber and abs(td_error) > np.float32(1.0):
        return -np.sign(td_error)
    return -td_error


@jit_inline
def output_gradient(q_grad, action, dueling, output_grad):
    """Write dL/d(outputs) [out] from ``q_grad`` = dL/dq(action); the dueling form is that of :func:`action_values`."""
    output_grad[:] = np.float32(0.0)
    if dueling:
        n = len(output_grad) - 1
        for a in range(n):
            output_grad[1 + a] = -q_grad / np.float32(n)
        output_grad[0] = q_grad
        output_grad[1 + action] += q_grad
    else:
        output_grad[action] = q_grad


@jit_shared
def mark_failures(batch, loss, clock, failed_at, seeds):
    """Write the latest loss of every seed, or that it failed: loss or gradient are not finite, and nothing moved."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] == 0:
            if np.isfinite(batch.loss[row]) and np.isfinite(batch.grad_norm[row]):
                loss[i] = batch.loss[row]
            else:
                failed_at[i] = clock


@jit_shared
def update_priorities(replay, priorities, batch, failed_at, seeds):
    """Set the priorities of the sampled transitions from their TD errors."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] == 0:
            for j in range(batch.indices.shape[1]):
                update_priority(priorities, i, batch.indices[row, j], batch.td_error[row, j], replay_size(replay, i))


def replace_overwritten(first: Array, n_added: Array, batch: Any, oldest: Array) -> None:
    """Replace samples whose frames are overwritten by others of their batch, evenly spread over it.

    What stays is distributed like samples from all that is complete, since it was sampled by the same rule. Where
    nothing stays, the newest transition or sequence is taken, which is always complete.

    Args:
        first: int64 [S, N], position of the first observation of every transition or sequence in the replay.
        n_added: int64 [S], transitions or sequences since the beginning.
        batch: the samples; ``indices`` and ``weights`` are written.
        oldest: int64 [S], the first position of every seed whose stack of frames is complete.
    """
    lost = np.take_along_axis(first, batch.indices, axis=1) < oldest[:, None]
    for i in np.flatnonzero(lost.any(axis=1)):
        complete = np.flatnonzero(~lost[i])
        n_lost = int(lost[i].sum())
        if len(complete):
            taken = complete[np.arange(n_lost) * len(complete) // n_lost]
            batch.indices[i, lost[i]] = batch.indices[i, taken]
            batch.weights[i, lost[i]] = batch.weights[i, taken]
        else:
            batch.indices[i] = (n_added[i] - 1) % first.shape[1]
            batch.weights[i] = 1.0
