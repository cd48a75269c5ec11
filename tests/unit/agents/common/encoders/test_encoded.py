"""Tests of agents behind encoders: what the agent sees, when it learns, and what evaluation leaves alone."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from agents.common.encoders.encoded import EncodedAgent
from agents.components import random_projection, window
from simulator.core.protocols import EnvSpec, Step

SPEC = EnvSpec("env", spaces.Box(-9.0, 9.0, (2,), np.float32), spaces.Discrete(3))


class ScriptedAgent:
    """An agent that keeps what it is given."""

    gamma = 0.9

    def __init__(self, n_seeds):
        self.failed_at = np.zeros(n_seeds, np.int64)
        self.acted = []
        self.learned = []

    def act(self, obs):
        self.acted.append(obs.copy())
        return np.array([1, 2][: len(obs)])

    def learn(self, obs, actions, step):
        self.learned.append((obs.copy(), actions, step))
        return {}

    def state(self):
        return {"replay": np.arange(3)}

    def restore(self, state):
        self.restored = state


def encoded(config=None, spec=SPEC, n_seeds=2):
    encoder = window.make(config or window.Config(k=2)).encoder(spec, list(range(n_seeds)))
    return EncodedAgent(spec, list(range(n_seeds)), encoder, ScriptedAgent(n_seeds))


def observations(n):
    return np.random.default_rng(0).uniform(-1, 1, (n, 2, 2)).astype(np.float32)


def step_of(obs, final, ended):
    flags = np.array(ended)
    return Step(obs, np.zeros(2, np.float32), flags, np.zeros(2, np.bool_), final)


def test_a_window_is_the_concatenation_of_the_last_observations_and_begins_anew_with_an_episode():
    x = observations(5)
    agent = encoded()
    zero = np.zeros((2, 2), np.float32)
    agent.act(x[0])
    agent.learn(x[0], np.array([1, 2]), step_of(x[1], x[1], [False, False]))
    agent.act(x[1])
    after_end = np.stack([x[3][0], x[2][1]])  # the first seed's episode ends with x[2], and the next begins with x[3]
    agent.learn(x[1], np.array([1, 2]), step_of(after_end, x[2], [True, False]))
    agent.act(after_end)
    seen = agent._agent.acted
    np.testing.assert_array_equal(seen[0], np.concatenate([zero, x[0]], axis=1))
    np.testing.assert_array_equal(seen[1], np.concatenate([x[0], x[1]], axis=1))
    np.testing.assert_array_equal(seen[2][0], np.concatenate([zero[0], x[3][0]]))
    np.testing.assert_array_equal(seen[2][1], np.concatenate([x[1][1], x[2][1]]))
    obs, _, step = agent._agent.learned[1]
    np.testing.assert_array_equal(obs, seen[1])
    np.testing.assert_array_equal(step.obs, seen[2])
    np.testing.assert_array_equal(step.final_obs, np.concatenate([x[1], x[2]], axis=1))


def test_a_standardized_window_scales_observations_by_random_play_and_keeps_zeros_before_an_episode():
    x = 3.0 + 2.0 * observations(22)
    encoder = window.make(window.Config(k=2, standardize=True, collect=20)).encoder(SPEC, [0, 1])
    assert encoder.n_collected == 20
    assert [encoder.learn(row, t + 1) for t, row in enumerate(x[:21])] == [False] * 19 + [True, False]
    mean = x[:20].mean(axis=0)
    std = x[:20].std(axis=0)
    frozen = encoder.frozen()
    carry = encoder.make_carry()
    first = encoder.encode(x[20], carry)
    np.testing.assert_array_equal(first[:, :2], 0.0)
    np.testing.assert_allclose(first[:, 2:], (x[20] - mean) / std, rtol=1e-5)
    second = encoder.encode(x[21], carry)
    np.testing.assert_array_equal(second[:, :2], first[:, 2:])
    one = window.make(window.Config(k=1, standardize=True, collect=20)).encoder(SPEC, [0, 1])
    one.restore(encoder.state())
    np.testing.assert_allclose(one.features(x[21])[[0, 1], [0, 1]], (x[21] - mean) / std, rtol=1e-5)
    encoder.restore(window.make(window.Config(k=2, standardize=True, collect=20)).encoder(SPEC, [0, 1]).state())
    np.testing.assert_array_equal(encoder.encode(x[20], encoder.make_carry())[:, 2:], x[20])
    np.testing.assert_array_equal(frozen.encode(x[20], frozen.make_carry()), first)


def test_a_window_of_classes_has_a_unit_for_each_and_the_actions_that_led_to_them():
    spec = EnvSpec("env", spaces.Discrete(3), spaces.Discrete(3))
    agent = encoded(window.Config(k=2, actions=True), spec)
    agent.act(np.array([2, 0]))
    agent.learn(np.array([2, 0]), np.array([1, 2]), step_of(np.array([1, 1]), np.array([1, 1]), [False, False]))
    agent.act(np.array([1, 1]))
    first, second = agent._agent.acted
    np.testing.assert_array_equal(first[0], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(second[0], [0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(second[1], [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1])


def test_observations_that_no_step_led_to_begin_an_episode():
    x = observations(3)
    agent = encoded()
    agent.act(x[0])
    agent.learn(x[0], np.array([1, 2]), step_of(x[1], x[1], [False, False]))
    agent.act(np.stack([x[2][0], x[1][1]]))  # the first seed's environment was made anew
    np.testing.assert_array_equal(agent._agent.acted[1][0], np.concatenate([np.zeros(2), x[2][0]]))
    np.testing.assert_array_equal(agent._agent.acted[1][1], np.concatenate([x[0][1], x[1][1]]))


def test_while_observations_are_collected_actions_are_random_and_the_agent_learns_nothing():
    config = random_projection.Config(components=2, collect=30)
    agent = EncodedAgent(SPEC, [0, 1], random_projection.make(config).encoder(SPEC, [0, 1]), ScriptedAgent(2))
    x = observations(40)
    taken = []
    for t in range(30):
        taken.append(agent.act(x[t]))
        agent.learn(x[t], taken[-1], step_of(x[t + 1], x[t + 1], [False, False]))
    assert agent._agent.learned == []
    assert np.unique(np.array(taken)[:, 0]).tolist() == [0, 1, 2]
    assert not np.array_equal(np.array(taken)[:, 0], np.array(taken)[:, 1])
    agent.act(x[30])
    agent._agent.failed_at[1] = 4
    agent.learn(x[30], taken[-1], step_of(x[31], x[31], [False, False]))
    assert len(agent._agent.learned) == 1
    assert agent.failed_at.tolist() == [0, 34]  # environment steps, those of random play among them


def test_features_have_mean_0_and_standard_deviation_1_over_what_was_collected():
    config = random_projection.Config(components=3, collect=40)
    encoder = random_projection.make(config).encoder(SPEC, [0, 1])
    x = observations(40)
    for t in range(40):
        encoder.learn(x[t], t + 1)
    features = np.stack([encoder.encode(row, ()) for row in x])
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1.0, atol=1e-4)


def test_past_experience_is_one_entry_of_the_state():
    agent = encoded()
    state = agent.state()
    assert "replay" not in state["agent"]
    agent.restore({key: value for key, value in state.items() if key != "replay"})
    assert "replay" not in agent._agent.restored
    agent.restore(state)
    np.testing.assert_array_equal(agent._agent.restored["replay"], np.arange(3))
