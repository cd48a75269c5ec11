"""Tests of DQN's compiled rollout: the same bits as single steps."""

from __future__ import annotations

import numpy as np
import pytest

from agents import dqn
from agents.dqn import learner
from agents.dqn.agent import resolved
from agents.dqn.update import make_hyperparams, trains_at, update_params
from simulator.core.jit import set_threads
from tests.helpers.seeding import FIRST_SEED
from tests.laws.players import has_rollout, same, session

OFTEN = {"eval_ema": 0.01, "gradient_steps": 2, "train_frequency": 3, "n_step": 2, "max_action_repeat": 4}


def _pair(env, **agent):
    return [session("dqn", env, rollouts=rollouts, agent_=agent) for rollouts in (True, False)]


def test_compiled_vector_envs_have_a_rollout():
    assert has_rollout("dqn", "CartPole-v1")
    assert has_rollout("dqn", "MountainCar-v0")
    assert not has_rollout("dqn", "Acrobot-v1")  # the first view of an episode is numpy's
    assert not has_rollout("dqn", "FrozenLake-v1")
    assert not has_rollout("q_learning", "CartPole-v1")  # it takes tables


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("CartPole-v1", OFTEN),
        ("CartPole-v1", {"target_update_interval": 7}),
        ("MountainCar-v0", {"normalize_obs": True, **OFTEN}),
    ],
    ids=str,
)
def test_rollouts_of_any_length_have_the_bits_of_single_steps(env, settings, monkeypatch):
    monkeypatch.setattr(learner, "ROLLOUT_COST", 3e7)  # rollouts of some 40 steps
    fast, slow = _pair(env, **settings)
    assert 10 < fast.agent.max_rollout_steps < 63
    for n in (1, 2, 250, 63):
        fast.play(n)
        slow.play(n)
        same(fast.state(), slow.state())
        np.testing.assert_array_equal(fast.env.observe(), slow.env.observe())


def test_seeds_on_two_threads_share_nothing():
    try:
        one, two = (session("dqn", "CartPole-v1", seeds=8, threads=threads) for threads in (1, 2))
        for each, threads in ((one, 1), (two, 2)):
            set_threads(threads)
            each.play(400)
    finally:
        set_threads(1)
    same(one.state(), two.state())


def test_a_rollout_continued_from_a_stored_state_ends_in_the_same_bits():
    whole, first = (session("dqn", "CartPole-v1", agent_=OFTEN) for _ in range(2))
    whole.play(300)
    first.play(130)
    second = session("dqn", "CartPole-v1", agent_=OFTEN)
    second.restore(first.state())
    second.play(170)
    same(whole.state(), second.state())


def test_a_failing_env_is_named_with_seed_and_step():
    for one in _pair("CartPole-v1"):
        one.play(40)
        one.env._copies.state[1] = np.nan
        said = rf"seed {FIRST_SEED + 1} observed \[nan nan nan nan\].* in step 41, expected"
        with pytest.raises(ValueError, match=said):
            one.play(10)


def test_the_seed_that_breaks_down_first_is_named():
    one = session("dqn", "CartPole-v1")
    one.agent._learner._rollout_entry = lambda *given: given[-2].broken_at.__setitem__(slice(None), [7, 0, 3])
    with pytest.raises(ValueError, match=rf"seed {FIRST_SEED + 2} observed .* in step 3, expected"):
        one.play(10)
    assert one.agent.state()["clock"] == 0  # what was refused was not played


def test_a_seed_that_diverges_stops_learning_at_the_same_step_either_way():
    fast, slow = _pair("CartPole-v1")
    for one in (fast, slow):
        one.play(30)
        one.agent._learner.state.online_net.params[2] = np.inf
        one.play(100)
    assert list(fast.failed_at) == list(slow.failed_at) == [0, 0, 31]
    same(fast.state(), slow.state())


def test_the_average_counts_the_updates_that_were_made():
    counts = {"learning_starts": 10, "train_frequency": 4, "gradient_steps": 3, "target_update_interval": 0}
    hyper = make_hyperparams(resolved(dqn.Config(**counts, eval_ema=1e-9)), np.array([[2, 0, 1]]))
    made = 0
    for clock in range(1, 60):
        if trains_at(hyper, clock):
            assert update_params(hyper, clock).eval_ema == pytest.approx(1.0 / (1 + made))
            made += 3
    assert made == 36
