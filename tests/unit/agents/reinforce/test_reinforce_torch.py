"""Tests of REINFORCE with torch networks: against the compiled backend, and on images."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import reinforce
from agents.common.networks.dense import NetworkSettings
from agents.reinforce import learner_torch
from agents.reinforce.agent import build
from simulator.core.protocols import EnvSpec, Step
from tests.laws.players import same, session, state_of_seed

PIXELS = {"layout": "corridor", "length": 3, "observation": "pixels", "cell_pixels": 3}
SMALL = {"conv": {"frames": 2, "hidden": (8,)}, "episodes_per_update": 2}


@pytest.mark.parametrize(
    "settings", [{}, {"baseline": "mean", "normalize_advantages": True, "ent_coef": 0.01}], ids=str
)
@pytest.mark.parametrize("env", ["rooms", "CartPole-v1"])
def test_the_torch_backend_learns_as_the_compiled_one(env, settings):
    config = reinforce.Config(episodes_per_update=2, value_steps=2, network=NetworkSettings((8,), "tanh"), **settings)
    dense, other = (session("reinforce", env) for _ in range(2))
    dense.agent = reinforce.make(dense.env.spec, list(dense.seeds), config)
    other.agent = build(other.env.spec, list(other.seeds), config, torch=True)
    for one in (dense, other):
        one.play(400)
    assert dense.agent.state()["policy"]["step_count"].min() >= 2
    for name in ("env_steps", "stream", "failed_at"):
        np.testing.assert_array_equal(dense.agent.state()[name], other.agent.state()[name])
    for name in ("loss", "entropy"):
        np.testing.assert_allclose(dense.metrics[name], other.metrics[name], rtol=1e-3)
    seen = np.repeat(dense.env.observe()[:1], 3, axis=0)
    first = np.ones(3, np.bool_)
    np.testing.assert_array_equal(*(one.agent.policy().act(seen, first) for one in (dense, other)))
    if env == "rooms":
        every = dense.env.spec.state_obs
        np.testing.assert_array_equal(*(one.agent.policy().probs(every) for one in (dense, other)))


@pytest.mark.slow
@pytest.mark.parametrize("env", ["rooms", "CartPole-v1"])
def test_seeds_in_one_tensor_learn_what_single_ones_learn(env, monkeypatch):
    config = reinforce.Config(episodes_per_update=2, value_steps=2, network=NetworkSettings((8,), "tanh"))
    single, together = (session("reinforce", env) for _ in range(2))
    single.agent = build(single.env.spec, list(single.seeds), config, torch=True)
    monkeypatch.setattr(learner_torch, "device", lambda: "one with a tensor axis of seeds")
    together.agent = build(together.env.spec, list(together.seeds), config, torch=True)
    assert len(together.agent.learner.policy.nets) == 1
    for one in (single, together):
        one.play(400)
    states = [one.agent.state() for one in (single, together)]
    assert states[0]["policy"]["step_count"].min() >= 2
    for name in ("policy", "value"):
        np.testing.assert_array_equal(*(state[name]["step_count"] for state in states))
        np.testing.assert_allclose(*(state[name]["params"] for state in states), atol=1e-5)


def test_a_batch_of_one_step_is_learned_from_as_it_is():
    spec = EnvSpec("by-hand", spaces.Box(-9.0, 9.0, (2,)), spaces.Discrete(2), 50)
    obs, ends, states = np.ones((3, 2), np.float32), np.ones(3, np.bool_), []
    for normalized in (True, False):
        config = reinforce.Config(
            episodes_per_update=1, normalize_advantages=normalized, network=NetworkSettings((4,), "tanh")
        )
        agent = build(spec, [0, 1, 2], config, torch=True)
        before = agent.state()["policy"]
        for reward in (1.0, -2.0):
            actions = agent.act(obs)
            agent.learn(obs, actions, Step(obs, np.full(3, reward, np.float32), ends, ~ends, obs))
        states.append(agent.state()["policy"])
        with pytest.raises(AssertionError):
            same(before, states[-1])
    same(*states)


def _pictures(**settings):
    return session("reinforce", "rooms", env_=PIXELS, agent_=SMALL, **settings)


@pytest.mark.slow
def test_pictures_alone_equal_pictures_together():
    together, alone = _pictures(seeds=3), _pictures(seeds=1, first_seed=2)
    for one in (together, alone):
        one.play(250)  # episodes are cut after 100 steps, so that every seed has learned from two by then
    state = together.state()
    assert state["agent"]["policy"]["step_count"].min() >= 1
    same(state_of_seed(alone.state(), 0, 1), state_of_seed(state, 2, 3))


@pytest.mark.slow
def test_image_observations_continue_from_a_state():
    whole, first, second = (_pictures() for _ in range(3))
    whole.play(200)
    first.play(90)
    second.restore(first.state())
    second.play(110)
    same(whole.state(), second.state())


@pytest.mark.slow
@pytest.mark.learning
def test_a_corridor_is_learned_from_pictures():
    one = _pictures(seeds=4, eval_episodes=10)
    one.play(2_000)
    returns = one.evaluator().evaluate(one.agent, 2_000).returns
    np.testing.assert_array_equal(returns, 1.0)


def test_batches_of_pictures_that_do_not_fit_are_refused():
    spec = EnvSpec("large", spaces.Box(0, 255, (210, 160, 3), np.uint8), spaces.Discrete(6), 100_000)
    with pytest.raises(ValueError, match=r"large needs [\d,.]+ GiB and .* expected a smaller agent.max_episode_steps"):
        reinforce.make(spec, [0], reinforce.Config())
