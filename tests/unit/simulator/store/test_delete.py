"""Tests of deleting runs and tournaments, and of what a lab keeps of a run that is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.store import database
from simulator.store.cell_store import CellStore, JobKey, SeedRange, failed
from simulator.store.lab import DELETED
from simulator.store.repair import repair
from simulator.store.run_store import Rows, RunProgress, Store, StoreError, StoreFailure
from tests.system.storing import NEW, begin, check_newest, check_rows, files, write

PLAN = {"contestants": [], "challenges": [], "pairs": []}


def deleted(lab: Store, run: str) -> None:
    lab.release(run)
    lab.hold(run)
    lab.delete(run)


def n_rows(lab: Store, table: str) -> int:
    with lab._db.reading():
        return len(lab._db.select(table))


@pytest.fixture
def lab(tmp_path):
    with Store(tmp_path / "lab") as opened:
        yield opened


def test_a_deleted_run_leaves_nothing_and_its_number_is_not_used_again(lab):
    kept = begin(lab, 5, 9)
    gone = begin(lab, 5)
    deleted(lab, gone)
    assert [record.run for record in lab.runs()] == [kept]
    assert [path.name for path in (lab.lab / "runs" / gone).iterdir()] == [DELETED]
    assert lab.forgotten() == ""
    check_rows(lab, kept, (5, 9))
    assert lab.begin(NEW) == "r3"


def test_a_deleted_run_before_the_newest_leaves_no_folder(lab):
    gone = begin(lab, 5)
    begin(lab, 5)
    deleted(lab, gone)
    assert not (lab.lab / "runs" / gone).exists()
    assert n_rows(lab, "experiments") == n_rows(lab, "checkpoints") == 1


def test_a_run_that_is_written_cannot_be_deleted(lab):
    run = begin(lab, 5)
    with Store(lab.lab) as other:
        with pytest.raises(StoreError, match="is being written by this process already"):
            other.hold(run)
        with pytest.raises(StoreFailure, match="has no writer here"):
            other.delete(run)
    check_rows(lab, run, (5,))


def test_a_run_whose_folder_is_lost_can_be_deleted(lab):
    run = begin(lab, 5)
    lab.release(run)
    for path in (lab.lab / "runs" / run).iterdir():
        path.unlink()
    (lab.lab / "runs" / run).rmdir()
    lab.hold(run)
    lab.delete(run)
    assert lab.runs() == []


def test_a_deletion_that_was_interrupted_before_its_transaction_did_nothing(lab):
    run = begin(lab, 5)
    lab.release(run)
    (lab.lab / "runs" / run / DELETED).touch()
    assert lab.sweep_deleted() == 0
    lab.take(run)
    check_newest(lab, run, 5)
    write(lab, run, 5, 9)
    assert not (lab.lab / "runs" / run / DELETED).exists()
    check_rows(lab, run, (5, 9))


def test_a_deletion_that_was_interrupted_after_its_transaction_is_finished_later(lab, monkeypatch):
    run = begin(lab, 5)
    begin(lab, 5)
    monkeypatch.setattr(Store, "sweep_deleted", lambda self: 0)
    deleted(lab, run)
    monkeypatch.undo()
    left = (lab.lab / "runs" / run / "checkpoint-1.safetensors").stat().st_size
    assert lab.forgotten() == ""
    assert lab.sweep_deleted(dry_run=True) > left
    assert (lab.lab / "runs" / run).exists()
    assert lab.sweep_deleted() > left
    assert not (lab.lab / "runs" / run).exists()


def test_a_repaired_lab_has_no_deleted_run(lab, tmp_path):
    begin(lab, 5)
    gone = begin(lab, 5)
    deleted(lab, gone)
    lab.close()
    assert [run["run"] for run in repair(str(lab.lab), str(tmp_path / "new"))["runs"]] == ["r1"]


def test_the_room_of_deleted_rows_is_given_back(lab):
    first = begin(lab, *range(5, 400, 20))
    begin(lab, 5)
    deleted(lab, first)
    before = (lab.lab / database.NAME).stat().st_size
    freed = lab.compact()
    lab.close()
    assert freed > 0
    assert (lab.lab / database.NAME).stat().st_size <= before
    with Store(lab.lab) as opened:
        check_rows(opened, "r2", (5,))
        assert opened.compact() == 0


@pytest.mark.parametrize(("status", "kept"), [("running", 3), ("interrupted", 2), ("done", 1), ("failed", 1)])
def test_a_run_that_has_stopped_keeps_fewer_checkpoints(lab, status, kept):
    run = begin(lab, 1, 2, 3, 4)
    write(lab, run, 4, 5, status)
    assert files(lab, run) == [f"checkpoint-{number}.safetensors" for number in range(6 - kept, 6)]
    assert len(lab.checkpoint_sizes(run)) == kept


def test_the_replay_of_a_finished_run_is_dropped_and_nothing_else(lab):
    run = lab.begin(NEW)
    noise = np.random.Generator(np.random.PCG64(1)).random(10_000)
    state = {"agent": {"q": np.arange(3.0), "replay": {"obs": noise}}, "step": 5}
    lab.checkpoint(run, RunProgress(5, 2.0, 1.0), state, Rows(), "done", {"iqm": 1.0})
    before = lab.size_of(run)
    lab.release(run)
    lab.take(run)
    lab.drop_replay(run)
    record = lab.find(run)
    saved = lab.newest(run)
    assert (record.status, record.step, record.result) == ("done", 5, {"iqm": 1.0, "replay_dropped": True})
    assert list(saved.state["agent"]) == ["q"]
    assert len(files(lab, run)) == 1
    assert lab.size_of(run) < before - 70_000


def test_old_and_damaged_checkpoints_are_dropped_only_if_the_newest_is_whole(lab):
    run = begin(lab, 1, 2, 3)
    newest = lab.lab / "runs" / run / "checkpoint-3.safetensors"
    whole = newest.read_bytes()
    newest.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="is damaged"):
        lab.drop_old_checkpoints(run)
    assert len(files(lab, run)) == 3
    newest.write_bytes(whole)
    lab.drop_old_checkpoints(run)
    assert files(lab, run) == [newest.name]
    check_newest(lab, run, 3)


def plan(*keys: str) -> dict[str, object]:
    return {**PLAN, "pairs": [{"key": key, "spans": [[0, 2]]} for key in keys]}


def job(key: str) -> JobKey:
    return JobKey(key, SeedRange(0, 2))


@pytest.fixture
def cells(tmp_path):
    """Make two tournaments that share a cell."""
    with CellStore(tmp_path / "lab") as store:
        for name, keys in (("one", ("a", "b")), ("two", ("b", "c"))):
            store.begin(f'x = "{name}"', name, plan(*keys), "", {})
        store.add_all(failed(job(key), "why") for key in "abc")
        yield store


def stored(cells: CellStore) -> set[str]:
    return {key.pair for key in cells.cells(list("abcd"))}


def test_a_deleted_tournament_takes_the_cells_that_no_other_has(cells):
    with cells.hosting():
        cells.delete("t1")
    assert [record.name for record in cells.tournaments()] == ["t2"]
    assert stored(cells) == {"b", "c"}
    assert cells.orphans() == []


def test_cells_of_no_tournament_are_orphans(cells):
    cells.add_all([failed(job("d"), "why")])
    assert cells.orphans() == [job("d")]
    assert cells.size_of([job("d")]) > 0
    cells.delete_orphans()
    assert stored(cells) == {"a", "b", "c"}


def test_checkpoints_of_jobs_that_nobody_waits_for_are_swept(cells):
    cells.forget(*job("a"))
    for key in ("a", "b"):
        folder = cells.scratch(*job(key))
        folder.mkdir(parents=True)
        Path(folder / "state").write_bytes(bytes(100))
    assert cells.sweep_unplanned(dry_run=True) == 100
    assert cells.scratch(*job("b")).exists()
    assert cells.sweep_unplanned() == 100
    assert cells.scratch(*job("a")).exists()
    assert not cells.scratch(*job("b")).exists()
