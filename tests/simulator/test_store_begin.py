"""Beginning a run costs the same in an old lab as in a new one: counted, not timed."""

import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from simulator import database
from simulator.store import Store
from tests.simulator.storing import NEW, write

watched: list[Counter] = []  # who counts now; an audit hook cannot be taken away again


def _audit(event, args):
    if watched and event in ("open", "os.listdir", "os.scandir"):
        watched[-1][event] += 1


@pytest.fixture
def counting(monkeypatch):
    """Counts the steps of SQLite's machine, the files opened and the folders listed."""
    connect, count = sqlite3.connect, Counter()

    def step():
        count["sqlite"] += 1

    def counted(*args, **kwargs):
        db = connect(*args, **kwargs)
        if watched:
            db.set_progress_handler(step, 1)
        return db

    monkeypatch.setattr(database.sqlite3, "connect", counted)
    sys.addaudithook(_audit)
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
    """What is done from opening a lab to a new run's first checkpoint."""
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


def test_the_two_hundredth_run_begins_with_the_work_of_the_tenth(tmp_path, counting):
    fill(tmp_path, 10)
    early = work(tmp_path, counting)
    fill(tmp_path, 200)
    late = work(tmp_path, counting)
    assert early["sqlite"] > 100
    assert late["open"] == early["open"]
    assert late["sqlite"] <= 1.05 * early["sqlite"]
    assert "os.listdir" not in late
    assert "os.scandir" not in late


def test_a_database_that_others_wrote_is_looked_through_before_it_is_written(tmp_path, counting):
    fill(tmp_path, 40)
    known = work(tmp_path, counting)["sqlite"]
    (tmp_path / database.CHECKED).unlink()
    assert work(tmp_path, counting)["sqlite"] > known + 500
    content = (tmp_path / database.NAME).read_bytes()
    (tmp_path / database.NAME).write_bytes(content)  # another time of writing
    assert work(tmp_path, counting)["sqlite"] > known + 500
    assert work(tmp_path, counting)["sqlite"] <= 1.05 * known


def test_a_reader_that_leaves_does_not_take_the_log_of_a_writer_away(tmp_path):
    """It would if the writer had lost its locks, as it does where it opens and closes the file once more."""
    read = (
        "import sys; from simulator.store import Store\nwith Store(sys.argv[1]) as store: print(store.runs()[0].step)"
    )
    steps = []
    with Store(tmp_path / "lab") as store:
        run = store.begin(NEW)
        for at in range(3):
            write(store, run, at * 20, at * 20 + 20)
            done = subprocess.run([sys.executable, "-c", read, str(tmp_path / "lab")], capture_output=True, text=True)
            steps.append(done.stdout.strip() or done.stderr)
            assert (tmp_path / "lab" / f"{database.NAME}-wal").exists()
    assert steps == ["20", "40", "60"]
