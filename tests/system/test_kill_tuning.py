"""Tests of ``kill -9`` of a tuning: it proposes what the undisturbed one would, and its result has the same bits."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.core import rng
from simulator.store.cell_store import CellStore
from tests.helpers.tunings import summary_of, tuned
from tests.system import killed_tuning

pytestmark = pytest.mark.kill

KILLS = 5


@cache
def _processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.system.warm"])
    return context


def _child(lab: Path, processes: bool = False):
    child = _processes().Process(target=killed_tuning.child, args=(lab, processes))
    child.start()
    return child


def test_a_tuning_whose_host_is_killed_again_and_again(tmp_path):
    nothing = _processes().Process(target=os.getpid)  # loads what children share
    nothing.start()
    nothing.join()
    whole, lab = tmp_path / "whole", tmp_path / "lab"
    began = time.perf_counter()
    child = _child(whole)
    child.join()
    assert child.exitcode == 0
    took = time.perf_counter() - began
    with CellStore(whole) as store:
        keys = [pair["key"] for pair in store.find("t1").plan["pairs"]]
    met, stored = 0, []
    for number, moment in enumerate(rng.generators([7], "bootstrap")[0].random(KILLS)):
        child = _child(lab, processes=number % 2 == 1)
        child.join(0.1 + moment * took / 3)
        if child.is_alive():
            child.kill()  # which may come too late
            child.join()
            met += child.exitcode != 0
        stored.append(_stored_at(lab, keys))
    assert met > KILLS // 2
    for before, after in pairwise(stored):
        assert before.items() <= after.items()  # what was evaluated stays, and is not evaluated again
    tuned(lab, killed_tuning.CONFIG)
    assert summary_of(lab) == summary_of(whole)
    assert _stored_at(lab, keys).keys() == _stored_at(whole, keys).keys()
    assert not list((lab / "cells").glob("*-*-*"))


def _stored_at(lab: Path, keys: list[str]) -> dict[object, object]:
    """Return the time that every stored cell of these keys took, which is another one if it is evaluated again."""
    if not (lab / "engram.sqlite3").exists():
        return {}
    with CellStore(lab) as store:
        return {key: cell.cpu_seconds for key, cell in store.cells(keys).items()}
