"""The torch backend of REINFORCE: for images, and for every environment on a device other than the CPU.

On the CPU every seed has networks of its own, so that it learns from its batch when that is complete, without the
others; elsewhere all seeds are one tensor, and those that wait go along unused. :mod:`agents.reinforce.update` runs in
Python, once for every group of seeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from agents.common.encoders.encoded import FirstLayers
from agents.common.memory_check import check_fits
from agents.common.networks.compiled import make_carry
from agents.common.networks.conv import conv_builder
from agents.common.networks.conv import pass_bytes as conv_pass_bytes
from agents.common.networks.dense import NamedWeights
from agents.common.networks.modules_torch import behind, dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.networks.recurrent import Recurrence
from agents.common.networks.recurrent_torch import RecurrentTorchNetwork, Stepped, recurrent_builder
from agents.common.networks.recurrent_torch import pass_bytes as recurrent_pass_bytes
from agents.common.observation_store import FrameStore, VectorStore
from agents.common.replay.frames import frame_bytes, frame_shape
from agents.common.spaces import is_image, make_action_adapter, make_observation_adapter
from agents.reinforce.update import (
    MEMORY_ADVICE,
    ChunkInputs,
    PolicyHead,
    ReinforceHyperparams,
    act,
    act_greedily,
    batch_row_bytes,
    make_approximator,
    make_hyperparams,
    make_state,
    update,
)
from simulator.core.devices import device
from simulator.core.jit import Seeds, parallel_for
from simulator.core.protocols import Array, EnvSpec, State


class TorchPolicyLearner:
    """S learners with torch networks; see :class:`agents.reinforce.learner.CompiledPolicyLearner`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        recurrence: of the networks, if they have one.
        first_layers: of an encoder, before either network of vectors.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """

    def __init__(
        self,
        spec: EnvSpec,
        seed_list: Sequence[int],
        config: Any,
        recurrence: Recurrence | None = None,
        first_layers: FirstLayers | None = None,
    ) -> None:
        n_seeds = len(seed_list)
        self.actions = make_action_adapter(spec, "reinforce")
        hyper = make_hyperparams(spec, config, self.actions)
        n_rows = config.episodes_per_update * hyper.max_episode_steps
        dim = self.actions.action_dim
        n_outputs = self.actions.n_outputs
        if is_image(spec):
            shape = frame_shape(spec)
            capacity = n_rows + config.episodes_per_update + config.conv.frames + 2
            build_policy, build_value = (conv_builder(config.conv, shape, n) for n in (n_outputs, 1))
            stored_bytes = frame_bytes(n_seeds, shape, capacity) + n_seeds * n_rows * batch_row_bytes(1, dim)
            pass_bytes = 2 * conv_pass_bytes(config.conv, shape)  # through both networks
        else:
            adapter = make_observation_adapter(spec, "reinforce", unit_integers=True)
            layers = (first_layers.n_outputs if first_layers else adapter.n_inputs, *config.network.hidden)
            tanh = config.network.activation == "tanh"
            build_policy, build_value = (partial(_build, first_layers, (*layers, n), tanh) for n in (n_outputs, 1))
            stored_bytes = n_seeds * n_rows * batch_row_bytes(adapter.n_stored, dim)
            pass_bytes = 8 * (adapter.n_inputs + 3 * sum(config.network.hidden))
        n_at_once = min(n_seeds, os.cpu_count() or 1) if device() == "cpu" else n_seeds
        pass_bytes += 8 * (n_outputs + 1)
        if recurrence:
            pass_bytes += 2 * recurrent_pass_bytes(recurrence)
        check_fits("reinforce", spec, stored_bytes + n_rows * n_at_once * pass_bytes, MEMORY_ADVICE)
        self.store: VectorStore | FrameStore
        if is_image(spec):
            self.store = FrameStore(spec, n_seeds, config.conv.frames, capacity)
        else:
            self.store = VectorStore(adapter)
        if recurrence:
            n_inputs = self.store.input_shape[0]
            build_policy, build_value = (
                recurrent_builder(recurrence, spec, config, n_inputs, n_outputs, n, 0) for n in (n_outputs, 1)
            )
        kind = RecurrentTorchNetwork if recurrence else TorchNetwork
        self.recurrence = recurrence
        self.policy = make_networks(kind, build_policy, seed_list, config.optimizer)
        self.value = make_networks(kind, build_value, seed_list, config.value_optimizer)
        if first_layers:
            first_layers.attach([self.policy, self.value])
        policy = make_approximator(self.policy, None, n_seeds, n_rows, n_outputs)
        value = make_approximator(self.value, None, n_seeds, n_rows, 1)
        carry = make_carry(recurrence, n_seeds, n_outputs)
        self.state = make_state(config, hyper, self.actions, self.store, seed_list, policy, value, None, carry)
        self._seeds = Seeds(0, n_seeds, 0)

    def act(self, obs: Array, actions: Array) -> None:
        """Sample ``actions`` float32 [S, D] at stored observations [S, K]."""
        act(self.policy, self.store, self.state.hyper, self.state.head, obs, actions, self._seeds)

    def update(self, policy_lr_scale: float, value_lr_scale: float) -> None:
        """Update the seeds whose batches are complete, and empty these."""

        def work(first: int, last: int) -> None:
            for k in range(first, last):
                group = self.policy.groups[k]
                state = self.state._replace(
                    policy=self.state.policy._replace(net=self.policy.nets[k]),
                    value=self.state.value._replace(net=self.value.nets[k]),
                    inputs=ChunkInputs(),
                )
                row = self.policy.groups[first].start
                update(state, policy_lr_scale, value_lr_scale, Seeds(group.start, group.stop, row))

        parallel_for(work, len(self.policy.groups))

    def frozen(self) -> GroupedNetworks:
        """Copies of the policy networks."""
        return self.policy.clone()

    @staticmethod
    def act_greedily(
        nets: GroupedNetworks,
        store: VectorStore | FrameStore,
        hyper: ReinforceHyperparams,
        head: PolicyHead,
        obs: Array,
        actions: Array,
    ) -> None:
        """Write the most probable or the mean ``actions`` float32 [S, D] at stored observations [S, K]."""
        act_greedily(nets, store, hyper, head, obs, actions, Seeds(0, len(actions), 0))

    @staticmethod
    def named_weights(nets: GroupedNetworks) -> NamedWeights:
        """Copies of the weights by name, and the activation function."""
        groups = [net.named_weights() for net in nets.nets]
        weights = {name: np.concatenate([group.weights[name] for group in groups]) for name in groups[0].weights}
        return NamedWeights(weights, groups[0].activation)

    @staticmethod
    def outputs(nets: GroupedNetworks, store: VectorStore | FrameStore, head: PolicyHead, obs: Array) -> Array | None:
        """Outputs of the networks float32 [S, B, out] at stored observations [B, K]; None for images."""
        if isinstance(store, FrameStore):
            return None  # they depend on the frames before
        return nets.forward(store.inputs(np.repeat(obs[None], len(head.outputs), axis=0)))


def _build(first_layers: FirstLayers | None, sizes: tuple[int, ...], tanh: bool) -> Any:
    """Build the module of one network of one seed."""
    return behind(first_layers, dense(sizes, tanh))


class GroupedNetworks:
    """Networks of S seeds as groups that learn on their own: single seeds on the CPU, all of them elsewhere.

    Args:
        groups: the seeds of every group.
        nets: the networks of every group.
    """

    def __init__(self, groups: list[slice], nets: list[TorchNetwork]) -> None:
        self.groups = groups
        self.nets = nets
        self.is_recurrent = nets[0].is_recurrent

    def step(self, obs: Array, extras: Array, state: Array) -> Stepped:
        """Step every seed at one observation; see :class:`agents.common.networks.recurrent_torch.Stepped`."""
        results: list[Any] = [None] * len(self.nets)

        def work(first: int, last: int) -> None:
            for k in range(first, last):
                rows = self.groups[k]
                net: Any = self.nets[k]
                results[k] = net.step(obs[rows], extras[rows], state[rows])

        parallel_for(work, len(self.nets))
        return Stepped(*(np.concatenate(parts) for parts in zip(*results, strict=True)))

    def forward(self, x: Array, keep: bool = False) -> Array:
        """Outputs [S, B, out] at x [S, B, *in], to act by; nothing is kept."""
        outputs: list[Array] = [x] * len(self.nets)

        def work(first: int, last: int) -> None:
            for group in range(first, last):
                outputs[group] = self.nets[group].forward(x[self.groups[group]], keep=False)

        parallel_for(work, len(self.nets))
        return np.concatenate(outputs)

    def clone(self) -> GroupedNetworks:
        """Networks of the same weights that are held still."""
        return GroupedNetworks(self.groups, [net.clone() for net in self.nets])

    def parameters(self) -> dict[str, Array]:
        """Copies of the weights by name, [S, *shape]."""
        groups = [net.parameters() for net in self.nets]
        return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}

    def seed_parameters(self, index: int) -> dict[str, Array]:
        """Weights of one seed by name, [*shape]; to be read alone."""
        net, at = self._place(index)
        return net.seed_parameters(at)

    def latest_inputs(self, index: int) -> Array | None:
        """Return the first layer's inputs [in] of one seed in the latest single step; None before the first."""
        net, at = self._place(index)
        found: Array | None = net.latest_inputs(at)
        return found

    def _place(self, index: int) -> tuple[Any, int]:
        """Networks of the group that a seed is in, and its number there."""
        at = next(k for k, group in enumerate(self.groups) if group.start <= index < group.stop)
        return self.nets[at], index - self.groups[at].start

    def set_parameters(self, named: dict[str, Array]) -> None:
        """Set weights by name, [S, *shape]."""
        for seeds, net in zip(self.groups, self.nets, strict=True):
            net.set_parameters({name: values[seeds] for name, values in named.items()})

    def state(self) -> State:
        """Weights and optimizers, [S, ...], however they are grouped."""
        states = [net.state() for net in self.nets]
        return {name: np.concatenate([each[name] for each in states]) for name in states[0]}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for seeds, net in zip(self.groups, self.nets, strict=True):
            net.restore({name: values[seeds] for name, values in state.items()})


def make_networks(
    kind: type[TorchNetwork], build: Callable[[], Any], seed_list: Sequence[int], settings: OptimizerSettings
) -> GroupedNetworks:
    """Networks with random weights from each seed's own stream."""
    n_seeds = len(seed_list)
    groups = [slice(i, i + 1) for i in range(n_seeds)] if device() == "cpu" else [slice(0, n_seeds)]
    return GroupedNetworks(groups, [kind(build, seed_list[seeds], settings) for seeds in groups])
