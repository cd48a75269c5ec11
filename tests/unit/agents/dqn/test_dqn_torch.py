"""Tests of DQN with torch networks: against the compiled backend, and on images."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import dqn
from agents.common import memory_check
from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.replay.prioritized import PrioritySettings
from agents.components import lstm
from agents.dqn.learner_torch import TorchLearner
from simulator.core.components import Component
from simulator.core.protocols import EnvSpec, Step
from tests.laws.players import same, state_of_seed

BOX = EnvSpec("box", spaces.Box(-5, 5, (3,), np.float32), spaces.Discrete(4))
CLASSES = EnvSpec("classes", spaces.Discrete(5), spaces.Discrete(4))
PICTURES = EnvSpec("pictures", spaces.Box(0, 255, (8, 8), np.uint8), spaces.Discrete(3), 12)


def _observed(spec, generator, n):
    if spec is CLASSES:
        return generator.integers(0, 5, n)
    return generator.normal(size=(n, 3)).astype(np.float32)


def _train(agent, spec, n, n_seeds=2):
    generator = np.random.Generator(np.random.PCG64(5))
    obs = _observed(spec, generator, n_seeds)
    taken = []
    for t in range(n):
        following, reward = _observed(spec, generator, n_seeds), generator.normal(size=n_seeds).astype(np.float32)
        actions = agent.act(obs).copy()
        ends = (np.full(n_seeds, t % 7 == 6), np.full(n_seeds, t % 7 == 3))
        agent.learn(obs, actions, Step(following, reward, *ends, following))
        taken.append(actions)
        obs = following
    return np.array(taken)


@pytest.mark.parametrize("spec", [BOX, CLASSES], ids=lambda spec: spec.id)
@pytest.mark.parametrize(
    "variant",
    [{}, {"dueling": True, "double": False, "eval_ema": 0.1}, {"prioritized": True, "n_step": 3, "loss": "mse"}],
    ids=str,
)
def test_both_kinds_of_network_learn_the_same(spec, variant):
    given = {
        "network": NetworkSettings(hidden=(8, 6)),
        "batch_size": 16,
        "buffer_size": 40,
        "learning_starts": 30,
        "train_frequency": 4,
    }
    given |= {"prioritized": False, "n_step": 1}
    config = dqn.Config(**{**given, **variant}, optimizer=OptimizerSettings(learning_rate=0.003))
    compiled = dqn.make(spec, [0, 1], config)
    other = dqn.DQN(spec, [0, 1], TorchLearner(spec, [0, 1], config))
    np.testing.assert_array_equal(_train(compiled, spec, 60), _train(other, spec, 60))
    for name in ("online", "target", "eval_net"):
        parts = other._learner.networks[name].parameters().values()
        theirs = np.concatenate([np.moveaxis(part, 1, -1).reshape(2, -1) for part in parts], axis=1)  # [in, out]
        np.testing.assert_allclose(compiled.state()[name]["params"], theirs, atol=1e-5)
    np.testing.assert_allclose(compiled.state()["loss"], other.state()["loss"], rtol=1e-4)


def _picture_agent(seed_list, **settings):
    conv = ConvSettings(kind="tiny", frames=2, hidden=(16,))
    given = {"conv": conv, "batch_size": 8, "buffer_size": 60, "learning_starts": 20, "train_frequency": 4}
    given |= {"prioritized": False, "n_step": 1, "eval_ema": 0.0, **settings}
    return dqn.make(PICTURES, seed_list, dqn.Config(**given))


class _Lights:
    """A picture whose bright column is the action that pays; it moves by one every step, so one frame tells it."""

    def __init__(self, n_seeds):
        self.at, self.t, self.n = np.arange(n_seeds) % 3, 0, n_seeds

    def see(self):
        frame = np.zeros((self.n, 8, 8), np.uint8)
        frame[np.arange(self.n), :, self.at] = 255
        return frame

    def step(self, actions):
        reward = (actions == self.at).astype(np.float32)
        self.at, self.t = (self.at + 1) % 3, self.t + 1
        final, ended = self.see(), self.t % 12 == 0
        if ended:
            self.at = (self.at + 1) % 3
        return Step(self.see(), reward, np.zeros(self.n, bool), np.full(self.n, ended), final)


def _watch(agent, n, env):
    obs, earned = env.see(), []
    for _ in range(n):
        actions = agent.act(obs).copy()
        step = env.step(actions)
        agent.learn(obs, actions, step)
        obs, earned = step.obs, [*earned, step.reward.mean()]
    return np.array(earned)


@pytest.mark.slow
def test_pictures_are_learned_from():
    agent = _picture_agent([0, 1, 2], gamma=0.0, optimizer=OptimizerSettings(learning_rate=0.003))
    env = _Lights(3)
    _watch(agent, 500, env)
    policy, obs, first, right = agent.policy(), env.see(), np.ones(3, bool), []
    for _ in range(36):
        actions = policy.act(obs, first)
        step = env.step(actions)
        right.append(step.reward)
        obs, first = step.obs, step.terminated | step.truncated
    assert np.mean(right, axis=0).min() > 0.9


@pytest.mark.parametrize("variant", [{}, {"prioritized": True, "n_step": 2}], ids=str)
def test_a_seed_of_pictures_alone_equals_the_same_among_others(variant):
    together, alone = _picture_agent([4, 5, 6], **variant), _picture_agent([5], **variant)
    _watch(together, 90, _Lights(3))
    env = _Lights(1)
    env.at += 1
    _watch(alone, 90, env)
    same(state_of_seed(alone.state(), 0, 1), state_of_seed(together.state(), 1, 3))


def test_image_observations_continue_from_their_state():
    prioritized = {"prioritized": True, "priority": PrioritySettings(kind="rank")}
    whole, parted, other = (_picture_agent([0, 1], **prioritized) for _ in range(3))
    env, twin = _Lights(2), _Lights(2)
    _watch(whole, 120, env)
    _watch(parted, 70, twin)
    other.restore(parted.state())
    _watch(other, 50, twin)
    same(whole.state(), other.state())


def test_a_picture_is_kept_once_as_bytes():
    agent = _picture_agent([0], buffer_size=240)
    frames = agent._learner.store._ring.frames
    assert frames.dtype == np.uint8
    assert frames.nbytes < 240 * 64 * 1.2
    with pytest.raises(ValueError, match=r"dqn on pictures needs [\d,.]+ GiB and [\d,.]+ GiB are free, expected"):
        _picture_agent([0, 1], buffer_size=4_000_000_000)


@pytest.mark.parametrize("recurrence", [None, Component("lstm", lstm.Config(units=4))])
def test_a_batch_of_pictures_that_does_not_fit_is_refused(recurrence, monkeypatch):
    monkeypatch.setattr(memory_check, "free_bytes", lambda: 2**23)
    _picture_agent([0], recurrence=recurrence, learning_starts=40)
    with pytest.raises(ValueError, match=r"dqn on pictures needs [\d,.]+ GiB and .* a smaller agent.batch_size"):
        _picture_agent([0], recurrence=recurrence, batch_size=2_000, learning_starts=2_000, buffer_size=2_000)


def test_a_diverging_seed_of_pictures_stops_alone():
    agent, calm = (_picture_agent([0, 1], loss="mse") for _ in range(2))
    for one, wild in ((agent, True), (calm, False)):
        env = _Lights(2)
        obs = env.see()
        for t in range(80):
            actions = one.act(obs).copy()
            step = env.step(actions)
            reward = step.reward * 0.1
            reward[0] = 3e38 if wild and t == 40 else reward[0]
            one.learn(obs, actions, step._replace(reward=reward))
            obs = step.obs
    assert 41 <= agent.failed_at[0] <= 80
    assert agent.failed_at[1] == 0
    mine, theirs = (each.state()["online"]["params"] for each in (agent, calm))
    assert np.isfinite(mine).all()
    np.testing.assert_array_equal(mine[1], theirs[1])
