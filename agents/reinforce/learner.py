"""The compiled backend of REINFORCE: dense networks, for vectors and discrete observations on the CPU.

Seeds are the outer loop: one seed's data stay in the cache, and threads take blocks of seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.dense import (
    CompiledNetwork,
    NamedWeights,
    Net,
    clone,
    forward_row,
    make_net,
    n_params,
    named_weights,
    outputs_at,
)
from agents.common.networks.dense import backward as backward_batch
from agents.common.networks.dense import forward as forward_batch
from agents.common.networks.optimizers import clip_and_update
from agents.common.observation_store import VectorStore, expand_vector
from agents.common.spaces import make_action_adapter, make_observation_adapter
from agents.reinforce.update import (
    MEMORY_ADVICE,
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
from simulator.core.jit import Seeds, jit, jit_implementation, parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec

CHUNK = 128  # rows that pass through a network at once: they stay in the cache


@jit_implementation(encode, inline=True)
def _encode(state, chunk, seeds):
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        for r in range(chunk.n):
            expand_vector(state.observations, state.batch.obs[i, chunk.start + r], state.inputs[row, r])


@jit_implementation(forward, inline=True)
def _forward(state, approximator, chunk, seeds):
    net = approximator.net
    outputs = approximator.outputs
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        forward_batch(net, i, row, state.inputs[row, : chunk.n])
        first = outputs_at(net, chunk.n)
        for r in range(chunk.n):
            for c in range(outputs.shape[2]):
                outputs[row, r, c] = net.outputs[row, first + r * outputs.shape[2] + c]


@jit_implementation(forward_obs, inline=True)
def _forward_obs(net, observations, head, obs, seeds):
    for i in range(seeds.first, seeds.last):
        expand_vector(observations, obs[i], head.inputs[i])
        forward_row(net, i, i, head.inputs[i], head.outputs[i])


@jit_implementation(forward_final, inline=True)
def _forward_final(state, seeds):
    value = state.value
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        for e in range(state.batch.end.shape[1]):
            if state.batch.truncated[i, e]:
                expand_vector(state.observations, state.batch.final_obs[i, e], state.inputs[row, 0])
                forward_row(value.net, i, row, state.inputs[row, 0], value.outputs[row, 0])
                state.work.bootstrap_value[row, e] = value.outputs[row, 0, 0]


@jit_implementation(backward, inline=True)
def _backward(state, approximator, chunk, seeds):
    net = approximator.net
    for i in range(seeds.first, seeds.last):
        row = seeds.row + i - seeds.first
        if state.work.active[row]:
            backward_batch(net, i, row, state.inputs[row, : chunk.n], approximator.output_grad[row, : chunk.n])
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
            forward_row(net, i, i, head.inputs[i], outputs[i, b])


@jit
def update_block(first, last, state, policy_lr_scale, value_lr_scale):
    """Update the seeds from ``first`` to before ``last``, one after the other, in the same working space."""
    for i in range(first, last):
        update(state, policy_lr_scale, value_lr_scale, Seeds(i, i + 1, first))


class CompiledPolicyLearner:
    """S learners with dense networks.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Any) -> None:
        n_seeds = len(seed_list)
        adapter = make_observation_adapter(spec, "reinforce", unit_integers=True)
        self.actions = make_action_adapter(spec, "reinforce")
        hyper = make_hyperparams(spec, config, self.actions)
        policy_sizes = (adapter.n_inputs, *config.network.hidden, self.actions.n_outputs)
        value_sizes = (adapter.n_inputs, *config.network.hidden, 1)
        row_bytes = batch_row_bytes(adapter.n_stored, self.actions.action_dim)
        batch_bytes = config.episodes_per_update * hyper.max_episode_steps * row_bytes
        net_bytes = 20 * (n_params(policy_sizes) + n_params(value_sizes))
        check_fits("reinforce", spec, n_seeds * (batch_bytes + net_bytes), MEMORY_ADVICE)
        tanh = config.network.activation == "tanh"
        self.policy = CompiledNetwork(make_net(policy_sizes, tanh, seed_list, CHUNK), config.optimizer)
        self.value = CompiledNetwork(make_net(value_sizes, tanh, seed_list, CHUNK), config.value_optimizer)
        self.store = VectorStore(adapter)
        policy, value = (
            make_approximator(
                network.net, network.optimizer, n_seeds, CHUNK, int(network.net.sizes[-1]), network.net.params.shape[1]
            )
            for network in (self.policy, self.value)
        )
        inputs = np.zeros((n_seeds, CHUNK, adapter.n_inputs), np.float32)
        state = make_state(config, hyper, self.actions, self.store, seed_list, policy, value, inputs)
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
        parallel_for(
            lambda first, last: update_block(first, last, state, policy_lr_scale, value_lr_scale),
            len(state.head.outputs),
        )

    def frozen(self) -> Net:
        """Copies of the policy networks."""
        return clone(self.policy.net)

    @staticmethod
    def named_weights(net: Net) -> NamedWeights:
        """Copies of the weights by name, and the activation function."""
        return named_weights(net)

    @staticmethod
    def act_greedily(
        net: Net, store: VectorStore, hyper: ReinforceHyperparams, head: PolicyHead, obs: Array, actions: Array
    ) -> None:
        """Write the most probable or the mean ``actions`` float32 [S, D] at stored observations [S, K]."""
        act_greedily_all(net, store.encoding, hyper, head, obs, actions)

    @staticmethod
    def outputs(net: Net, store: VectorStore, head: PolicyHead, obs: Array) -> Array:
        """Outputs of the networks float32 [S, B, out] at stored observations [B, K]."""
        outputs = np.zeros((len(head.outputs), len(obs), head.outputs.shape[1]), np.float32)
        outputs_all(net, store.encoding, head, obs, outputs)
        return outputs
