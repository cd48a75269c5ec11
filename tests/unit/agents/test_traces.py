"""Tests of Q(lambda) and Sarsa(lambda): against a loop over dense arrays, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import q_learning
from agents.common.exploration import ExploreSettings
from agents.common.tile_coding import BoxFeatures, make_features
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.small_envs import discrete, step
from tests.laws.players import same, session

STATES, ACTIONS, GAMMA, LAMBDA, ALPHA = 5, 3, 0.9, 0.8, 0.3
BOX = EnvSpec("box", spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(ACTIONS))


def _config(**settings):
    explore = ExploreSettings(epsilon_start=0.4)
    return q_learning.Config(step_size=ALPHA, gamma=GAMMA, trace_decay=LAMBDA, explore=explore, **settings)


def _transition(agent, obs, rng):
    """Act at obs [1, *obs], and return the action and a random step from there."""
    action = agent.act(obs)
    ends = rng.random() < 0.1
    then = rng.random((1, 2)) if obs.ndim == 2 else rng.integers(STATES, size=1)
    after = (rng.random((1, 2)) if obs.ndim == 2 else rng.integers(STATES, size=1)) if ends else then
    terminated = np.array([ends and rng.random() < 0.5])
    reward = rng.normal(size=1).astype(np.float32)
    return action, Step(after, reward, terminated, np.array([ends]) & ~terminated, then)


@pytest.mark.parametrize("traces", ["accumulating", "replacing", "dutch"])
@pytest.mark.parametrize(("target", "exponent"), [("max", 0.0), ("sarsa", 0.0), ("expected", 0.0), ("max", 0.6)])
@pytest.mark.parametrize("spec", [discrete(STATES, ACTIONS), BOX], ids=["table", "tiles"])
def test_traces_equal_a_loop_over_dense_arrays(spec, target, exponent, traces):
    box = BoxFeatures(kind="tiles", n_bins=3, n_tilings=4)
    config = _config(target=target, traces=traces, step_size_exponent=exponent, box=box)
    agent = q_learning.make(spec, [3], config)
    encode = make_features(spec, box).encode
    rng = np.random.Generator(np.random.PCG64(7))
    q = np.zeros(agent.state()["q"].shape[2:])
    trace = np.zeros_like(q)
    visits = np.zeros_like(q)
    obs = rng.random((1, 2)) if spec is BOX else np.zeros(1, np.int64)
    for _ in range(150):
        (action,), moved = _transition(agent, obs, rng)
        agent.learn(obs, np.array([action]), moved)
        active, then = encode(obs)[0], encode(moved.final_obs)[0]
        values, following = q[active].sum(axis=0), q[then].sum(axis=0)
        ended = moved.terminated[0] or moved.truncated[0]
        v_t = _value(target, agent, following, ended)
        if v_t is None:  # where Sarsa's episode was cut: the action drawn there is told by no one, so start afresh
            q, trace = agent.state()["q"][0, 0], np.zeros_like(q)
            obs = moved.obs
            continue
        error = moved.reward[0] + GAMMA * (0.0 if moved.terminated[0] else v_t) - values[action]
        cut = target == "max" and values[action] < values.max()
        trace *= 0.0 if cut else GAMMA * LAMBDA
        trace[trace < 1e-8] = 0.0
        visits[active, action] += 1
        alpha = ALPHA / len(active) * np.maximum(visits, 1) ** -exponent
        if traces == "dutch":
            trace[active, action] += 1.0 - alpha[active, action] * trace[active, action].sum()
        else:
            trace[active, action] = 1.0 if traces == "replacing" else trace[active, action] + 1.0
        q = q + alpha * error * trace
        if ended:
            trace[:] = 0.0
        np.testing.assert_allclose(agent.state()["q"][0, 0], q, rtol=0, atol=1e-12)
        obs = moved.obs
    assert np.abs(q).max() > 0.1


def _value(target, agent, following, ended):
    if target == "max":
        return following.max()
    if target == "expected":
        best = following == following.max()
        return 0.6 * following[best].mean() + 0.4 * following.mean()
    return None if ended else following[agent.state()["next_action"][0]]


def test_a_reward_reaches_the_steps_before_it_by_hand():
    agent = q_learning.make(discrete(3, 1), [0], _config(traces="accumulating"))
    agent.learn(np.array([0]), np.array([0]), step(0.0, 1))
    agent.learn(np.array([1]), np.array([0]), step(1.0, 2, terminated=True, obs=0))
    # .3 * 1 for the last pair, and .9 * .8 of it for the one before
    np.testing.assert_allclose(agent.state()["q"][0, 0, :, 0], [0.3 * 0.72, 0.3, 0.0])
    assert not agent.state()["traces"]["value"].any()


def test_watkins_traces_end_before_an_action_that_is_not_greedy():
    agent = q_learning.make(discrete(3, 2), [0], _config())
    state = agent.state()
    state["q"][0, 0, 1] = [0.0, 5.0]
    agent.restore(state)
    agent.learn(np.array([0]), np.array([0]), step(0.0, 2))
    before = agent.state()["q"][0, 0, 0, 0]
    agent.learn(np.array([1]), np.array([0]), step(1.0, 2))
    assert agent.state()["q"][0, 0, 0, 0] == before
    agent.learn(np.array([2]), np.array([0]), step(1.0, 2))
    assert agent.state()["q"][0, 0, 1, 0] > 0.3


def test_the_smallest_lambda_is_nearly_no_lambda():
    plain, traced = (session("q_learning", "rooms", agent_={"trace_decay": decay}) for decay in (0.0, 1e-300))
    for one in (plain, traced):
        one.play(200)
    same(plain.agent.state()["q"], traced.agent.state()["q"])


@pytest.mark.parametrize("target", ["max", "sarsa", "expected"])
def test_rollouts_have_the_bits_of_single_steps(target):
    settings = {"trace_decay": 0.9, "target": target}
    four = {"layout": "four"}
    fast, slow = (session("q_learning", "rooms", rollouts=fast, agent_=settings, env_=four) for fast in (True, False))
    for one in (fast, slow):
        one.play(200)
    same(fast.state(), slow.state())
    assert fast.agent.state()["traces"]["value"].any()


def test_double_learning_with_traces_is_refused():
    with pytest.raises(ValueError, match=r"agent\.double = true with agent\.trace_decay = 0\.8"):
        q_learning.make(discrete(3, 2), [0], _config(double=True))
