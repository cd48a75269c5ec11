"""REINFORCE, in the order of the papers: act, collect episodes, returns, baseline, policy gradient, value regression.

The loss of a batch of E episodes is ``-(1/E) sum_t (A_t log pi(a_t | s_t) + ent_coef H(pi(. | s_t)))``: a sum over
steps and a mean over episodes (Williams 1992, Machine Learning 8; Sutton and Barto 2018, equations 13.8 and 13.11). The
advantage ``A_t = G_t - b`` takes a baseline b that does not depend on the action.

The text is written once for two backends. Networks are compiled ones: an update of one seed after the other is a single
compiled call, and a batch passes through the networks in chunks of rows that stay in the cache. Or they are torch's:
Python calls the same functions with a group of seeds, whose whole batches are the only chunk. The backends differ in
the six functions of a learner: ``encode``, ``forward``, ``forward_obs``, ``forward_final``, ``backward``,
``apply_gradient``. Here they stand for torch; :mod:`agents.reinforce.learner` holds the compiled ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np

from agents.common.exploration import Explore, argmax, choose
from agents.common.networks.compiled import begin_episode, carry_reward, step_networks, write_action
from agents.common.networks.optimizers import OptimizerState, clip_and_update, make_optimizer
from agents.common.networks.recurrent import Carry
from agents.common.observation_store import FrameStore, VectorStore
from agents.common.spaces import ActionAdapter, action_lists, discount, legal_row
from simulator.core import rng
from simulator.core.jit import Seeds, jit, jit_inline, jit_or_python, jit_shared
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.rng_compiled import normal

BASELINES = ("none", "mean", "value")
NO_BASELINE, MEAN, VALUE = range(3)
SOFTMAX = Explore(softmax=True, start=1.0, end=1.0, decay_steps=0, exponential=False)  # at temperature 1
HALF_LOG_2_PI = 0.9189385332046727
UNKNOWN_LENGTH = 1_000  # steps of an episode where neither settings nor environment set a limit
MEMORY_ADVICE = "a smaller agent.max_episode_steps, agent.episodes_per_update or network, or fewer seeds"


class ReinforceHyperparams(NamedTuple):
    """The settings as compiled code takes them; see :class:`agents.reinforce.Config`."""

    discrete_actions: bool  # sampled from a softmax; otherwise from a normal distribution
    legal_actions: Array  # int64 [n_observations or 1, 1 + A]: how many actions exist, and which
    baseline: int  # NO_BASELINE, MEAN or VALUE
    bootstrap: bool  # truncated episodes go on with the value of their final observation
    normalize_advantages: bool
    discount_states: bool
    gamma: float
    value_steps: int  # per batch; 0 without a value network
    ent_coef: float
    max_episode_steps: int


class PolicyHead(NamedTuple):
    """Action distributions of S seeds, beside the outputs of their policy networks."""

    log_std: Array  # float32 [S, D], of Box actions
    stream: Array  # uint64 [S, 4], from which actions are sampled
    carry: Carry  # of the policy network
    inputs: Array  # float32 [S, F], scratch
    outputs: Array  # float32 [S, out], scratch


class EpisodeBatch(NamedTuple):
    """The episodes of every seed since its last update: up to E, one after the other in T rows.

    Seeds finish at different times: each fills a batch of its own and learns when that one is complete.
    """

    obs: Array  # [S, T, K] float32, or int64 positions of frames
    action: Array  # float32 [S, T, D], as sampled
    reward: Array  # float32 [S, T]
    end: Array  # int64 [S, E], the row behind each episode's last
    final_obs: Array  # [S, E, K], the observation after each episode's last step
    truncated: Array  # bool [S, E]
    n_rows: Array  # int64 [S]
    n_episodes: Array  # int64 [S]


class Approximator(NamedTuple):
    """S policy or value networks, and what an update makes of a chunk of a batch in each row w of the working space."""

    net: Any  # networks of the backend
    optimizer: Any  # of the compiled backend; torch's networks hold their own
    outputs: Array  # float32 [W, B, out]
    output_grad: Array  # float32 [W, B, out], dL/d(outputs)
    grad: Array  # float32 [W, P], dL/d(weights), summed over the chunks; of the compiled backend


class Work(NamedTuple):
    """Working space of updates; never part of a checkpoint."""

    active: Array  # bool [W], whose batch is complete, and whose numbers have been finite so far
    bootstrap_value: Array  # float64 [W, E]
    returns: Array  # float64 [W, T]
    value: Array  # float64 [W, T]
    advantage: Array  # float64 [W, T]
    value_loss: Array  # float64 [W]
    policy_loss: Array  # float64 [W]
    entropy: Array  # float64 [W], sum over the batch
    log_std_grad_sum: Array  # float64 [W, D], over the batch
    log_std_grad: Array  # float32 [W, D]


class SeedStatus(NamedTuple):
    """Counters and latest results of S seeds."""

    env_steps: Array  # int64 [S]
    failed_at: Array  # int64 [S], the environment step at which a loss or a gradient was not finite, or 0
    policy_loss: Array  # float64 [S], of the latest update, like the two below
    value_loss: Array  # float64 [S], before its first step
    entropy: Array  # float64 [S], mean of the policy's over the batch


class ReinforceState(NamedTuple):
    """All that S learners are made of."""

    hyper: ReinforceHyperparams
    policy: Approximator
    value: Approximator
    head: PolicyHead
    std_optimizer: OptimizerState
    observations: Any  # a store of observations, or its ``VectorEncoding`` with the compiled backend
    batch: EpisodeBatch
    inputs: Any  # of the networks, a chunk of them: float32 [W, B, in], or ``ChunkInputs`` with torch
    work: Work
    status: SeedStatus


class ChunkInputs:
    """The inputs of torch's networks in one update; None before they are asked for."""

    x: Array | None = None  # [G, B, *in]
    episodes: EpisodeInputs | None = None  # of a recurrence, in place of them


class EpisodeInputs(NamedTuple):
    """The episodes of G seeds as sequences of up to L steps, and where they lie in the rows of their batches."""

    sequences: tuple[Array, ...]  # [G, E, L, ...], see :class:`agents.common.networks.recurrent_torch.SequenceInputs`
    is_step: Array  # bool [G, E, L]
    rows: tuple[Array, Array]  # int64 [N] each: seed of the group, and row of its batch, of every step in is_step


def episode_inputs(state: ReinforceState, group: slice, active: Array, n_after: int = 0) -> EpisodeInputs:
    """Make the inputs of the complete batches of a group of seeds, with ``n_after`` 1 the final observations too."""
    batch, carry = state.batch, state.head.carry
    n_seeds, n_rows = batch.reward[group].shape
    end = batch.end[group] * active[:, None]
    begin = np.concatenate([np.zeros((n_seeds, 1), np.int64), end[:, :-1]], axis=1)
    length = (end - begin)[..., None]
    t = np.arange(int(length.max()) + n_after)
    row = np.minimum(begin[..., None] + t, n_rows - 1)  # [G, E, L]
    at = (np.arange(n_seeds)[:, None, None], row)
    stored = batch.obs[group][at]
    if n_after:
        np.put_along_axis(stored, length[..., None], batch.final_obs[group][:, :, None], axis=2)
    is_input = t < length + n_after
    obs = state.observations.inputs(stored.reshape(n_seeds, -1, stored.shape[-1]), group)
    obs = obs.reshape(*row.shape, *obs.shape[2:])
    before = (at[0], np.clip(begin[..., None] + t - 1, 0, n_rows - 1))  # also of a final observation in the last row
    n_action = carry.action.shape[1]
    extras = np.zeros((*row.shape, n_action + carry.reward.shape[1]), np.float32)
    actions = batch.action[group][before]
    if n_action:
        one_hot = actions == np.arange(n_action, dtype=np.float32)
        extras[..., :n_action] = one_hot if state.hyper.discrete_actions else actions
    extras[..., n_action:] = batch.reward[group][before][..., None]
    extras[~is_input | (t == 0)] = 0.0
    if obs.dtype != np.uint8:
        obs = np.where(is_input[..., None], obs, np.float32(0.0))
    n_episodes = end.shape[1]
    first = np.zeros((n_seeds, n_episodes, carry.state.shape[1]), np.float32)
    is_step = t < length
    steps = np.nonzero(is_step)
    sequences = (obs, extras, first, np.zeros((n_seeds, n_episodes), np.int64))
    return EpisodeInputs(sequences, is_step, (steps[0], row[is_step]))


class Chunk(NamedTuple):
    """Rows of a batch that pass through a network at once."""

    start: int
    n: int


def make_hyperparams(spec: EnvSpec, config: Any, actions: ActionAdapter) -> ReinforceHyperparams:
    """Check the settings of :class:`agents.reinforce.Config` and give them as compiled code takes them.

    Raises:
        ValueError: a baseline that needs more episodes than there are.
    """
    if config.baseline == "mean" and config.episodes_per_update == 1:
        raise ValueError(
            "agent.episodes_per_update = 1: expected at least 2 with baseline = 'mean', the mean return of the other "
            "episodes"
        )
    return ReinforceHyperparams(
        discrete_actions=actions.discrete,
        legal_actions=action_lists(actions.legal),
        baseline=BASELINES.index(config.baseline),
        bootstrap=config.bootstrap and config.baseline == "value",
        normalize_advantages=config.normalize_advantages,
        discount_states=config.discount_states,
        gamma=discount(spec, config.gamma),
        value_steps=config.value_steps if config.baseline == "value" else 0,
        ent_coef=float(config.ent_coef),
        max_episode_steps=config.max_episode_steps or spec.max_steps or UNKNOWN_LENGTH,
    )


def make_state(
    config: Any,
    hyper: ReinforceHyperparams,
    actions: ActionAdapter,
    store: VectorStore | FrameStore,
    seed_list: Sequence[int],
    policy: Approximator,
    value: Approximator,
    inputs: Any,
    carry: Carry,
) -> ReinforceState:
    """Make the state around networks of either backend, with empty batches.

    Only as many rows of the working space are used as seeds are updated at once, and untouched memory costs nothing.
    """
    n_seeds = len(seed_list)
    n_episodes = config.episodes_per_update
    n_rows = n_episodes * hyper.max_episode_steps
    dim = actions.action_dim
    n_inputs = store.input_shape[0] + carry.action.shape[1] + carry.reward.shape[1]
    log_std = np.full((n_seeds, dim), log(config.init_std), np.float32)
    return ReinforceState(
        hyper=hyper,
        policy=policy,
        value=value,
        head=PolicyHead(
            log_std=log_std,
            stream=rng.pcg64_states(seed_list, "exploration"),
            carry=carry,
            inputs=np.zeros((n_seeds, n_inputs), np.float32),
            outputs=np.zeros((n_seeds, actions.n_outputs), np.float32),
        ),
        std_optimizer=make_optimizer(config.optimizer, *log_std.shape),
        observations=store,
        batch=EpisodeBatch(
            obs=np.zeros((n_seeds, n_rows, store.n_stored), store.dtype),
            action=np.zeros((n_seeds, n_rows, dim), np.float32),
            reward=np.zeros((n_seeds, n_rows), np.float32),
            end=np.zeros((n_seeds, n_episodes), np.int64),
            final_obs=np.zeros((n_seeds, n_episodes, store.n_stored), store.dtype),
            truncated=np.zeros((n_seeds, n_episodes), np.bool_),
            n_rows=np.zeros(n_seeds, np.int64),
            n_episodes=np.zeros(n_seeds, np.int64),
        ),
        inputs=inputs,
        work=Work(
            active=np.zeros(n_seeds, np.bool_),
            bootstrap_value=np.zeros((n_seeds, n_episodes)),
            returns=np.zeros((n_seeds, n_rows)),
            value=np.zeros((n_seeds, n_rows)),
            advantage=np.zeros((n_seeds, n_rows)),
            value_loss=np.zeros(n_seeds),
            policy_loss=np.zeros(n_seeds),
            entropy=np.zeros(n_seeds),
            log_std_grad_sum=np.zeros((n_seeds, dim)),
            log_std_grad=np.zeros((n_seeds, dim), np.float32),
        ),
        status=SeedStatus(
            env_steps=np.zeros(n_seeds, np.int64),
            failed_at=np.zeros(n_seeds, np.int64),
            policy_loss=np.zeros(n_seeds),
            value_loss=np.zeros(n_seeds),
            entropy=np.zeros(n_seeds),
        ),
    )


def make_approximator(
    net: Any, optimizer: Any, n_seeds: int, chunk: int, n_outputs: int, n_params: int = 0
) -> Approximator:
    """Make the working space of networks whose batches come in chunks of so many rows."""
    return Approximator(
        net=net,
        optimizer=optimizer,
        outputs=np.zeros((n_seeds, chunk, n_outputs), np.float32),
        output_grad=np.zeros((n_seeds, chunk, n_outputs), np.float32),
        grad=np.zeros((n_seeds, n_params), np.float32),
    )


# The learner: functions in which the backends differ.


def encode(state: ReinforceState, chunk: Chunk, seeds: Seeds) -> None:
    """Write the network inputs of a chunk of the batch to ``state.inputs``."""
    inputs = state.inputs
    group = slice(seeds.first, seeds.last)
    if state.policy.net.is_recurrent:
        inputs.episodes = inputs.episodes or episode_inputs(state, group, state.work.active[work_rows(seeds)])
    elif inputs.x is None:  # the only chunk stays for the whole update
        inputs.x = state.observations.inputs(state.batch.obs[group, : chunk.n], group)


def forward(state: ReinforceState, approximator: Approximator, chunk: Chunk, passed: bool, seeds: Seeds) -> None:
    """Write the outputs [W, B, out] at ``state.inputs``; what the gradient needs is kept.

    With ``passed`` the latest pass of the compiled networks was over the same rows, and with the same weights.
    """
    outputs = approximator.outputs[work_rows(seeds), : chunk.n]
    episodes = state.inputs.episodes
    if episodes is None:
        outputs[...] = approximator.net.forward(state.inputs.x)
    else:
        outputs[episodes.rows] = approximator.net.unroll(episodes.sequences)[episodes.is_step]


def forward_obs(net: Any, observations: Any, head: PolicyHead, obs: Array, seeds: Seeds) -> None:
    """Write ``head.outputs`` [S, out] at stored observations ``obs`` [S, K]."""
    step_networks(net, observations.inputs(obs[:, None])[:, 0], head.carry, head.outputs)


def forward_final(state: ReinforceState, seeds: Seeds) -> bool:
    """Write the values of final observations to ``work.bootstrap_value`` [W, E], at least of truncated episodes.

    Returns:
        Whether the value networks had to pass over the batch for that, as they do for the values of its rows.
    """
    group = slice(seeds.first, seeds.last)
    if not state.batch.truncated[group].any():
        return False
    if state.value.net.is_recurrent:
        episodes = episode_inputs(state, group, state.work.active[work_rows(seeds)], 1)
        values = state.value.net.unroll(episodes.sequences, keep=False)[..., 0]  # [G, E, L + 1]
        last = episodes.is_step.sum(axis=-1)[..., None]
        state.work.bootstrap_value[work_rows(seeds)] = np.take_along_axis(values, last, axis=-1)[..., 0]
    else:
        x = state.observations.inputs(state.batch.final_obs[group], group)
        state.work.bootstrap_value[work_rows(seeds)] = state.value.net.forward(x, keep=False)[..., 0]
    return False  # torch kept nothing that a gradient needs


def backward(state: ReinforceState, approximator: Approximator, chunk: Chunk, seeds: Seeds) -> None:
    """Add the gradient of a chunk to that of the chunks before it, from ``approximator.output_grad``.

    Here nothing is left to do: torch has a single chunk, which ``apply_gradient`` backpropagates.
    """


def apply_gradient(state: ReinforceState, approximator: Approximator, lr_scale: float, seeds: Seeds) -> None:
    """Clip the gradient and step the optimiser; a seed whose gradient is not finite stays, and is no more active."""
    rows = work_rows(seeds)
    active = state.work.active[rows]
    episodes = state.inputs.episodes
    if episodes is None:
        output_grad = approximator.output_grad[rows, : state.inputs.x.shape[1]]
    else:
        output_grad = np.zeros((*episodes.is_step.shape, approximator.output_grad.shape[-1]), np.float32)
        output_grad[episodes.is_step] = approximator.output_grad[rows][episodes.rows]
    active &= np.isfinite(approximator.net.apply_gradient(output_grad, active, lr_scale))


def work_rows(seeds: Seeds) -> slice:
    """The rows of the working space that a block of seeds uses."""
    return slice(seeds.row, seeds.row + seeds.last - seeds.first)


# Acting.


@jit_or_python(inline=True)
def act(net, observations, hyper, head, obs, actions, seeds):
    """Write actions [S, D], sampled from the policy at stored observations ``obs`` [S, K]."""
    forward_obs(net, observations, head, obs, seeds)
    sample_actions(hyper, head, obs, actions, seeds)
    carry_actions(hyper, head.carry, actions, seeds)


@jit_or_python(inline=True)
def act_greedily(net, observations, hyper, head, obs, actions, seeds):
    """Write the most probable or the mean actions [S, D] at stored observations ``obs`` [S, K]."""
    forward_obs(net, observations, head, obs, seeds)
    best_actions(hyper, head, obs, actions, seeds)
    carry_actions(hyper, head.carry, actions, seeds)


@jit_shared
def sample_actions(hyper, head, obs, actions, seeds):
    """Sample from a softmax of ``head.outputs`` over the legal actions, or from normal distributions around them."""
    for i in range(seeds.first, seeds.last):
        if hyper.discrete_actions:
            legal_actions = hyper.legal_actions[legal_row(hyper.legal_actions, obs[i])]
            actions[i, 0] = choose(head.stream, i, head.outputs[i], legal_actions, SOFTMAX, 0)
        else:
            for d in range(actions.shape[1]):
                sample = head.outputs[i, d] + np.exp(head.log_std[i, d]) * normal(head.stream, i)
                actions[i, d] = sample if sample == sample else 0.0  # a seed that failed still has to act


@jit_shared
def best_actions(hyper, head, obs, actions, seeds):
    """Write the legal actions of the highest ``head.outputs``, or the outputs themselves."""
    for i in range(seeds.first, seeds.last):
        if hyper.discrete_actions:
            legal_actions = hyper.legal_actions[legal_row(hyper.legal_actions, obs[i])]
            actions[i, 0] = argmax(head.stream, i, head.outputs[i], legal_actions)
        else:
            for d in range(actions.shape[1]):
                mean = head.outputs[i, d]
                actions[i, d] = mean if mean == mean else np.float32(0.0)


@jit_shared
def carry_actions(hyper, carry, actions, seeds):
    """Carry the actions [S, D] on to the next step, where a recurrence sees them."""
    for i in range(seeds.first, seeds.last):
        write_action(carry.action[i], actions[i], hyper.discrete_actions)


# Collecting episodes.


@jit
def record_step(batch, hyper, status, carry, obs, action, reward, terminated, truncated, final_obs):
    """Add one step of every seed that has not failed; the number of batches that are complete.

    Where the batch's episode ends, what the policy carries begins anew, as it does in the update.

    ``obs`` and ``final_obs`` are [S, K] as stored, ``action`` float32 [S, D] as sampled, the others [S].
    """
    n_complete = 0
    for i in range(len(action)):
        status.env_steps[i] += 1
        if status.failed_at[i] == 0:
            row = batch.n_rows[i]
            episode = batch.n_episodes[i]
            for k in range(obs.shape[1]):
                batch.obs[i, row, k] = obs[i, k]
            for d in range(action.shape[1]):
                batch.action[i, row, d] = action[i, d]
            batch.reward[i, row] = reward[i]
            carry_reward(carry, i, reward[i])
            batch.n_rows[i] = row + 1
            length = row + 1 - (batch.end[i, episode - 1] if episode else 0)
            if terminated[i] or truncated[i] or length == hyper.max_episode_steps:
                for k in range(obs.shape[1]):
                    batch.final_obs[i, episode, k] = final_obs[i, k]
                batch.end[i, episode] = row + 1
                batch.truncated[i, episode] = not terminated[i]
                batch.n_episodes[i] = episode + 1
                begin_episode(carry, i)
            n_complete += batch.n_episodes[i] == batch.end.shape[1]
    return n_complete


def batch_row_bytes(obs_dim: int, action_dim: int) -> int:
    """Memory of one row of one seed, in bytes: its step, and its return, value and advantage in an update."""
    return 4 * (obs_dim + action_dim + 1) + 24


def save_batch(batch: EpisodeBatch) -> list[State]:
    """Copies of what is in use of every seed's batch."""
    saved = []
    for i, (n_rows, n_episodes) in enumerate(zip(batch.n_rows, batch.n_episodes, strict=True)):
        rows = {name: getattr(batch, name)[i, :n_rows].copy() for name in ("obs", "action", "reward")}
        episodes = {name: getattr(batch, name)[i, :n_episodes].copy() for name in ("end", "final_obs", "truncated")}
        saved.append(rows | episodes)
    return saved


def load_batch(batch: EpisodeBatch, saved: list[State]) -> None:
    """Fill the batches from :func:`save_batch`."""
    for i, arrays in enumerate(saved):
        for name, array in arrays.items():
            getattr(batch, name)[i, : len(array)] = array
        batch.n_rows[i] = len(arrays["reward"])
        batch.n_episodes[i] = len(arrays["end"])


# Learning.


@jit_or_python(inline=True)
def update(state, policy_lr_scale, value_lr_scale, seeds):
    """Update the seeds of a block whose batches are complete, and empty these.

    The ``lr_scale`` are the learning rates of policy and value as fractions of their first. A seed whose loss or
    gradient is not finite fails: what is broken moves nothing.
    """
    hyper = state.hyper
    batch = state.batch
    work = state.work
    n_rows = begin_update(batch, work, seeds)
    if n_rows == 0:
        return

    passed = hyper.bootstrap and forward_final(state, seeds)  # work.bootstrap_value [E]
    compute_returns(hyper, batch, work, seeds)  # work.returns [T]

    if hyper.baseline == VALUE:
        value_pass(state, n_rows, passed, seeds)  # work.value [T] before a step, and the gradient of its error
    compute_advantages(hyper, batch, work, seeds)  # work.advantage [T]

    policy_pass(state, n_rows, seeds)
    apply_gradient(state, state.policy, policy_lr_scale, seeds)
    if not hyper.discrete_actions:
        update_log_std(state.std_optimizer, state.head.log_std, work, policy_lr_scale, seeds)
    record_losses(batch, work, state.status, seeds)

    for value_step in range(hyper.value_steps):
        if value_step > 0:
            value_pass(state, n_rows, False, seeds)
        apply_gradient(state, state.value, value_lr_scale, seeds)
    finish_update(batch, work, state.status, seeds)


@jit_shared
def begin_update(batch, work, seeds):
    """Mark the seeds whose batches are complete as active; the rows of the longest of these batches."""
    longest = 0
    for i in range(seeds.first, seeds.last):
        complete = batch.n_episodes[i] == batch.end.shape[1]
        work.active[seeds.row + i - seeds.first] = complete
        if complete:
            longest = max(longest, batch.n_rows[i])
    return longest


@jit_shared
def compute_returns(hyper, batch, work, seeds):
    """Write the return of every step to ``work.returns``; a truncated episode goes on with a value, or with 0."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if work.active[row]:
            for e in range(batch.end.shape[1]):
                if not hyper.bootstrap or not batch.truncated[i, e]:
                    work.bootstrap_value[row, e] = 0.0
            reward = batch.reward[i, : batch.n_rows[i]]
            returns_to_go(reward, batch.end[i], work.bootstrap_value[row], hyper.gamma, work.returns[row])


@jit_inline
def returns_to_go(reward, end, bootstrap_value, gamma, returns):
    """Compute G_t = r_t + gamma G_t+1 for every row of ``returns`` float64 [T] (Sutton and Barto 2018, equation 3.9).

    ``bootstrap_value`` [E] is what follows the last step of an episode: 0 after a true end.
    """
    first = 0
    for e in range(len(end)):
        g = bootstrap_value[e]
        for back in range(end[e] - first):
            row = end[e] - 1 - back
            g = reward[row] + gamma * g
            returns[row] = g
        first = end[e]


@jit_or_python(inline=False)
def value_pass(state, n_rows, passed, seeds):
    """Write the values of all ``n_rows`` to ``work.value``, and form the gradient of half their mean squared error.

    ``passed`` is what :func:`forward_final` returned, as long as the weights are the same.
    """
    value = state.value
    size = value.outputs.shape[1]
    for start in range(0, n_rows, size):
        chunk = Chunk(start, min(size, n_rows - start))
        encode(state, chunk, seeds)  # inputs [B, *in]
        forward(state, value, chunk, passed, seeds)  # outputs [B, 1]
        value_gradient(state.batch, state.work, value.outputs, value.output_grad, chunk, seeds)  # output_grad [B, 1]
        backward(state, value, chunk, seeds)


@jit_shared
def value_gradient(batch, work, outputs, output_grad, chunk, seeds):
    """Write the values of a chunk to ``work.value``, add to their loss, and write dL/d(outputs) [W, B, 1].

    The loss is half the mean squared difference from the returns.
    """
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if not work.active[row]:
            continue
        n_rows = batch.n_rows[i]
        scale = 1.0 / n_rows
        loss = work.value_loss[row] if chunk.start > 0 else 0.0
        n_own = min(chunk.n, n_rows - chunk.start)
        for r in range(n_own):
            value = outputs[row, r, 0]
            work.value[row, chunk.start + r] = value
            error = np.float64(value) - work.returns[row, chunk.start + r]
            loss += 0.5 * scale * error * error
            output_grad[row, r, 0] = scale * error
        output_grad[row, n_own : chunk.n] = np.float32(0.0)  # the batch of another seed is longer
        work.value_loss[row] = loss
        work.active[row] = np.isfinite(loss)


@jit_shared
def compute_advantages(hyper, batch, work, seeds):
    """Write the advantage of every step, its return less the baseline, to ``work.advantage``."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if not work.active[row]:
            continue
        n_rows = batch.n_rows[i]
        advantage = work.advantage[row]
        for t in range(n_rows):
            advantage[t] = work.returns[row, t] - (work.value[row, t] if hyper.baseline == VALUE else 0.0)
        if hyper.baseline == MEAN:
            subtract_leave_one_out_mean(advantage, batch.end[i])
        if hyper.normalize_advantages and n_rows > 1:  # a single one less its own mean is 0: nothing is learned from it
            normalize(advantage, n_rows)
        if hyper.discount_states:
            discount_by_time(advantage, batch.end[i], hyper.gamma)


@jit_inline
def subtract_leave_one_out_mean(advantage, end):
    """Turn returns [T] into advantages over the mean return of the batch's *other* episodes.

    The mean of all would contain the action's own consequences (leave-one-out: Kool, van Hoof and Welling 2019).
    """
    total = 0.0
    for row in range(end[-1]):
        total += advantage[row]
    first = 0
    for e in range(len(end)):
        own = 0.0
        for row in range(first, end[e]):
            own += advantage[row]
        n_others = end[-1] - (end[e] - first)
        baseline = (total - own) / n_others if n_others else 0.0
        for row in range(first, end[e]):
            advantage[row] -= baseline
        first = end[e]


@jit_inline
def normalize(advantage, n):
    """Give the first n advantages mean 0 and standard deviation 1; equal ones become 0."""
    mean = 0.0
    for row in range(n):
        mean += advantage[row] / n
    variance = 0.0
    for row in range(n):
        variance += (advantage[row] - mean) ** 2 / n
    for row in range(n):
        advantage[row] = (advantage[row] - mean) / (np.sqrt(variance) + 1e-8)


@jit_inline
def discount_by_time(advantage, end, gamma):
    """Multiply the advantage of step t of every episode by gamma**t (Sutton and Barto 2018, box of section 13.3)."""
    first = 0
    for e in range(len(end)):
        weight = 1.0
        for row in range(first, end[e]):
            advantage[row] *= weight
            weight *= gamma
        first = end[e]


@jit_or_python(inline=False)
def policy_pass(state, n_rows, seeds):
    """Form the gradient of the policy's loss at all ``n_rows``."""
    policy = state.policy
    size = policy.outputs.shape[1]
    for start in range(0, n_rows, size):
        chunk = Chunk(start, min(size, n_rows - start))
        encode(state, chunk, seeds)  # inputs [B, *in]
        forward(state, policy, chunk, False, seeds)  # outputs [B, out]
        policy_gradient(
            state.hyper, state.batch, state.head, state.work, policy.outputs, policy.output_grad, chunk, seeds
        )  # output_grad [B, out]
        backward(state, policy, chunk, seeds)


@jit_shared
def policy_gradient(hyper, batch, head, work, outputs, output_grad, chunk, seeds):
    """Add to the policy's loss and entropy those of a chunk, and write dL/d(outputs) [W, B, out].

    The gradient of the log standard deviations [D] is added up in ``work.log_std_grad_sum``.
    """
    scale = 1.0 / batch.end.shape[1]
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if not work.active[row]:
            continue
        if chunk.start == 0:
            work.policy_loss[row] = 0.0
            work.entropy[row] = 0.0
            work.log_std_grad_sum[row, :] = 0.0
        loss = 0.0
        entropy = 0.0
        n_own = min(chunk.n, batch.n_rows[i] - chunk.start)
        for r in range(n_own):
            t = chunk.start + r
            y = outputs[row, r]
            dy = output_grad[row, r]
            action = batch.action[i, t]
            advantage = work.advantage[row, t]
            if hyper.discrete_actions:
                legal_actions = hyper.legal_actions[legal_row(hyper.legal_actions, batch.obs[i, t])]
                step = softmax_gradient(y, legal_actions, np.int64(action[0]), advantage, hyper.ent_coef, scale, dy)
            else:
                std_grad = work.log_std_grad_sum[row]
                step = gaussian_gradient(y, head.log_std[i], action, advantage, hyper.ent_coef, scale, dy, std_grad)
            loss += step.loss
            entropy += step.entropy
        output_grad[row, n_own : chunk.n] = np.float32(0.0)  # the batch of another seed is longer
        work.policy_loss[row] += loss
        work.entropy[row] += entropy
        work.active[row] = np.isfinite(work.policy_loss[row])


class PolicyLoss(NamedTuple):
    """The policy's loss, and its entropy in nats."""

    loss: float
    entropy: float


@jit_inline
def softmax_gradient(logits, legal_actions, action, advantage, ent_coef, scale, logits_grad):
    """Gradient of one step's loss with respect to the logits, written to ``logits_grad`` float32 [A].

    Args:
        logits: [A].
        legal_actions: int64 [1 + A], how many actions exist, and which; the others have no probability.
        action: the one taken.
        advantage: of the step.
        ent_coef: weight of the entropy.
        scale: factor of the step in the loss, 1/E.
        logits_grad: written.
    """
    highest = -np.inf
    for m in range(1, 1 + legal_actions[0]):
        highest = max(highest, np.float64(logits[legal_actions[m]]))
    total = 0.0
    mean = 0.0
    for m in range(1, 1 + legal_actions[0]):
        part = np.exp(logits[legal_actions[m]] - highest)
        total += part
        mean += part * (logits[legal_actions[m]] - highest)
    log_total = np.log(total)
    entropy = log_total - mean / total
    for a in range(len(logits_grad)):
        logits_grad[a] = np.float32(0.0)
    for m in range(1, 1 + legal_actions[0]):
        log_prob = logits[legal_actions[m]] - highest - log_total
        prob = np.exp(log_prob)
        taken = 1.0 if legal_actions[m] == action else 0.0
        logits_grad[legal_actions[m]] = scale * (advantage * (prob - taken) + ent_coef * prob * (log_prob + entropy))
    log_prob = logits[action] - highest - log_total
    return PolicyLoss(-scale * (advantage * log_prob + ent_coef * entropy), entropy)


@jit_inline
def gaussian_gradient(mean, log_std, action, advantage, ent_coef, scale, mean_grad, log_std_grad):
    """Gradients of one step's loss for independent normal actions, with respect to means and log standard deviations.

    Args:
        mean: [D].
        log_std: [D], the same in every state.
        action: [D], as sampled, before any clipping.
        advantage: of the step.
        ent_coef: weight of the entropy.
        scale: factor of the step in the loss, 1/E.
        mean_grad: float32 [D], written.
        log_std_grad: float64 [D], added to.
    """
    log_prob = 0.0
    entropy = 0.0
    for d in range(len(mean_grad)):
        std = np.exp(np.float64(log_std[d]))
        z = (np.float64(action[d]) - mean[d]) / std
        log_prob -= 0.5 * z * z + log_std[d] + HALF_LOG_2_PI
        entropy += log_std[d] + 0.5 + HALF_LOG_2_PI
        mean_grad[d] = -scale * advantage * z / std
        log_std_grad[d] -= scale * (advantage * (z * z - 1.0) + ent_coef)
    return PolicyLoss(-scale * (advantage * log_prob + ent_coef * entropy), entropy)


@jit_shared
def update_log_std(optimizer, log_std, work, lr_scale, seeds):
    """Clip the gradient of the log standard deviations and step their optimiser, as ``apply_gradient`` does."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if work.active[row]:
            for d in range(log_std.shape[1]):
                work.log_std_grad[row, d] = work.log_std_grad_sum[row, d]
            norm = clip_and_update(optimizer, i, log_std[i], work.log_std_grad[row], lr_scale)
            work.active[row] = np.isfinite(norm)


@jit_shared
def record_losses(batch, work, status, seeds):
    """Write the losses and the mean entropy of the seeds that are active to ``status``."""
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if work.active[row]:
            status.policy_loss[i] = work.policy_loss[row]
            status.value_loss[i] = work.value_loss[row]
            status.entropy[i] = work.entropy[row] / batch.n_rows[i]


@jit_shared
def finish_update(batch, work, status, seeds):
    """Empty the batches that are complete; seeds that are no more active have failed."""
    for i in range(seeds.first, seeds.last):
        if batch.n_episodes[i] == batch.end.shape[1]:
            if not work.active[seeds.row + i - seeds.first]:
                status.failed_at[i] = status.env_steps[i]
            batch.n_rows[i] = 0
            batch.n_episodes[i] = 0
