"""Tests of failing seeds: excluded from that step on and reported, while the others continue unchanged."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.commands import reproduce
from simulator.commands.run import failure_lines, show_summary
from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop, summary
from simulator.training.session import Session
from tests.laws.players import same
from tests.system.storing import files

AGENT, ENV = "tests.helpers.breaking_agent", "tests.helpers.breaking_env"
STEPS = 600
WORDS = ["run", AGENT, ENV, "--steps", str(STEPS), "--eval-episodes", "10", "--view", "none"]


def config(fails, **more):
    tables = {"agent": {"name": AGENT, "fails": fails}, "env": {"name": ENV}}
    return build({"seeds": 4, "first_seed": 5, "steps": STEPS, "eval_episodes": 10, **tables, **more})


def rows(store, run="r1"):
    return {**reproduce.rows(store, run), "result": [store.find(run).failed, store.find(run).step]}


def equal(one, two):
    assert one.keys() == two.keys()
    assert one.pop("result") == two.pop("result")
    assert reproduce.compare(one, two) is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train runs without and with two failed seeds in one process; return their rows and summaries."""
    found = {}
    for name, fails in (("none", {}), ("some", {"6": 123, "8": 300}), ("all", {"5": 9, "6": 77, "7": 301, "8": 64})):
        with Store(tmp_path_factory.mktemp(name)) as store:
            *_, last = loop.run(config(fails), store)
            found[name] = (rows(store), summary.summary(store, "r1"), last)
    return found


@pytest.mark.slow
def test_rows_end_at_the_last_good_step_and_other_seeds_keep_their_bits(whole):
    clean, broken = dict(whole["none"][0]), dict(whole["some"][0])
    clean.pop("result"), broken.pop("result")
    failures = {6: 123, 8: 300}
    for key, numbers in clean.items():
        step, seed, kind = key
        if step < failures.get(seed, 10**9):
            assert broken[key] == numbers, key
        elif kind == "curve point":
            assert key not in broken
        else:
            assert all(value != value for name, value in broken[key] if name != "exact"), key
    kinds = {key[:2] for key in broken if key[2] == "failure"}
    assert kinds == {(123, 6), (300, 8)}


def test_the_summary_is_over_the_seeds_that_finished(whole):
    result = json.loads(json.dumps(whole["some"][1]).replace("NaN", "null"))
    reason = "its loss was not finite"
    assert result["failed"] == [
        {"seed": 6, "step": 123, "reason": reason},
        {"seed": 8, "step": 300, "reason": reason},
    ]
    # A greedy episode earns its length, 4 to 7 in seeds 5 to 8, against a threshold of 5.
    evaluation, solved = result["evaluation"], result["solved"]
    assert (evaluation["per_seed"], evaluation["iqm"], evaluation["left_out"]) == ([4.0, None, 6.0, None], 5.0, 2)
    assert (solved["fraction"], solved["final"]) == (0.25, 0.25)  # of all four; seeds 6 and 8 had reached it
    assert solved["first_steps"]["per_seed"] == [None, None, 30.0, None]
    assert (solved["first_steps"]["median"], solved["stayed"], solved["eval_every"]) == (30.0, 1.0, 30)
    assert whole["some"][2].phase == "done"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=12))
def test_failures_fall_on_the_same_step_wherever_the_run_is_cut(cuts):
    one, two = (Session(config({"6": 123, "8": 300})) for _ in range(2))
    one.play(STEPS)
    for n in [*cuts, STEPS]:
        two.play(min(n, STEPS - two.step))
    same(one.state(), two.state())
    np.testing.assert_array_equal(one.failed_at, [0, 123, 0, 300])
    curve = one.recorder.curve()
    assert np.flatnonzero(curve.episodes[1])[-1] + 1 == 120  # episodes of 5 steps: the one that ends in 125 is lost
    assert np.flatnonzero(curve.episodes[3])[-1] + 1 == 294


@pytest.mark.slow
@pytest.mark.parametrize("name", ["some", "all"])
def test_failed_seeds_survive_interruptions(name, whole, tmp_path):
    fails = {"some": {"6": 123, "8": 300}, "all": {"5": 9, "6": 77, "7": 301, "8": 64}}[name]
    with Store(tmp_path) as store:
        for stop in (2, 2, 3, 10_000):
            run = store.runs()[0].run if store.runs() else None
            snapshots = loop.run(config(fails), store, run, checkpoint_every=0.0)
            for _, snapshot in zip(range(stop), snapshots, strict=False):
                assert snapshot.id == "r1"
            snapshots.close()
        equal(rows(store), dict(whole[name][0]))
        assert store.find("r1").status == {"some": "done", "all": "failed"}[name]


def test_with_every_seed_failed_the_run_stops(whole, tmp_path, engram):
    found, result, last = whole["all"]
    assert (last.phase, result["status"], result["step"], len(result["failed"])) == ("failed", "failed", 301, 4)
    assert last.step < STEPS
    assert max(step for step, _, kind in list(found)[:-1] if kind == "evaluation") == 300
    assert (result["evaluation"]["iqm"], result["evaluation"]["left_out"], result["solved"]["fraction"]) == (
        None,
        4,
        0.0,
    )
    with Store(tmp_path) as store:
        list(loop.run(config({str(seed): 40 for seed in range(5, 9)}), store))
        before = files(store, "r1")
        *_, again = loop.run(config({str(seed): 40 for seed in range(5, 9)}), store, "r1")
        assert (again.phase, files(store, "r1")) == ("failed", before)
    engram("reproduce", "latest", "--lab", str(tmp_path))


def test_the_store_holds_null_and_never_nan(tmp_path):
    with Store(tmp_path) as store:
        list(loop.run(config({"6": 1}, env={"name": "FrozenLake-v1"}), store))
    (path,) = tmp_path.glob("*.sqlite3")
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT seed, mean IS NULL, exact IS NULL FROM evaluations").fetchall()
        text = db.execute("SELECT result FROM experiments").fetchone()[0]
    db.close()
    assert {row[1:] for row in found if row[0] == 6} == {(1, 1)}
    assert {row[1:] for row in found if row[0] != 6} == {(0, 0)}
    assert "NaN" not in text
    with Store(tmp_path) as store:
        result = summary.summary(store, "r1")
    assert result["evaluation"]["exact_per_seed"][1] is None
    assert result["evaluation"]["iqm"] == result["evaluation"]["exact_per_seed"][0]


@pytest.mark.slow
def test_the_command_reports_failed_seeds_in_one_line_and_by_its_exit_code(tmp_path, engram, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = engram(*WORDS, "--seeds", "2", "--agent.fails.1", "300").out.splitlines()
    assert "seed 1 failed at step 300: its loss was not finite; the others went on" in lines
    result = engram(*WORDS, "--seeds", "2", "--agent.fails.0", "7", "--agent.fails.1", "9", "--json", code=1).json
    assert [(each["seed"], each["step"]) for each in result["failed"]] == [(0, 7), (1, 9)]
    assert engram("resume", "latest", "--json", code=1).json["failed"] == result["failed"]
    assert "seed 1 failed at step 9: its loss was not finite; every seed failed" in engram("show", "latest").out
    assert [len(each["failed"]) for each in engram("list", "runs", "--json").json["runs"]] == [1, 2]
    assert "done, 1 failed" in engram("list", "runs").out
    engram("reproduce", "r1")


def test_missing_values_of_a_failed_seed_are_left_out_of_the_table(whole, capsys):
    result = whole["some"][1]
    evaluation = {
        **result["evaluation"],
        "value_error": [0.5, None, 0.25, None],
        "exact_per_seed": [1.0, None, 2.0, None],
        "exact": {"iqm": 1.5, "low": None, "high": None, "equal": None, "mean": 1.5},
    }
    show_summary({**result, "evaluation": evaluation})
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    shown = {line[0]: line[-1].strip() for line in lines}
    assert shown["failed seeds, left out"] == "2"
    assert shown["max abs(Q - Q*)"] == "0.5"
    assert shown["final evaluation return, exact, mean"] == "1.5"


def test_many_failures_are_a_few_lines():
    failed = [{"seed": i, "step": 1, "reason": "why"} for i in range(50)]
    assert len(failure_lines(failed, 60)) == 6
    assert failure_lines(failed, 60)[-1] == "45 more; the others went on"
    assert failure_lines([], 3) == []
