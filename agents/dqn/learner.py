"""The compiled backend of deep Q-learning: for vectors and discrete observations on the CPU.

Seeds are the outer loop: one seed's data stay in the cache, and threads take blocks of seeds. A rollout of many steps
is one compiled call, with the bits of single steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.compiled import (
    AnyNet,
    backward,
    clone,
    copy_outputs,
    episodes,
    expand_carry,
    forward_step,
    is_recurrent,
    make_carry,
    make_network,
    n_extra_inputs,
    named_weights,
    network_bytes,
    with_params,
    write_one_hot,
)
from agents.common.networks.compiled import forward as forward_rows
from agents.common.networks.dense import CompiledNetwork, NamedWeights
from agents.common.networks.optimizers import clip_and_update
from agents.common.networks.optimizers import polyak_update as polyak_update_seed
from agents.common.networks.recurrent import Recurrence, Sequences
from agents.common.observation_store import VectorStore, encode_vector, expand_vector
from agents.common.replay.buffer import make_replay, replay_bytes
from agents.common.replay.prioritized import make_priorities, priority_bytes
from agents.common.replay.sequences import make_sequence_replay, sequence_replay_bytes
from agents.common.replay.sequences import n_sequences as sequences_in
from agents.common.spaces import action_lists, discount, legal_row, legal_rows, make_observation_adapter, n_actions
from agents.dqn.recurrent import apply_sequence_gradient, encode_sequences, make_sequence_batch, unroll
from agents.dqn.update import (
    ActionSampler,
    DQNHyperparams,
    TrainState,
    act,
    action_values,
    apply_gradient,
    copies_at,
    encode,
    forward,
    forward_obs,
    learn,
    make_batch,
    make_hyperparams,
    make_sampler,
    polyak_update,
    store_steps,
    trains_at,
)
from simulator.core import rng
from simulator.core.jit import Seeds, function_pointer, jit, jit_callback, jit_implementation, parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, Step
from simulator.core.vector_batch import VectorBatch

ROLLOUT_COST = 3e9  # multiplications in the longest rollout: about a tenth of a second
STEP_COST = 1e4  # the rest of a step, in multiplications
UPDATE_COST = 6e4  # the rest of an update
SAMPLE_COST = 2e3  # one sampled transition


@jit_implementation(encode, inline=True)
def _encode(state, seeds):
    batch = state.batch
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        for j in range(batch.indices.shape[1]):
            k = batch.indices[row, j]
            expand_vector(state.observations, state.replay.obs[i, k], batch.obs_tm1[row, j])
            expand_vector(state.observations, state.replay.next_obs[i, k], batch.obs_t[row, j])


@jit_implementation(forward, inline=True)
def _forward(net, x, outputs, keep, seeds):
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        forward_rows(net, i, row, x[row], episodes(net, net.sizes))
        copy_outputs(net, row, outputs[row])


@jit_implementation(forward_obs, inline=True)
def _forward_obs(net, observations, sampler, obs, actions, seeds):
    for i in range(seeds.first, seeds.last):
        if actions[i] < 0 or is_recurrent(net):
            x = sampler.inputs[i]
            n_extra = sampler.carry.action.shape[1] + sampler.carry.reward.shape[1]
            expand_vector(observations, obs[i], x[: len(x) - n_extra])
            expand_carry(sampler.carry, i, x)
            forward_step(net, i, i, x, sampler.carry, sampler.outputs[i])


@jit_implementation(apply_gradient, inline=True)
def _apply_gradient(state, lr_scale, seeds):
    batch = state.batch
    net = state.online_net
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.failed_at[i] == 0:
            backward(net, i, row, batch.obs_tm1[row], batch.output_grad[row], episodes(net, net.sizes))
            batch.grad_norm[row] = clip_and_update(state.optimizer, i, net.params[i], net.gradient[row], lr_scale)


@jit_implementation(polyak_update, inline=True)
def _polyak_update(net, online, tau, failed_at, seeds):
    for i in range(seeds.first, seeds.last):
        if failed_at[i] == 0:
            polyak_update_seed(net.params, online.params, i, tau)


# Sequences.


@jit_implementation(encode_sequences, inline=True)
def _encode_sequences(state, seeds):
    replay = state.replay
    batch = state.batch
    n_action = replay.carry.action.shape[1]
    n_obs = batch.inputs.shape[2] - n_action - replay.carry.reward.shape[1]
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.failed_at[i] > 0:
            continue
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
            batch.begin[row, b] = first
            first += n_steps + 1
            batch.end[row, b] = first


@jit_implementation(unroll, inline=True)
def _unroll(net, batch, outputs, keep, failed_at, seeds):
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if failed_at[i] == 0:
            n_rows = batch.end[row, -1]
            sequences = Sequences(batch.end[row], batch.carry[row], batch.burn_in[row])
            forward_rows(net, i, row, batch.inputs[row, :n_rows], sequences)
            copy_outputs(net, row, outputs[row, :n_rows])


@jit_implementation(apply_sequence_gradient, inline=True)
def _apply_sequence_gradient(state, lr_scale, seeds):
    batch = state.batch
    net = state.online_net
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.failed_at[i] == 0:
            n_rows = batch.end[row, -1]
            sequences = Sequences(batch.end[row], batch.carry[row], batch.burn_in[row])
            backward(net, i, row, batch.inputs[row, :n_rows], batch.output_grad[row, :n_rows], sequences)
            batch.grad_norm[row] = clip_and_update(state.optimizer, i, net.params[i], net.gradient[row], lr_scale)


@jit
def act_all(net, observations, hyper, sampler, obs, clock, actions):
    """Write the actions [S] of every seed; see :func:`agents.dqn.update.act`."""
    for i in range(len(actions)):
        act(net, observations, hyper, sampler, obs, clock, actions, Seeds(i, i + 1, i))


@jit
def values_all(net, observations, hyper, sampler, obs, values):
    """Write action values [S, B, A] at stored observations [B, F]; those of illegal actions are left as they are."""
    for i in range(values.shape[0]):
        for b in range(values.shape[1]):
            expand_vector(observations, obs[b], sampler.inputs[i])
            forward_step(net, i, i, sampler.inputs[i], sampler.carry, sampler.outputs[i])
            action_values(sampler.outputs[i], hyper.dueling, sampler.q[i])
            legal = hyper.legal_actions[legal_row(hyper.legal_actions, obs[b])]
            for m in range(1, 1 + legal[0]):
                values[i, b, legal[m]] = sampler.q[i, legal[m]]


learn_seeds = jit_callback(learn)  # called by its address: a caller that contained it would compile it once more


@jit
def learn_block(first, last, state, clock, learn_entry):
    """Let the seeds from ``first`` to before ``last`` learn, one after the other, in the same working space.

    ``learn_entry`` is the address of :func:`agents.dqn.update.learn`.
    """
    for i in range(first, last):
        if state.failed_at[i] == 0:
            learn_entry(state, clock, Seeds(i, i + 1, first))


class RolloutBuffers(NamedTuple):
    """Results and scratch of a rollout of T steps."""

    reward: Array  # float32 [S, T]
    ended: Array  # bool [S, T]
    broken_at: Array  # int64 [S], the first step, counted from 1, with a number that is not finite; 0: none
    obs: Array  # float32 [S, F], scratch
    next_obs: Array  # float32 [S, F], scratch
    actions: Array  # int64 [S], scratch


@jit
def rollout_block(first, last, state, env_batch, clock, buffers, learn_entry):
    """Let the seeds from ``first`` to before ``last`` act, step, store and learn, one seed after the other.

    ``learn_entry`` is the address of :func:`agents.dqn.update.learn`.
    """
    step = env_batch.step
    for i in range(first, last):
        seeds = Seeds(i, i + 1, first)
        for t in range(buffers.reward.shape[1]):
            now = clock + t
            encode_vector(state.observations, step.obs[i], buffers.obs[i])
            act(
                state.online_net,
                state.observations,
                state.hyper,
                state.sampler,
                buffers.obs,
                now,
                buffers.actions,
                seeds,
            )
            buffers.ended[i, t] = env_batch.move(env_batch.copies, i, buffers.actions[i], step)
            buffers.reward[i, t] = step.reward[i]
            encode_vector(state.observations, step.final_obs[i], buffers.next_obs[i])
            broken = store_steps(
                state.replay,
                state.priorities,
                buffers.obs,
                buffers.actions,
                step.reward,
                step.terminated,
                step.truncated,
                buffers.next_obs,
                seeds,
            )
            if broken >= 0:
                buffers.broken_at[i] = t + 1
                break
            if state.failed_at[i] == 0 and (trains_at(state.hyper, now + 1) or copies_at(state.hyper, now + 1)):
                learn_entry(state, now + 1, seeds)


class CompiledLearner:
    """S learners with compiled networks.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        recurrence: of the networks, if they have one.
    """

    def __init__(
        self, spec: EnvSpec, seed_list: Sequence[int], config: Any, recurrence: Recurrence | None = None
    ) -> None:
        n_seeds = len(seed_list)
        n = n_actions(spec, "dqn")
        n_outputs = n + config.dueling
        adapter = make_observation_adapter(spec, "dqn", config.normalize_obs)
        n_inputs = adapter.n_inputs + n_extra_inputs(recurrence, n)
        sequence = config.sequence
        n_sequences = config.batch_size if recurrence else 1
        n_rows = n_sequences * (sequence.length + 1) if recurrence else config.batch_size
        priority = config.priority if config.prioritized else None
        gamma = discount(spec, config.gamma)
        n_state = recurrence.n_state if recurrence else 0
        if recurrence:
            capacity = sequences_in(sequence, config.buffer_size)
            stored = sequence_replay_bytes(sequence, config.buffer_size, adapter.n_stored, n_state)
        else:
            capacity = config.buffer_size
            stored = replay_bytes(capacity, config.n_step, 4 * adapter.n_stored)
        batch_bytes = 4 * n_rows * (2 * n_inputs + 4 * n_outputs)
        net_bytes = 2 * network_bytes(n_inputs, config.network, n_outputs, recurrence, n_rows)
        seed_bytes = stored + priority_bytes(priority, capacity) + net_bytes + batch_bytes
        advice = "fewer seeds, or a smaller agent.buffer_size, agent.batch_size or agent.network"
        check_fits("dqn", spec, n_seeds * seed_bytes, advice)
        hyper = make_hyperparams(config, action_lists(legal_rows(spec, n)))
        online = make_network(n_inputs, config.network, n_outputs, recurrence, seed_list, n_rows, n_sequences)
        network = CompiledNetwork(online, config.optimizer)
        carry = make_carry(recurrence, n_seeds, n)
        self.store = VectorStore(adapter)
        self.recurrence = recurrence
        replay: Any
        batch: Any
        if recurrence:
            replay = make_sequence_replay(sequence, carry, config.buffer_size, adapter.n_stored, gamma)
            batch = make_sequence_batch(n_seeds, n_sequences, sequence.length, (n_inputs,), n_state, n_outputs, n)
        else:
            replay = make_replay(n_seeds, capacity, adapter.n_stored, config.n_step, gamma)
            batch = make_batch(n_seeds, config.batch_size, (n_inputs,), np.float32, n_outputs, n)
        self.state = TrainState(
            hyper=hyper,
            online_net=online,
            target_net=clone(online),
            eval_net=with_params(online, online.params.copy()) if config.eval_ema else online,
            optimizer=network.optimizer,
            replay=replay,
            priorities=make_priorities(priority, n_seeds, capacity),
            sample_stream=rng.pcg64_states(seed_list, "replay"),
            observations=self.store.encoding,
            sampler=make_sampler(rng.pcg64_states(seed_list, "exploration"), n_inputs, n_outputs, n, carry),
            batch=batch,
            loss=np.zeros(n_seeds),
            failed_at=np.zeros(n_seeds, np.int64),
        )
        self.networks = {"online": network, "target": CompiledNetwork(self.state.target_net)}
        if config.eval_ema:
            self.networks["eval_net"] = CompiledNetwork(self.state.eval_net)
        self._n_features = adapter.n_stored
        self._actions = np.zeros(n_seeds, np.int64)
        self._buffers = _make_buffers(n_seeds, 1, self._n_features)
        self._rollout_entry: Any = None
        self.plays_rollouts = not adapter.n_classes
        size = online.params.shape[1]
        update_cost = UPDATE_COST + n_rows * (SAMPLE_COST + 4 * size)
        step_cost = STEP_COST + size + update_cost * hyper.gradient_steps / hyper.train_frequency
        self.max_rollout_steps = max(1, int(ROLLOUT_COST / n_seeds / step_cost))

    # Calls of every step go without type dispatch, which would take as long as they do.

    @cached_property
    def _act(self) -> Any:
        state = self.state
        obs = np.zeros((len(self._actions), self._n_features), np.float32)
        return specialize(
            act_all, state.online_net, state.observations, state.hyper, state.sampler, obs, 0, self._actions
        )

    @cached_property
    def _store(self) -> Any:
        state = self.state
        n_seeds = len(self._actions)
        obs = np.zeros((n_seeds, self._n_features), np.float32)
        flags = np.zeros(n_seeds, np.bool_)
        reward = np.zeros(n_seeds, np.float32)
        seeds = Seeds(0, n_seeds, 0)
        return specialize(
            store_steps, state.replay, state.priorities, obs, self._actions, reward, flags, flags, obs, seeds
        )

    @cached_property
    def _learn_entry(self) -> Any:
        return function_pointer(learn_seeds, self.state, 0, Seeds(0, 1, 0))

    @cached_property
    def _learn(self) -> Any:
        return specialize(learn_block, 0, 1, self.state, 0, self._learn_entry)

    def act(self, obs: Array, clock: int) -> Array:
        """Return exploring actions int64 [S] at stored observations [S, F], after ``clock`` environment steps."""
        state = self.state
        self._act(state.online_net, state.observations, state.hyper, state.sampler, obs, clock, self._actions)
        return self._actions

    def store_steps(self, obs: Array, actions: Array, step: Step, next_obs: Array) -> int:
        """Store one step of every seed; the first seed with a number that is not finite, or -1."""
        return int(
            self._store(
                self.state.replay,
                self.state.priorities,
                obs,
                np.ascontiguousarray(actions, np.int64),
                np.ascontiguousarray(step.reward, np.float32),
                np.ascontiguousarray(step.terminated, np.bool_),
                np.ascontiguousarray(step.truncated, np.bool_),
                next_obs,
                Seeds(0, len(obs), 0),
            )
        )

    def learn(self, clock: int, state: TrainState | None = None) -> None:
        """Learn after environment step ``clock``; from another replay with a ``state`` of the same arrays' kinds."""
        used = self.state if state is None else state
        enter = self._learn
        entry = self._learn_entry
        parallel_for(lambda first, last: enter(first, last, used, clock, entry), len(self._actions))

    def rollout(self, env_batch: VectorBatch, n: int, clock: int) -> RolloutBuffers:
        """Act, step, store and learn for ``n`` steps after the first ``clock`` ones."""
        if self._buffers.reward.shape[1] != n:  # fresh memory costs time
            self._buffers = _make_buffers(len(self._actions), n, self._n_features)
        buffers = self._buffers
        buffers.broken_at[:] = 0
        if self._rollout_entry is None:
            self._rollout_entry = specialize(rollout_block, 0, 1, self.state, env_batch, 0, buffers, self._learn_entry)
        enter = self._rollout_entry
        entry = self._learn_entry
        parallel_for(
            lambda first, last: enter(first, last, self.state, env_batch, clock, buffers, entry), len(self._actions)
        )
        return buffers

    def frozen(self) -> AnyNet:
        """Return copies of the networks for evaluation."""
        return with_params(self.state.eval_net, self.state.eval_net.params.copy())

    @staticmethod
    def named_weights(net: AnyNet) -> NamedWeights:
        """Return copies of the weights by name, and the activation function."""
        return named_weights(net)

    @staticmethod
    def act_greedily(
        net: AnyNet, store: VectorStore, hyper: DQNHyperparams, sampler: ActionSampler, obs: Array, actions: Array
    ) -> None:
        """Write the actions [S] of a policy at stored observations [S, F]."""
        act_all(net, store.encoding, hyper, sampler, obs, 0, actions)

    @staticmethod
    def values(net: AnyNet, store: VectorStore, hyper: DQNHyperparams, sampler: ActionSampler, obs: Array) -> Array:
        """Return action values float64 [S, B, A] at stored observations [B, F]; 0 for illegal actions."""
        values = np.zeros((len(sampler.stream), len(obs), sampler.q.shape[1]))
        values_all(net, store.encoding, hyper, sampler, obs, values)
        return values


def _make_buffers(n_seeds: int, n_steps: int, n_features: int) -> RolloutBuffers:
    return RolloutBuffers(
        reward=np.empty((n_seeds, n_steps), np.float32),
        ended=np.empty((n_seeds, n_steps), np.bool_),
        broken_at=np.zeros(n_seeds, np.int64),
        obs=np.zeros((n_seeds, n_features), np.float32),
        next_obs=np.zeros((n_seeds, n_features), np.float32),
        actions=np.zeros(n_seeds, np.int64),
    )
