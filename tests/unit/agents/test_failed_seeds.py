"""Tests of diverging agents: a seed with NaN values or weights fails, and the others continue."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop, summary
from tests.laws.players import same, session

LEARNS_TOO_MUCH = {"policy": "random", "lambda_": 1.0, "gamma": 1.0, "step_size": 1.0}
TOO_FAR = {"sigma": 1e39}
WILD = [
    ("td", "CliffWalking-v1", LEARNS_TOO_MUCH),
    ("td", "MountainCar-v0", LEARNS_TOO_MUCH),
    ("hill_climbing", "rooms", TOO_FAR),
    ("hill_climbing", "CartPole-v1", TOO_FAR),
    ("hill_climbing", "CartPole-v1", {**TOO_FAR, "network": {"hidden": [4]}}),
]
STEPS = 6_000


@pytest.mark.slow
@pytest.mark.parametrize(("agent", "env", "settings"), WILD)
def test_a_seed_fails_at_the_same_step_however_it_is_played(agent, env, settings):
    one, two = (session(agent, env, agent_=settings, rollouts=rollouts) for rollouts in (True, False))
    one.play(STEPS)
    for n in (1, 700, 2_000, STEPS):
        two.play(min(n, STEPS - two.step))
    assert (one.failed_at > 0).any()
    same(one.state(), two.state())
    alone = session(agent, env, agent_=settings, seeds=1, first_seed=1)
    alone.play(STEPS)
    assert alone.failed_at[0] == one.failed_at[1]
    for state in (one.agent.state(), two.agent.state()):
        for name in ("q", "v", "evaluated", "incumbent", "best", "error", "score"):
            assert np.isfinite(state.get(name, 0.0)).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("env", ["FrozenLake-v1", "CartPole-v1"])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("target", ["max", "sarsa", "expected"])
def test_an_overflowing_value_fails_its_own_seed_only(env, double, target):
    settings = {"double": double, "target": target, "gamma": 1.0, "step_size": 1.0}
    clean, spoilt = (session("q_learning", env, agent_=settings) for _ in range(2))
    state = spoilt.agent.state()
    state["q"][1] = np.where(np.arange(state["q"][1].size) % 3, -1.7e308, 1.7e308).reshape(state["q"][1].shape)
    spoilt.agent.restore(state)
    for each in (clean, spoilt):
        each.play(3_000)
    assert spoilt.failed_at[1] > 0
    assert not spoilt.failed_at[[0, 2]].any()
    assert not clean.failed_at.any()
    ours, theirs = spoilt.agent.state(), clean.agent.state()
    for name in ("q", "td_error", "env_steps", "stream"):
        np.testing.assert_array_equal(ours[name][[0, 2]], theirs[name][[0, 2]])
    assert np.isfinite(ours["q"]).all()
    failed = int(spoilt.failed_at[1])
    spoilt.play(500)
    assert spoilt.failed_at[1] == failed
    np.testing.assert_array_equal(spoilt.agent.state()["q"][1], ours["q"][1])


def test_box_actions_of_a_failing_seed_are_valid():
    wild = session("hill_climbing", "MountainCarContinuous-v0", agent_=TOO_FAR)
    wild.play(2_000)
    assert (wild.failed_at > 0).all()


def test_a_state_without_failed_at_has_no_failed_seed():
    here = session("q_learning", "FrozenLake-v1")
    here.play(100)
    state = here.agent.state()
    del state["failed_at"]
    there = session("q_learning", "FrozenLake-v1")
    there.agent.restore(state)
    same(there.agent.state(), here.agent.state())


def test_a_failed_seed_is_reported_and_has_no_score(tmp_path):
    tables = {"agent": {"name": "td", **LEARNS_TOO_MUCH}, "env": {"name": "CliffWalking-v1"}}
    played = {"seeds": 16, "steps": 600, "eval_every": 300, "eval_episodes": 2, "eval_max_steps": 200}
    with Store(tmp_path) as store:
        list(loop.run(build({**played, **tables}), store))
        result = summary.summary(store, "r1")
        rows = {row.seed: row.returns for row in store.evaluations("r1") if row.step == 600}
    lost = {each["seed"]: each["reason"] for each in result["failed"]}
    assert lost, "of 16 seeds about half"
    assert set(lost.values()) == {"its loss was not finite"}
    assert all(np.isnan(rows[seed]).all() for seed in lost)
    assert result["evaluation"]["left_out"] >= len(lost)
