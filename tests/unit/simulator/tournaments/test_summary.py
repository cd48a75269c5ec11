"""Tests of summaries of tournaments: cached while cells are unchanged, and reproduced bit for bit."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from simulator.commands import reproduce
from simulator.config.tournament import build
from simulator.store.cell_store import CellStore, failed
from simulator.store.database import NAME
from simulator.tournaments import summary
from simulator.tournaments.plan import pairs_of, plan_of
from simulator.tournaments.schedule import JobSchedule
from tests.helpers.tournaments import BREAKING, ENVS, play, small, summary_of


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    lab = tmp_path_factory.mktemp("verdict") / "lab"
    play(lab, small())
    return lab


@pytest.fixture
def lab(original, tmp_path):
    return shutil.copytree(original, tmp_path / "lab")


@pytest.mark.slow
def test_a_summary_is_cached_until_a_cell_changes(lab, monkeypatch):
    fresh = summary_of(lab)
    with CellStore(lab) as store:
        summary.keep(store, "t1")
        monkeypatch.setattr(summary, "analyze", lambda *given, **more: pytest.fail("it was analyzed again"))
        kept = summary.summary(store, "t1")
        assert {key: kept[key] for key in fresh} == fresh
        summary.keep(store, "t1")  # nothing to do
        monkeypatch.undo()
        pair = store.find("t1").plan["pairs"][0]
        store.add(failed((pair["key"], (0, 3)), "it broke"))
        assert summary.summary(store, "t1")["cells"] == {"planned": 6, "done": 5, "failed": 1, "missing": 0}


@pytest.mark.slow
def test_a_tournament_is_reproduced_with_the_same_bits(lab):
    found = reproduce.again("t1", str(lab), "1")
    assert (found["identical"], found["difference"]) == (True, None)
    assert found["compared"]["cells"] == 6
    assert found["compared"]["numbers"] > 6 * 3 * 3


@pytest.mark.slow
def test_differences_are_named(lab, capsys):
    with CellStore(lab) as store:
        plan = store.find("t1").plan
        key = next(p["key"] for p in plan["pairs"] if (p["contestant"], p["challenge"]) == (1, 0))
        (cell,) = store.cells([key]).values()
        store.add(cell._replace(scores=cell.scores + 1e-12))
    found = reproduce.again("t1", str(lab), "1")
    assert not found["identical"]
    assert found["difference"] == {"contestant": "td", "challenge": "six", "seed": 0, "what": "other score"}
    reproduce.show(found)
    assert "first differs in td in six, seed 0: other score" in capsys.readouterr().out


@pytest.mark.slow
def test_a_changed_cached_summary_is_detected(lab):
    with CellStore(lab) as store:
        summary.keep(store, "t1")
    with closing(sqlite3.connect(lab / NAME)) as db, db:
        db.execute("UPDATE analyses SET analysis = replace(analysis, 'td', 'tt')")
    with CellStore(lab) as store, pytest.raises(ValueError, match="a row of analyses is not what was written"):
        summary.summary(store, "t1")


def test_seeds_are_added_to_undecided_contestants_up_to_the_maximum():
    config = build(small(seeds=3, seeds_per_cell=2, adaptive=True, max_seeds=7))
    schedule = JobSchedule(plan_of(config, pairs_of(config), {}), {})
    assert schedule.planned == len(schedule.missing()) == 6 * 2
    assert schedule.grow(["td"], config)
    assert [p["spans"] for p in schedule.plan["pairs"] if p["contestant"] == 1] == [
        [[0, 2], [2, 1], [3, 2], [5, 1]]
    ] * 2
    assert [p["spans"] for p in schedule.plan["pairs"] if p["contestant"] == 0] == [[[0, 2], [2, 1]]] * 2
    assert schedule.planned == 6 * 2 + 4
    assert schedule.grow(["td"], config)
    assert not schedule.grow(["td"], config)  # seven seeds are the most
    assert schedule.plan["rounds"] == [[], ["td"], ["td"]]
    again = JobSchedule(plan_of(config, pairs_of(config), {}), {})
    again.as_before(schedule.plan)
    assert again.missing() == schedule.missing()


def test_a_schedule_counts_what_is_over():
    config = build(small())
    schedule = JobSchedule(plan_of(config, pairs_of(config), {}), {})
    first, second, *_ = schedule.missing()
    schedule.keep(first, failed(first, "no"))
    schedule.keep(second, failed(second, "")._replace(status="done"))
    assert (schedule.done, schedule.failed, schedule.broken()) == (1, 1, [first])
    schedule.keep(first, failed(first, "")._replace(status="done"))
    assert (schedule.done, schedule.failed) == (2, 0)
    schedule.keep(first, None)
    assert (schedule.done, schedule.failed, schedule.missing()[0]) == (1, 0, first)
    assert schedule.words(first) == "q in six, seeds 0 to 2"


def test_too_large_a_cell_is_refused_before_any_cell_runs(tmp_path):
    values = small(agent={"td": {}}, env={"acrobot": {"name": "Acrobot-v1"}}, seeds=16)
    with pytest.raises(ValueError, match=r"td in acrobot: td on Acrobot-v1: tables of [\d.]+ GiB for all seeds"):
        play(tmp_path, values)


@pytest.mark.slow
def test_games_are_round_robin_with_self_play(tmp_path):
    values = {
        **small(agent={}, env={}),
        "player": {"tit-for-tat": {}, "always-defect": {}, "always-cooperate": {}},
        "game": {"dilemma": {"name": "iterated_matrix", "episodes": 20}},
    }
    assert play(tmp_path / "a", values).planned == 3
    found = summary_of(tmp_path / "a")
    assert [each["kind"] for each in found["challenges"]] == ["game"]
    assert {each["contestant"] for each in found["ranking"]} == {*values["player"]}
    values["game"]["dilemma"]["self_play"] = True
    assert play(tmp_path / "b", values).planned == 6
    mean = {each["contestant"]: each["raw"]["mean"]["value"] for each in summary_of(tmp_path / "b")["scores"]}
    # against itself, the other and the third: cooperation pays 3 a round, defection beside it 5, both defect 1
    assert mean["always-cooperate"] == pytest.approx((3 + 3 + 0) / 3, abs=0.05)
    assert 3 / 3 < mean["always-defect"] < (1 + 5 + 1.3) / 3


def test_board_games_are_decided_by_who_beat_whom(tmp_path):
    pytest.importorskip("pettingzoo", reason="PettingZoo is not installed (extra pettingzoo)")
    values = {
        **small(agent={}, env={}),
        "player": {"planner": {}, "walk": {"name": "random_walk"}},
        "game": {"tic_tac_toe": {"episodes": 10, "train_steps": 0}},
    }
    play(tmp_path, values)
    found = summary_of(tmp_path)
    assert [each["contestant"] for each in found["ranking"]] == ["planner", "walk"]
    assert found["ranking"][0]["wins"] > found["ranking"][1]["wins"]


@pytest.mark.slow
def test_a_seed_that_breaks_in_a_block_is_listed(tmp_path):
    entered = {"breaks": {"name": BREAKING, "fails": {"2": 50}}, "td": {}}
    play(tmp_path, small(agent=entered, env={"four": ENVS["four"]}, seeds_per_cell=2))
    assert [(each["seeds"], each["reason"]) for each in summary_of(tmp_path)["failures"]] == [
        ([2], "every seed failed: its loss was not finite")  # it was alone in its block
    ]
