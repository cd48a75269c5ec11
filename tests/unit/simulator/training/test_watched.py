"""Tests of watching a stored run: attach, follow, detach, and what is watched going away."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.episode_player import size_of
from simulator.training.watched import WatchedRun

pytestmark = pytest.mark.slow

STEPS = 400
CONFIG = {"seeds": 2, "steps": STEPS, "agent": {"name": "q_learning"}, "env": {"name": "rooms"}, "threads": 1}
PATIENCE = 60.0  # seconds, for a process that starts on a busy machine


@pytest.fixture
def lab(tmp_path):
    return str(tmp_path / "lab")


@pytest.fixture
def watched(lab):
    made = []

    def watch(run, **more):
        made.append(WatchedRun(lab, run, **more))
        return made[-1]

    yield watch
    for one in made:
        one.close()


def _run(lab, stop_at=None, run=None):
    with Store(lab) as store:
        *_, last = loop.run(build(CONFIG), store, run, stop_at=stop_at)
    return last.id


def _until(watched, reached):
    """Poll as a window does, until something is reached."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, watched.status
        watched.poll()
        time.sleep(min(watched.next_poll, 0.02))


def _files(lab):
    """Return every file of the runs, with its time and size."""
    found = {}
    for folder, _, names in os.walk(os.path.join(lab, "runs")):
        for name in names:
            state = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (state.st_mtime_ns, state.st_size)
    return found


def test_episodes_are_those_of_the_newest_checkpoint_and_nothing_is_written(lab, watched):
    run = _run(lab)
    before = _files(lab)
    source = watched("latest", seed=1)
    assert source.shown is None
    _until(source, lambda: source.shown is not None)
    assert source.shown.shown.seed == 1
    assert f"as of step {STEPS:,}" in source.status
    _until(source, lambda: source.moment.t >= 1 or source.moment.episode > 1)
    assert len(source.shown.path) == source.moment.t + 1
    assert source.command() == f"engram watch {run} --seed 1 --lab {lab}"
    source.close()
    assert _files(lab) == before


def test_a_newer_checkpoint_takes_over_where_an_episode_ends(lab, watched):
    run = _run(lab, stop_at=100)
    source = watched(run)
    _until(source, lambda: source.moment is not None)
    assert source.moment.trained_steps == 100
    assert source.snapshot.step == 100
    _run(lab, run=run)
    _until(source, lambda: source.snapshot.step == STEPS)
    _until(source, lambda: source.moment.trained_steps == STEPS)
    assert source.moment.episode == 1


def test_steps_go_back_and_forth_through_the_same_moments(lab, watched):
    source = watched(_run(lab))
    _until(source, lambda: source.moment is not None and len(source._moments) >= 3)
    last = source.moment
    source.step_back()
    source.step_back()
    before = source.moment
    assert (before.episode, before.t) != (last.episode, last.t)
    assert source.speed.is_paused
    source.speed.step()
    source.speed.step()
    for _ in range(2):
        source.poll()
    assert source.moment is last


def test_all_seeds_and_the_inside_are_shown_where_they_are_asked_for(lab, watched):
    source = watched(_run(lab))
    _until(source, lambda: source.shown is not None)
    assert source.shown.wall == ()
    assert source.shown.panels == ()
    source.wall = source.inside = True
    _until(source, lambda: source.shown.wall)
    assert [seed.seed for seed in source.shown.wall] == [0, 1]
    assert {"action values now", "Q-table"} <= {panel.title for panel in source.shown.panels}


def test_moments_share_what_does_not_change_and_are_kept_up_to_a_number(lab, watched, monkeypatch):
    source = watched(_run(lab))
    _until(source, lambda: source.moment is not None and len(source._moments) >= 3)
    first, *rest = [moment.view for moment in source._moments]
    for view in rest:
        assert view.values is first.values
        assert view.greedy is first.greedy
        assert view.scene.places is first.scene.places
        assert view.scene.rooms is first.scene.rooms
    monkeypatch.setattr("simulator.training.watched.MAX_MOMENTS", 5)
    source.speed.full()
    for _ in range(3):
        seen = source.moment
        _until(source, lambda seen=seen: source.moment is not seen)
    assert len(source._moments) <= 5
    assert source._bytes == sum(map(size_of, source._moments))


def test_a_run_that_is_deleted_under_it_is_said(lab, watched):
    run = _run(lab)
    source = watched(run)
    _until(source, lambda: source.shown is not None)
    with Store(lab) as store:
        store.hold(run)
        store.delete(run)
    _until(source, lambda: "no run" in source.status or "unknown" in source.status or "gone" in source.status)
    assert "\n" not in source.status
    assert source.shown is not None


def test_a_writer_that_died_is_said(lab, watched):
    with Store(lab) as store:
        snapshots = loop.run(build(CONFIG), store, checkpoint_every=0.0)
        run = next(snapshots).id
        while store.find(run).step == 0:
            next(snapshots)
        source = watched(run)
        assert source.snapshot.phase == "running"
        store.release(run)  # as the system does for a process that was killed
        assert WatchedRun(lab, run).snapshot.phase == "stopped"
        with pytest.raises(Exception, match="writer"):
            list(snapshots)


def test_a_player_that_was_killed_begins_again_when_asked(lab, watched):
    source = watched(_run(lab))
    _until(source, lambda: source.shown is not None)
    os.kill(source._process._process.pid, signal.SIGKILL)
    _until(source, lambda: "has ended" in source.status)
    assert source.next_poll <= 1.0
    source.begin_again()
    _until(source, lambda: source.moment is not None)
    assert "has ended" not in source.status


def test_closing_ends_the_player(lab, watched):
    source = watched(_run(lab))
    assert multiprocessing.active_children()
    source.close()
    assert not multiprocessing.active_children()


def test_a_seed_that_the_run_does_not_have_is_refused(lab):
    run = _run(lab)
    with pytest.raises(ValueError, match="--seed 7: expected one of 0, 1"):
        WatchedRun(lab, run, 7)
    with pytest.raises(ValueError, match="r9"):
        WatchedRun(lab, "r9")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
def test_a_watcher_keeps_no_pipe_open(lab, watched):
    source = watched(_run(lab))
    _until(source, lambda: source.shown is not None)
    (player,) = multiprocessing.active_children()
    streams = [os.readlink(f"/proc/{player.pid}/fd/{number}") for number in range(3)]
    assert streams == [os.devnull] * 3  # who waits for the end of the watcher's stdout does not wait for this one
    n_open = len(os.listdir("/proc/self/fd"))
    source.begin_again()
    source.begin_again()
    assert len(os.listdir("/proc/self/fd")) == n_open
    with pytest.raises(ValueError, match="--seed 9"):
        WatchedRun(lab, "latest", seed=9)
    source.close()
    source.close()
    assert not multiprocessing.active_children()
    assert len(os.listdir("/proc/self/fd")) < n_open


def test_beginning_again_while_a_policy_plays_or_loads_keeps_its_process(lab, watched):
    source = watched(_run(lab))
    assert source.is_loading
    process = source._process
    source.begin_again()
    source.speed.pause()
    _until(source, lambda: source.shown is not None and not source.is_loading)
    assert source._process is process
    assert (source.moment.episode, source.moment.t) == (1, 0)
    source.speed.pause(False)
    _until(source, lambda: source.moment.t > 0 or source.moment.episode > 1)
    source.watch(1)
    assert source.is_loading
    assert source.index == 1
    _until(source, lambda: not source.is_loading)
    assert source._process is process
    assert source.moment.seed == 1
