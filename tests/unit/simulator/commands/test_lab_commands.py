"""Tests of the commands that list, extend, delete and prune what a lab holds."""

from __future__ import annotations

import pytest

from simulator.core.experiment_kinds import RECALL
from simulator.store.cell_store import CellStore, JobKey, SeedRange, failed
from simulator.store.run_store import Rows, RunProgress, Store
from tests.system.storing import NEW, begin, write

PLAN = {
    "contestants": [{"label": "td"}],
    "challenges": [{"label": "rooms"}],
    "pairs": [{"key": "a", "spans": [[0, 2]]}],
}


@pytest.fixture
def lab(clean_folder):
    """Make a lab with two training runs, a recall benchmark and a tournament in ``./lab``."""
    with Store("lab") as store:
        write(store, begin(store, 5), 5, 100, "done")
        begin(store, 5, 9)
        recall = store.begin(NEW.__class__(RECALL, "hopfield", "random", (0,), 4, "", "r"))
        store.checkpoint(recall, RunProgress(4, 1.0, 1.0), {"cells": 4}, Rows(), "done", {"cells": []})
    with CellStore("lab") as cells:
        cells.begin("x = 1", "h", PLAN, "", {})
        cells.add(failed(JobKey("a", SeedRange(0, 2)), "why"))
    return clean_folder / "lab"


def runs(engram, *words):
    return engram("list", "runs", *words, "--json").json["runs"]


def test_runs_are_listed_newest_last_with_kinds_and_sizes(engram, lab):
    rows = runs(engram)
    assert [(row["run"], row["kind"], row["status"]) for row in rows] == [
        ("r1", "run", "done"),
        ("r2", "run", "killed"),
        ("r3", "recall", "done"),
    ]
    for row in rows:
        files = (lab / "runs" / row["run"]).iterdir()
        assert row["bytes"] == sum(path.stat().st_size for path in files) > 0
    out = engram("list", "runs").out
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["r1", "training"],
        ["r2", "training"],
        ["r3", "recall"],
    ]
    assert "9 of 100" in out
    assert "kB" in out


def test_a_listing_is_sorted_by_any_column_with_the_largest_last(engram, lab):
    by_size = [row["bytes"] for row in runs(engram, "--sort", "size")]
    assert by_size == sorted(by_size)
    assert [row["run"] for row in runs(engram, "--sort", "status")] == ["r1", "r3", "r2"]
    assert [row["tournament"] for row in engram("list", "tournaments", "--sort", "size", "--json").json["tournaments"]]
    assert "unknown column 'colour'" in engram("list", "runs", "--sort", "colour", code=2).error
    assert "expected engram list runs or tournaments" in engram("list", "agents", "--sort", "size", code=2).error


def test_a_listing_fits_80_columns(engram, lab, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for kind in ("runs", "tournaments"):
        out = engram("list", kind).out
        assert max(map(len, out.splitlines())) <= 80, out


def test_deleting_needs_a_terminal_or_yes(engram, lab):
    assert "--yes deletes without asking" in engram("delete", "r1", code=2).error
    assert len(runs(engram)) == 3


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 2), ("\n", 1, 3), ("no\n", 1, 3), ("", 1, 3)])
def test_deleting_asks_on_a_terminal(engram, lab, monkeypatch, answer, code, left):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: answer, raising=False)
    said = engram("delete", "r1", code=code)
    assert "r1: q_learning in rooms, 3 seeds, 100 of 100" in said.err
    assert "delete 1 for good? [y/N]" in said.err
    monkeypatch.undo()
    with Store(lab) as store:
        assert len(store.runs()) == left


def test_runs_and_tournaments_are_deleted_together_each_once(engram, lab):
    data = engram("delete", "r3", "t1", "r1", "r3", "--yes", "--json").json
    assert [(one["name"], one["kind"]) for one in data["deleted"]] == [
        ("r3", "recall"),
        ("t1", "tournament"),
        ("r1", "run"),
    ]
    assert data["bytes"] == sum(one["bytes"] for one in data["deleted"]) > 0
    assert [row["run"] for row in runs(engram)] == ["r2"]
    assert engram("list", "tournaments", "--json").json["tournaments"] == []


def test_nothing_is_deleted_where_one_name_is_wrong_or_is_being_written(engram, lab):
    assert "has no run 'r7'" in engram("delete", "r1", "r7", "--yes", code=2).error
    assert "has no tournament or tuning 't7'; nearest: t1" in engram("delete", "t7", "--yes", code=2).error
    with Store(lab) as writer:
        writer.take("r2")
        assert "run r2 is being written" in engram("delete", "r1", "r2", "--yes", code=2).error
    with CellStore(lab) as cells, cells.hosting():
        assert "being written" in engram("delete", "r1", "t1", "--yes", code=2).error
    assert len(runs(engram)) == 3
    assert len(engram("list", "tournaments", "--json").json["tournaments"]) == 1
    with Store(lab) as store:
        store.take("r1")  # its lock is free again


def test_latest_is_the_newest_experiment(engram, lab):
    engram("delete", "t1", "--yes")
    assert engram("delete", "latest", "--yes", "--json").json["deleted"][0]["name"] == "r3"


def test_prune_drops_what_runs_that_are_over_do_not_need(engram, lab):
    noise = {"agent": {"q": 1.0, "replay": {"obs": [float(i) for i in range(5_000)]}}}
    with Store(lab) as store:
        run = store.begin(NEW)
        store.checkpoint(run, RunProgress(50, 1.0, 1.0), noise, Rows())
        store.checkpoint(run, RunProgress(100, 1.0, 1.0), noise, Rows(), "done", {"keep_replay": True})
        other = begin(store, 5, 9, 12)
        store.mark(other, "done")
    with CellStore(lab) as cells:
        cells.add(failed(JobKey("orphan", SeedRange(0, 2)), "why"))
    planned = engram("prune", "--dry-run", "--json").json
    before = [row["bytes"] for row in runs(engram)]
    assert [(item["run"], item["what"]) for item in planned["freed"]] == [
        ("r4", "replay"),
        ("r5", "old checkpoints"),
        (None, "1 cells of no tournament"),
    ]
    done = engram("prune", "--json").json
    assert done["freed"][:3] == planned["freed"]
    after = [row["bytes"] for row in runs(engram)]
    assert after[:3] == before[:3]
    assert after[3] < before[3] - 10_000
    assert after[4] < before[4]
    with Store(lab) as store:
        assert "replay" not in store.newest("r4").state["agent"]
        assert len(store.checkpoint_sizes("r2")) == 2
        assert len(store.checkpoint_sizes("r5")) == 1
    assert engram("prune", "--json").json["freed"] == []
    assert engram("prune").out == "0 B freed\n"


def test_prune_leaves_a_run_whose_newest_checkpoint_is_damaged(engram, lab):
    with Store(lab) as store:
        run = begin(store, 5, 9)
        store.mark(run, "done")
        (store.folder(run) / "checkpoint-2.safetensors").write_bytes(b"")
    data = engram("prune", "--json").json
    assert "checkpoint-2.safetensors is damaged" in data["skipped"][0]
    with Store(lab) as store:
        assert len(store.checkpoint_sizes("r4")) == 2


def test_prune_needs_a_lab(engram, clean_folder):
    assert "there is no run yet in lab" in engram("prune", code=2).error
    assert list(clean_folder.iterdir()) == []


def test_only_runs_are_trained_on_to_more_steps(engram, lab):
    assert "--steps: not for a recall benchmark" in engram("resume", "r3", "--steps", "9", code=2).error
    assert "--steps: not for a tournament" in engram("resume", "t1", "--steps", "9", code=2).error


def test_a_finished_run_is_trained_on_and_reproduced(engram, clean_folder):
    words = ("q_learning", "rooms", "--seeds", "2", "--steps", "300", "--view", "none")
    engram("run", *words)
    assert "has trained 300 steps already" in engram("resume", "r1", "--steps", "300", code=2).error
    resumed = engram("resume", "r1", "--steps", "500", "--view", "none")
    assert "r1: steps changed from 300 to 500 after step 300\n" in resumed.err
    assert "r1: evaluations: every 25 steps from here on, every 15 before\n" in resumed.err
    assert "r1: steps changed from 300 to 500 after step 300\n" in engram("show", "r1").out
    shown = engram("show", "r1", "--json").json
    assert (shown["steps"], shown["step"], shown["status"]) == (500, 500, "done")
    assert "steps = 500" in shown["settings"]
    assert engram("reproduce", "r1", "--json").json["identical"]
