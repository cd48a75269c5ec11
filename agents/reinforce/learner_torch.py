"""REINFORCE's networks of torch: for images, and for every environment on a device other than the CPU.

On the CPU every seed has networks of its own, so that it learns from its batch when that is complete, without the
others; elsewhere all seeds are one tensor, and those that wait go along unused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.spaces import is_image
from agents.reinforce.observations_torch import FrameInputs, VectorInputs
from agents.reinforce.space_adapter import SpaceAdapter
from agents.reinforce.update import (
    MEMORY_ADVICE,
    EpisodeBatch,
    PolicyHead,
    ReinforceHyperparams,
    ReinforceState,
    batch_row_bytes,
    best_action,
    sample_action,
    update_group,
)
from simulator.core.devices import device
from simulator.core.jit import jit, parallel_for
from simulator.core.protocols import Array, EnvSpec, State, Step


@jit
def _sample_actions(head, hp, obs, actions):
    for i in range(len(actions)):
        sample_action(head, hp, i, obs[i], actions[i])


@jit
def _best_actions(head, hp, obs, actions):
    for i in range(len(actions)):
        best_action(head, hp, i, obs[i], actions[i])


class TorchPolicyLearner:
    """Policy and value networks of S seeds; see :class:`agents.reinforce.agent.PolicyLearner`.

    Args:
        spec: the environment.
        adapter: between its spaces and the networks.
        hp: the settings of the update.
        config: the agent's settings.
        state: the train state beside the networks.
        seed_list: the run's seeds.

    Raises:
        ValueError: sizes that do not go together, or batches that do not fit into memory.
    """

    def __init__(
        self,
        spec: EnvSpec,
        adapter: SpaceAdapter,
        hp: ReinforceHyperparams,
        config: Any,
        state: ReinforceState,
        seed_list: list[int],
    ) -> None:
        n_seeds = len(seed_list)
        n_rows = config.episodes_per_update * hp.max_episode_steps
        inputs: VectorInputs | FrameInputs
        if is_image(spec):
            inputs = FrameInputs(spec, config.conv, n_rows + config.episodes_per_update)
        else:
            inputs = VectorInputs(adapter, config.network)
        n_at_once = min(n_seeds, os.cpu_count() or 1) if device() == "cpu" else n_seeds
        batch_bytes = n_rows * n_seeds * batch_row_bytes(adapter.obs_dim_stored, adapter.action_dim)
        pass_bytes = n_rows * n_at_once * inputs.pass_bytes()
        check_fits("reinforce", spec, inputs.stored_bytes(n_seeds) + batch_bytes + pass_bytes, MEMORY_ADVICE)
        inputs.allocate(n_seeds)
        self.obs_dtype = inputs.obs_dtype
        self.policy = make_networks(inputs.build(adapter.n_outputs), seed_list, config.optimizer)
        self.value = make_networks(inputs.build(1), seed_list, config.value_optimizer)
        self._inputs = inputs
        self._hp = hp
        self._state = state

    def encode_obs(self, obs: Array) -> Array:
        """Convert obs [S, *obs] to what a batch stores, [S, K]."""
        return self._inputs.encode_obs(obs)

    def encode_final_obs(self, step: Step) -> Array:
        """Convert the observation that a step led to, [S, K]."""
        return self._inputs.encode_final_obs(step)

    def sample_actions(self, obs: Array, actions: Array) -> None:
        """Sample ``actions`` float32 [S, D] at stored observations [S, K]."""
        head = self._state.head
        head.output[:] = self.policy.forward(self._inputs.network_input(obs))[:, 0]
        _sample_actions(head, self._hp, obs, actions)

    def update(self, batch: EpisodeBatch, policy_lr_scale: float, value_lr_scale: float) -> None:
        """Update the seeds whose batches are complete."""

        def work(first: int, last: int) -> None:
            for group in range(first, last):
                seeds = self.policy.groups[group]
                update_group(
                    self.policy.nets[group],
                    self.value.nets[group],
                    lambda obs, used, seeds=seeds: self._inputs.batch_input(seeds, obs, used),
                    state_of(self._state, seeds),
                    EpisodeBatch(*(array[seeds] for array in batch)),
                    self._hp,
                    policy_lr_scale,
                    value_lr_scale,
                )

        parallel_for(work, len(self.policy.groups))

    def greedy(self, head: PolicyHead) -> TorchGreedy:
        """Copy the policy for evaluation."""
        return TorchGreedy(self.policy.clone(), head, self._hp, self._inputs)

    def state(self) -> State:
        """Networks, their optimizers, and stored frames."""
        return {"policy": self.policy.state(), "value": self.value.state(), "inputs": self._inputs.state()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.policy.restore(state["policy"])
        self.value.restore(state["value"])
        self._inputs.restore(state["inputs"])


class TorchGreedy:
    """Policy networks of S seeds, held still; see :class:`agents.reinforce.agent.GreedyActor`."""

    def __init__(
        self, nets: GroupedNetworks, head: PolicyHead, hp: ReinforceHyperparams, inputs: VectorInputs | FrameInputs
    ) -> None:
        self._nets = nets
        self._head = head
        self._hp = hp
        self._inputs = inputs
        self._evaluation_input = inputs.evaluation_input()

    def best_actions(self, obs: Array, first: Array, actions: Array) -> None:
        """Write the most probable or the mean ``actions`` float32 [S, D] at obs [S, *obs]."""
        seen = self._evaluation_input(obs, first)
        self._head.output[:] = self._nets.forward(seen.x)[:, 0]
        _best_actions(self._head, self._hp, seen.stored, actions)

    def outputs(self, obs: Array) -> Array | None:
        """Outputs of the networks float32 [S, B, out] at obs [B, *obs]; None for images."""
        if isinstance(self._inputs, FrameInputs):
            return None
        x = self._inputs.network_input(self._inputs.encode_obs(obs))[:, 0]
        return self._nets.forward(np.repeat(x[None], len(self._head.output), axis=0))


class GroupedNetworks:
    """Networks of S seeds as groups that learn on their own: single seeds on the CPU, all of them elsewhere.

    Args:
        groups: the seeds of every group.
        nets: the networks of every group.
    """

    def __init__(self, groups: list[slice], nets: list[TorchNetwork]) -> None:
        self.groups = groups
        self.nets = nets

    def forward(self, x: Array) -> Array:
        """Outputs [S, B, out] at x [S, B, *in], to act by."""
        outputs: list[Array] = [x] * len(self.nets)

        def work(first: int, last: int) -> None:
            for group in range(first, last):
                outputs[group] = self.nets[group].forward(x[self.groups[group]], keep=False)

        parallel_for(work, len(self.nets))
        return np.concatenate(outputs)

    def clone(self) -> GroupedNetworks:
        """Networks of the same weights that are held still."""
        return GroupedNetworks(self.groups, [net.clone() for net in self.nets])

    def state(self) -> State:
        """Weights and optimizers, [S, ...], however they are grouped."""
        states = [net.state() for net in self.nets]
        return {name: np.concatenate([each[name] for each in states]) for name in states[0]}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for seeds, net in zip(self.groups, self.nets, strict=True):
            net.restore({name: values[seeds] for name, values in state.items()})


def make_networks(build: Callable[[], Any], seed_list: Sequence[int], settings: OptimizerSettings) -> GroupedNetworks:
    """Networks with random weights from each seed's own stream."""
    n_seeds = len(seed_list)
    groups = [slice(i, i + 1) for i in range(n_seeds)] if device() == "cpu" else [slice(0, n_seeds)]
    return GroupedNetworks(groups, [TorchNetwork(build, seed_list[seeds], settings) for seeds in groups])


def state_of(state: ReinforceState, seeds: slice) -> ReinforceState:
    """The state of some seeds, as views."""
    head = state.head
    optimizer = state.std_optimizer
    return ReinforceState(
        head=head._replace(
            log_std=head.log_std[seeds],
            stream=head.stream[seeds],
            input=head.input[seeds],
            output=head.output[seeds],
        ),
        std_optimizer=optimizer._replace(moments=optimizer.moments[seeds], step_count=optimizer.step_count[seeds]),
        env_steps=state.env_steps[seeds],
        failed_at=state.failed_at[seeds],
        policy_loss=state.policy_loss[seeds],
        value_loss=state.value_loss[seeds],
        entropy=state.entropy[seeds],
    )
