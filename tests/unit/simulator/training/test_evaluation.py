"""Tests of greedy evaluation and exact returns."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from agents import random_walk
from envs.common.gymnasium import adapter
from simulator.core import episodes
from simulator.core.episodes import CUT, cut_seeds, scores
from simulator.store.run_store import Store
from simulator.training import summary
from simulator.training.evaluation import Evaluator, optimum
from tests.laws.players import session


@pytest.mark.parametrize(
    ("agent", "env", "expected"),
    [("planner", "FrozenLake-v1", 0.74419), ("random_walk", "FrozenLake-v1", 0.01394), ("planner", "Taxi-v4", 7.93)],
)
def test_played_returns_agree_with_the_exact_one(agent, env, expected):
    one = session(agent, env, seeds=8, eval_episodes=200)
    found = one.evaluator().evaluate(one.agent, 0)
    np.testing.assert_allclose(found.exact, expected, atol=1e-5)
    error = found.returns.std() / np.sqrt(found.returns.size)
    assert abs(found.returns.mean() - expected) < 4 * error


def test_the_optimum_equals_the_planners_return():
    for env in ("rooms", "FrozenLake-v1", "CliffWalking-v1"):
        one = session("planner", env)
        exact = one.evaluator().evaluate(one.agent, 0).exact
        np.testing.assert_allclose(exact, optimum(one.env.spec), atol=1e-9)


def test_intermediate_evaluations_play_a_tenth_of_the_episodes_and_none_where_exact():
    known = session("q_learning", "rooms", eval_episodes=50)
    assert known.evaluator().evaluate(known.agent, 0, last=False).returns.shape == (3, 0)
    played = session("q_learning", "CartPole-v1", eval_episodes=50)
    assert played.evaluator().evaluate(played.agent, 0, last=False).returns.shape == (3, 5)


@pytest.mark.slow
def test_a_policy_that_never_arrives_is_cut():
    one = session("q_learning", "CliffWalking-v1", eval_episodes=2, agent_={"explore": {"epsilon_start": 0.0}})
    state = one.agent.state()
    state["q"][..., 0] = 1.0  # up, for ever
    one.agent.restore(state)
    found = one.evaluator().evaluate(one.agent, 0)
    assert np.isnan(found.returns).all()
    np.testing.assert_array_equal(found.exact, -np.inf)
    assert np.isnan(scores(found)).all()


LONG = "tests.helpers.odd_envs:odd/Long-v0"


SHORT = ["--seeds", "2", "--steps", "10", "--eval-every", "10", "--eval-episodes", "2"]


def evaluation(lab):
    """Return the evaluation of the latest run."""
    with Store(lab) as store:
        return summary.summary(store, "latest")["evaluation"]


def test_an_env_without_a_limit_plays_its_own_episodes(tmp_path, engram):
    out = engram("run", "random_walk", LONG, *SHORT, "--view", "none", "--lab", str(tmp_path)).out
    found = evaluation(tmp_path)
    assert (found["per_seed"], found["iqm"]) == ([2_500.0, 2_500.0], 2_500.0)
    assert (found["cut"], found["cut_after"], found["without_score"]) == ([0, 0], 100_000, 0)
    assert "cut" not in out


def test_an_evaluation_cut_by_eval_max_steps_has_no_return(tmp_path, engram):
    words = ["run", "random_walk", LONG, *SHORT, "--view", "none", "--lab", str(tmp_path), "--eval-max-steps"]
    out = engram(*words, "2499").out
    found = evaluation(tmp_path)
    assert np.isnan(found["per_seed"]).all()
    assert (found["iqm"], found["cut"], found["cut_after"], found["without_score"]) == (None, [1, 1], 2_499, 2)
    assert "2 of 2" in out
    assert "(2 cut)" in engram("report", "latest", "--lab", str(tmp_path)).out
    engram(*words, "2500")
    assert evaluation(tmp_path)["iqm"] == 2_500.0


def evaluator(lengths, seeds, max_steps, episodes=3):
    settings = adapter.Config(kwargs={"lengths": lengths})
    make = functools.partial(adapter.make, LONG)
    found = Evaluator(make, settings, seeds, episodes, max_steps)
    agent = random_walk.make(make([0], settings).spec, seeds, random_walk.Config())
    return found.evaluate(agent, 0)


def test_a_cut_episode_ends_its_seed_and_keeps_what_ended_before():
    found = evaluator((30, 10, 90), [3], 50)
    np.testing.assert_array_equal(found.returns, [[10.0, np.nan, np.nan]])  # the first reset opens the environment
    assert cut_seeds(found.returns, np.zeros(1, bool)).tolist() == [True]
    assert np.isnan(scores(found)).all()


def test_the_environments_own_limit_is_never_undercut_by_the_default(monkeypatch):
    monkeypatch.setattr(episodes, "MAX_STEPS", 20)
    assert episodes.cut_after(None, 0) == 20
    assert episodes.cut_after(500, 0) == 500
    assert episodes.cut_after(500, 30) == 30


def test_the_exact_return_without_a_limit_is_that_of_the_endless_episode():
    one = session("planner", "CliffWalking-v1", eval_episodes=2)
    found = one.evaluator().evaluate(one.agent, 0)
    np.testing.assert_array_equal(found.returns, -13.0)
    np.testing.assert_allclose(found.exact, -13.0, atol=1e-9)
    walk = session("random_walk", "CliffWalking-v1", eval_episodes=1)
    exact = walk.evaluator().evaluate(walk.agent, 0, last=False).exact
    np.testing.assert_allclose(exact, walk.env.spec.random_score)
    assert exact.max() < -10_000  # far more than a thousand steps


@pytest.mark.slow
def test_a_tournament_reports_cut_evaluations_and_scores_them_as_the_random_score(tmp_path, engram):
    words = [
        "tournament",
        "--agents",
        "random_walk",
        "q_learning",
        "--envs",
        LONG,
        "--seeds",
        "2",
        "--steps",
        "5",
    ]
    words += ["--eval-episodes", "1", "--eval-max-steps", "100", "--view", "none", "--lab", str(tmp_path), "--json"]
    result = engram(*words).json
    lines = {(each["contestant"], tuple(each["seeds"])): each["reason"] for each in result["failures"]}
    assert set(lines) == {(name, (seed,)) for name in ("random_walk", "q_learning") for seed in (0, 1)}
    assert all(reason == CUT for reason in lines.values())
    assert result["challenges"][0]["floor"] is None
