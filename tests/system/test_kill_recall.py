"""Tests of ``kill -9`` of recall benchmarks: every resume ends in the bits of the undisturbed benchmark."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import cache
from pathlib import Path

import pytest

from simulator.commands import reproduce
from simulator.core import rng
from simulator.store.run_store import Store
from tests.system import killed_recall

pytestmark = pytest.mark.kill

KILLS = 12


@cache
def _processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.system.warm"])
    return context


def _child(lab: Path):
    child = _processes().Process(target=killed_recall.child, args=(lab,))
    child.start()
    return child


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the lab of the undisturbed benchmark, and the seconds that a child takes for it."""
    lab = tmp_path_factory.mktemp("whole")
    nothing = _processes().Process(target=os.getpid)  # loads what children share
    nothing.start()
    nothing.join()
    began = time.perf_counter()
    child = _child(lab)
    child.join()
    assert child.exitcode == 0
    return lab, time.perf_counter() - began


def test_a_killed_benchmark_ends_in_the_same_bits(undisturbed, tmp_path):
    whole, took = undisturbed
    met = 0
    for i, moment in enumerate(rng.generators([7], "bootstrap")[0].random(KILLS)):
        lab = tmp_path / str(i)
        child = _child(lab)
        child.join(moment * took)
        if child.is_alive():
            child.kill()  # which may come too late
            child.join()
            met += child.exitcode != 0
        killed_recall.play(lab)
        with Store(whole) as one, Store(lab) as other:
            assert reproduce.compare(reproduce.rows(one, "r1"), reproduce.rows(other, "r1")) is None
            assert other.find("r1").status == "done"
            assert len(other.find("r1").known("cells")) == killed_recall.CELLS
    assert met > KILLS // 2
