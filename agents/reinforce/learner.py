"""The compiled backend of REINFORCE: dense networks, for vectors and discrete observations on the CPU.

Seeds are the outer loop: one seed's data stay in the cache, and threads take blocks of seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.compiled import (
    AnyNet,
    clone,
    copy_outputs,
    episodes,
    expand_carry,
    forward_after,
    forward_step,
    is_recurrent,
    make_carry,
    make_network,
    n_extra_inputs,
    named_weights,
    network_bytes,
    write_action,
)
from agents.common.networks.compiled import backward as backward_rows
from agents.common.networks.compiled import forward as forward_rows
from agents.common.networks.dense import CompiledNetwork, NamedWeights
from agents.common.networks.optimizers import clip_and_update
from agents.common.networks.recurrent import Recurrence
from agents.common.observation_store import VectorStore, expand_vector
from agents.common.spaces import make_action_adapter, make_observation_adapter
from agents.reinforce.update import (
    MEMORY_ADVICE,
    Chunk,
    PolicyHead,
    ReinforceHyperparams,
    act,
    act_greedily,
    apply_gradient,
    backward,
    batch_row_bytes,
    encode,
    forward,
    forward_final,
    forward_obs,
    make_approximator,
    make_hyperparams,
    make_state,
    update,
)
from simulator.core.jit import (
    Seeds,
    function_pointer,
    jit,
    jit_callback,
    jit_implementation,
    jit_inline,
    parallel_for,
    specialize,
)
from simulator.core.protocols import Array, EnvSpec

CHUNK = 128  # rows that pass through a network at once: they stay in the cache


@jit_implementation(encode, inline=True)
def _encode(state, chunk, seeds):
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        n_extra = state.head.carry.action.shape[1] + state.head.carry.reward.shape[1]
        n_obs = state.inputs.shape[2] - n_extra
        for r in range(chunk.n):
            expand_vector(state.observations, state.batch.obs[i, chunk.start + r], state.inputs[row, r, :n_obs])
        if n_extra > 0:
            expand_last_steps(state, i, row, n_obs)


@jit_inline
def expand_last_steps(state, i, row, n_obs):
    """Write the action and the reward of the step before every row behind its observation; zeros in a first step."""
    batch = state.batch
    carry = state.head.carry
    n_action = carry.action.shape[1]
    first = 0
    for e in range(batch.n_episodes[i]):
        state.inputs[row, first, n_obs:] = np.float32(0.0)
        for t in range(first + 1, batch.end[i, e]):
            x = state.inputs[row, t]
            write_action(x[n_obs : n_obs + n_action], batch.action[i, t - 1], state.hyper.discrete_actions)
            if carry.reward.shape[1] > 0:
                x[n_obs + n_action] = batch.reward[i, t - 1]
        first = batch.end[i, e]


@jit_implementation(forward, inline=True)
def _forward(state, approximator, chunk, passed, seeds):
    net = approximator.net
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        n = min(chunk.n, state.batch.n_rows[i]) if is_recurrent(net) else chunk.n
        if not passed:
            forward_rows(net, i, row, state.inputs[row, :n], episodes(net, state.batch.end[i]))
        copy_outputs(net, row, approximator.outputs[row, :n])


@jit_implementation(forward_obs, inline=True)
def _forward_obs(net, observations, head, obs, seeds):
    n_extra = head.carry.action.shape[1] + head.carry.reward.shape[1]
    for i in range(seeds.first, seeds.last):
        x = head.inputs[i]
        expand_vector(observations, obs[i], x[: len(x) - n_extra])
        expand_carry(head.carry, i, x)
        forward_step(net, i, i, x, head.carry, head.outputs[i])


@jit_implementation(forward_final, inline=True)
def _forward_final(state, seeds):
    value = state.value
    batch = state.batch
    carry = state.head.carry
    n_action = carry.action.shape[1]
    passed = is_recurrent(value.net)
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        n_rows = batch.n_rows[i]
        passed &= batch.truncated[i].any()
        if is_recurrent(value.net) and batch.truncated[i].any():
            encode(state, Chunk(0, n_rows), Seeds(i, i + 1, row))
            forward_rows(value.net, i, row, state.inputs[row, :n_rows], episodes(value.net, batch.end[i]))
        for e in range(batch.end.shape[1]):
            if batch.truncated[i, e]:
                last = batch.end[i, e] - 1
                x = state.inputs[row, 0]
                n_obs = len(x) - n_action - carry.reward.shape[1]
                expand_vector(state.observations, batch.final_obs[i, e], x[:n_obs])
                write_action(x[n_obs : n_obs + n_action], batch.action[i, last], state.hyper.discrete_actions)
                if carry.reward.shape[1] > 0:
                    x[n_obs + n_action] = batch.reward[i, last]
                forward_after(value.net, i, row, last, n_rows, x, value.outputs[row, 0])
                state.work.bootstrap_value[row, e] = value.outputs[row, 0, 0]
    return passed


@jit_implementation(backward, inline=True)
def _backward(state, approximator, chunk, seeds):
    net = approximator.net
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.work.active[row]:
            n = min(chunk.n, state.batch.n_rows[i]) if is_recurrent(net) else chunk.n
            x = state.inputs[row, :n]
            backward_rows(net, i, row, x, approximator.output_grad[row, :n], episodes(net, state.batch.end[i]))
            total = approximator.grad[row]
            grad = net.gradient[row]
            for k in range(len(total)):
                total[k] = grad[k] if chunk.start == 0 else total[k] + grad[k]


@jit_implementation(apply_gradient, inline=True)
def _apply_gradient(state, approximator, lr_scale, seeds):
    params = approximator.net.params
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.work.active[row]:
            norm = clip_and_update(approximator.optimizer, i, params[i], approximator.grad[row], lr_scale)
            state.work.active[row] = np.isfinite(norm)


@jit
def act_all(net, observations, hyper, head, obs, actions):
    """Write the sampled actions [S, D] of every seed; see :func:`agents.reinforce.update.act`."""
    for i in range(len(actions)):
        act(net, observations, hyper, head, obs, actions, Seeds(i, i + 1, i))


@jit
def act_greedily_all(net, observations, hyper, head, obs, actions):
    """Write the best actions [S, D] of every seed; see :func:`agents.reinforce.update.act_greedily`."""
    for i in range(len(actions)):
        act_greedily(net, observations, hyper, head, obs, actions, Seeds(i, i + 1, i))


@jit
def outputs_all(net, observations, head, obs, outputs):
    """Write outputs [S, B, out] at stored observations [B, K]."""
    for i in range(outputs.shape[0]):
        for b in range(outputs.shape[1]):
            expand_vector(observations, obs[b], head.inputs[i])
            forward_step(net, i, i, head.inputs[i], head.carry, outputs[i, b])


update_seeds = jit_callback(update)  # called by its address: a caller that contained it would compile it once more


@jit
def update_block(first, last, state, policy_lr_scale, value_lr_scale, update_entry):
    """Update the seeds from ``first`` to before ``last``, one after the other, in the same working space.

    ``update_entry`` is the address of :func:`agents.reinforce.update.update`.
    """
    for i in range(first, last):
        if state.batch.n_episodes[i] == state.batch.end.shape[1]:
            update_entry(state, policy_lr_scale, value_lr_scale, Seeds(i, i + 1, first))


class CompiledPolicyLearner:
    """S learners with dense networks.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        recurrence: of the networks, if they have one.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """

    def __init__(
        self, spec: EnvSpec, seed_list: Sequence[int], config: Any, recurrence: Recurrence | None = None
    ) -> None:
        n_seeds = len(seed_list)
        adapter = make_observation_adapter(spec, "reinforce", unit_integers=True)
        self.actions = make_action_adapter(spec, "reinforce")
        hyper = make_hyperparams(spec, config, self.actions)
        n_episodes = config.episodes_per_update
        n_rows = n_episodes * hyper.max_episode_steps if recurrence else CHUNK  # sequences pass as a whole
        n_inputs = adapter.n_inputs + n_extra_inputs(recurrence, self.actions.n_outputs)
        outputs = (self.actions.n_outputs, 1)
        row_bytes = batch_row_bytes(adapter.n_stored, self.actions.action_dim)
        batch_bytes = n_episodes * hyper.max_episode_steps * row_bytes
        net_bytes = sum(network_bytes(n_inputs, config.network, n, recurrence, n_rows) for n in outputs)
        check_fits("reinforce", spec, n_seeds * (batch_bytes + net_bytes), MEMORY_ADVICE)
        nets = [make_network(n_inputs, config.network, n, recurrence, seed_list, n_rows, n_episodes) for n in outputs]
        self.policy = CompiledNetwork(nets[0], config.optimizer)
        self.value = CompiledNetwork(nets[1], config.value_optimizer)
        self.store = VectorStore(adapter)
        self.recurrence = recurrence
        policy, value = (
            make_approximator(network.net, network.optimizer, n_seeds, n_rows, n, network.net.params.shape[1])
            for network, n in zip((self.policy, self.value), outputs, strict=True)
        )
        inputs = np.zeros((n_seeds, n_rows, n_inputs), np.float32)
        carry = make_carry(recurrence, n_seeds, self.actions.n_outputs)
        state = make_state(config, hyper, self.actions, self.store, seed_list, policy, value, inputs, carry)
        self.state = state._replace(observations=self.store.encoding)

    @cached_property
    def _act(self) -> Any:
        """Act without the type dispatch, which would take as long as acting does."""
        state = self.state
        n_seeds = len(state.head.outputs)
        obs = np.zeros((n_seeds, self.store.n_stored), np.float32)
        actions = np.zeros((n_seeds, self.actions.action_dim), np.float32)
        return specialize(act_all, state.policy.net, state.observations, state.hyper, state.head, obs, actions)

    def act(self, obs: Array, actions: Array) -> None:
        """Sample ``actions`` float32 [S, D] at stored observations [S, K]."""
        state = self.state
        self._act(state.policy.net, state.observations, state.hyper, state.head, obs, actions)

    def update(self, policy_lr_scale: float, value_lr_scale: float) -> None:
        """Update the seeds whose batches are complete, and empty these."""
        state = self.state
        policy_scale = float(policy_lr_scale)
        value_scale = float(value_lr_scale)
        entry = self._update_entry
        parallel_for(
            lambda first, last: update_block(first, last, state, policy_scale, value_scale, entry),
            len(state.head.outputs),
        )

    @cached_property
    def _update_entry(self) -> Any:
        return function_pointer(update_seeds, self.state, 1.0, 1.0, Seeds(0, 1, 0))

    def frozen(self) -> AnyNet:
        """Copies of the policy networks."""
        return clone(self.policy.net)

    @staticmethod
    def named_weights(net: AnyNet) -> NamedWeights:
        """Copies of the weights by name, and the activation function."""
        return named_weights(net)

    @staticmethod
    def act_greedily(
        net: AnyNet, store: VectorStore, hyper: ReinforceHyperparams, head: PolicyHead, obs: Array, actions: Array
    ) -> None:
        """Write the most probable or the mean ``actions`` float32 [S, D] at stored observations [S, K]."""
        act_greedily_all(net, store.encoding, hyper, head, obs, actions)

    @staticmethod
    def outputs(net: AnyNet, store: VectorStore, head: PolicyHead, obs: Array) -> Array:
        """Outputs of the networks float32 [S, B, out] at stored observations [B, K]."""
        outputs = np.zeros((len(head.outputs), len(obs), head.outputs.shape[1]), np.float32)
        outputs_all(net, store.encoding, head, obs, outputs)
        return outputs
