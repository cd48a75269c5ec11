"""Tests of Q-learning, Sarsa and Expected Sarsa: updates by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import q_learning
from agents.common.exploration import ExploreSettings
from agents.common.tile_coding import BoxFeatures, make_features
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.small_envs import discrete, step

GREEDY = ExploreSettings(epsilon_start=0.0)


def _agent(config, spec=None, **tables):
    agent = q_learning.make(spec or discrete(3, 2), [0], config)
    state = agent.state()
    for name, value in tables.items():
        state[name][...] = value
    agent.restore(state)
    return agent


def _learn(agent, obs, action, result):
    agent.learn(np.array([obs]), np.array([action]), result)
    return agent.state()["q"][0]


def test_the_update_by_hand():
    q = [[[0.0, 1.0], [2.0, 4.0], [0.0, 0.0]]]
    agent = _agent(q_learning.Config(step_size=0.5, gamma=0.9, explore=GREEDY), q=q)
    # 1 + .5 (3 + .9 max(2, 4) - 1) = 3.8
    assert _learn(agent, 0, 1, step(3.0, 1))[0, 0, 1] == pytest.approx(3.8)


def test_step_size_one_is_the_deterministic_rule():
    agent = _agent(q_learning.Config(step_size=1.0, gamma=0.8, explore=GREEDY), q=[[[0, 7.0], [500, 5.0], [0, 0]]])
    assert _learn(agent, 0, 1, step(100.0, 1))[0, 0, 1] == 100.0 + 0.8 * 500.0


def test_termination_does_not_bootstrap_and_truncation_does_from_the_final_observation():
    q = [[[0.0, 0.0], [2.0, 4.0], [50.0, 50.0]]]
    config = q_learning.Config(step_size=1.0, gamma=0.5, explore=GREEDY)
    ended = _learn(_agent(config, q=q), 0, 0, step(1.0, 1, terminated=True, obs=2))
    assert ended[0, 0, 0] == 1.0
    cut = _learn(_agent(config, q=q), 0, 0, step(1.0, 1, truncated=True, obs=2))
    assert cut[0, 0, 0] == 1.0 + 0.5 * 4.0


def test_sarsa_learns_from_the_action_that_it_takes_next():
    q = [[[0.0, 0.0], [2.0, 4.0], [0.0, 0.0]]]
    config = q_learning.Config(target="sarsa", step_size=1.0, gamma=1.0, explore=ExploreSettings(epsilon_start=1.0))
    seen = set()
    for seed in range(20):
        agent = q_learning.make(discrete(3, 2), [seed], config)
        agent.restore({**agent.state(), "q": np.array([q])})
        learned = _learn(agent, 0, 0, step(0.0, 1))[0, 0, 0]
        taken = int(agent.act(np.array([1]))[0])
        assert learned == q[0][1][taken]
        seen.add(taken)
    assert seen == {0, 1}


def test_sarsa_draws_afresh_where_an_episode_begins():
    config = q_learning.Config(target="sarsa", step_size=1.0, explore=GREEDY)
    agent = _agent(config, q=[[[0, 0], [0, 9.0], [9.0, 0]]])
    _learn(agent, 0, 0, step(0.0, 1, truncated=True, obs=2))
    assert agent.act(np.array([2]))[0] == 0


def test_expected_sarsa_by_hand():
    q = [[[0.0, 0.0], [2.0, 4.0], [0.0, 0.0]]]
    epsilon = q_learning.Config(target="expected", step_size=1.0, gamma=1.0, explore=ExploreSettings(epsilon_start=0.2))
    assert _learn(_agent(epsilon, q=q), 0, 0, step(0.0, 1))[0, 0, 0] == pytest.approx(0.8 * 4 + 0.2 * 3)
    softmax = q_learning.Config(
        target="expected", step_size=1.0, gamma=1.0, explore=ExploreSettings(kind="softmax", temperature_start=2.0)
    )
    weight = 1 / (1 + np.exp(-1.0))
    expected = weight * 4 + (1 - weight) * 2
    assert _learn(_agent(softmax, q=q), 0, 0, step(0.0, 1))[0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(("target", "first", "second"), [("max", 1.0, 2.0), ("expected", 2.5, 2.5)])
def test_double_learning_values_by_the_other_table(target, first, second):
    q = [
        [[0, 0], [2.0, 3.0], [0, 0]],
        [[0, 0], [4.0, 1.0], [0, 0]],
    ]  # table 0 prefers 1, table 1 prefers 0
    config = q_learning.Config(
        target=target, double=True, step_size=1.0, gamma=1.0, explore=ExploreSettings(epsilon_start=1.0)
    )
    seen = set()
    for seed in range(30):
        agent = q_learning.make(discrete(3, 2), [seed], config)
        agent.restore({**agent.state(), "q": np.array([q])})
        learned = _learn(agent, 0, 0, step(0.0, 1))[:, 0, 0]
        # max: table 0 chooses 1 and table 1 values it 1; table 1 chooses 0, table 0 values it 2
        assert list(learned) in ([first, 0.0], [0.0, second])
        seen.add(int(np.flatnonzero(learned)[0]))
    assert seen == {0, 1}


def test_the_step_size_falls_with_the_visits_of_an_entry():
    config = q_learning.Config(step_size=1.0, step_size_exponent=0.5, gamma=0.0, explore=GREEDY)
    agent, value = _agent(config), 0.0
    for n, reward in enumerate([4.0, 8.0, 1.0], start=1):
        value += n**-0.5 * (reward - value)
        assert _learn(agent, 0, 1, step(reward, 1))[0, 0, 1] == pytest.approx(value)


def test_illegal_actions_are_never_chosen_or_maximised_over_and_stay_zero():
    legal = np.array([[True, False], [False, True], [True, True]])
    config = q_learning.Config(step_size=1.0, gamma=1.0, init_value=-5.0, explore=ExploreSettings(epsilon_start=0.5))
    agent = q_learning.make(discrete(3, 2, legal), [0], config)
    assert (agent.state()["q"][0, 0][~legal] == 0.0).all()
    assert {int(agent.act(np.array([0]))[0]) for _ in range(50)} == {0}
    assert _learn(agent, 0, 0, step(1.0, 1))[0, 0, 0] == 1.0 - 5.0
    policy = agent.policy()
    assert policy.act(np.array([1]), np.array([True]))[0] == 1
    np.testing.assert_array_equal(policy.probs(np.arange(2))[0], [[1, 0], [0, 1]])


def test_ties_are_broken_evenly():
    agent = q_learning.make(discrete(1, 3), list(range(3_000)), q_learning.Config(explore=GREEDY))
    counts = np.bincount(agent.act(np.zeros(3_000, int)), minlength=3)
    assert (abs(counts - 1_000) < 5 * np.sqrt(3_000 * 2 / 9)).all()


def test_epsilon_falls_in_environment_steps_and_reaches_its_end_exactly():
    explore = ExploreSettings(epsilon_start=1.0, epsilon_end=0.0, decay_steps=100)
    agent = q_learning.make(discrete(2, 2), list(range(500)), q_learning.Config(explore=explore, init_value=0.0))
    state = agent.state()
    state["q"][:, :, :, 1] = 1.0  # the best action is 1
    shares = {}
    for clock in (0, 50, 99, 100, 1_000):
        state["env_steps"][:] = clock
        agent.restore(state)
        shares[clock] = 1.0 - agent.act(np.zeros(500, int)).mean()
    assert shares[0] == pytest.approx(0.5, abs=0.12)
    assert shares[50] == pytest.approx(0.25, abs=0.1)
    assert shares[100] == shares[1_000] == 0.0


def test_softmax_chooses_in_proportion():
    agent = q_learning.make(
        discrete(1, 2),
        list(range(4_000)),
        q_learning.Config(explore=ExploreSettings(kind="softmax", temperature_start=0.5)),
    )
    state = agent.state()
    state["q"][:, 0, 0] = [0.0, 0.5]
    agent.restore(state)
    share = agent.act(np.zeros(4_000, int)).mean()
    assert share == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.04)


def test_tiles_share_a_value_and_a_step():
    spec = EnvSpec("box", spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(2))
    config = q_learning.Config(
        step_size=0.5, gamma=0.0, explore=GREEDY, box=BoxFeatures(kind="tiles", n_bins=4, n_tilings=8)
    )
    agent = q_learning.make(spec, [0], config)
    here, near, far = np.array([[0.3, 0.3]]), np.array([[0.33, 0.3]]), np.array([[0.9, 0.9]])
    blank = step(2.0, 0)
    agent.learn(here, np.array([1]), blank._replace(final_obs=here, obs=here))
    values = [agent.policy().values(obs)[0, 0, 1] for obs in (here, near, far)]
    assert values[0] == pytest.approx(1.0)  # half of the way to 2, spread over eight tiles
    assert 0.0 < values[1] < 1.0
    assert values[2] == 0.0


def test_bins_by_hand():
    spec = EnvSpec("box", spaces.Box(np.array([0.0, -1.0]), np.array([1.0, 1.0]), dtype=np.float64), spaces.Discrete(2))
    features = make_features(spec, BoxFeatures(n_bins=4))
    cells = features.encode(np.array([[0.0, -1.0], [0.26, 0.1], [1.0, 1.0], [5.0, -9.0]]))[:, 0]
    assert list(cells) == [0, 4 + 2, 15, 12]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (q_learning.Config(explore=ExploreSettings(epsilon_start=1.5)), "explore.epsilon_start = 1.5"),
        (q_learning.Config(explore=ExploreSettings(kind="softmax", temperature_start=0.0)), "above 0"),
        (
            q_learning.Config(explore=ExploreSettings(schedule="exponential", decay_steps=9)),
            "explore.epsilon_end = 0.0",
        ),
        (q_learning.Config(box=BoxFeatures(n_bins=10_000)), "features"),
    ],
)
def test_impossible_settings_are_refused(config, said):
    spec = EnvSpec("box", spaces.Box(0.0, 1.0, (3,)), spaces.Discrete(2))
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        q_learning.make(spec, [0], config)


def test_images_are_refused():
    spec = EnvSpec("pixels", spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(2))
    with pytest.raises(ValueError, match="pixels: observation"):
        q_learning.make(spec, [0], q_learning.Config())


def test_integer_features_have_no_more_bins_than_values():
    spec = EnvSpec("switches", spaces.Box(0, 1, (6,), np.uint8), spaces.Discrete(2))
    features = make_features(spec, q_learning.Config().box)
    assert features.n_features == 64
    assert list(features.encode(np.array([[0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1]]))[:, 0]) == [1, 63]


def test_too_large_tables_are_refused():
    spec = EnvSpec("box", spaces.Box(0.0, 1.0, (6,)), spaces.Discrete(4))
    with pytest.raises(ValueError, match=r"q_learning on box: tables of 2\.4 GiB"):
        q_learning.make(spec, list(range(80)), q_learning.Config())


LINEAR = EnvSpec("numbers", spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.Discrete(2))


def _linear_step(reward, then, *, terminated=False):
    obs = np.array([then], np.float32)
    return Step(obs, np.array([reward], np.float32), np.array([terminated]), np.array([False]), obs)


def test_linear_features_by_hand():
    config = q_learning.Config(step_size=0.5, gamma=0.5, init_value=2.0, explore=GREEDY, box=BoxFeatures(kind="linear"))
    agent = q_learning.make(LINEAR, [0], config)
    assert agent.state()["q"][0, 0].tolist() == [[2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    agent.learn(np.array([[1.0, -2.0]], np.float32), np.array([1]), _linear_step(3.0, [0.0, 1.0]))
    # delta = 3 + .5 * 2 - 2 = 2; x = (1, 1, -2), |x|^2 = 6; w += .5 * 2 / 6 x
    weights = agent.state()["q"][0, 0]
    np.testing.assert_allclose(weights, [[2.0, 2.0 + 1 / 6], [0.0, 1 / 6], [0.0, -1 / 3]])
    # a step size of 1/2 goes half of the way to the target 4
    policy = agent.policy()
    np.testing.assert_allclose(policy.values(np.array([[1.0, -2.0]], np.float32)), [[[2.0, 3.0]]])
    assert policy.act(np.array([[1.0, -2.0]], np.float32), np.array([True])).tolist() == [1]
    assert policy.act(np.array([[-3.0, 1.0]], np.float32), np.array([True])).tolist() == [0]


def test_a_linear_policy_is_exported_as_a_layer():
    agent = q_learning.make(LINEAR, [0], q_learning.Config(box=BoxFeatures(kind="linear")))
    for t in range(20):
        agent.learn(np.array([[t % 3, t % 2]], np.float32), np.array([t % 2]), _linear_step(t % 5, [1.0, t % 4]))
    arrays = agent.policy().arrays()
    obs = np.array([[0.5, -1.5]], np.float32)
    out = obs @ arrays.per_seed["network.0.weight"][0].T + arrays.per_seed["network.0.bias"][0]
    np.testing.assert_allclose(out, agent.policy().values(obs)[0])
    assert arrays.kind == "network"


def test_linear_features_refuse_what_needs_a_table():
    box = BoxFeatures(kind="linear")
    with pytest.raises(ValueError, match=r"trace_decay = 0\.5 with real-valued features"):
        q_learning.make(LINEAR, [0], q_learning.Config(trace_decay=0.5, box=box))
