"""The torch backend of deep Q-learning: for images, and for every environment on a device other than the CPU.

Seeds are the first axis of every array; :mod:`agents.dqn.update` runs in Python, with all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from agents.common.encoders.encoded import FirstLayers
from agents.common.memory_check import check_fits
from agents.common.networks.compiled import make_carry, n_extra_inputs
from agents.common.networks.conv import conv_builder
from agents.common.networks.conv import pass_bytes as conv_pass_bytes
from agents.common.networks.dense import NamedWeights
from agents.common.networks.modules_torch import behind, count_params, dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.recurrent import Recurrence
from agents.common.networks.recurrent_torch import RecurrentTorchNetwork, recurrent_builder
from agents.common.networks.recurrent_torch import pass_bytes as recurrent_pass_bytes
from agents.common.observation_store import FrameStore, VectorStore
from agents.common.replay.buffer import make_replay, replay_bytes
from agents.common.replay.frames import frame_bytes, frame_shape
from agents.common.replay.prioritized import make_priorities, priority_bytes
from agents.common.replay.sequences import make_sequence_replay, n_sequences, sequence_replay_bytes
from agents.common.spaces import action_lists, discount, is_image, legal_rows, make_observation_adapter, n_actions
from agents.dqn.recurrent import make_sequence_batch
from agents.dqn.update import (
    ActionSampler,
    DQNHyperparams,
    TrainState,
    act,
    learn,
    make_batch,
    make_hyperparams,
    make_sampler,
    store_steps,
)
from simulator.core import rng
from simulator.core.jit import Seeds
from simulator.core.protocols import Array, EnvSpec, Step

WEIGHT_BYTES = 4 * 6  # of one: online, target, average, gradient and two moments of the optimiser


class TorchLearner:
    """S learners with torch networks; see :class:`agents.dqn.learner.CompiledLearner`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        recurrence: of the networks, if they have one.
        first_layers: of an encoder, before the network of vectors.
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
        n = n_actions(spec, "dqn")
        n_outputs = n + config.dueling
        hyper = make_hyperparams(config, action_lists(legal_rows(spec, n)))
        priority = config.priority if config.prioritized else None
        self.recurrence = recurrence
        self.store = _make_store(spec, n_seeds, config, recurrence)
        build = _network_builder(spec, config, self.store, recurrence, first_layers, n)
        seed_bytes = WEIGHT_BYTES * count_params(build) + _batch_bytes(spec, config, self.store, recurrence, n)
        advice = "smaller networks, a smaller agent.batch_size or agent.sequence.length, or fewer seeds"
        check_fits("dqn", spec, n_seeds * seed_bytes, advice)
        online = (RecurrentTorchNetwork if recurrence else TorchNetwork)(build, seed_list, config.optimizer)
        n_inputs = self.store.input_shape[0]
        carry = make_carry(recurrence, n_seeds, n)
        shape, dtype = self.store.input_shape, self.store.input_dtype
        gamma = discount(spec, config.gamma)
        capacity = config.buffer_size
        replay: Any
        batch: Any
        if recurrence:
            sequence = config.sequence
            capacity = n_sequences(sequence, config.buffer_size)
            replay = make_sequence_replay(
                sequence, carry, config.buffer_size, self.store.n_stored, gamma, self.store.dtype
            )
            sizes = (n_seeds, config.batch_size, sequence.length, shape, recurrence.n_state, n_outputs, n)
            n_extras = n_extra_inputs(recurrence, n)
            batch = make_sequence_batch(*sizes, input_dtype=dtype, n_extras=n_extras)
        else:
            replay = make_replay(n_seeds, capacity, self.store.n_stored, config.n_step, gamma, self.store.dtype)
            batch = make_batch(n_seeds, config.batch_size, shape, dtype, n_outputs, n)
        self.state = TrainState(
            hyper=hyper,
            online_net=online,
            target_net=online.clone(),
            eval_net=online.clone() if config.eval_ema else online,
            optimizer=None,
            replay=replay,
            priorities=make_priorities(priority, n_seeds, capacity),
            sample_stream=rng.pcg64_states(seed_list, "replay"),
            observations=self.store,
            sampler=make_sampler(rng.pcg64_states(seed_list, "exploration"), n_inputs, n_outputs, n, carry),
            batch=batch,
            loss=np.zeros(n_seeds),
            failed_at=np.zeros(n_seeds, np.int64),
        )
        self.networks = {"online": online, "target": self.state.target_net}
        if config.eval_ema:
            self.networks["eval_net"] = self.state.eval_net
        if first_layers:
            first_layers.attach(list(self.networks.values()))
        self._seeds = Seeds(0, n_seeds, 0)
        self._actions = np.zeros(n_seeds, np.int64)

    def act(self, obs: Array, clock: int) -> Array:
        """Return exploring actions int64 [S] at stored observations [S, F], after ``clock`` environment steps."""
        state = self.state
        act(state.online_net, self.store, state.hyper, state.sampler, obs, clock, self._actions, self._seeds)
        return self._actions

    def store_steps(self, obs: Array, actions: Array, step: Step, next_obs: Array) -> int:
        """Store one step of every seed; the first seed with a number that is not finite, or -1."""
        return int(
            store_steps(
                self.state.replay,
                self.state.priorities,
                obs,
                np.asarray(actions, np.int64),
                np.asarray(step.reward, np.float32),
                np.asarray(step.terminated, np.bool_),
                np.asarray(step.truncated, np.bool_),
                next_obs,
                self._seeds,
            )
        )

    def learn(self, clock: int, state: TrainState | None = None) -> None:
        """Learn after environment step ``clock``; from another replay with a ``state`` that has one."""
        learn(self.state if state is None else state, clock, self._seeds)

    def frozen(self) -> TorchNetwork:
        """Return copies of the networks for evaluation."""
        copies: TorchNetwork = self.state.eval_net.clone()
        return copies

    @staticmethod
    def named_weights(net: TorchNetwork) -> NamedWeights:
        """Return copies of the weights by name, and the activation function."""
        return net.named_weights()

    @staticmethod
    def act_greedily(
        net: TorchNetwork,
        store: VectorStore | FrameStore,
        hyper: DQNHyperparams,
        sampler: ActionSampler,
        obs: Array,
        actions: Array,
    ) -> None:
        """Write the actions [S] of a policy at stored observations [S, F]."""
        act(net, store, hyper, sampler, obs, 0, actions, Seeds(0, len(actions), 0))

    @staticmethod
    def values_of_inputs(net: TorchNetwork, hyper: DQNHyperparams, n_seeds: int, inputs: Array) -> Array:
        """Return action values float64 [S, B, A] of network inputs [B, *in]."""
        outputs = net.forward(np.repeat(inputs[None], n_seeds, axis=0), keep=False).astype(np.float64)
        if not hyper.dueling:
            return outputs
        advantages = outputs[..., 1:]
        return outputs[..., :1] + advantages - advantages.mean(axis=-1, keepdims=True)


def _make_store(spec: EnvSpec, n_seeds: int, config: Any, recurrence: Recurrence | None) -> VectorStore | FrameStore:
    """Make the observation store, if it and a replay of what it stores fit into memory."""
    adapter = None if is_image(spec) else make_observation_adapter(spec, "dqn", config.normalize_obs)
    n_features = 1 if adapter is None else adapter.n_stored
    n_kept = config.buffer_size
    if recurrence:
        n_kept = n_sequences(config.sequence, config.buffer_size)
        replay = sequence_replay_bytes(config.sequence, config.buffer_size, 2 * n_features, recurrence.n_state)
    else:
        replay = replay_bytes(n_kept, config.n_step, (8 if adapter is None else 4) * n_features)
    n_bytes = n_seeds * (replay + priority_bytes(config.priority if config.prioritized else None, n_kept))
    advice = "a smaller agent.buffer_size, or fewer seeds"
    if adapter is None:
        shape = frame_shape(spec)
        n_pending = 2 * (config.sequence.length + 1) if recurrence else config.n_step
        capacity = frame_capacity(spec, config.conv.frames, config.buffer_size, n_pending)
        check_fits("dqn", spec, frame_bytes(n_seeds, shape, capacity) + n_bytes, advice)
        return FrameStore(spec, n_seeds, config.conv.frames, capacity)
    check_fits("dqn", spec, n_bytes, advice)
    return VectorStore(adapter)


def _batch_bytes(
    spec: EnvSpec, config: Any, store: VectorStore | FrameStore, recurrence: Recurrence | None, n_actions: int
) -> int:
    """Return the memory of a batch of one seed, and of what torch keeps of it until the gradient, in bytes."""
    n_outputs = n_actions + config.dueling
    if is_image(spec):
        through = conv_pass_bytes(config.conv, frame_shape(spec))
    else:
        through = 4 * (store.input_shape[0] + 3 * sum(config.network.hidden))
    own = prod(store.input_shape) * np.dtype(store.input_dtype).itemsize
    outputs = 4 * (4 * n_outputs + 1)
    if recurrence is None:
        return int(config.batch_size * (2 * own + through + outputs))
    through += recurrent_pass_bytes(recurrence) + 4 * n_extra_inputs(recurrence, n_actions)
    return int(config.batch_size * (config.sequence.length + 1) * (own + through + outputs))


def _network_builder(
    spec: EnvSpec,
    config: Any,
    store: VectorStore | FrameStore,
    recurrence: Recurrence | None,
    first_layers: FirstLayers | None,
    n_actions: int,
) -> Callable[[], Any]:
    """Return the function that builds the module of one seed."""
    n_outputs = n_actions + config.dueling
    if recurrence:
        burn_in = config.sequence.burn_in
        return recurrent_builder(recurrence, spec, config, store.input_shape[0], n_actions, n_outputs, burn_in)
    if is_image(spec):
        return conv_builder(config.conv, frame_shape(spec), n_outputs)
    n_inputs = first_layers.n_outputs if first_layers else store.input_shape[0]
    sizes = (n_inputs, *config.network.hidden, n_outputs)
    return lambda: behind(first_layers, dense(sizes, config.network.activation == "tanh"))


def frame_capacity(spec: EnvSpec, depth: int, buffer_size: int, n_pending: int) -> int:
    """Count the frames of every transition: one each, and one more for the last frame of a truncation.

    Truncations are expected at the environment's limit, or at every eighth step without one. Where they come more
    often, the oldest transitions lose their frames and are no longer sampled. ``n_pending`` steps wait until they are
    whole transitions or sequences.
    """
    truncations = buffer_size // spec.max_steps + 1 if spec.max_steps else buffer_size // 8
    return buffer_size + truncations + depth + n_pending + 1
