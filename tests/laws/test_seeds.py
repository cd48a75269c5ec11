"""Tests of seeds: a result does not depend on other seeds, their order, threads or compiled rollouts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from simulator.checks import agents, envs
from simulator.core import registry, rng
from simulator.core.jit import set_threads
from tests.laws.players import AGENTS, ENVS, SMALL, has_rollout, home, pairs, same, session, variants

STEPS = 150


def _train(agent, env, **settings):
    one = session(agent, env, **settings)
    one.play(STEPS)
    return one


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_a_seed_alone_equals_the_same_seed_among_others(agent, env):
    agents.seeds_together_equal_seeds_alone(partial(session, agent, env))


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
    envs.permuted_seeds_give_permuted_results(lambda seeds: player.make(seeds, player.Config()))


@pytest.mark.parametrize("agent", AGENTS)
def test_poisoning_one_seeds_rewards_leaves_the_others_bits_alone(agent):
    agents.poisoned_rewards_leave_the_others_alone(partial(session, agent, home(agent)))


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_evaluation_never_changes_a_learner(agent, env):
    agents.evaluation_changes_nothing(partial(session, agent, env))


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


def test_half_of_a_draw_is_never_lost_unseen():
    generator = rng.generators([5], "replay")[0]
    generator.integers(10)  # 32 bits: the other half of 64 waits
    with pytest.raises(ValueError, match="half of a draw left"):
        rng.pack_state(generator.bit_generator)
    words = rng.pack_state(generator.bit_generator, drop_half=True)
    np.testing.assert_array_equal(rng.pack_state(rng.unpack_state(words)), words)


def _playable(agent, settings):
    """Return settings of exploration that fit together."""
    explore = settings.get("explore", {})
    if explore.get("schedule") == "exponential":
        return {**settings, "explore": {**explore, "epsilon_start": 0.5, "epsilon_end": 0.1, "decay_steps": 100}}
    return settings
