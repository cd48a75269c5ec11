"""Tests of ``kill -9`` of a tournament and of its workers: the result is that of the undisturbed one, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from simulator.core import rng
from simulator.store.cell_store import CellStore
from tests.helpers.tournaments import numbers, play, summary_of
from tests.system import killed_tournament

pytestmark = pytest.mark.kill

HOSTS, WORKERS = 12, 8  # kills


@cache
def _processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.system.warm"])
    return context


def _child(lab: Path, processes: bool = False):
    child = _processes().Process(target=killed_tournament.child, args=(lab, processes))
    child.start()
    return child


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the lab of the undisturbed tournament, and the seconds that a child takes for it."""
    lab = tmp_path_factory.mktemp("whole") / "lab"
    nothing = _processes().Process(target=os.getpid)  # loads what children share
    nothing.start()
    nothing.join()
    began = time.perf_counter()
    child = _child(lab)
    child.join()
    assert child.exitcode == 0
    return lab, time.perf_counter() - began


def _check(lab: Path, whole: Path) -> None:
    play(lab, killed_tournament.CONFIG)
    assert numbers(lab) == numbers(whole)
    one, other = summary_of(lab), summary_of(whole)
    assert (
        one["cells"]
        == other["cells"]
        == dict(planned=killed_tournament.CELLS, done=killed_tournament.CELLS)
        | {
            "failed": 0,
            "missing": 0,
        }
    )
    assert [one[key] for key in ("ranking", "scores", "divisions")] == [
        other[key] for key in ("ranking", "scores", "divisions")
    ]
    assert not list((lab / "cells").glob("*-*-*"))


def test_a_tournament_whose_host_is_killed_again_and_again(undisturbed, tmp_path):
    whole, took = undisturbed
    lab, met, done = tmp_path / "lab", 0, []
    for moment in rng.generators([7], "bootstrap")[0].random(HOSTS):
        child = _child(lab)
        child.join(0.1 + moment * took / 4)
        if child.is_alive():
            child.kill()  # which may come too late
            child.join()
            met += child.exitcode != 0
        if (lab / "engram.sqlite3").exists():
            with CellStore(lab) as store:
                known = store.tournaments()
                done.append(summary_of(lab)["cells"]["done"] if known else 0)
    assert met > HOSTS // 2
    assert done == sorted(done)  # what was played stays
    _check(lab, whole)


def test_a_tournament_whose_workers_are_killed(undisturbed, tmp_path):
    whole, _ = undisturbed
    lab, met = tmp_path / "lab", 0
    host = _child(lab, processes=True)
    for moment in rng.generators([8], "bootstrap")[0].random(WORKERS):
        until = time.perf_counter() + 10
        workers: list[int] = []
        while not workers and host.is_alive() and time.perf_counter() < until:
            host.join(0.2 + moment)
            workers = _workers_of(host.pid)
        if workers:
            with suppress(ProcessLookupError):
                os.kill(workers[int(moment * len(workers))], signal.SIGKILL)
                met += 1
    host.join()
    assert host.exitcode == 0
    assert met >= WORKERS // 2
    _check(lab, whole)


def _workers_of(pid: int) -> list[int]:
    """Return the processes that a host has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(each) for each in children.read_text().split()] if children.exists() else []
    return [
        each for each in found if "simulator.tournaments.workers.process" in Path(f"/proc/{each}/cmdline").read_text()
    ]
