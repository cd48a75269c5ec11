"""The torch backend of deep Q-learning: for images, and for every environment on a device other than the CPU.

Seeds are the first axis of every array; :mod:`agents.dqn.update` runs in Python, with all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agents.common.encoders.encoded import FirstLayers
from agents.common.memory_check import check_fits
from agents.common.networks.compiled import no_carry
from agents.common.networks.conv import conv_builder
from agents.common.networks.dense import NamedWeights
from agents.common.networks.modules_torch import behind, count_params, dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.observation_store import FrameStore, VectorStore
from agents.common.replay.buffer import make_replay, replay_bytes
from agents.common.replay.frames import frame_bytes, frame_shape
from agents.common.replay.prioritized import make_priorities, priority_bytes
from agents.common.spaces import action_lists, discount, is_image, legal_rows, make_observation_adapter, n_actions
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
        first_layers: of an encoder, before the network of vectors.
    """

    plays_rollouts = False
    recurrence = None

    def __init__(
        self, spec: EnvSpec, seed_list: Sequence[int], config: Any, first_layers: FirstLayers | None = None
    ) -> None:
        n_seeds = len(seed_list)
        n = n_actions(spec, "dqn")
        n_outputs = n + config.dueling
        hyper = make_hyperparams(config, action_lists(legal_rows(spec, n)))
        priority = config.priority if config.prioritized else None
        self.store, build = _make_store(spec, n_seeds, config, n_outputs, first_layers)
        check_fits("dqn", spec, n_seeds * WEIGHT_BYTES * count_params(build), "smaller networks, or fewer seeds")
        online = TorchNetwork(build, seed_list, config.optimizer)
        n_inputs = self.store.input_shape[0]
        self.state = TrainState(
            hyper=hyper,
            online_net=online,
            target_net=online.clone(),
            eval_net=online.clone() if config.eval_ema else online,
            optimizer=None,
            replay=make_replay(
                n_seeds,
                config.buffer_size,
                self.store.n_stored,
                config.n_step,
                discount(spec, config.gamma),
                self.store.dtype,
            ),
            priorities=make_priorities(priority, n_seeds, config.buffer_size),
            sample_stream=rng.pcg64_states(seed_list, "replay"),
            observations=self.store,
            sampler=make_sampler(rng.pcg64_states(seed_list, "exploration"), n_inputs, n_outputs, n, no_carry(n_seeds)),
            batch=make_batch(n_seeds, config.batch_size, self.store.input_shape, self.store.input_dtype, n_outputs, n),
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


def _make_store(
    spec: EnvSpec, n_seeds: int, config: Any, n_outputs: int, first_layers: FirstLayers | None
) -> tuple[VectorStore | FrameStore, Callable[[], Any]]:
    """Make the observation store, and the function that builds the matching module."""
    priorities = priority_bytes(config.priority if config.prioritized else None, config.buffer_size)
    advice = "a smaller agent.buffer_size, or fewer seeds"
    if is_image(spec):
        shape = frame_shape(spec)
        capacity = frame_capacity(spec, config.conv.frames, config.buffer_size, config.n_step)
        replay = replay_bytes(config.buffer_size, config.n_step, 8)
        check_fits("dqn", spec, frame_bytes(n_seeds, shape, capacity) + n_seeds * (replay + priorities), advice)
        frames = FrameStore(spec, n_seeds, config.conv.frames, capacity)
        return frames, conv_builder(config.conv, shape, n_outputs)
    adapter = make_observation_adapter(spec, "dqn", config.normalize_obs)
    replay = replay_bytes(config.buffer_size, config.n_step, 4 * adapter.n_stored)
    check_fits("dqn", spec, n_seeds * (replay + priorities), advice)
    n_inputs = first_layers.n_outputs if first_layers else adapter.n_inputs
    sizes = (n_inputs, *config.network.hidden, n_outputs)

    def build() -> Any:
        return behind(first_layers, dense(sizes, config.network.activation == "tanh"))

    return VectorStore(adapter), build


def frame_capacity(spec: EnvSpec, depth: int, buffer_size: int, n_step: int) -> int:
    """Count the frames of every transition: one each, and one more for the last frame of a truncation.

    Truncations are expected at the environment's limit, or at every eighth step without one. Where they come more
    often, the oldest transitions lose their frames and are no longer sampled.
    """
    truncations = buffer_size // spec.max_steps + 1 if spec.max_steps else buffer_size // 8
    return buffer_size + truncations + depth + n_step + 1
