"""REINFORCE's networks on the CPU where observations are vectors or classes: dense and compiled, seed by seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.dense import CompiledNetwork, Net, clone, forward_row, make_net, n_params
from agents.reinforce.space_adapter import SpaceAdapter
from agents.reinforce.update import (
    CHUNK,
    MEMORY_ADVICE,
    EpisodeBatch,
    PolicyAndValue,
    PolicyHead,
    ReinforceHyperparams,
    ReinforceState,
    batch_row_bytes,
    best_action,
    make_scratch,
    sample_action,
    update_seeds,
    write_network_input,
)
from simulator.core.jit import jit, parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, State, Step


@jit
def _sample_actions(net, head, hp, obs, actions):
    for i in range(len(actions)):
        write_network_input(obs[i : i + 1], hp, head.input[i : i + 1])
        forward_row(net, i, i, head.input[i], head.output[i])
        sample_action(head, hp, i, obs[i], actions[i])


@jit
def _best_actions(net, head, hp, obs, actions):
    for i in range(len(actions)):
        write_network_input(obs[i : i + 1], hp, head.input[i : i + 1])
        forward_row(net, i, i, head.input[i], head.output[i])
        best_action(head, hp, i, obs[i], actions[i])


@jit
def _outputs(net, head, hp, obs, outputs):
    for i in range(outputs.shape[0]):
        for b in range(outputs.shape[1]):
            write_network_input(obs[b : b + 1], hp, head.input[i : i + 1])
            forward_row(net, i, i, head.input[i], outputs[i, b])


class CompiledPolicyLearner:
    """Policy and value networks of S seeds; see :class:`agents.reinforce.agent.PolicyLearner`.

    Args:
        spec: the environment.
        adapter: between its spaces and the networks.
        hp: the settings of the update.
        config: the agent's settings.
        state: the train state beside the networks.
        seed_list: the run's seeds.

    Raises:
        ValueError: batches and networks that do not fit into memory.
    """

    obs_dtype = np.float32

    def __init__(
        self,
        spec: EnvSpec,
        adapter: SpaceAdapter,
        hp: ReinforceHyperparams,
        config: Any,
        state: ReinforceState,
        seed_list: list[int],
    ) -> None:
        policy_sizes = [adapter.obs_dim, *config.network.hidden, adapter.n_outputs]
        value_sizes = [adapter.obs_dim, *config.network.hidden, 1]
        row_bytes = batch_row_bytes(adapter.obs_dim_stored, adapter.action_dim)
        batch_bytes = config.episodes_per_update * hp.max_episode_steps * row_bytes
        net_bytes = 20 * (n_params(policy_sizes) + n_params(value_sizes))
        check_fits("reinforce", spec, len(seed_list) * (batch_bytes + net_bytes), MEMORY_ADVICE)
        tanh = config.network.activation == "tanh"
        self._adapter = adapter
        self._hp = hp
        self._state = state
        self.policy = CompiledNetwork(make_net(policy_sizes, tanh, seed_list, CHUNK), config.optimizer)
        self.value = CompiledNetwork(make_net(value_sizes, tanh, seed_list, CHUNK), config.value_optimizer)
        self._nets = PolicyAndValue(self.policy.net, self.policy.optimizer, self.value.net, self.value.optimizer)
        self._scratch = make_scratch(self._nets, config.episodes_per_update, hp.max_episode_steps, adapter.action_dim)
        obs = np.zeros((len(seed_list), adapter.obs_dim_stored), np.float32)
        actions = np.zeros((len(seed_list), adapter.action_dim), np.float32)
        self._sample_actions = specialize(_sample_actions, self.policy.net, state.head, hp, obs, actions)

    def encode_obs(self, obs: Array) -> Array:
        """Convert obs [S, *obs] to what a batch stores, float32 [S, K]."""
        return self._adapter.encode_obs(obs)

    def encode_final_obs(self, step: Step) -> Array:
        """Convert the observation that a step led to, float32 [S, K]."""
        return self._adapter.encode_obs(step.final_obs)

    def sample_actions(self, obs: Array, actions: Array) -> None:
        """Sample ``actions`` float32 [S, D] at stored observations [S, K]."""
        self._sample_actions(self.policy.net, self._state.head, self._hp, obs, actions)

    def update(self, batch: EpisodeBatch, policy_lr_scale: float, value_lr_scale: float) -> None:
        """Update the seeds whose batches are complete."""
        nets = self._nets
        state = self._state
        hp = self._hp
        scratch = self._scratch

        def work(first: int, last: int) -> None:
            update_seeds(first, last, nets, state, batch, hp, scratch, policy_lr_scale, value_lr_scale)

        parallel_for(work, len(self.policy.net.params))

    def greedy(self, head: PolicyHead) -> CompiledGreedy:
        """Copy the policy for evaluation."""
        return CompiledGreedy(clone(self.policy.net), head, self._hp, self._adapter)

    def state(self) -> State:
        """Networks and their optimizers."""
        return {"policy": self.policy.state(), "value": self.value.state()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.policy.restore(state["policy"])
        self.value.restore(state["value"])


class CompiledGreedy:
    """Policy networks of S seeds, held still; see :class:`agents.reinforce.agent.GreedyActor`."""

    def __init__(self, net: Net, head: PolicyHead, hp: ReinforceHyperparams, adapter: SpaceAdapter) -> None:
        self._net = net
        self._head = head
        self._hp = hp
        self._adapter = adapter

    def best_actions(self, obs: Array, first: Array, actions: Array) -> None:
        """Write the most probable or the mean ``actions`` float32 [S, D] at obs [S, *obs]."""
        _best_actions(self._net, self._head, self._hp, self._adapter.encode_obs(obs), actions)

    def outputs(self, obs: Array) -> Array:
        """Outputs of the networks float32 [S, B, out] at obs [B, *obs]."""
        outputs = np.zeros((len(self._net.params), len(obs), int(self._net.sizes[-1])), np.float32)
        _outputs(self._net, self._head, self._hp, self._adapter.encode_obs(obs), outputs)
        return outputs
