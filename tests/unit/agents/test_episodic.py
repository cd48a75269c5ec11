"""Tests of episodic control: values worked by hand, for both keys and both updates, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import episodic
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.small_envs import discrete, step
from tests.laws.players import same, session

LINE = EnvSpec("line", spaces.Box(-1.0, 1.0, (1,)), spaces.Discrete(2))


def _agent(spec, **settings):
    return episodic.make(spec, [0], episodic.Config(**{"gamma": 0.5, **settings}))


def _episode(agent, *rewards, truncated=False):
    """Play an episode of action 0 through states 0, 1, 2 and so on."""
    for t, reward in enumerate(rewards):
        last = t == len(rewards) - 1
        ends = {"terminated": last and not truncated, "truncated": last and truncated}
        agent.learn(np.array([t]), np.array([0]), step(reward, t + 1, **ends))


def _value(agent, obs, action=0):
    return agent.policy().values(np.array([obs]))[0, 0, action]


def _points(agent, values):
    """Write one episode of one step for each point of a line."""
    for x, value in values.items():
        obs = np.array([[x]], np.float32)
        ended = Step(obs, np.array([value], np.float32), np.array([True]), np.array([False]), obs)
        agent.learn(obs, np.array([0]), ended)


def test_an_episode_writes_the_discounted_returns_of_its_steps():
    agent = _agent(discrete(5, 2))
    agent.learn(np.array([0]), np.array([0]), step(1.0, 1))
    assert _value(agent, 0) == 0.0  # nothing is written before the end
    agent = _agent(discrete(5, 2))
    _episode(agent, 1.0, 2.0, 4.0)
    assert [_value(agent, state) for state in range(4)] == [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4, 0]
    assert _value(agent, 0, action=1) == 0.0


@pytest.mark.parametrize(("update", "expected"), [("maximum", 4.0), ("running", 4.0 + 0.1 * (1.0 - 4.0))])
def test_a_key_that_is_met_again_is_updated(update, expected):
    agent = _agent(discrete(3, 2), update=update)
    _episode(agent, 4.0)
    _episode(agent, 1.0)
    assert _value(agent, 0) == pytest.approx(expected)
    assert agent.state()["size"].tolist() == [[1, 0]]


def test_the_maximum_rises_with_a_better_return():
    agent = _agent(discrete(3, 2))
    _episode(agent, 1.0)
    _episode(agent, 3.0)
    assert _value(agent, 0) == 3.0


def test_a_truncated_episode_goes_on_with_the_best_value_that_is_recalled():
    agent = _agent(discrete(3, 2))
    agent.learn(np.array([1]), np.array([1]), step(8.0, 2, terminated=True))
    _episode(agent, 1.0, truncated=True)
    assert _value(agent, 0) == 1.0 + 0.5 * 8.0


def test_an_episode_longer_than_what_is_kept_is_written_in_pieces():
    agent = _agent(discrete(5, 2), max_episode_steps=2)
    _episode(agent, 1.0, 2.0, 4.0)
    # the first two steps were written before state 2 had a value
    assert [_value(agent, state) for state in range(3)] == [1 + 0.5 * 2, 2.0, 4.0]


def test_nearest_keys_are_averaged_and_the_same_key_counts_alone():
    agent = _agent(LINE, n_neighbors=2)
    _points(agent, {-1.0: 9.0, 0.0: 1.0, 0.5: 2.0})
    assert _value(agent, [0.3]) == 1.5
    assert _value(agent, [0.0]) == 1.0
    assert _value(agent, [-0.6]) == 5.0


def test_hopfield_keys_are_weighted_by_a_softmax_of_squared_distances():
    agent = _agent(LINE, keys="hopfield", beta=3.0)
    points = {-1.0: 9.0, 0.0: 1.0, 0.5: 2.0}
    _points(agent, points)
    for x in (-0.7, 0.0, 0.3, 1.0):
        weights = np.exp(-1.5 * (np.array(list(points)) - x) ** 2)
        assert _value(agent, [x]) == pytest.approx(weights @ list(points.values()) / weights.sum(), rel=1e-6)


def test_hopfield_keys_equal_nearest_ones_where_the_temperature_is_low():
    warm, cold = (_agent(LINE, keys="hopfield", beta=beta) for beta in (1e-6, 1e6))
    for agent in (warm, cold):
        _points(agent, {-1.0: 9.0, 0.0: 1.0, 0.5: 2.0})
    assert _value(cold, [0.4]) == pytest.approx(2.0)
    assert _value(warm, [0.4]) == pytest.approx(4.0, abs=1e-4)


def test_a_state_that_was_never_met_has_the_initial_value():
    agent = _agent(discrete(4, 2), init_value=7.0)
    _episode(agent, 1.0)
    assert [_value(agent, 3), _value(agent, 0, action=1)] == [7.0, 7.0]


def test_a_full_memory_forgets_the_key_that_was_written_least_recently():
    agent = _agent(discrete(5, 2), capacity=2, n_neighbors=1)
    for state, reward in ((0, 1.0), (1, 2.0), (0, 0.5), (2, 3.0)):  # state 0 is written again, so 1 is the oldest
        agent.learn(np.array([state]), np.array([0]), step(reward, 4, terminated=True))
    assert [_value(agent, state) for state in range(3)] == [1.0, 0.0, 3.0]


def test_actions_that_do_not_exist_are_never_chosen_nor_recalled():
    legal = np.array([[True, False]] * 3)
    agent = episodic.make(discrete(3, 2, legal), [0], episodic.Config(init_value=1.0))
    assert {int(agent.act(np.array([0]))[0]) for _ in range(50)} == {0}
    assert _value(agent, 0, action=1) == 0.0
    assert agent.policy().probs(np.array([0]))[0, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("keys", ["nearest", "hopfield"])
@pytest.mark.parametrize("update", ["maximum", "running"])
@pytest.mark.parametrize("env", ["rooms", "CartPole-v1"])
def test_a_restored_agent_continues_with_the_same_bits(env, keys, update):
    settings = {"keys": keys, "update": update, "capacity": 40}
    whole, first, second = (session("episodic", env, agent_=settings) for _ in range(3))
    whole.play(200)
    first.play(90)
    second.restore(first.state())
    second.play(110)
    same(whole.state(), second.state())


@pytest.mark.parametrize(
    ("settings", "spec", "said"),
    [
        ({"n_neighbors": 9, "capacity": 8}, LINE, r"agent\.n_neighbors = 9 with agent\.capacity = 8: expected at most"),
        ({"projection": 4}, discrete(3, 2), r"agent\.projection = 4 on by-hand: its observations are discrete"),
        ({}, discrete(2**24 + 1, 2), r"episodic on by-hand: Discrete\(16777217\), expected at most 16,777,216"),
        ({"capacity": 10**12}, LINE, r"episodic on line needs .* GiB"),
    ],
)
def test_what_does_not_fit_is_refused(settings, spec, said):
    with pytest.raises(ValueError, match=said):
        episodic.make(spec, [0], episodic.Config(**settings))


def test_the_maximum_believes_in_luck_and_the_running_mean_does_not():
    coin = np.random.Generator(np.random.PCG64(3)).integers(0, 2, 400)
    lucky, fair = (_agent(discrete(2, 2), update=update) for update in ("maximum", "running"))
    for reward in coin:
        for agent in (lucky, fair):
            _episode(agent, float(reward))
    assert _value(lucky, 0) == 1.0
    assert 0.2 < _value(fair, 0) < 0.8
