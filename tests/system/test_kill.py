"""Tests of ``kill -9`` of training runs: every resume ends in the bits of the undisturbed run, no row twice or lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from simulator.config.codec import of_record
from simulator.config.run import RunConfig, build
from simulator.core import rng
from simulator.store.run_store import Store
from tests.system import killed

pytestmark = pytest.mark.kill

KILLS, BATCHES = 80, 10  # over all kinds of runs; every first run of a batch is killed once more while it goes on


@cache
def _processes():
    """Return a fork server that has everything loaded and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.system.warm"])
    return context


def _rows(lab: Path):
    with Store(lab) as store:
        record = store.runs()[0]
        return record, store.points(record.run), store.evaluations(record.run)


@pytest.fixture(scope="module", params=killed.STEPS)
def undisturbed(request, tmp_path_factory):
    """Return the settings of a run, its undisturbed result, and the seconds that a child takes for it."""
    config = killed.settings(request.param, killed.STEPS[request.param])
    lab = tmp_path_factory.mktemp("whole")
    child = _processes().Process(target=killed.child, args=(lab, config))
    _wait_for_preload()
    began = time.perf_counter()
    child.start()
    child.join()
    assert child.exitcode == 0
    return config, _rows(lab), time.perf_counter() - began


def _wait_for_preload():
    nothing = _processes().Process(target=os.getpid)
    nothing.start()
    nothing.join()


def _kill_after(seconds: float, lab: Path, config) -> bool:
    """Start a child, kill it so many seconds later, and return True if it was still running."""
    child = _processes().Process(target=killed.child, args=(lab, config))
    child.start()
    child.join(seconds)
    if child.is_alive():
        child.kill()  # which may come too late
        child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_killed_run_ends_in_the_same_bits(undisturbed, batch, tmp_path):
    config, (record, points, evaluations), took = undisturbed
    moments = rng.generators([batch], "bootstrap")[0].random(KILLS // BATCHES // len(killed.STEPS))
    for i, moment in enumerate(moments):
        lab, after = tmp_path / f"{i}-0", moment * took
        while not _kill_after(after, lab, config):  # it was done already: sooner, then
            lab, after = tmp_path / f"{i}-{after}", after / 2
        if i == 0:  # one of them is killed again while it goes on
            _kill_after(after / 2, lab, config)
        killed.play(lab, config)
        again, more_points, more_evaluations = _rows(lab)
        assert (again.status, again.step, again.settings_hash) == ("done", record.step, record.settings_hash)
        for here, there in zip(points, more_points, strict=True):
            np.testing.assert_array_equal(here, there)
        assert len(evaluations) == len(more_evaluations)
        for here, there in zip(evaluations, more_evaluations, strict=True):
            assert here[:4] == there[:4]
            np.testing.assert_array_equal(here.returns, there.returns)


def test_a_killed_run_is_not_listed_as_running(undisturbed, tmp_path):
    config, _, took = undisturbed
    lab = tmp_path / "0"
    after = took * 0.6
    while not _kill_after(after, lab, config):
        lab, after = tmp_path / f"{after}", after / 2
    with Store(lab) as store:
        known = store.runs()
        assert [record.status for record in known] in (["running"], [], ["done"])  # it may have come to its end before
        assert not any(store.is_written(record.run) for record in known)


@pytest.mark.parametrize("checkpoint_every", [0.0, 1e9], ids=["often", "never"])
@pytest.mark.parametrize(("moment", "n_recorded"), [("before", 0), ("after", 1), ("later", 3)])
def test_a_run_that_was_changed_live_and_killed_is_the_run_that_its_stored_settings_say(
    tmp_path, moment, n_recorded, checkpoint_every
):
    env = {"name": "rooms", "layout": "four", "editable": True}
    players = {"seeds": 2, "agent": {"name": "q_learning"}, "env": env, "eval_every": 200}
    config = build({"steps": 1_000, "eval_episodes": 2, "threads": 1, **players})
    asked = {150: "wall 3 6", 400: "goal 2 2", 600: "epsilon 0.4"}
    child = _processes().Process(
        target=killed.live_child, args=(tmp_path / "live", config, asked, moment, checkpoint_every)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with Store(tmp_path / "live") as store:
        stored = of_record(RunConfig, store.find("r1"))
    assert stored.changes == tuple(f"{step} {what}" for step, what in asked.items())[:n_recorded]
    killed.play(tmp_path / "live", stored)
    killed.play(tmp_path / "fresh", stored)
    record, points, evaluations = _rows(tmp_path / "live")
    again, more_points, more_evaluations = _rows(tmp_path / "fresh")
    assert (record.status, record.settings_hash) == ("done", again.settings_hash)
    for here, there in zip(points, more_points, strict=True):
        np.testing.assert_array_equal(here, there)
    assert [row[:4] for row in evaluations] == [row[:4] for row in more_evaluations]
