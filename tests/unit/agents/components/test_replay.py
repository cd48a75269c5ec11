"""Tests of what else a tabular agent plans with: past transitions, and those that a generative model imagines."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from agents import q_learning
from agents.common.exploration import ExploreSettings
from agents.components import replay
from simulator.checks import agents as laws
from simulator.core.components import Component
from tests.helpers.small_envs import discrete, step
from tests.laws.players import same, session

QUICK = {"hidden": [8], "batch_size": 8, "warmup": 30, "train_frequency": 8}
MODELS = {"replay": {"buffer_size": 50}, "gan": QUICK, "vae": QUICK}
CASES = {
    **{name: {"planning_steps": 4, "model": {"name": name, **settings}} for name, settings in MODELS.items()},
    "gan and traces": {"planning_steps": 4, "trace_decay": 0.5, "model": {"name": "gan", **QUICK}},
    "replay and sarsa": {"target": "sarsa", "step_size_exponent": 0.6, "model": "replay"},
    "replay and counts": {"intrinsic": "counts", "model": "replay"},
}


def _agent(n_steps, buffer_size=10):
    config = q_learning.Config(
        gamma=0.5,
        planning_steps=n_steps,
        model=Component("replay", replay.Config(buffer_size)),
        explore=ExploreSettings(epsilon_start=0.0),
    )
    return q_learning.make(discrete(4, 2), [0], config)


def _learn(agent, obs, action, *args, **kwargs):
    agent.learn(np.array([obs]), np.array([action]), step(*args, **kwargs))
    return agent.state()


def test_the_only_transition_is_replayed_as_often_as_asked():
    state = _learn(_agent(3), 0, 1, 1.0, 3, terminated=True)
    assert state["q"][0, 0, 0, 1] == 1.0 - 0.5**4
    assert state["replay"]["n_updates"].tolist() == [3]


def test_what_goes_on_is_replayed_with_the_value_that_it_leads_to():
    agent = _agent(1, buffer_size=1)
    _learn(agent, 1, 0, 1.0, 3, terminated=True)  # 0.75
    assert _learn(agent, 0, 1, 0.0, 1)["q"][0, 0, 0, 1] == 0.75 * 0.5 * 0.75


def test_the_oldest_transition_leaves():
    agent = _agent(0, buffer_size=2)
    for state in (0, 1, 2):
        kept = _learn(agent, state, 0, float(state), 3, terminated=True)["replay"]
    assert kept["pair"].tolist() == [[4, 2]]
    assert kept["code"].tolist() == [[7, 7]]
    assert kept["reward"].tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "law",
    [
        laws.acts_in_the_space_and_learns_finite_numbers,
        laws.seeds_together_equal_seeds_alone,
        laws.continues_from_a_checkpoint,
        laws.evaluation_changes_nothing,
        laws.poisoned_rewards_leave_the_others_alone,
    ],
    ids=lambda law: law.__name__,
)
def test_laws_hold(case, law):
    law(partial(session, "q_learning", "FrozenLake-v1", agent_=CASES[case]))


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("replay")])
def test_rollouts_have_the_bits_of_single_steps(case):
    fast, slow = (session("q_learning", "FrozenLake-v1", rollouts=fast, agent_=CASES[case]) for fast in (True, False))
    for one in (fast, slow):
        one.play(150)
    same(fast.state(), slow.state())


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_every_step_after_the_warmup_is_followed_by_as_many_imagined_updates(name):
    one = session("q_learning", "FrozenLake-v1", agent_=CASES[name])
    one.play(100)
    state = one.agent.state()
    assert state["imagined"]["n_updates"].tolist() == [4 * (100 - 30)] * 3


@pytest.mark.parametrize("name", MODELS)
def test_learning_goes_on_without_what_was_experienced(name):
    one = session("q_learning", "FrozenLake-v1", agent_=CASES[name])
    one.play(100)
    state = one.agent.state()
    other = session("q_learning", "FrozenLake-v1", agent_=CASES[name])
    other.agent.restore({key: value for key, value in state.items() if key != "replay"})
    other.play(100)
    assert np.isfinite(other.agent.state()["q"]).all()


def test_numbers_are_imagined_where_they_are_cut_into_bins():
    one = session("q_learning", "CartPole-v1", agent_={**CASES["vae"], "box": {"n_bins": 4}})
    one.play(120)
    assert one.agent.state()["imagined"]["n_updates"].tolist() == [4 * 90] * 3


def test_dqn_refuses_replay_as_a_model():
    with pytest.raises(ValueError, match=r"agent\.model = 'replay' on dqn: expected a model that imagines"):
        session("dqn", "FrozenLake-v1", agent_={"model": "replay"})
