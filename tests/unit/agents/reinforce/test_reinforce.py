"""Tests of REINFORCE as an agent: full batches, truncated episodes, refused settings, and learning."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import reinforce
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.seeding import seed_list
from tests.laws.players import same, session, state_of_seed

SMALL = NetworkSettings((4,), "tanh")
SPEC = EnvSpec("by-hand", spaces.Box(-9.0, 9.0, (2,)), spaces.Discrete(2), 50)


def _agent(n_seeds=3, spec=SPEC, **settings):
    return reinforce.make(spec, list(range(n_seeds)), reinforce.Config(network=SMALL, **settings))


def _learn(agent, reward, terminated, truncated=None):
    """One step of every seed at observations that do not matter."""
    n = len(reward)
    obs = np.tile(np.array([0.5, -1.0], np.float32), (n, 1))
    cut = np.zeros(n, np.bool_) if truncated is None else np.array(truncated)
    return agent.learn(obs, agent.act(obs), Step(obs, np.array(reward, np.float32), np.array(terminated), cut, obs))


def test_every_seed_learns_when_its_own_batch_is_complete():
    agent = _agent(episodes_per_update=2)
    updates = []
    for t in range(1, 7):
        _learn(agent, [1.0] * 3, [t % 1 == 0, t % 2 == 0, t % 3 == 0])  # episodes of 1, 2 and 3 steps
        updates.append(agent.state()["policy"]["step_count"].tolist())
    assert updates == [[0, 0, 0], [1, 0, 0], [1, 0, 0], [2, 1, 0], [2, 1, 0], [3, 1, 1]]


def test_a_partial_batch_is_kept_in_the_state():
    agent, other = _agent(episodes_per_update=2), _agent(episodes_per_update=2)
    _learn(agent, [1.0, 2.0, 3.0], [True, False, False])
    _learn(agent, [1.0, 2.0, 3.0], [False, False, True])
    other.restore(agent.state())
    for one in (agent, other):
        _learn(one, [1.0, 2.0, 3.0], [True, True, True])
    same(agent.state(), other.state())
    assert agent.state()["policy"]["step_count"].tolist() == [1, 0, 1]


def test_an_episode_longer_than_the_buffer_is_truncated():
    agent = _agent(1, episodes_per_update=2, max_episode_steps=3)
    lengths = []
    for _ in range(5):
        _learn(agent, [1.0], [False])
        lengths.append(agent.state()["episodes"][0]["end"].tolist())
    assert lengths == [[], [], [3], [3], [3]]
    assert agent.state()["episodes"][0]["truncated"].tolist() == [True]
    _learn(agent, [1.0], [False])
    assert agent.state()["policy"]["step_count"].tolist() == [1]


@pytest.mark.parametrize("poison", ["reward", "weights"])
def test_a_seed_whose_loss_is_not_finite_stops_alone(poison):
    agents = [_agent(episodes_per_update=1) for _ in range(2)]
    kept = agents[1].state()
    if poison == "weights":
        kept["value"]["params"][1] = np.nan
        agents[1].restore(kept)
    for t in range(4):
        bad = np.inf if poison == "reward" and t == 2 else 1.0
        for agent, reward in zip(agents, (1.0, bad), strict=True):
            metrics = _learn(agent, [1.0, reward, 1.0], [True] * 3)
            assert all(np.isfinite(values).all() for values in metrics.values())
    clean, broken = (agent.state() for agent in agents)
    assert agents[1].failed_at.tolist() == [0, 3 if poison == "reward" else 1, 0]
    assert clean["failed_at"].tolist() == [0, 0, 0]
    assert broken["policy"]["step_count"].tolist() == [4, 2 if poison == "reward" else 0, 4]
    assert np.isfinite(broken["policy"]["params"]).all()
    for i in (0, 2):
        same(state_of_seed(clean, i, 3), state_of_seed(broken, i, 3))


def test_the_step_at_which_a_seed_failed_is_kept():
    agent, other = _agent(episodes_per_update=1), _agent(episodes_per_update=1)
    _learn(agent, [1.0, np.nan, 1.0], [True] * 3)
    other.restore(agent.state())
    _learn(other, [1.0, 1.0, 1.0], [True] * 3)
    assert other.failed_at.tolist() == [0, 1, 0]


def test_a_gradient_is_shortened_by_its_own_seeds_norm():
    plain = {"episodes_per_update": 1, "baseline": "none", "normalize_advantages": False}
    rules = [OptimizerSettings("sgd", learning_rate=1.0, max_grad_norm=norm) for norm in (0.0, 0.5)]
    free, clipped = (_agent(2, optimizer=rule, **plain) for rule in rules)
    before = free.state()["policy"]["params"]
    for agent in (free, clipped):
        _learn(agent, [100.0, 0.1], [True, True])
    moves = [np.linalg.norm(agent.state()["policy"]["params"] - before, axis=1) for agent in (free, clipped)]
    np.testing.assert_allclose(moves[1], np.minimum(moves[0], 0.5), rtol=1e-4)
    assert moves[0][0] > 1.0


@pytest.mark.parametrize(
    ("spec", "settings", "said"),
    [
        (SPEC, {"baseline": "mean", "episodes_per_update": 1}, "episodes_per_update = 1: expected at least 2"),
        (
            SPEC,
            {"max_episode_steps": 10**9},
            r"by-hand needs [\d,.]+ GiB and [\d,.]+ are free|by-hand needs .* expected a smaller",
        ),
        (EnvSpec("texts", spaces.Text(3), spaces.Discrete(2)), {}, "texts: observation"),
        (EnvSpec("switches", SPEC.observation, spaces.MultiBinary(2)), {}, "switches: action space"),
        (EnvSpec("whole", SPEC.observation, spaces.Box(0, 5, (1,), np.int64)), {}, "whole: action space"),
    ],
)
def test_invalid_settings_are_refused(spec, settings, said):
    with pytest.raises(ValueError, match=said) as refused:
        _agent(spec=spec, **settings)
    assert "\n" not in str(refused.value)


def test_integers_between_bounds_become_0_to_1_and_other_numbers_stay():
    spec = EnvSpec("whole", spaces.Box(np.array([0, -4]), np.array([250, 4]), dtype=np.int64), spaces.Discrete(2))
    stored = _agent(1, spec).learner.store.current(np.array([[50, -2]]))
    np.testing.assert_allclose(stored, [[0.2, 0.25]], rtol=1e-6)
    for space in (SPEC.observation, spaces.MultiBinary(2)):
        same = _agent(1, EnvSpec("as-is", space, spaces.Discrete(2))).learner.store.current(np.array([[1, 0]]))
        np.testing.assert_array_equal(same, [[1.0, 0.0]])


def test_box_actions_are_clipped_when_they_are_returned():
    spec = EnvSpec(
        "boxed", SPEC.observation, spaces.Box(np.array([-1.0, 10.0]), np.array([1.0, 30.0]), dtype=np.float64), 50
    )
    agent = _agent(64, spec, episodes_per_update=1, init_std=3.0)
    actions = agent.act(np.zeros((64, 2), np.float32))
    assert actions.dtype == np.float64
    assert all(spec.action.contains(action) for action in actions)
    expected = np.clip(
        np.array([0.0, 20.0]) + np.array([1.0, 10.0]) * agent._actions, spec.action.low, spec.action.high
    )
    np.testing.assert_allclose(actions, expected)
    assert (np.abs(agent._actions) > 1.0).mean() > 0.5
    best = agent.policy().act(np.zeros((64, 2), np.float32), np.ones(64, np.bool_))
    assert (np.abs(best - [0.0, 20.0]) < [1.0, 10.0]).all()  # the mean, without noise
    assert agent.policy().probs(np.zeros((1, 2), np.float32)) is None


@pytest.mark.learning
def test_a_continuous_bandit_is_learned():
    spec = EnvSpec("bandit", spaces.Box(-1.0, 1.0, (1,)), spaces.Box(-2.0, 2.0, (1,)), 1)
    agent = reinforce.make(spec, seed_list(16), reinforce.Config())
    obs, ends = np.ones((16, 1), np.float32), np.ones(16, np.bool_)
    for _ in range(6_000):
        actions = agent.act(obs)
        reward = -((actions[:, 0] - 0.8) ** 2)
        agent.learn(obs, actions, Step(obs, reward.astype(np.float32), ends, ~ends, obs))
    best = agent.policy().act(obs, ends)[:, 0]
    assert (np.abs(best - 0.8) < 0.1).sum() >= 14
    assert (np.exp(agent.state()["log_std"]) < 0.5).sum() >= 14  # in units of half the range


@pytest.mark.parametrize("baseline", ["none", "value"])
def test_a_batch_of_one_step_is_learned_from_as_it_is(baseline):
    moved = []
    for normalized in (True, False):
        agent = _agent(4, episodes_per_update=1, baseline=baseline, normalize_advantages=normalized)
        before = agent.learner.policy.net.params.copy()
        for reward in (1.0, -2.0):
            agent.act(np.ones((4, 2), np.float32))
            _learn(agent, [reward] * 4, [True] * 4)
        moved.append(agent.learner.policy.net.params - before)
    assert (np.abs(moved[0]).max(axis=1) > 1e-3).all()
    assert (moved[0] == moved[1]).all()


@pytest.mark.slow
@pytest.mark.learning
def test_cartpole_is_learned():
    one = session("reinforce", "CartPole-v1", seeds=16, eval_episodes=50)
    one.play(30_000)
    returns = one.evaluator().evaluate(one.agent, 30_000, last=False).returns.mean(axis=1)
    assert (returns >= 300).sum() >= 14
