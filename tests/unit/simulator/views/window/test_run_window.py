"""Tests of the window of a run that this process drives: a run whose window goes away goes on."""

from __future__ import annotations

import dataclasses
import math

import pytest

pygame = pytest.importorskip("pygame")

from simulator.commands.live.playback import Playback  # noqa: E402
from simulator.core.protocols import AgentView  # noqa: E402
from simulator.core.scene import Scene  # noqa: E402
from simulator.core.snapshots import LiveChanges, Look, SeedView, Shown  # noqa: E402
from simulator.views.window.run_window import LONGEST_PAUSE, TRAINING_PER_FRAME, LiveRun, RunWindow  # noqa: E402
from tests.helpers.snapshots import snapshot  # noqa: E402

MOST_ASKED = 200  # looks at signals while it waits: a paused run looks ten times a second


class Driven:
    """A run, its window and its speed, as the driver has them."""

    def __init__(self, speed=None):
        self.playback = Playback(speed)
        look = Look()
        look.bind(self.picture)
        self.n_pictures = 0
        self.source = LiveRun(look, {}, self.playback.controls, "engram run q_learning rooms", LiveChanges())
        self.now = self.cpu = 100.0
        clocks = {"clock": lambda: self.now, "cpu_clock": lambda: self.cpu}
        self.window = RunWindow(self.source, "1", lambda run: None, lambda run: None, **clocks)
        self.playback.keyboard = self.window
        self.step = 1_000

    def picture(self):
        self.n_pictures += 1
        return Shown(SeedView(0, AgentView(Scene("a room", facts={"step": str(self.step)}), None, None)))

    def advance(self):
        """Show the next snapshot, and wait until the one after it may be asked for; True: it may be."""
        self.step += 1
        now = dataclasses.replace(snapshot(), step=self.step)
        self.window.show(now)
        asked = 0

        def is_stopped():
            nonlocal asked
            asked += 1
            return asked > MOST_ASKED

        self.playback.wait(now, lambda: self.window.show(now), is_stopped)
        return asked <= MOST_ASKED


@pytest.fixture
def driven(monkeypatch):
    monkeypatch.setattr("simulator.commands.live.playback.TICK_SECONDS", 0.001)
    made = []

    def make(speed=None):
        made.append(Driven(speed))
        return made[-1]

    yield make
    for one in made:
        if one.window._window is not None:
            one.window._window.close()


def _press(*names):
    for name in names:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(name), mod=0, unicode=""))


@pytest.mark.parametrize("speed", [None, 10_000.0])
@pytest.mark.parametrize(
    "keys", [("space", "q"), ("n", "q"), ("space", "n", "escape"), ("space", "space", "space", "q")]
)
def test_a_pause_just_before_the_window_closes_does_not_hold_the_run(driven, speed, keys):
    run = driven(speed)
    assert run.advance()
    _press(*keys)
    assert all(run.advance() for _ in range(3))
    assert not run.window.is_open
    assert not run.playback.paused


def test_keys_before_the_window_closes_while_the_run_waits_do_not_hold_it(driven, monkeypatch):
    run = driven()
    assert run.advance()
    run.playback.paused = True
    window = run.window._window
    step = window.step

    def late(seconds=0.0):
        if seconds > 0:  # not while a snapshot is shown, but between two looks at signals
            monkeypatch.setattr(window, "step", step)
            _press("space", "space", "q")
        return step(seconds)

    monkeypatch.setattr(window, "step", late)
    assert all(run.advance() for _ in range(3))
    assert not run.playback.paused


def test_a_paused_run_waits_until_its_window_is_closed(driven):
    run = driven()
    assert run.advance()
    run.playback.paused = True
    assert not run.advance()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert run.advance()
    assert run.advance()


def test_a_run_goes_on_when_another_library_closes_its_display(driven):
    run = driven()
    assert run.advance()
    run.playback.paused = True
    pygame.display.quit()
    assert run.advance()
    assert run.advance()
    assert not run.playback.paused


def _frames(run, n, seconds, cpu, frame_cpu, monkeypatch):
    """Count the frames of n snapshots that come so many seconds, and CPU seconds, after each other."""
    window = run.window._window
    drawn = []

    def draw():
        drawn.append(1)
        run.cpu += frame_cpu

    monkeypatch.setattr(window, "_draw", draw)
    monkeypatch.setattr(window, "_clock", lambda: run.now)
    monkeypatch.setattr(window, "_drawn", -math.inf)
    for _ in range(n):
        run.now += seconds
        run.cpu += cpu
        run.advance()
    return len(drawn)


def test_at_full_speed_drawing_takes_a_small_share_of_training(driven, monkeypatch):
    run = driven()
    run.advance()
    frames = _frames(run, 300, 0.05, 0.05, 0.005, monkeypatch)
    assert 0.8 < frames * 0.005 * TRAINING_PER_FRAME / (300 * 0.05) <= 1.05
    assert run.n_pictures <= frames + 1  # none for a snapshot that is not drawn


def test_every_step_of_a_slow_run_has_its_picture_though_frames_are_left_out(driven, monkeypatch):
    run = driven(10_000.0)
    run.advance()
    assert _frames(run, 30, 0.01, 0.001, 0.001, monkeypatch) < 15
    assert run.n_pictures == 31


def test_another_seed_of_a_paused_run_is_shown_at_once(driven):
    run = driven()
    run.advance()
    run.source.look.index = 1
    before = run.n_pictures
    assert run.source.shown is run.source.shown
    assert run.n_pictures == before + 1
    run.source.is_busy = True
    run.source.look.index = 0
    assert run.source.shown is not None
    assert run.n_pictures == before + 1


def test_at_full_speed_a_frame_comes_after_the_longest_pause_whatever_it_takes(driven, monkeypatch):
    run = driven()
    run.advance()
    assert _frames(run, 100, 0.1, 0.001, 0.1, monkeypatch) == pytest.approx(10 / LONGEST_PAUSE, abs=1)


def test_slowly_every_snapshot_is_drawn(driven, monkeypatch):
    run = driven(10_000.0)
    run.advance()
    assert _frames(run, 20, 0.1, 0.001, 0.1, monkeypatch) == 20
