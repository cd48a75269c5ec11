"""Tests of evaluation episodes: against a plain loop, and interrupted."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.commands import reproduce
from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.evaluation import next_size
from tests.laws.players import session


def plain(policy, env, n_episodes):
    """Return returns [S, E], one step at a time."""
    obs, returns = env.observe(), [[] for _ in range(3)]
    first, running = np.ones(3, np.bool_), np.zeros(3)
    for _ in range(n_episodes * (env.spec.max_steps or 1_000)):
        step = env.step(policy.act(obs, first))
        running += step.reward
        obs, first = step.obs, step.terminated | step.truncated
        for i in np.flatnonzero(first):
            returns[i].append(running[i])
            running[i] = 0.0
    return np.array([(each + [running[i]] * n_episodes)[:n_episodes] for i, each in enumerate(returns)])


@pytest.mark.parametrize("n_episodes", [1, 7])
@pytest.mark.parametrize("env", ["FrozenLake-v1", "CartPole-v1", "tests.helpers.breaking_env"])
def test_the_returns_are_those_of_a_plain_loop(env, n_episodes):
    one = session("random_walk", env, eval_episodes=n_episodes)
    evaluator = one.evaluator()
    found = evaluator.evaluate(one.agent, 0).returns
    evaluator._env.restore(evaluator._start)
    np.testing.assert_array_equal(found, plain(one.agent.policy(), evaluator._env, n_episodes))


def test_evaluations_report_about_ten_times_a_second():
    assert [next_size(8, seconds, 100) for seconds in (0.2, 0.05, 0.01)] == [4, 8, 16]
    assert (next_size(1, 5.0, 100), next_size(80, 0.0, 100)) == (1, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "moment"), [(200, 1), (400, 1), (400, 2)])
def test_a_run_that_is_closed_within_an_evaluation_plays_it_again(step, moment, tmp_path, monkeypatch):
    tables = {"agent": {"name": "q_learning"}, "env": {"name": "CartPole-v1"}}
    config = build({"seeds": 2, "steps": 400, "eval_every": 200, "eval_episodes": 40, **tables})
    monkeypatch.setattr(loop, "REPORT_EVERY", 0.0)
    with Store(tmp_path / "whole") as store:
        *_, last = loop.run(config, store)
        whole = reproduce.rows(store, last.id)
    with Store(tmp_path / "parted") as store:
        snapshots, left = loop.run(config, store), moment
        for snapshot in snapshots:
            left -= (snapshot.phase, snapshot.step) == ("evaluating", step)
            if left == 0:
                break
        snapshots.close()
        record = store.find("r1")
        assert (record.status, record.step) == ("interrupted", step)
        assert record.step not in {row.step for row in store.evaluations("r1")}
        list(loop.run(config, store, "r1"))
        assert reproduce.rows(store, "r1").keys() == whole.keys()
        assert reproduce.compare(whole, reproduce.rows(store, "r1")) is None
