"""Tests of stored runs as starts of others and as contestants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulator
from simulator.training import learned

QUICK = {"seeds": 2, "steps": 300, "eval_episodes": 2}


@pytest.fixture
def first(clean_folder):
    return simulator.run("q_learning", "FrozenLake-v1", **QUICK)


def test_a_run_begins_with_what_another_has_learned(first, engram):
    second = simulator.run("q_learning", "FrozenLake-v1", **QUICK, start="r1")
    assert second.run == "r2"
    before, after = (run.trainer().exported().arrays["q"] for run in (first, second))
    untrained = simulator.Trainer("q_learning", "FrozenLake-v1", seeds=2).exported().arrays["q"]
    assert not np.array_equal(before, untrained)
    assert not np.array_equal(after, before)
    learner = simulator.Trainer.load("r1")._session
    fresh = simulator.Trainer("q_learning", "FrozenLake-v1", **{**QUICK, "start": "r1"})._session
    learned.begin(fresh, learned.reference("r1", "lab"))
    begun, given = (session.agent.policy().values(np.arange(16)) for session in (fresh, learner))
    np.testing.assert_array_equal(begun, given)
    same = engram("run", "q_learning", "FrozenLake-v1", "--from", "r1", "--seeds", "2", "--steps", "300", "--json").json
    assert same["run"] == "r3"
    np.testing.assert_array_equal(simulator.load("r3").trainer().exported().arrays["q"], after)
    assert engram("reproduce", "r3", "--json").json["identical"]


def test_a_start_that_cannot_be_is_one_line(first, engram):
    run = ("run", "q_learning", "FrozenLake-v1", "--steps", "10")
    assert engram(*run, "--from", "r1", code=2).error == "r1 has 2 seeds, expected the same number (--seeds 2)"
    assert "lab has no run 'r9'" in engram(*run, "--from", "r9", code=2).error
    other = ("run", "td", "FrozenLake-v1", "--seeds", "2", "--from", "r1")
    assert engram(*other, code=2).error == "r1 trained q_learning, expected a run of td"
    elsewhere = engram("run", "q_learning", "CartPole-v1", "--seeds", "2", "--from", "r1", code=2).error
    assert elsewhere.startswith("r1 in CartPole-v1: expected observations Discrete(16) as in FrozenLake-v1, found Box(")
    assert [row["run"] for row in engram("list", "runs", "--json").json["runs"]] == ["r1"]


@pytest.mark.parametrize(("env", "fits"), [("CartPole-v1", False), ("rooms", True)])
def test_weights_of_another_device_are_taken_where_both_hold_them_alike(clean_folder, env, fits):
    images = {"env_settings": {"observation": "pixels"}} if fits else {}
    simulator.run("dqn", env, seeds=1, steps=5, eval_episodes=1, **images)
    session = simulator.Trainer("dqn", env, seeds=1, **images)._session
    before = session.agent.state()["online"]["params"].copy()
    session.config = replace(session.config, device="cuda")
    if fits:
        learned.begin(session, learned.reference("r1", "lab"))
    else:
        with pytest.raises(
            ValueError, match=r"r1 trained on cpu, expected --device cpu: weights .* another order on cuda"
        ):
            learned.begin(session, learned.reference("r1", "lab"))
        np.testing.assert_array_equal(session.agent.state()["online"]["params"], before)


def test_a_run_that_has_trained_on_is_another_start(first, engram):
    named = learned.reference("r1", "lab")
    assert learned.read(named).step == 300
    engram("resume", "r1", "--steps", "400")
    with pytest.raises(ValueError, match="r1 has trained on, to step 400"):
        learned.read(named)


def test_a_stored_run_is_a_contestant(first, engram, clean_folder):
    (clean_folder / "t.toml").write_text(
        'seeds = 4\nsteps = 50\n[agent.mine]\nrun = "r1"\n[agent.random_walk]\n[env.FrozenLake-v1]\n'
    )
    result = engram("tournament", "t.toml", "--json").json
    assert result["tournament"] == "t1"
    (mine,) = [row for row in simulator.load("t1").records() if row["contestant"] == "mine"]
    assert mine["raw_mean"] == pytest.approx(first.exact.mean())  # seeds 2 and 3 play as seeds 0 and 1
    refused = engram("tournament", "--agents", "mine=run:r1", "random_walk", "--envs", "CartPole-v1", code=2).error
    assert refused.startswith("mine in CartPole-v1: r1 in CartPole-v1: expected observations Discrete(16)")
