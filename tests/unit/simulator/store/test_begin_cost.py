"""Tests of the cost of beginning a run: counted, and the same in an old lab as in a new one."""

import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from simulator.store import database
from simulator.store.run_store import Store
from tests.system.storing import NEW, check_rows, write

watched: list[Counter] = []  # who counts now; an audit hook cannot be taken away again
watched_files: list[list[str]] = []  # likewise, of the files that are opened
sys.addaudithook(lambda event, args: _audit(event, args))


def _audit(event, args):
    if watched and event in ("open", "os.listdir", "os.scandir"):
        watched[-1][event] += 1
    if watched_files and event == "open":
        watched_files[-1].append(str(args[0]))


@pytest.fixture
def counting(monkeypatch):
    """Count the steps of SQLite's machine, the files opened and the folders listed."""
    connect, count = sqlite3.connect, Counter()

    def step():
        count["sqlite"] += 1

    def counted(*args, **kwargs):
        db = connect(*args, **kwargs)
        if watched:
            db.set_progress_handler(step, 1)
        return db

    monkeypatch.setattr(database.sqlite3, "connect", counted)
    yield count
    watched.clear()


def fill(lab, n):
    with Store(lab) as store:
        have = len(store.runs())
        for _ in range(have, n):
            run = store.begin(NEW)
            write(store, run, 0, 20)
            store.release(run)


def work(lab, count):
    """Open a lab and write a new run's first checkpoint."""
    count.clear()
    watched.append(count)
    with Store(lab) as store:
        run = store.begin(NEW)
        assert store.find(run).label == ""
        assert store.newest(run) is None
        assert store.find("latest").run == run
        write(store, run, 0, 1)
    watched.clear()
    return dict(count)


@pytest.mark.slow
def test_beginning_the_two_hundredth_run_costs_as_much_as_the_tenth(tmp_path, counting):
    fill(tmp_path, 10)
    early = work(tmp_path, counting)
    fill(tmp_path, 200)
    late = work(tmp_path, counting)
    assert early["sqlite"] > 100
    assert late["open"] == early["open"]
    assert late["sqlite"] <= 1.05 * early["sqlite"]
    assert "os.listdir" not in late
    assert "os.scandir" not in late


@pytest.mark.slow
def test_a_foreign_database_is_checked_before_it_is_written(tmp_path, counting):
    fill(tmp_path, 40)
    known = work(tmp_path, counting)["sqlite"]
    (tmp_path / database.CHECKED).unlink()
    assert work(tmp_path, counting)["sqlite"] > known + 500
    content = (tmp_path / database.NAME).read_bytes()
    (tmp_path / database.NAME).write_bytes(content)  # another time of writing
    assert work(tmp_path, counting)["sqlite"] > known + 500
    assert work(tmp_path, counting)["sqlite"] <= 1.05 * known


def test_the_database_is_never_opened_beside_sqlite(tmp_path):
    """Closing a file lets go of all locks that a process has on it: another one would take the log away."""
    opened: list[str] = []
    watched_files.append(opened)
    with Store(tmp_path) as store:
        run = store.begin(NEW)
        write(store, run, 0, 3)
        code = "from simulator.store.run_store import Store\n"
        code += f"with Store({str(tmp_path)!r}) as store: print(store.find('r1').step)"
        for last in (4, 5):
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            assert out == f"{last - 1}\n"
            assert (tmp_path / f"{database.NAME}-wal").exists()
            write(store, run, last - 1, last)
    watched_files.clear()
    assert str(tmp_path / database.NAME) not in opened
    with Store(tmp_path) as store:
        check_rows(store, run, (3, 4, 5))
