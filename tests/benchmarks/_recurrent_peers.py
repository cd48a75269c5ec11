"""Recurrent agents of other libraries with the network and the numbers of :mod:`tests.benchmarks.components`.

An LSTM on the observation and one linear layer on its output, in MountainCar with episodes of 192 steps, three
sequences each. What :func:`sb3_contrib` and :func:`tianshou` return trains one model on by so many environment steps;
models are made outside the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

ENV = "MountainCar-v0"
UNITS = 64
LENGTH = 64
SEQUENCES = 32
EPISODE = 3 * LENGTH
PERIOD = 10
COPY = 500
START = 2_500
CAPACITY = 50_000
RATE = 1e-3
GAMMA = 0.99
EPSILON = 0.05


def sb3_contrib() -> Callable[[int], Any]:
    """RecurrentPPO: an LSTM for the policy and one for the values, one gradient step on every 32 pieces of 64 steps."""
    from sb3_contrib import RecurrentPPO

    network = {"lstm_hidden_size": UNITS, "net_arch": [], "enable_critic_lstm": True}
    model = RecurrentPPO(
        "MlpLstmPolicy",
        _side_by_side(SEQUENCES),
        n_steps=LENGTH,
        batch_size=LENGTH * SEQUENCES,
        n_epochs=1,
        gamma=GAMMA,
        learning_rate=RATE,
        policy_kwargs=network,
        device="cpu",
        seed=0,
    )
    return partial(model.learn, reset_num_timesteps=False)


def _side_by_side(n: int) -> Any:
    from stable_baselines3.common.env_util import make_vec_env

    return make_vec_env(ENV, n_envs=n, seed=0, env_kwargs={"max_episode_steps": EPISODE})


def tianshou() -> Callable[[int], Any]:
    """DQN on stacks of 64 observations, 32 of them in an update, an update every 10 steps."""
    import gymnasium
    from tianshou.algorithm import DQN
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Recurrent
    from tianshou.utils.torch_utils import policy_within_training_step

    env = gymnasium.make(ENV, max_episode_steps=EPISODE)
    n_inputs = env.observation_space.shape[0]
    model = Recurrent(layer_num=1, state_shape=n_inputs, action_shape=env.action_space.n, hidden_layer_size=UNITS)
    model.fc1 = nn.Identity()  # the observation goes into the cell, as in the others
    model.nn = nn.LSTM(n_inputs, UNITS, batch_first=True)
    policy = DiscreteQLearningPolicy(model=model, action_space=env.action_space, eps_training=EPSILON)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(lr=RATE), gamma=GAMMA, target_update_freq=COPY // PERIOD)
    buffer = VectorReplayBuffer(CAPACITY, 1, stack_num=LENGTH, ignore_obs_next=True)
    collector = Collector(
        algorithm,
        DummyVectorEnv([lambda: gymnasium.make(ENV, max_episode_steps=EPISODE)]),
        buffer,
        exploration_noise=True,
    )
    collector.reset()
    with policy_within_training_step(policy):
        collector.collect(n_step=START)

    def train(steps: int) -> None:
        for _ in range(steps // PERIOD):
            with policy_within_training_step(policy):
                collector.collect(n_step=PERIOD)
                algorithm.update(buffer=buffer, sample_size=SEQUENCES)

    torch.manual_seed(0)
    return train
