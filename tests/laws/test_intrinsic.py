"""Laws of every intrinsic bonus, by name: seeds that do not meet, a state that is whole, compiled rollouts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from simulator.checks import agents
from simulator.config.sockets import fitting
from tests.laws.players import same, session

NAMES = fitting("intrinsic")
SMALL = {"familiarity": {"units": 32, "capacity": 60, "store_every": 20}, "nearest": {"capacity": 60}}
PAIRS = [("q_learning", "rooms"), ("q_learning", "CartPole-v1"), ("dqn", "CartPole-v1"), ("reinforce", "rooms")]


def _session(name, agent, env, **settings):
    return session(agent, env, agent_={"intrinsic": {"name": name, **SMALL.get(name, {})}}, **settings)


def test_every_bonus_is_here():
    assert {"counts", "familiarity", "nearest", "random_network"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("agent", "env"), PAIRS)
def test_seeds_and_checkpoints(name, agent, env):
    make = partial(_session, name, agent, env)
    agents.seeds_together_equal_seeds_alone(make)
    agents.continues_from_a_checkpoint(make)


@pytest.mark.parametrize("name", NAMES)
def test_other_rewards_and_evaluations_leave_a_learner_alone(name):
    make = partial(_session, name, "q_learning", "rooms")
    agents.poisoned_rewards_leave_the_others_alone(make)
    agents.evaluation_changes_nothing(make)
    agents.acts_in_the_space_and_learns_finite_numbers(make)


@pytest.mark.parametrize("name", NAMES)
def test_rollouts_have_the_bits_of_single_steps(name):
    fast, slow = (_session(name, "q_learning", "rooms", rollouts=rollouts) for rollouts in (True, False))
    for one in (fast, slow):
        one.play(150)
    same(fast.state(), slow.state())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("env", "settings"), [("CartPole-v1", {}), ("rooms", {"layout": "four"})])
def test_what_is_met_again_and_again_is_no_longer_new(name, env, settings):
    one = _session(name, "q_learning", env, env_=settings)
    novelty = one.agent._bonus.novelty
    here = one.env.observe().copy()
    if settings:
        there = (here + 7) % 104
    else:
        for _ in range(6):
            there = one.env.step(np.full(3, 1)).obs.copy()
    first = novelty.visit(here)
    for _ in range(200):
        again = novelty.visit(here)
    assert (again < 0.3 * first).all()
    assert (novelty.visit(there) > 2.0 * again).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_learner_alone_sees_the_bonus(name):
    plain, curious = session("q_learning", "rooms"), _session(name, "q_learning", "rooms")
    seen = []
    learn = curious.agent._agent.learn
    curious.agent._agent.learn = lambda obs, actions, step: seen.append(step.reward) or learn(obs, actions, step)
    obs = curious.env.observe().copy()
    step = curious.env.step(np.array([plain.env.spec.legal_actions[o].argmax() for o in obs]))
    given = step.reward.copy()
    curious.agent.learn(obs, np.zeros(3, np.int64), step)
    np.testing.assert_allclose(seen[0], given + 0.1, rtol=1e-6)
    np.testing.assert_array_equal(step.reward, given)
