"""Tests of the tournament loop: cells are run, reused, continued, and report failures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from simulator.config.run import build as build_run
from simulator.config.tournament import build
from simulator.store.cell_store import CellStore
from simulator.store.run_store import Store
from simulator.tournaments import loop as tournament
from simulator.tournaments import summary
from simulator.tournaments.plan import cells_of
from simulator.tournaments.workers.local import Here, Processes
from simulator.training import loop
from simulator.training.summary import evaluation_scores
from tests.helpers.tournaments import BREAKING, ENVS, numbers, play, small, summary_of


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    lab = tmp_path_factory.mktemp("played") / "lab"
    return lab, play(lab, small())


@pytest.mark.slow
def test_every_cell_is_run_and_scored(played):
    lab, last = played
    assert (last.phase, last.planned, last.done, last.failed, last.reused) == ("done", 6, 6, 0, 0)
    found = summary_of(lab)
    assert found["cells"] == {"planned": 6, "done": 6, "failed": 0, "missing": 0}
    assert {each["contestant"] for each in found["ranking"]} == {"q", "td", "walk"}
    assert len(found["scores"]) == 6
    assert found["challenges"][1]["ceiling_is"] == "exact optimum"
    assert found["status"] == "done"
    json.dumps(found)
    assert not list((lab / "cells").glob("*-*-*"))  # no checkpoints are left


def test_a_cell_holds_what_a_run_gives(played, tmp_path):
    lab, _ = played
    own = {"agent": {"name": "q_learning"}, "env": ENVS["four"]}
    settings = {"seeds": 3, "steps": 400, "eval_every": 200, "eval_episodes": 5}
    with Store(tmp_path) as store:
        for last in loop.run(build_run({**settings, **own}), store):  # noqa: B007
            pass
        steps, scores = evaluation_scores(store, store.find(last.id))
    with CellStore(lab) as store:
        plan = store.find("t1").plan
        key = next(p["key"] for p in plan["pairs"] if (p["contestant"], p["challenge"]) == (0, 1))
        cell = store.cells([key])[key, (0, 3)]
    np.testing.assert_array_equal(cell.curve, scores)
    np.testing.assert_array_equal(cell.steps, steps)
    np.testing.assert_array_equal(cell.scores, scores[:, -1])


def test_no_cell_is_run_twice(played, tmp_path, monkeypatch):
    import shutil

    lab = shutil.copytree(played[0], tmp_path / "lab")
    before, asked = numbers(lab), []
    monkeypatch.setattr(Here, "start", lambda self, task: asked.append(task))
    last = play(lab, small())
    assert (last.id, last.reused, asked) == ("t1", 6, [])
    assert numbers(lab) == before
    monkeypatch.undo()
    more = {**small(), "agent": {**small()["agent"], "sarsa": {"name": "q_learning", "target": "sarsa"}}}
    last = play(lab, more)
    assert (last.id, last.planned, last.reused) == ("t2", 8, 6)


def test_the_leaderboard_is_the_ranking_of_the_whole_analysis(played):
    lab, last = played
    with CellStore(lab) as store:
        found = summary.summary(store, "t1", 50)
        planned = list(cells_of(store.find("t1").plan))
        over = store.cells([pair["key"] for pair, _ in planned])
        assert repr(summary.leaderboard(store, "t1", 50)) == repr(summary.rows_of(found, planned, over))
    assert [row.contestant for row in last.rows] == [row["contestant"] for row in found["ranking"]]


def test_a_cell_that_ends_is_in_the_next_leaderboard(tmp_path, monkeypatch):
    monkeypatch.setattr(tournament, "LEADERBOARD_FRACTION", math.inf)
    monkeypatch.setattr(tournament, "LEADERBOARD_SECONDS", 0.0)
    ranked = []
    with CellStore(tmp_path) as store:
        for now in tournament.play(build(small()), store, lambda n: Here()):
            if now.phase == "running" and now.done:
                ranked.append((sum(row.done for row in now.rows), now.done))
    assert len(ranked) > 2
    assert all(in_board == done for in_board, done in ranked)


@pytest.mark.slow
def test_results_do_not_depend_on_the_block_or_the_place(played, tmp_path):
    play(tmp_path / "cut", small(seeds_per_cell=2))
    play(tmp_path / "apart", small(), workers=lambda: Processes(2))
    assert numbers(tmp_path / "apart") == numbers(played[0])
    cut, whole = summary_of(tmp_path / "cut"), summary_of(played[0])
    assert cut["scores"] == whole["scores"]
    assert cut["ranking"] == whole["ranking"]


@pytest.mark.slow
def test_a_seed_that_fails_counts_as_the_floor_or_is_left_out(tmp_path):
    entered = {"walk": {"name": "random_walk"}, "breaks": {"name": BREAKING, "fails": {"1": 50}}}
    values = small(agent=entered, env={"four": ENVS["four"]})
    play(tmp_path, values)
    floor, *_ = [each for each in summary_of(tmp_path)["scores"] if each["contestant"] == "breaks"]
    challenge = summary_of(tmp_path)["challenges"][0]
    assert floor["raw"]["per_seed"][1] == pytest.approx(challenge["floor"])
    assert summary_of(tmp_path)["failures"][0] | {"reason": ""} == {
        "contestant": "breaks",
        "challenge": "four",
        "seeds": [1],
        "reason": "",
        "counted_as": "floor",
    }
    last = play(tmp_path, {**values, "failed": "left-out"})
    assert last.reused == 2
    left = next(each for each in summary_of(tmp_path, "t2")["scores"] if each["contestant"] == "breaks")
    assert left["raw"]["per_seed"][1] is None


@pytest.mark.slow
def test_a_cell_that_fails_is_marked_and_played_again_on_request(tmp_path, monkeypatch):
    entered = {"walk": {"name": "random_walk"}, "breaks": {"name": BREAKING, "fails": {"0": 5, "1": 6, "2": 7}}}
    values = small(agent=entered, env={"four": ENVS["four"]})
    last = play(tmp_path, values)
    assert (last.done, last.failed) == (1, 1)
    reason = summary_of(tmp_path)["failures"][0]["reason"]
    assert reason == "every seed failed: its loss was not finite"
    assert play(tmp_path, values).reused == 2  # it is not tried again unasked
    monkeypatch.setattr("tests.helpers.breaking_agent.BreakingAgent.learn", lambda self, *args: {})
    last = play(tmp_path, values, retry=True)
    assert (last.done, last.failed) == (2, 0)


def test_a_contestant_that_cannot_play_is_refused_or_skipped(tmp_path):
    values = small(agent={"planner": {}, "walk": {"name": "random_walk"}}, env={"pole": {"name": "CartPole-v1"}})
    with pytest.raises(ValueError, match="planner in pole: planner on CartPole-v1: no finite MDP"):
        play(tmp_path, values)
    with CellStore(tmp_path) as store:
        assert store.tournaments() == []
    last = play(tmp_path, {**values, "skip": True})
    assert (last.planned, last.done) == (1, 1)
    assert [each["counted_as"] for each in summary_of(tmp_path)["failures"]] == ["left out"]


@pytest.mark.slow
def test_a_floor_that_is_not_known_is_measured(tmp_path):
    values = small(agent={"walk": {"name": "random_walk"}}, env={"pole": {"name": "CartPole-v1", "native": False}})
    values["env"] = {"acrobot": {"name": "Acrobot-v1", "native": False}}
    play(tmp_path, {**values, "steps": 600, "eval_every": 600})
    challenge = summary_of(tmp_path)["challenges"][0]
    assert challenge["floor_is"] in ("random play", "measured random play")
    assert challenge["floor"] == pytest.approx(-500, abs=20)
    assert challenge["ceiling_is"] == "registered threshold"


@pytest.mark.slow
def test_memories_are_measured_by_their_ceiling(tmp_path):
    values = {
        **small(agent={}, env={}),
        "memory": {"nearest_neighbor": {}, "identity": {}, "hopfield-flow": {}},
        "challenge": {
            "bits": {"name": "random_bits", "n_units": 40, "patterns": 8, "corruption": "flip:0.2"},
            "exactly": {
                "name": "random_bits",
                "n_units": 40,
                "patterns": 8,
                "corruption": "flip:0.2",
                "score": "exact",
            },
        },
    }
    play(tmp_path, values)
    found = summary_of(tmp_path)
    assert [each["ceiling_is"] for each in found["challenges"]] == ["exact ceiling"] * 2
    assert [each["floor_is"] for each in found["challenges"]] == ["corrupted cue", "nothing recalled"]
    keep = next(e for e in found["scores"] if (e["contestant"], e["challenge"]) == ("identity", "bits"))
    assert keep["normalised"]["mean"]["value"] == 0.0
    assert found["ranking"][-1]["contestant"] == "identity"
    assert found["cells"]["planned"] == 3  # how they are scored is no part of what is played


@pytest.mark.slow
def test_time_ends_a_cell_before_its_steps(tmp_path):
    values = small(agent={"td": {}}, env={"pole": {"name": "CartPole-v1"}}, steps=10**9, eval_every=10**8)
    play(tmp_path, {**values, "cpu_seconds": 0.05})
    with CellStore(tmp_path) as store:
        (cell,) = store.cells([store.find("t1").plan["pairs"][0]["key"]]).values()
    assert 0 < cell.facts["trained"] < 10**8
    assert cell.steps[-1] == cell.facts["trained"]
    assert np.isfinite(cell.scores).all()


@pytest.mark.slow
def test_a_cell_that_takes_too_long_is_given_up(tmp_path):
    values = small(agent={"td": {}}, env={"pole": {"name": "CartPole-v1"}}, steps=10**9, eval_every=10**8)
    last = play(tmp_path, {**values, "timeout": 0.3})
    assert (last.failed, last.done) == (1, 0)
    assert "longer than timeout = 0.3 s" in summary_of(tmp_path)["failures"][0]["reason"]


@pytest.mark.slow
def test_an_adaptive_tournament_adds_seeds_to_undecided_pairs(tmp_path):
    entered = {
        "a": {"name": "random_walk"},
        "b": {"name": "q_learning", "explore": {"epsilon_start": 1.0}, "step_size": 1e-9},
    }
    values = small(agent=entered, env={"pole": {"name": "CartPole-v1"}}, seeds=2, steps=50, eval_every=50)
    last = play(tmp_path, {**values, "adaptive": True, "max_seeds": 6})
    found = summary_of(tmp_path)
    assert found["seeds"] == list(range(6))
    assert last.done == last.planned == 6
    again = play(tmp_path, {**values, "adaptive": True, "max_seeds": 6})
    assert (again.id, again.reused) == ("t1", 6)


def test_one_host_at_a_time(tmp_path):
    with CellStore(tmp_path) as store, store.hosting(), CellStore(tmp_path) as other:
        with pytest.raises(ValueError, match="is being written by this process already"):
            next(tournament.play(build(small()), other, lambda n: Here()))


@pytest.mark.slow
def test_an_interruption_keeps_complete_cells(tmp_path):
    with CellStore(tmp_path) as store:
        snapshots = tournament.play(build(small()), store, lambda n: Here())
        while next(snapshots).done < 2:
            pass
        snapshots.close()
        assert store.find("t1").status == "interrupted"
        assert store.find("t1").seconds > 0
    assert 2 <= summary_of(tmp_path)["cells"]["done"] < 6
    assert play(tmp_path, small()).phase == "done"
    assert math.isfinite(summary_of(tmp_path)["ranking"][0]["strength"]["value"])


def test_the_last_snapshot_holds_the_final_ranking(played, tmp_path):
    import shutil

    lab = shutil.copytree(played[0], tmp_path / "lab")
    for last in (played[1], play(lab, small())):  # played, and all of it stored already
        assert [(row.contestant, row.tier, row.strength, row.score) for row in last.rows] == [
            (row["contestant"], row["tier"], row["strength"]["value"], row["score"]["iqm"]["value"])
            for row in summary_of(lab)["ranking"]
        ]
        assert all(row.done == row.planned for row in last.rows)
