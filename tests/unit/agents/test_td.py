"""Tests of TD(0), TD(lambda) and the learned model: updates by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import td
from agents.common.exploration import ExploreSettings
from simulator.core.mdp.model import uniform_policy
from simulator.core.mdp.solve import policy_evaluation
from simulator.core.protocols import EnvSpec
from tests.helpers.small_envs import discrete, step
from tests.laws.players import session

GREEDY = ExploreSettings(epsilon_start=0.0)


def _learn(agent, obs, action, result):
    agent.learn(np.array([obs]), np.array([action]), result)
    return agent.state()["v"][0]


def _given(**settings):
    return td.make(discrete(3, 2), [0], td.Config(policy="random", gamma=0.5, **settings))


def test_td0_by_hand():
    agent = _given(step_size=0.5)
    agent.restore({**agent.state(), "v": np.array([[1.0, 4.0, 0.0]])})
    # 1 + .5 (3 + .5 * 4 - 1) = 3
    np.testing.assert_allclose(_learn(agent, 0, 0, step(3.0, 1)), [3.0, 4.0, 0.0])


def test_termination_does_not_bootstrap_and_truncation_does():
    for ends, expected in (({"terminated": True}, 3.0), ({"truncated": True}, 5.0)):
        agent = _given(step_size=1.0)
        agent.restore({**agent.state(), "v": np.array([[1.0, 4.0, 8.0]])})
        assert _learn(agent, 0, 0, step(3.0, 1, obs=2, **ends))[0] == expected


@pytest.mark.parametrize(("traces", "trace"), [("accumulating", 1.0 + 0.5 * 0.8 * (0.5 * 0.8)), ("replacing", 1.0)])
def test_traces_by_hand(traces, trace):
    agent = _given(step_size=1.0, lambda_=0.8, traces=traces)
    _learn(agent, 0, 0, step(0.0, 1))
    _learn(agent, 1, 0, step(0.0, 0))
    values = _learn(agent, 0, 0, step(1.0, 2))  # delta is 1
    np.testing.assert_allclose(values, [trace, 0.5 * 0.8, 0.0])


def test_traces_end_with_the_episode():
    agent = _given(step_size=1.0, lambda_=1.0)
    _learn(agent, 0, 0, step(0.0, 1, truncated=True, obs=2))
    np.testing.assert_allclose(_learn(agent, 2, 0, step(1.0, 1)), [0.0, 0.0, 1.0])


def test_lambda_one_is_monte_carlo_on_an_episode_without_repeats():
    agent = td.make(discrete(4, 1), [0], td.Config(policy="random", gamma=0.9, lambda_=1.0, step_size=1.0))
    for at, reward in ((0, 1.0), (1, 2.0)):
        agent.learn(np.array([at]), np.zeros(1, int), step(reward, at + 1))
    values = _learn(agent, 2, 0, step(3.0, 3, terminated=True, obs=0))
    np.testing.assert_allclose(values[:3], [1 + 0.9 * 2 + 0.81 * 3, 2 + 0.9 * 3, 3.0])


def test_the_model_counts_and_looks_ahead():
    agent = td.make(discrete(3, 2), [0], td.Config(gamma=0.5, step_size=1e-9, explore=GREEDY, try_untried_first=False))
    agent.restore({**agent.state(), "v": np.array([[0.0, 8.0, 2.0]])})
    for reward, then, ends in ((1.0, 1, {}), (3.0, 2, {}), (2.0, 1, {"terminated": True, "obs": 0})):
        agent.learn(np.array([0]), np.array([1]), step(reward, then, **ends))
    # mean reward 2; a third each of .5 * 8, .5 * 2 and nothing
    looked = agent.policy().values(np.array([0]))[0, 0]
    np.testing.assert_allclose(looked, [0.0, 2.0 + (4.0 + 1.0) / 3], atol=1e-6)
    assert agent.act(np.array([0]))[0] == 1


def test_untried_actions_come_first():
    agent = td.make(discrete(2, 3), [0], td.Config(explore=GREEDY))
    tried = set()
    for _ in range(3):
        action = int(agent.act(np.array([0]))[0])
        agent.learn(np.array([0]), np.array([action]), step(1.0, 0))
        tried.add(action)
    assert tried == {0, 1, 2}


def test_more_successors_than_the_model_holds_are_refused():
    agent = td.make(discrete(9, 1), [7], td.Config(n_successors=2))
    for then in range(2):
        agent.learn(np.array([0]), np.array([0]), step(0.0, then))
    with pytest.raises(ValueError, match=r"agent.n_successors = 2: seed 7 .* state 0"):
        agent.learn(np.array([0]), np.array([0]), step(0.0, 5))


@pytest.mark.learning
@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_a_given_policy_is_valued_as_the_exact_solver_does(decay):
    one = session(
        "td",
        "FrozenLake-v1",
        seeds=16,
        steps=60_000,
        agent_={"policy": "random", "gamma": 0.9, "lambda_": decay, "step_size": 1.0, "step_size_exponent": 0.8},
    )
    one.play(60_000)
    exact = policy_evaluation(one.env.spec.mdp, uniform_policy(one.env.spec.mdp), 0.9)
    learned = one.agent.state()["v"]
    seen = one.agent.state()["visits"][0] > 1_000
    assert seen.sum() >= 4
    worst = np.abs(learned.mean(axis=0) - exact)[seen].max()
    assert worst < 0.015  # of 100 fresh sets of seeds the worst came to .0076, and 99 to less than .0052


def test_a_policy_from_a_file(tmp_path):
    path = tmp_path / "policy.npy"
    np.save(path, np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]))
    agent = td.make(discrete(3, 2), [0], td.Config(policy=str(path)))
    assert {int(agent.act(np.array([0]))[0]) for _ in range(20)} == {1}
    np.testing.assert_allclose(agent.policy().probs(np.arange(3))[0], [[0, 1], [1, 0], [0.5, 0.5]])


@pytest.mark.parametrize("content", [b"", b"not numpy", None])
def test_a_bad_policy_file_is_refused(tmp_path, content):
    path = tmp_path / "policy.npy"
    if content is None:
        np.save(path, np.full((3, 2), 0.7))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"policy\.npy"):
        td.make(discrete(3, 2), [0], td.Config(policy=str(path)))


def test_too_large_a_model_is_refused():
    spec = EnvSpec("box", spaces.Box(0.0, 1.0, (6,)), spaces.Discrete(6))
    with pytest.raises(ValueError, match="td on box: tables of"):
        td.make(spec, list(range(4)), td.Config())
