"""Tests of the store of runs: round trips, no duplicates, and one writer for each run."""

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest

from simulator.store import database, run_store
from simulator.store.run_store import EvaluationRow, PointRows, Rows, RunProgress, Store, StoreError, StoreFailure
from tests.system.storing import NEW, ROOT, SEEDS, begin, check_newest, check_rows, child, files, points, same, write


@pytest.fixture
def lab(tmp_path):
    with Store(tmp_path / "deep" / "lab") as opened:
        yield opened


@contextmanager
def transaction(lab):
    """Hold a write transaction of another connection, and roll it back."""
    with closing(sqlite3.connect(lab.lab / database.NAME, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield writer
        writer.execute("ROLLBACK")


def test_bad_input_leaves_no_lab_that_was_made_for_it(tmp_path):
    for lab, is_left in ((tmp_path / "new", False), (tmp_path / "used", True)):
        if is_left:
            with Store(lab) as store:
                store.begin(NEW)
        with pytest.raises(ValueError, match="bad"), Store(lab):
            raise ValueError("bad")
        assert lab.exists() == is_left


def test_a_new_run_is_recorded_before_anything_is_played(lab):
    run = lab.begin(NEW)
    record = lab.find(run)
    assert run == record.run == "r1"
    assert {name: getattr(record, name) for name in NEW.__dataclass_fields__} == dataclasses.asdict(NEW)
    assert (record.status, record.step, record.exact, record.result) == ("running", 0, True, None)
    age = datetime.now(UTC) - datetime.fromisoformat(record.created)
    assert 0 <= age.total_seconds() < 60
    assert lab.newest(run) is None
    check_rows(lab, run, ())


def test_checkpoints_and_rows_come_back_and_move_the_run(lab):
    run = begin(lab, 5, 9)
    check_newest(lab, run, 9)
    check_rows(lab, run, (5, 9))
    lab.checkpoint(run, RunProgress(10, 3.5, 3.25, False), {}, Rows(), "done", {"iqm": 1.5, "none": None})
    record = lab.find("latest")
    assert (record.step, record.seconds, record.cpu_seconds, record.exact) == (10, 3.5, 3.25, False)
    assert (record.status, record.result) == ("done", {"iqm": 1.5, "none": None})
    check_rows(lab, run, (5, 9))


def test_a_lab_opened_again_knows_everything(lab):
    run = begin(lab, 5)
    lab.close()
    with Store(str(lab.lab)) as again:
        check_newest(again, run, 5)
        check_rows(again, run, (5,))
        assert again.begin(NEW) == "r2"
        assert [record.run for record in again.runs()] == ["r2", "r1"]
        assert again.find("latest").run == "r2"


def test_numbers_that_sqlite_does_not_know(lab):
    run = lab.begin(NEW)
    one = np.ones(2, np.int64)
    reals = [np.array(pair) for pair in ([np.nan, 1], [np.inf, -np.inf], [-0.0, 5e-324], [1e308, 0.1], [2, 3])]
    lab.checkpoint(run, RunProgress(1), {}, Rows(PointRows(one, np.arange(2), one, one, *reals)))
    lab.checkpoint(run, RunProgress(2), {}, Rows(None, (EvaluationRow(1, 3, np.nan, 0.1, np.array([np.nan, -0.0])),)))
    found, evaluation = lab.points(run), lab.evaluations(run)[0]
    for name, column in zip(PointRows._fields[4:], reals, strict=True):
        np.testing.assert_array_equal(getattr(found, name), column)
    assert np.isnan(evaluation.mean)
    assert evaluation.exact == 0.1
    assert same(evaluation.returns, np.array([np.nan, -0.0]))


def test_three_checkpoints_are_kept(lab):
    run = begin(lab, 1, 2, 3, 4, 5)
    assert files(lab, run) == [f"checkpoint-{number}.safetensors" for number in (3, 4, 5)]
    check_rows(lab, run, (1, 2, 3, 4, 5))


def test_a_duplicate_row_is_refused_and_not_recorded(lab):
    run = begin(lab, 5, 9)
    with pytest.raises(StoreFailure, match="nothing was recorded, a row would be there twice"):
        write(lab, run, 8, 12)
    check_newest(lab, run, 9)
    check_rows(lab, run, (5, 9))
    write(lab, run, 9, 12)
    check_newest(lab, run, 12)
    check_rows(lab, run, (5, 9, 12))


def test_writing_needs_a_lock_and_a_read_of_the_run(lab):
    run = begin(lab, 5)
    with pytest.raises(StoreError, match="status 'over' of run r1: expected one of running, interrupted, done, failed"):
        write(lab, run, 5, 6, "over")
    lab.release(run)
    lab.release(run)
    with pytest.raises(StoreFailure, match="run r1 has no writer here"):
        write(lab, run, 5, 6)
    lab.take(run)
    with pytest.raises(StoreFailure, match="ask for its newest checkpoint first"):
        write(lab, run, 5, 6)
    check_rows(lab, run, (5,))


def test_a_run_that_never_began_to_play_can_be_taken_back(lab):
    first, second = begin(lab, 3), lab.begin(NEW)
    lab.discard(second)
    assert [record.run for record in lab.runs()] == [first]
    assert os.listdir(lab.lab / "runs") == [first]
    with pytest.raises(StoreFailure, match="run r1 is not discarded: it has a checkpoint"):
        lab.discard(first)
    lab.release(lab.begin(NEW))
    with pytest.raises(StoreFailure, match="run r2 is not discarded: it has a checkpoint, or no writer here"):
        lab.discard("r2")
    check_rows(lab, first, (3,))


def test_unknown_runs_are_refused_with_the_nearest(lab):
    with pytest.raises(StoreError, match="has no run 'latest': it has no runs yet"):
        lab.find("latest")
    for _ in range(12):
        lab.release(lab.begin(NEW))
    with pytest.raises(StoreError, match="has no run 'r14'; nearest: r12, r11, r10, or latest"):
        lab.find("r14")
    for name in ("", "r", "R1", "r01", "1", "r1 ", "r-1", "r99999999999999999999", "r1' OR '1", "../r1", "é\0"):
        for ask in (lab.find, lab.take, lab.newest, lab.points, lab.evaluations):
            with pytest.raises(StoreError, match="has no run"):
                ask(name)


@pytest.mark.slow
def test_a_second_writer_is_refused_in_this_process_and_in_another(lab):
    run = begin(lab, 5)
    with pytest.raises(StoreError, match=r"^run r1 is being written by this process already$"):
        lab.take(run)
    with Store(lab.lab) as second, pytest.raises(StoreError, match="run r1 is being written by this process already"):
        second.take(run)
    said = child("storing_scripts", "take", lab.lab, run)
    assert said.strip() == f"run r1 is being written by another process (pid {os.getpid()})"
    lab.release(run)
    assert child("storing_scripts", "take", lab.lab, run).strip() == "taken"
    lab.take(run)
    check_newest(lab, run, 5)
    write(lab, run, 5, 6)
    check_rows(lab, run, (5, 6))


def test_a_writer_on_another_machine_or_without_a_name_is_reported(lab):
    run = begin(lab, 5)
    note = lab.folder(run) / "writer"
    note.write_text("77 elsewhere")
    with pytest.raises(StoreError, match="run r1 is being written by process 77 on elsewhere"):
        lab.take(run)
    note.unlink()
    with pytest.raises(StoreError, match="run r1 is being written by another process"):
        lab.take(run)


def test_readers_need_no_lock_and_see_consistent_states(lab):
    run = begin(lab, 5)
    with Store(lab.lab) as reader:
        check_rows(reader, run, (5,))
        with transaction(lab) as writer:
            writer.execute("DELETE FROM points")
            check_rows(reader, run, (5,))
            check_newest(reader, run, 5)


def test_a_checkpoint_dropped_while_it_is_being_read_is_not_called_damaged(lab, monkeypatch):
    run, seen = begin(lab, 1), []
    with Store(lab.lab) as reader:
        read = run_store.checkpoints.read

        def slow(path, written):
            if not seen:
                for step in (1, 2, 3, 4):
                    write(lab, run, step, step + 1)
            seen.append(path.name)
            return read(path, written)

        monkeypatch.setattr(run_store.checkpoints, "read", slow)
        saved = reader.newest(run)
    assert seen == ["checkpoint-1.safetensors", "checkpoint-5.safetensors"]
    assert (saved.progress.step, saved.warnings) == (5, ())


@pytest.mark.slow
def test_processes_that_begin_at_the_same_time_get_runs_of_their_own(tmp_path):
    command = [sys.executable, "-m", "tests.system.storing_scripts", "begin", str(tmp_path / "lab"), "5"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    several = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(4)]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:  # no lab yet: they also race to make it
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in several]
    assert [error for _, error in answers] == [""] * 4
    runs = [run for answer, _ in answers for run in json.loads(answer)]
    assert sorted(runs) == sorted(f"r{number}" for number in range(1, 21))
    with Store(tmp_path / "lab") as opened:
        for run in runs:
            check_rows(opened, run, (2, 4))
            check_newest(opened, run, 4)


def test_an_interrupt_just_after_a_checkpoint_does_not_undo_it(lab, monkeypatch):
    run = begin(lab, 1, 2, 3)

    def interrupted(error):  # when the files that are no longer needed are removed
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_store, "suppress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(lab, run, 3, 4)
    write(lab, run, 4, 5)
    check_rows(lab, run, (1, 2, 3, 4, 5))
    check_newest(lab, run, 5)


def test_an_interrupt_before_a_checkpoint_is_recorded_leaves_the_one_before(lab, monkeypatch):
    run = begin(lab, 1, 2)

    def interrupted(db, run, keep):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_store.tables, "prune", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(lab, run, 2, 4)
    check_rows(lab, run, (1, 2))
    check_newest(lab, run, 2)
    write(lab, run, 2, 5)
    check_rows(lab, run, (1, 2, 5))


def test_the_database_is_durable(lab):
    db = lab._db._db
    asked = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert db.execute("PRAGMA busy_timeout").fetchone()[0] == 30_000
    with closing(sqlite3.connect(lab.lab / database.NAME)) as other:
        assert other.execute("PRAGMA application_id").fetchone()[0] == int.from_bytes(b"engr", "big")


def test_a_database_locked_for_too_long_is_reported(lab, monkeypatch):
    run = begin(lab, 5)
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.01)
    with Store(lab.lab) as waiting:
        with (
            transaction(lab),
            pytest.raises(StoreFailure, match=r"locked by another process for more than 0\.01 s"),
        ):
            waiting.begin(NEW)
        check_rows(waiting, run, (5,))
        assert waiting.begin(NEW) == "r2"


def test_many_points_come_back_in_order(lab):
    run = lab.begin(NEW)
    lab.checkpoint(run, RunProgress(600), {}, Rows(points(300, 600)))
    lab.checkpoint(run, RunProgress(900), {}, Rows(points(0, 300)))
    found = lab.points(run)
    assert len(found.seed) == 600 * len(SEEDS)
    assert np.array_equal(found.seed, np.repeat(sorted(SEEDS), 600))
    assert np.array_equal(found.step, np.tile(np.arange(1, 601), len(SEEDS)))
