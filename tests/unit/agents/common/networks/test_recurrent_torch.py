"""Tests of recurrences on torch: both agents against the compiled ones, single seeds, checkpoints, images, learning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from agents import dqn, reinforce
from agents.common.exploration import ExploreSettings
from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.networks.recurrent import recurrence_of
from agents.common.networks.recurrent_torch import (
    RecurrentModule,
    RecurrentShape,
    RecurrentTorchNetwork,
    SequenceInputs,
)
from agents.common.replay.sequences import SequenceSettings
from agents.dqn.agent import resolved
from agents.dqn.learner_torch import TorchLearner
from simulator.core.components import Component
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.recurrence import CELLS
from tests.laws.flag_probe import Config as ProbeConfig
from tests.laws.flag_probe import FlagProbe
from tests.laws.players import same, state_of_seed

VECTOR = EnvSpec("vector", spaces.Box(-5, 5, (3,), np.float32), spaces.Discrete(4))
FORCE = EnvSpec("force", spaces.Box(-5, 5, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
PICTURES = EnvSpec("pictures", spaces.Box(0, 255, (6, 6), np.uint8), spaces.Discrete(2), 9)
EACH_IN_BOTH = [(agent, cell) for agent in ("dqn", "reinforce") for cell in CELLS]
VARIANTS = {
    "default": {},
    "all": {"layers": 2, "skip": False, "truncate": 3, "last_reward": True, "last_action": False},
    "untrained": {"trainable": False},
}


def _config(agent, cell, **settings):
    recurrence = Component(cell, CELLS[cell].Config(**{"units": 6, **settings}))
    small = {"recurrence": recurrence, "conv": ConvSettings(kind="tiny", frames=1, hidden=(12,))}
    if agent == "reinforce":
        return reinforce.Config(**small, network=NetworkSettings((8,), "tanh"), episodes_per_update=3)
    return resolved(
        dqn.Config(
            **small,
            network=NetworkSettings((8,)),
            batch_size=6,
            buffer_size=200,
            learning_starts=40,
            n_step=3,
            prioritized=True,
            sequence=SequenceSettings(length=8, overlap=4, burn_in=2),
            optimizer=OptimizerSettings(learning_rate=0.003),
        )
    )


def _torch(agent, spec, seeds, config):
    if agent == "reinforce":
        return reinforce.agent.build(spec, seeds, config, torch=True)
    return dqn.DQN(spec, seeds, TorchLearner(spec, seeds, config, recurrence_of(config.recurrence)))


def _observed(spec, streams):
    shape, is_image = spec.observation.shape, spec.observation.dtype == np.uint8
    return np.stack(
        [s.integers(0, 256, shape).astype(np.uint8) if is_image else s.normal(size=shape) for s in streams]
    ).astype(spec.observation.dtype)


class _Feed:
    """Feeds made-up steps to an agent; every seed has a stream of its own."""

    def __init__(self, spec, seeds):
        self.spec, self.t = spec, 0
        self.streams = [np.random.default_rng(seed) for seed in seeds]
        self.obs = _observed(spec, self.streams)

    def run(self, agent, n):
        taken = []
        for _ in range(n):
            actions = agent.act(self.obs).copy()
            following = _observed(self.spec, self.streams)
            reward = np.array([stream.normal() for stream in self.streams], np.float32)
            terminated = np.full(len(self.streams), self.t % 7 == 6)
            truncated = np.full(len(self.streams), self.t % 11 == 3) & ~terminated
            agent.learn(self.obs, actions, Step(following, reward, terminated, truncated, following))
            taken.append(actions)
            self.obs = following
            self.t += 1
        return np.array(taken)


def _weights(agent):
    made = agent.policy().arrays().per_seed
    return {name: value for name, value in made.items() if name.startswith("network.")}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("agent", "cell"), EACH_IN_BOTH)
def test_torch_learns_what_the_compiled_networks_learn(agent, cell, variant):
    config = _config(agent, cell, **VARIANTS[variant])
    player = {"dqn": dqn, "reinforce": reinforce}[agent]
    compiled, other = player.make(VECTOR, [0, 1], config), _torch(agent, VECTOR, [0, 1], config)
    first = _weights(compiled)
    for ours, theirs in zip(first.values(), _weights(other).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(_Feed(VECTOR, [0, 1]).run(compiled, 60), _Feed(VECTOR, [0, 1]).run(other, 60))
    ours, theirs = _weights(compiled), _weights(other)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-5, err_msg=name)
        is_held = variant == "untrained" and "recurrence" in name
        assert (values == first[name]).all() == is_held
    np.testing.assert_allclose(
        compiled.state()["loss" if agent == "dqn" else "policy_loss"],
        other.state()["loss" if agent == "dqn" else "policy_loss"],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("cell", ["gru"])
def test_the_last_observation_of_a_full_batch_follows_its_own_step(cell):
    """No row is left behind the last one where time cuts every episode at the limit."""
    config = replace(_config("reinforce", cell, last_reward=True), episodes_per_update=2, max_episode_steps=5)
    spec = EnvSpec("cut", VECTOR.observation, VECTOR.action, 5)
    bootstraps = []
    for agent in (reinforce.make(spec, [0, 1], config), _torch("reinforce", spec, [0, 1], config)):
        streams = [np.random.default_rng(seed) for seed in (0, 1)]
        obs = _observed(spec, streams)
        for t in range(10):
            actions = agent.act(obs).copy()
            following = _observed(spec, streams)
            reward = np.array([stream.normal() for stream in streams], np.float32)
            cut = np.full(2, t % 5 == 4)
            agent.learn(obs, actions, Step(_observed(spec, streams), reward, ~cut & cut, cut, following))
            obs = following
        bootstraps.append({**_weights(agent), "loss": agent.state()["policy_loss"]})
    for name, values in bootstraps[0].items():
        np.testing.assert_allclose(values, bootstraps[1][name], atol=1e-5, rtol=1e-4, err_msg=name)


def test_continuous_actions_are_carried_as_numbers():
    config = _config("reinforce", "gru")
    compiled, other = reinforce.make(FORCE, [0, 1], config), _torch("reinforce", FORCE, [0, 1], config)
    for agent in (compiled, other):
        _Feed(FORCE, [0, 1]).run(agent, 60)
    for name, values in _weights(compiled).items():
        np.testing.assert_allclose(values, _weights(other)[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_seeds_as_an_axis_have_the_numbers_of_single_modules(cell):
    recurrence = CELLS[cell].make(CELLS[cell].Config(units=6, layers=2, truncate=2))
    shape = RecurrentShape(n_features=3, n_extras=2, hidden=(5,), n_outputs=4, tanh=True, max_burn_in=2)
    generator = np.random.default_rng(0)
    inputs = SequenceInputs(
        obs=generator.normal(size=(3, 4, 7, 3)),
        extras=generator.normal(size=(3, 4, 7, 2)),
        carry=generator.normal(size=(3, 4, recurrence.n_state)),
        burn_in=generator.integers(0, 3, (3, 4)),
    )
    found = []
    for stacked in (False, True):
        net = RecurrentTorchNetwork(
            lambda: RecurrentModule(recurrence, shape),
            [4, 5, 6],
            OptimizerSettings(kind="sgd", learning_rate=1.0),
            stacked=stacked,
        )
        outputs = net.unroll(inputs)
        net.apply_gradient(np.ones_like(outputs), np.ones(3, bool))
        found.append((outputs, net.state()["params"]))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("agent", ["dqn", "reinforce"])
def test_a_seed_of_pictures_alone_equals_the_same_among_others(agent):
    config = _config(agent, "lstm")
    together, alone = _torch(agent, PICTURES, [4, 5, 6], config), _torch(agent, PICTURES, [5], config)
    _Feed(PICTURES, [4, 5, 6]).run(together, 64)
    _Feed(PICTURES, [5]).run(alone, 64)
    ours, theirs = alone.state(), together.state()
    if agent == "reinforce":
        for state in (ours, theirs):
            state.pop("episodes")
            state.pop("observations")
    same(state_of_seed(ours, 0, 1), state_of_seed(theirs, 1, 3))


@pytest.mark.parametrize("spec", [VECTOR, PICTURES], ids=lambda spec: spec.id)
@pytest.mark.parametrize("agent", ["dqn", "reinforce"])
def test_a_run_continues_from_its_state_in_the_middle_of_an_episode(agent, spec):
    config = _config(agent, "gru", last_reward=True)
    whole, parted, other = (_torch(agent, spec, [0, 1], config) for _ in range(3))
    _Feed(spec, [0, 1]).run(whole, 90)
    feed = _Feed(spec, [0, 1])
    feed.run(parted, 59)
    other.restore(parted.state())
    feed.run(other, 31)
    same(whole.state(), other.state())


def test_sequences_whose_frames_are_overwritten_are_not_learned_from():
    agent = _torch("dqn", PICTURES, [0], replace(_config("dqn", "elman"), buffer_size=24, train_frequency=1))
    feed = _Feed(PICTURES, [0])
    feed.run(agent, 40)
    learner = agent._learner
    for _ in range(60):
        feed.run(agent, 1)
        first = learner.state.replay.obs[0, learner.state.batch.indices[0], 0, 0]
        assert (first >= learner.store.oldest()[0] - 2).all()  # two frames came after the sample at most


@pytest.mark.learning
@pytest.mark.parametrize("agent", ["dqn", "reinforce"])
def test_a_flag_is_remembered(agent):
    recurrence = Component("lstm", CELLS["lstm"].Config(units=16))
    config = {
        "dqn": dqn.Config(
            recurrence=recurrence,
            learning_starts=100,
            sequence=SequenceSettings(length=4, overlap=0, burn_in=0),
            explore=ExploreSettings(epsilon_start=1.0, epsilon_end=0.05, decay_steps=600),
        ),
        "reinforce": reinforce.Config(recurrence=recurrence),
    }[agent]
    seeds = [0, 1]
    env = FlagProbe(seeds, ProbeConfig(delay=3))
    learner = _torch(agent, env.spec, seeds, resolved(config) if agent == "dqn" else config)
    obs, ends = env.reset(), []
    for _ in range(1_800):
        actions = learner.act(obs)
        step = env.step(actions)
        learner.learn(obs, actions, step)
        obs = step.obs
        if step.terminated.any():
            ends.append(step.reward.copy())
    assert np.mean(ends[-60:]) > 0.6  # without a memory 0
