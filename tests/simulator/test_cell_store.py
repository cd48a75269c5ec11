"""What a lab holds of tournaments: whole, sealed, and in labs that are older than they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from simulator.store.cell_store import Cell, CellStore, failed, is_tournament, of_result
from simulator.store.database import _LATER, NAME
from simulator.store.run_store import Store, StoreError
from tests.simulator.storing import two_runs

SLOT = ("a" * 64, (3, 2))
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


def same(one: Cell, other: Cell) -> None:
    for name in Cell._fields:
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
        store.mark("t1", "done", 2.5, 1.5)
        store.mark("t1", "done", 1.0, 0.5)
        assert (store.find("t1").seconds, store.find("t1").cpu_seconds) == (3.5, 2.0)
        assert [each.name for each in store.tournaments()] == ["t2", "t1"]
        with pytest.raises(StoreError, match=r"has no tournament 't9'; nearest: t2, t1"):
            store.find("t9")


def test_which_name_is_a_tournaments(tmp_path):
    assert not is_tournament("t1", tmp_path / "nowhere")
    with CellStore(tmp_path) as store:
        store.begin("", "h", PLAN, "", {})
    assert is_tournament("t1", tmp_path)
    assert is_tournament("latest", tmp_path)
    assert not is_tournament("t2", tmp_path)
    assert not is_tournament("r1", tmp_path)


@pytest.mark.parametrize("column", ["scores = x'00000000000000000000000000000000'", "reason = 'x'", "seconds = 2.0"])
def test_a_changed_cell_is_noticed(tmp_path, column):
    with CellStore(tmp_path) as store:
        store.add(of_result(SLOT, RESULT))
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.execute(f"UPDATE cells SET {column}")
    with CellStore(tmp_path) as store, pytest.raises(StoreError, match="a row of cells is not what was written"):
        store.cells([SLOT[0]])


def _older(lab):
    """Make a lab as the first schema had it."""
    with closing(sqlite3.connect(lab / NAME)) as db, db:
        for name in _LATER:
            db.execute(f"DROP TABLE {name}")
        db.execute("PRAGMA user_version = 1")


def test_an_older_lab_is_gone_on_with(tmp_path):
    lab = two_runs(tmp_path / "lab")
    _older(lab)
    with CellStore(lab) as store:
        store.add(of_result(SLOT, RESULT))
        assert list(store.cells([SLOT[0]])) == [SLOT]
    with Store(lab) as store:
        assert len(store.runs()) == 2


def test_an_older_lab_that_cannot_be_written_is_read(tmp_path, monkeypatch):
    lab = two_runs(tmp_path / "lab")
    _older(lab)
    monkeypatch.setattr("simulator.store.database.os.access", lambda *given: False)
    with CellStore(lab) as store:
        assert store.tournaments() == []
        assert store.cells([SLOT[0]]) == {}
    with Store(lab) as store:
        assert len(store.runs()) == 2
