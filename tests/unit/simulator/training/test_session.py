"""Tests of runs that are refused, fail, or are read while they run."""

from __future__ import annotations

import json

import pytest

from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop, summary


def _config(env, agent="q_learning", **settings):
    return build({"seeds": 2, "steps": 300, "eval_episodes": 2, "agent": {"name": agent}, "env": env, **settings})


@pytest.mark.parametrize(("env", "agent"), [("CartPole-v1", "planner"), ("Pendulum-v1", "q_learning")])
def test_a_refused_run_leaves_no_lab(env, agent, tmp_path):
    lab = tmp_path / "new" / "lab"
    config = _config({"name": env}, agent)
    with Store(lab) as store, pytest.raises(ValueError, match=env):
        next(loop.run(config, store))
    assert not lab.exists()


def test_a_refused_run_leaves_an_old_lab_as_it_was(tmp_path):
    with Store(tmp_path) as store:
        *_, last = loop.run(_config({"name": "rooms"}), store)
    with Store(tmp_path) as store:
        with pytest.raises(ValueError, match="planner"):
            next(loop.run(_config({"name": "CartPole-v1"}, "planner"), store))
        assert [record.run for record in store.runs()] == [last.id]


def test_a_failed_run_is_marked_in_the_lab(tmp_path):
    with Store(tmp_path) as store:
        with pytest.raises(ValueError, match="n_successors"):
            list(loop.run(_overflowing(), store))
        assert store.runs()[0].status == "failed"


def _overflowing():
    agent = {"name": "td", "n_successors": 1}
    return build({"seeds": 1, "steps": 5_000, "agent": agent, "env": {"name": "FrozenLake-v1"}})


def test_training_time_adds_up_over_processes(tmp_path):
    config = _config({"name": "rooms"}, steps=2_000_000)
    with Store(tmp_path) as store:
        run, training = None, [0.0]
        for _ in range(3):
            snapshots = loop.run(config, store, run, checkpoint_every=0.0)
            run = next(snapshots).id
            training.append(next(snapshots).training_seconds)
            snapshots.close()
    assert training == sorted(training)
    assert len(set(training)) == 4


def test_other_devices_are_refused(tmp_path):
    with Store(tmp_path / "lab") as store, pytest.raises(ValueError, match="device cuda: q_learning"):
        next(loop.run(_config({"name": "rooms"}, device="cuda"), store))


def test_a_map_that_changed_is_noticed(tmp_path):
    path = tmp_path / "my.map"
    path.write_text("#####\n#S G#\n#####\n")
    env = {"name": "rooms", "layout": str(path)}
    with Store(tmp_path / "lab") as store:
        snapshots = loop.run(_config(env), store)
        next(snapshots)
        snapshots.close()
        path.write_text("######\n#S  G#\n######\n")
        with pytest.raises(ValueError, match="has changed"):
            next(loop.run(_config(env), store, "r1"))


def test_the_summary_has_every_key_and_is_json(tmp_path):
    with Store(tmp_path) as store:
        *_, last = loop.run(_config({"name": "rooms"}), store)
        result = json.loads(json.dumps(summary.summary(store, last.id)))
    keys = "run agent env seeds steps exact seconds cpu_seconds steps_per_second evaluation solved".split()
    assert result.keys() >= set(keys)
    assert result["evaluation"].keys() >= {"episodes", "iqm", "low", "high", "per_seed", "exact_per_seed"}
    assert result["solved"].keys() >= {"threshold", "fraction", "median_first_steps", "stayed", "first_steps", "final"}
    assert result["cpu_seconds"] > 0
    assert len(result["evaluation"]["value_error"]) == 2
