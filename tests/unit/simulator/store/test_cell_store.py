"""Tests of tournaments in a lab: checksums, and labs of another version."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from simulator.core.experiment_kinds import TUNE
from simulator.store import journal
from simulator.store.cell_store import CellStore, JobKey, JobRecord, SeedRange, failed, kind_of, of_result
from simulator.store.database import NAME
from simulator.store.repair import repair
from simulator.store.run_store import Store, StoreError
from tests.system.storing import NEW, contents, line, two_runs

SLOT = JobKey("a" * 64, SeedRange(3, 2))
RESULT = {
    "scores": [1.5, float("nan")],
    "second": [],
    "steps": [10, 20],
    "curve": [[0.5, 1.5], [0.25, float("nan")]],
    "failed": [{"seed": 4, "step": 15, "reason": "its loss was not finite"}],
    "facts": {"floor": -1.0, "ceiling": None, "each": [0.1, float("nan")]},
    "seconds": 1.25,
    "cpu_seconds": 1.0,
    "exact": True,
}
PLAN = {"contestants": [], "challenges": [], "pairs": [], "references": [], "refused": [], "rounds": [[]]}


def same(one: JobRecord, other: JobRecord) -> None:
    for name in JobRecord._fields:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a, b) if isinstance(a, np.ndarray) else None
        assert isinstance(a, np.ndarray) or repr(a) == repr(b), name


def test_a_cell_comes_back_as_it_was(tmp_path):
    cell = of_result(SLOT, RESULT)
    with CellStore(tmp_path) as store:
        store.add(cell)
    with CellStore(tmp_path) as store:
        found = store.cells([SLOT[0], "b" * 64])
        assert list(found) == [SLOT]
        same(found[SLOT], cell)
        assert found[SLOT].curve.shape == (2, 2)
        store.add(failed(SLOT, "it broke"))  # the newer one replaces it
        assert [(c.status, c.reason) for c in store.cells([SLOT[0]]).values()] == [("failed", "it broke")]
        store.forget(*SLOT)
        assert store.cells([SLOT[0]]) == {}


def test_the_checkpoints_of_a_cell_go_when_it_is_recorded(tmp_path):
    with CellStore(tmp_path) as store, store.hosting():
        mine, stray = store.scratch(*SLOT), store.scratch("c" * 64, (0, 1))
        for path in (mine, stray):
            path.mkdir(parents=True)
            (path / "something").write_text("x")
        store.add(of_result(SLOT, RESULT))
        assert not mine.exists()
        store.sweep([("c" * 64, (0, 1))])
        assert stray.exists()
        store.sweep([])
        assert not stray.exists()


def test_a_tournament_of_the_same_settings_is_the_same_one(tmp_path):
    with CellStore(tmp_path) as store:
        assert store.begin("seeds = 1", "h1", PLAN, "first", {"numpy": "2"}) == "t1"
        assert store.begin("seeds = 2", "h2", PLAN, "", {}) == "t2"
        assert store.begin("seeds = 1", "h1", {**PLAN, "rounds": [[], []]}, "", {"numpy": "3"}) == "t1"
        record = store.find("t1")
        assert (record.label, record.plan["rounds"], record.versions) == ("first", [[], []], {"numpy": "3"})
        store.mark("t1", "interrupted", 2.5, 1.5)
        store.mark("t1", "running")
        assert (store.find("t1").seconds, store.find("t1").cpu_seconds) == (2.5, 1.5)
        store.mark("t1", "done", 3.5, 2.0)
        assert (store.find("t1").seconds, store.find("t1").cpu_seconds) == (3.5, 2.0)
        assert [each.name for each in store.tournaments()] == ["t2", "t1"]
        with pytest.raises(StoreError, match=r"has no tournament or tuning 't9'; nearest: t2, t1"):
            store.find("t9")


def test_an_id_is_of_a_kind_and_the_newest_of_a_kind_has_a_word(tmp_path):
    with CellStore(tmp_path) as store:
        with pytest.raises(StoreError, match="has no tuning yet"):
            store.id_of("latest", TUNE)
        store.begin("", "h", PLAN, "", {})
        store.begin("", "h", PLAN, "", {}, TUNE)
        store.begin("", "i", PLAN, "", {})
        assert [store.id_of("latest"), store.id_of("latest", TUNE), store.id_of("t1")] == ["t3", "t2", "t1"]
        with pytest.raises(StoreError, match="t2 is a tuning, expected a tournament"):
            store.id_of("t2")
        with pytest.raises(StoreError, match=r"has no tournament or tuning 'r1'"):
            store.find("r1")
    with Store(tmp_path) as runs:
        runs.begin(NEW)
        with pytest.raises(StoreError, match=r"has no tournament or tuning 't9'; nearest: t3, t2, t1, or latest"):
            runs.find("t9")
    with CellStore(tmp_path) as store, pytest.raises(StoreError, match="r1 is a run, expected a tournament or a tun"):
        store.find("r1")


def test_the_kind_of_an_experiment_is_stored(tmp_path):
    assert kind_of(tmp_path / "nowhere", "t1") == ""
    with CellStore(tmp_path) as store:
        store.begin("", "h", PLAN, "", {})
    assert kind_of(tmp_path, "t1") == "tournament"
    assert kind_of(tmp_path, "latest") == "tournament"
    assert kind_of(tmp_path, "t2") == ""
    assert kind_of(tmp_path, "r1") == ""
    with Store(tmp_path) as store:
        store.begin(NEW)
        store.begin(dataclasses.replace(NEW, kind="recall"))
    assert kind_of(tmp_path, "r1") == "run"
    assert kind_of(tmp_path, "r2") == "recall"
    assert kind_of(tmp_path, "latest") in ("recall", "tournament")  # begun in the same second


@pytest.mark.parametrize("column", ["scores = x'00000000000000000000000000000000'", "reason = 'x'", "seconds = 2.0"])
def test_a_changed_cell_is_noticed(tmp_path, column):
    with CellStore(tmp_path) as store:
        store.add(of_result(SLOT, RESULT))
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.execute(f"UPDATE cells SET {column}")
    with CellStore(tmp_path) as store, pytest.raises(StoreError, match="a row of cells is not what was written"):
        store.cells([SLOT[0]])


def _older(lab):
    """Give a lab the schema of version 2."""
    versions = json.dumps({"engram-rl": "0.9.1"})
    with closing(sqlite3.connect(lab / NAME)) as db, db:
        db.execute("DROP TABLE metrics")
        db.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, versions TEXT)")
        db.execute("INSERT INTO runs VALUES (1, ?)", [versions])
        db.execute("DROP TABLE experiments")
        db.execute("PRAGMA user_version = 2")


def test_an_older_lab_is_refused_by_the_name_of_its_version(tmp_path):
    lab = two_runs(tmp_path / "lab")
    _older(lab)
    before = contents(lab)
    message = r"was made by engram 0\.9\.1, an older version: its schema is 2, expected 5; use that version for it"
    for use in (CellStore, Store, lambda lab: repair(str(lab), str(tmp_path / "new"))):
        with pytest.raises(StoreError, match=message) as error:
            use(lab)
        line(error.value)
    assert contents(lab) == before


def test_an_older_lab_that_lost_its_database_is_refused_by_its_journals(tmp_path):
    lab = two_runs(tmp_path / "lab")
    (lab / NAME).unlink()
    for folder in (lab / "runs").iterdir():
        (folder / journal.NAME).unlink()
        journal._append(folder, {"run": {"id": 1}})
    with pytest.raises(StoreError, match="was made by an older version of engram: its schema is 0, expected 5"):
        repair(str(lab), str(tmp_path / "new"))
