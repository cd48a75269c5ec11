"""Scripts of the store's tests, run in processes of their own: ``python -m tests.system.storing_scripts NAME ...``."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simulator.store.run_store import Rows, RunProgress, Store, StoreError, StoreFailure
from tests.system import storing


def take(lab: str, run: str) -> None:
    """Try to become a run's writer."""
    with Store(lab) as store:
        try:
            store.take(run)
        except StoreError as error:
            print(error)
        else:
            print("taken")


def begin(lab: str, n: str) -> None:
    """Begin and write several runs, once a line arrives on stdin."""
    print("ready", flush=True)
    sys.stdin.readline()
    with Store(lab) as store:
        print(json.dumps([storing.begin(store, 2, 4) for _ in range(int(n))]))


def fill(lab: str, limit: str, what: str) -> None:
    """Write checkpoints until the disk is full; then check what is there, free space, and continue."""
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    ballast = Path(lab) / "ballast"
    with Store(lab) as store:
        ballast.write_bytes(bytes(100_000))
        run = storing.begin(store, 2, 4)
        step, failure = 4, ""
        while not failure and step < 5_000:
            try:
                _grow(store, run, step, what)
                step += 1
            except StoreFailure as error:
                failure = str(error)
        assert failure.count("\n") == 0, failure
        assert "no space for" in failure or "disk full" in failure, failure or "it never was full"
        _still_whole(store, run, step)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ballast.unlink()
        store.checkpoint(run, RunProgress(step + 1), {}, Rows())
        assert store.newest(run).progress.step == step + 1
        print(failure)


def _grow(store: Store, run: str, step: int, what: str) -> None:
    noise = np.random.Generator(np.random.PCG64(step))  # which cannot be compressed
    state = {"noise": noise.random(20_000 * (step - 3) if what == "state" else 0)}
    points = storing.points(0, 1)._replace(point=np.full(3, step), step=np.full(3, step)) if what == "rows" else None
    store.checkpoint(run, RunProgress(step + 1), state, Rows(points))


def _still_whole(store: Store, run: str, step: int) -> None:
    assert store.newest(run).progress.step == store.find(run).step == step
    assert not list(store.folder(run).glob("*.partial"))
    store.points(run)
    storing.check_newest(store, run, 4) if step == 4 else None


def read_only(lab: str, uid: str) -> None:
    """Use a lab that this user may not write."""
    _become(int(uid))
    before = {path: path.stat().st_mtime_ns for path in Path(lab).rglob("*")}
    with Store(lab) as store:
        storing.check_rows(store, "r1", (2, 4))
        storing.check_newest(store, "r1", 4)
        assert [record.run for record in store.runs()] == ["r1"]
        _refused(lambda: store.begin(storing.NEW))
        _refused(lambda: store.take("r1"))
    _refused(lambda: Store(Path(lab) / "new" / "lab"))
    assert before == {path: path.stat().st_mtime_ns for path in Path(lab).rglob("*")}


def hidden(lab: str, uid: str) -> None:
    """Open a lab that this user may not read."""
    _become(int(uid))
    _refused(lambda: Store(lab))


def newest(lab: str, uid: str) -> None:
    """Read a checkpoint that this user may not read."""
    _become(int(uid))
    with Store(lab) as store:
        _refused(lambda: store.newest("r1"))


def _become(uid: int) -> None:
    """Give up the rights of root; 0: there are none to give up."""
    if uid:
        from safetensors import safe_open  # noqa: F401 - while it can still be found

        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)


def _refused(ask: Callable[[], object]) -> None:
    try:
        ask()
    except StoreError as error:
        print(error)
    else:
        raise AssertionError("it was not refused")


if __name__ == "__main__":
    scripts = {script.__name__: script for script in (take, begin, fill, read_only, hidden, newest)}
    scripts[sys.argv[1]](*sys.argv[2:])
