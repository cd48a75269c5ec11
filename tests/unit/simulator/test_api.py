"""Tests of the Python API: experiments, and what they take."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import simulator
from simulator.core.snapshots import RunSnapshot
from tests.helpers.paths import ROOT

QUICK = {"seeds": 2, "steps": 400, "eval_episodes": 2}
RECALL = {"patterns": [3], "corruption": ["flip:0.2"], "seeds": 2}


def test_run_gives_arrays(tmp_path):
    result = simulator.run("q_learning", "rooms", seeds=3, steps=4_000, lab=tmp_path, env_settings={"layout": "four"})
    assert result.evaluation.shape == result.exact.shape == (3,)
    curve = result.curve()
    assert curve.mean_return.shape == (3, len(curve.steps)) == curve.episodes.shape
    steps, scores = result.evaluations()
    assert (steps[-1], scores.shape) == (4_000, (3, 20))
    np.testing.assert_array_equal(scores[:, -1], result.exact)
    again = simulator.load(tmp_path)
    assert again.summary == result.summary
    assert "q_learning in rooms, 3 seeds" in repr(again)


def test_a_bad_name_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="did you mean q_learning"):
        simulator.run("q_lerning", "rooms", lab=tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


def test_players_are_names_or_dicts_with_settings_beside_them(tmp_path):
    ways = (
        ("q_learning", {"agent_settings": {"step_size": 0.3, "gamma": 0.9}}),
        ({"name": "q_learning", "step_size": 0.3, "gamma": 0.9}, {}),
        ({"name": "q_learning", "step_size": 0.7, "gamma": 0.9}, {"agent_settings": {"step_size": 0.3}}),
    )
    results = [simulator.run(agent, {"name": "FrozenLake-v1"}, lab=tmp_path, **QUICK, **more) for agent, more in ways]
    assert len({tuple(result.exact) for result in results}) == 1
    trainer = simulator.Trainer(*ways[2][:1], {"name": "FrozenLake-v1"}, **ways[2][1], seeds=2).learn(400)
    np.testing.assert_array_equal(trainer.evaluate(2), results[0].evaluation)


def test_an_environment_of_a_run_is_one_that_its_id_describes(tmp_path):
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    result = simulator.run("q_learning", env, lab=tmp_path, **QUICK)
    assert result.summary["env"] == "FrozenLake-v1"
    settings = {"kwargs": {"is_slippery": False}}
    named = simulator.run("q_learning", "FrozenLake-v1", lab=tmp_path, env_settings=settings, **QUICK)
    np.testing.assert_array_equal(result.exact, named.exact)
    with pytest.raises(ValueError, match="expected a name"):
        simulator.run("q_learning", lambda: env, lab=tmp_path, **QUICK)


def test_recall_and_tournament_take_players_alike(tmp_path):
    one = simulator.recall("nearest_neighbor", "digits", lab=tmp_path, **RECALL)
    several = simulator.recall(
        {"nn": {"name": "nearest_neighbor"}, "hopfield": {"rule": "storkey"}},
        {"name": "digits"},
        lab=tmp_path,
        **RECALL,
    )
    assert several["contestants"] == ["nn", "hopfield"]
    assert one["cells"][0]["overlap"] == several["cells"][0]["overlap"]
    assert dict(one).keys() == set(one) == set(one.summary)
    assert simulator.load("r1", lab=tmp_path)["cells"] == one["cells"]

    table = simulator.tournament(
        agents=["random_walk", {"name": "q_learning", "step_size": 0.3, "label": "slow"}],
        envs=[{"name": "rooms", "layout": "four"}],
        lab=tmp_path,
        workers=1,
        **QUICK,
    )
    tables = {"agent": {"random_walk": {}, "slow": {"name": "q_learning", "step_size": 0.3}}}
    as_in_a_file = simulator.tournament(**tables, env={"rooms": {"layout": "four"}}, lab=tmp_path, workers=1, **QUICK)
    assert table["ranking"] == as_in_a_file["ranking"]
    assert simulator.load(tmp_path, "t1")["ranking"] == table["ranking"]


def test_a_callback_that_returns_false_leaves_an_interrupted_experiment(tmp_path):
    seen: list[RunSnapshot] = []

    def stop(snapshot: RunSnapshot) -> bool:
        seen.append(snapshot)
        return snapshot.phase == "preparing"

    result = simulator.run("random_walk", "CartPole-v1", lab=tmp_path, seeds=2, steps=10**9, callback=stop)
    assert result.summary["status"] == "interrupted"
    assert result.summary["step"] == seen[-1].step > 0
    assert len(seen) == 2
    benchmark = simulator.recall("hopfield", "digits", lab=tmp_path, callback=lambda snapshot: False, **RECALL)
    assert (benchmark["status"], benchmark["cells"]) == ("interrupted", [])


def test_progress_is_printed_in_tenths_where_there_is_no_terminal(tmp_path, capsys):
    simulator.run("q_learning", "rooms", lab=tmp_path, progress=True, **QUICK)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("r1: 0 of 400 steps")
    assert lines[-1] == "r1: 400 of 400 steps"


def test_loading_creates_nothing(tmp_path):
    with pytest.raises(ValueError, match="there is no run yet"):
        simulator.load("r1", lab=tmp_path / "lab")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="is no lab"):
        simulator.load(tmp_path / "folder", "r1")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_the_door_lists_what_is_behind_it_without_loading_it():
    code = "import simulator, sys; names = set(dir(simulator)); "
    code += "print(sorted(name for name in names if name[0] != '_'), 'simulator.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == f"{sorted(simulator.__all__)} False"


def test_settings_of_a_player_are_pointed_to_its_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for key, said in (
        ("learning_rate", r"q_learning has it: agent_settings={'step_size': 0.2}"),
        ("layout", r"rooms has it: env_settings={'layout': 0.2}"),
    ):
        with pytest.raises(ValueError, match=f"{key}: no such setting of a run; {said}"):
            simulator.run("q_learning", "rooms", **{key: 0.2})
    with pytest.raises(ValueError, match="stable-baselines3 has it, as sb3:PPO"):
        simulator.Trainer("PPO", "rooms")
    assert list(tmp_path.iterdir()) == []


def test_a_search_of_settings_is_its_summary_and_goes_on(tmp_path):
    settings = {"trials": 4, "batch": 2, "seeds": 2, "judge_seeds": 2, "steps": 200, "eval_episodes": 2}
    space = {"step_size": [0.1, 0.5, 1.0], "explore.epsilon_start": {"low": 0.01, "high": 0.5}}
    call = lambda **more: simulator.tune(  # noqa: E731
        "q_learning", {"name": "FrozenLake-v1"}, space, lab=tmp_path, workers=1, **settings, **more
    )
    begun = call(callback=lambda snapshot: snapshot.done < 2)
    assert begun["status"] == "interrupted"
    search = call()
    assert search.tune == begun.tune == "t1"
    assert search["best"]["point"].keys() == {"agent.step_size", "agent.explore.epsilon_start"}
    assert len(search.records()) == 4
    assert repr(search) == "<t1: q_learning in FrozenLake-v1, 4 trials, done>"
    assert simulator.load("t1", lab=tmp_path)["best"] == search["best"]
    assert search.plot("trials").axes
    with pytest.raises(ValueError, match="expected low below high"):
        simulator.tune("q_learning", "rooms", {"step_size": {"low": 1.0, "high": 0.5}}, lab=tmp_path)
