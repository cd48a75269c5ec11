"""Tests of ``kill -9`` of a process that deletes: all of an experiment is there, or nothing that counts."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from simulator.store import run_store as host
from simulator.store.cell_store import CellStore, JobKey, SeedRange, failed
from simulator.store.run_store import Store
from tests.system.killing import killed
from tests.system.storing import begin, check_newest, check_rows

pytestmark = pytest.mark.kill
OURS = str(Path(host.__file__).parent)
KEYS = ("a", "b")


def make_lab(lab: Path) -> None:
    """Make two runs, and two tournaments that share a cell."""
    with Store(lab) as store:
        begin(store, 5, 9)
        begin(store, 5)
    with CellStore(lab) as cells:
        for name, keys in (("one", KEYS), ("two", KEYS[1:])):
            pairs = [{"key": key, "spans": [[0, 2]]} for key in keys]
            cells.begin(f'x = "{name}"', name, {"contestants": [], "challenges": [], "pairs": pairs}, "", {})
        cells.add_all(failed(JobKey(key, SeedRange(0, 2)), "why") for key in KEYS)


def delete_run(lab: Path) -> None:
    with Store(lab) as store:
        store.hold("r1")
        store.delete("r1")


def delete_tournament(lab: Path) -> None:
    with CellStore(lab) as cells, cells.hosting():
        cells.delete("t1")


def at_line(line: int, work: Callable[[], None]) -> None:
    """Do the work in a process that is killed before that line of the store's code."""

    def traced() -> None:
        seen = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal seen
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            seen += event == "line"
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()

    killed(traced, lambda pid: None)


def n_lines(work: Callable[[], None]) -> int:
    """Count the lines of the store's code that the work runs."""
    seen = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        seen += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return seen


def check_run(lab: Path) -> bool:
    """Fail unless the first run is whole or gone, and the second whole; tell whether it is there."""
    with Store(lab) as store:
        runs = [record.run for record in store.runs()]
        assert runs in (["r2", "r1"], ["r2"])
        assert store.forgotten() == ""
        check_rows(store, "r2", (5,))
        if "r1" in runs:
            store.take("r1")
            check_newest(store, "r1", 9)
            check_rows(store, "r1", (5, 9))
            store.release("r1")
            delete_run(lab)
        store.sweep_deleted()
        assert not (lab / "runs" / "r1").exists()
    return "r1" in runs


def check_tournament(lab: Path) -> bool:
    """Fail unless the first tournament is whole or gone, and the second whole; tell whether it is there."""
    with CellStore(lab) as cells:
        names = [record.name for record in cells.tournaments()]
        stored = {job.pair for job in cells.cells(KEYS)}
        assert (names, stored) in ((["t2", "t1"], {"a", "b"}), (["t2"], {"b"}))
    return "t1" in names


@pytest.mark.parametrize(("delete", "check"), [(delete_run, check_run), (delete_tournament, check_tournament)])
def test_a_killed_deletion_leaves_all_of_it_or_nothing(tmp_path, delete, check):
    original = tmp_path / "original"
    make_lab(original)
    measured = shutil.copytree(original, tmp_path / "measured")
    n = n_lines(lambda: delete(measured))
    outcomes = set()
    for line in range(1, n, max(1, n // 60)):
        lab = shutil.copytree(original, tmp_path / "lab")
        at_line(line, lambda lab=lab: delete(lab))
        outcomes.add(check(lab))
        shutil.rmtree(lab)
    assert outcomes == {True, False}
