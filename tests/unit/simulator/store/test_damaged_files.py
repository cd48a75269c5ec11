"""Tests of damaged labs: one line that names the damage, a fallback to earlier checkpoints, and nothing overwritten."""

import os
import shutil
from pathlib import Path

import pytest

from simulator.store.database import NAME
from simulator.store.run_store import Store, StoreError, StoreFailure
from tests.system.storing import NEW, begin, check_newest, check_rows, contents, files, line, two_runs, write


@pytest.fixture
def lab(tmp_path):
    """Make the lab with two runs itself: the database of a copy would be checked first."""
    return two_runs(tmp_path / "lab")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, empty, flip, Path.unlink])
def test_the_newest_intact_checkpoint_is_used_and_later_rows_are_dropped(lab, harm):
    with Store(lab) as store:
        newest = store.folder("r1") / "checkpoint-3.safetensors"
        harm(newest)
        harmed = newest.read_bytes() if newest.exists() else None
        store.take("r1")
        warnings = store.newest("r1").warnings
        assert len(warnings) == 1
        assert str(newest) in warnings[0]
        check_newest(store, "r1", 9)
        check_rows(store, "r1", (5, 9))  # what its writer stands on
        write(store, "r1", 9, 20)
        check_rows(store, "r1", (5, 9, 20))
        check_newest(store, "r1", 20)
        assert store.newest("r1").warnings == ()
        for step in (20, 21, 22, 23):
            write(store, "r1", step, step + 1)
    assert (newest.read_bytes() if newest.exists() else None) == harmed
    with Store(lab) as store:
        check_rows(store, "r1", (5, 9, 20, 21, 22, 23, 24))
        kept = [f"checkpoint-{number}.safetensors" for number in (6, 7, 8)]
        assert [name for name in files(store, "r1") if name != newest.name] == kept


def test_two_damaged_checkpoints_are_two_warnings(lab):
    with Store(lab) as store:
        folder = store.folder("r1")
        flip(folder / "checkpoint-3.safetensors")
        cut(folder / "checkpoint-2.safetensors")
        store.take("r1")
        saved = store.newest("r1")
        assert saved.progress.step == 5
        assert ["SHA-256" in saved.warnings[0], "bytes instead of" in saved.warnings[1]] == [True, True]
        write(store, "r1", 5, 6)
        check_rows(store, "r1", (5, 6))
        flip(folder / "checkpoint-4.safetensors")
    with Store(lab) as store:
        store.take("r1")
        check_newest(store, "r1", 5)
        write(store, "r1", 5, 7)
        check_rows(store, "r1", (5, 7))
        check_rows(store, "r2", (3,))


def test_without_an_intact_checkpoint_the_run_is_refused_and_unchanged(lab):
    with Store(lab) as store:
        flip(store.folder("r2") / "checkpoint-1.safetensors")
        before = contents(lab)
        store.take("r2")
        with pytest.raises(StoreError, match=r"run r2: none of its 1 checkpoints is whole; checkpoint .*SHA-256"):
            store.newest("r2")
        with pytest.raises(StoreFailure, match="ask for its newest checkpoint first"):
            write(store, "r2", 0, 5)
        store.release("r2")
        assert contents(lab) == before


def test_reading_after_a_loss_does_not_disturb_the_writer(lab):
    with Store(lab) as store:
        store.take("r1")
        check_newest(store, "r1", 12)
        write(store, "r1", 12, 13)
        flip(store.folder("r1") / "checkpoint-4.safetensors")
        assert store.newest("r1").progress.step == 12
        write(store, "r1", 13, 14)
        check_rows(store, "r1", (5, 9, 12, 13, 14))


def test_leftovers_of_a_crash_are_removed_by_the_next_writer(lab):
    folder = lab / "runs" / "r1"
    for name in ("checkpoint-4.safetensors", "checkpoint-4.safetensors.partial"):
        (folder / name).write_bytes(b"never recorded")
    with Store(lab) as store:
        check_newest(store, "r1", 12)
        assert len(files(store, "r1")) == 5
        store.take("r1")
        assert files(store, "r1") == [f"checkpoint-{number}.safetensors" for number in (1, 2, 3)]


def test_a_run_whose_folder_is_gone_is_refused(lab):
    shutil.rmtree(lab / "runs" / "r1")
    with Store(lab) as store:
        for ask in (store.take, store.newest, store.folder):
            with pytest.raises(StoreError, match=r"run r1 is in the lab's database, but its folder .*runs/r1 is gone"):
                ask("r1")
        check_rows(store, "r1", (5, 9, 12))
        assert store.begin(NEW) == "r3"


def test_a_folder_or_a_database_lost_while_writing_is_reported(lab):
    with Store(lab) as store:
        run = begin(store, 2)
        shutil.rmtree(lab / "runs" / run)
        with pytest.raises(StoreError, match=r"its folder .* is gone"):
            write(store, run, 2, 3)
        store.take("r1")
        store.newest("r1")
        os.rename(lab / NAME, lab / "moved")
        with pytest.raises(StoreFailure, match="was moved or removed while it was in use"):
            write(store, "r1", 12, 13)
        shutil.copy(lab / "moved", lab / NAME)
        with pytest.raises(StoreFailure, match="was moved or removed while it was in use"):
            write(store, "r1", 12, 13)


def test_a_lost_database_is_not_replaced_by_an_empty_one(lab):
    (lab / NAME).unlink()
    before = contents(lab)
    with pytest.raises(StoreError, match="has runs but lost its database") as error:
        Store(lab)
    assert f"the checkpoints are in {lab / 'runs'}" in line(error.value)
    assert contents(lab) == before


def test_a_leftover_log_is_not_taken_for_that_of_a_new_database(tmp_path):
    (tmp_path / f"{NAME}-wal").write_bytes(b"of another time")
    with pytest.raises(StoreError, match="lost its database"):
        Store(tmp_path)
    assert os.listdir(tmp_path) == [f"{NAME}-wal"]


def test_a_folder_left_without_its_run_is_never_used_again(lab):
    (lab / "runs" / "r3").mkdir()
    with Store(lab) as store:
        assert store.begin(NEW) == "r4"
