"""Tests of seeds: a result does not depend on other seeds, their order, threads or compiled rollouts."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core import registry, rng
from simulator.core.jit import set_threads
from tests.laws.players import AGENTS, ENVS, SMALL, has_rollout, home, pairs, same, session, state_of_seed, variants

STEPS = 150


def _train(agent, env, **settings):
    one = session(agent, env, **settings)
    one.play(STEPS)
    return one


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_a_seed_alone_equals_the_same_seed_among_others(agent, env):
    together = _train(agent, env, seeds=4)
    for i in (0, 3):
        alone = _train(agent, env, seeds=1, first_seed=i)
        same(state_of_seed(alone.state(), 0, 1), state_of_seed(together.state(), i, 4))
        evaluations = [s.evaluator().evaluate(s.agent, STEPS) for s in (alone, together)]
        np.testing.assert_array_equal(evaluations[0].returns[0], evaluations[1].returns[i])


@pytest.mark.parametrize(("agent", "env"), [pair for pair in pairs() if has_rollout(*pair)])
def test_the_rollout_has_the_bits_of_single_steps(agent, env):
    for settings in variants("agents", agent):
        fast, slow = (
            _train(agent, env, rollouts=rollouts, agent_=_playable(agent, settings)) for rollouts in (True, False)
        )
        same(fast.state(), slow.state(), f"{agent} {settings}")


@pytest.mark.parametrize(
    ("agent", "env"), sorted({*((a, home(a)) for a in AGENTS), *(pair for pair in pairs() if has_rollout(*pair))})
)
def test_threads_change_nothing(agent, env):
    try:
        one, two = (_train(agent, env, seeds=5, threads=threads) for threads in (1, 2))
    finally:
        set_threads(1)
    same(one.state(), two.state())


@pytest.mark.parametrize("env", [*ENVS, *SMALL[1:]])
def test_permuted_seeds_give_permuted_envs(env):
    player = registry.load("envs", env)
    order = [2, 0, 3, 1]
    envs = [player.make(list_, player.Config()) for list_ in ([0, 1, 2, 3], order)]
    first = [w.reset() for w in envs]
    np.testing.assert_array_equal(first[0][order], first[1])
    walker = np.random.Generator(np.random.PCG64(7))
    n = envs[0].spec.action.n
    for _ in range(60):
        actions = walker.integers(0, n, 4)
        straight, turned = (w.step(a) for w, a in zip(envs, (actions, actions[order]), strict=True))
        for here, there in zip(straight, turned, strict=True):
            np.testing.assert_array_equal(np.asarray(here)[order], there)


@pytest.mark.parametrize("agent", AGENTS)
def test_poisoning_one_seeds_rewards_leaves_the_others_bits_alone(agent):
    sessions = [session(agent, home(agent), rollouts=False) for _ in range(2)]
    step = sessions[1].env.step

    def poisoned(actions):
        result = step(actions)
        result.reward[1] = 1e6
        return result

    sessions[1].env.step = poisoned
    for one in sessions:
        one.play(STEPS)
    clean, dirty = (one.agent.state() for one in sessions)
    for i in (0, 2):
        same(state_of_seed(clean, i, 3), state_of_seed(dirty, i, 3))


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_evaluation_never_changes_a_learner(agent, env):
    watched, left = (session(agent, env) for _ in range(2))
    evaluator = watched.evaluator()
    returns = []
    for _ in range(3):
        for one in (watched, left):
            one.play(40)
        returns.append(evaluator.evaluate(watched.agent, watched.step).returns)
    same(watched.state(), left.state())
    again = watched.evaluator().evaluate(watched.agent, watched.step)
    np.testing.assert_array_equal(returns[-1], again.returns)


def test_every_agent_plays_somewhere():
    for agent in AGENTS:
        assert any(agent == each for each, _ in pairs()), agent


def test_streams_share_nothing():
    words = np.concatenate([rng.pcg64_states(range(50), purpose) for purpose in rng.PURPOSES])
    assert len(np.unique(words[:, :2], axis=0)) == len(words)
    assert len(np.unique(words[:, 2:], axis=0)) == len(words)


def test_packed_streams_continue_where_they_stopped():
    generator = rng.generators([5], "replay")[0]
    generator.random(17)
    copy = np.random.Generator(rng.unpack_state(rng.pack_state(generator.bit_generator)))
    np.testing.assert_array_equal(generator.random(9), copy.random(9))


def _playable(agent, settings):
    """Return settings of exploration that fit together."""
    explore = settings.get("explore", {})
    if explore.get("schedule") == "exponential":
        return {**settings, "explore": {**explore, "epsilon_start": 0.5, "epsilon_end": 0.1, "decay_steps": 100}}
    return settings
