"""``engram demo --view window``: three things that learn, one after the other, with captions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from simulator.commands import run
from simulator.commands.live import recall_window
from simulator.commands.live.driver import announce_compiling, drive
from simulator.commands.live.playback import Playback
from simulator.commands.live.recipe import recipe
from simulator.config import recall
from simulator.config.run import build
from simulator.core.snapshots import LiveChanges, Look
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.watched import WatchedRun, settings_of
from simulator.views.window.app import Window
from simulator.views.window.captioned_page import Caption, CaptionedPage
from simulator.views.window.run_window import LiveRun, RunWindow
from simulator.views.window.training_page import TrainingPage

ROOMS: dict[str, Any] = {
    "seeds": 4,
    "steps": 20_000,
    "agent": {"name": "q_learning", "gamma": 0.8},
    "env": {"name": "rooms", "layout": "six"},
}
ROOMS_AGAIN = "engram run q_learning rooms --agent.gamma 0.8 --seeds 4 --steps 20000 --slow 5 --view window"
FIRST_SPEED = 4.0  # environment steps per second
DOUBLES_EVERY = 3.0  # seconds
POLE_LABEL = "demo: the pole"
POLE = ["run", "--preset", "cartpole-dqn", "--seeds", "1", "--label", POLE_LABEL, "--view", "none"]
DIGITS = {
    "seeds": 1,
    "patterns": [5],
    "corruption": ["flip:0.2"],
    "memory": {"hopfield": {"name": "hopfield", "rule": "pseudo_inverse"}},
    "challenge": {"name": "digits"},
}
CAPTIONS = (
    Caption(
        "1 of 3: Q-learning fills six rooms",
        (
            "A shade is the value of the best passage out of a room, an arrow the greedy policy. Only the goal pays.",
            "Watch the values spread backwards from the goal, room by room, each 0.8 of the one after it, and the",
            "distance to the exact values, max |Q - Q*|, fall to 0. Try 2 for the Q-table, w for all seeds, + and -.",
        ),
    ),
    Caption(
        "2 of 3: DQN balances the pole",
        (
            "Another process trains a network; this window reads its checkpoints and plays what is learned by then.",
            "At first the pole falls at once. When an episode ends and a newer checkpoint is there, that one plays on;",
            "the curve rises towards the threshold. Try 2 for the action values of the moment and the weights.",
        ),
    ),
    Caption(
        "3 of 3: a Hopfield net restores a digit",
        (
            "Five digits are stored in the weights. A fifth of the cue's pixels is flipped. The units are updated one",
            "by one, and each update lowers the energy, until a stored digit is reached: bars compare it with every",
            "pattern, beside the exact posterior. Paint into the cue, store more patterns and see it fail.",
        ),
    ),
)


def show(lab: str, scale: str) -> None:
    """Show the three scenes until the last one, or the window, is closed.

    Raises:
        ValueError: there is no display; one line.
    """
    go_on = _Once()
    window = Window(CaptionedPage(None, CAPTIONS[0], go_on.ask), scale=scale)
    try:
        window.step(0.1)
        with Store(lab) as store:
            _show_rooms(window, store, scale, go_on)
            _wait(window, go_on)
            if window.is_open:
                _show_pole(window, store, lab, go_on)
            if window.is_open:
                digits = recall_window.page_of(recall.build(DIGITS))
                window.show(CaptionedPage(digits, CAPTIONS[2], go_on.ask, "Close"))
                _wait(window, go_on)
    finally:
        window.close()


class _Once:
    """A wish that is asked for once and then taken."""

    def __init__(self) -> None:
        self.is_asked = False

    def ask(self) -> None:
        self.is_asked = True

    def take(self) -> bool:
        asked, self.is_asked = self.is_asked, False
        return asked


def _wait(window: Window, go_on: _Once) -> None:
    while window.is_open and not go_on.take():
        window.step(0.5)


def _show_rooms(window: Window, store: Store, scale: str, go_on: _Once) -> None:
    """Train Q-learning in the six rooms, slow at first, until it is over or the next scene is asked for."""
    announce_compiling()
    config = build(ROOMS)
    look = Look()
    changes = LiveChanges()
    playback = Playback(FIRST_SPEED, doubles_every=DOUBLES_EVERY)
    source = LiveRun(look, settings_of(config), playback.controls, ROOMS_AGAIN, changes)

    def stop() -> None:
        playback.stop_asked = True
        go_on.ask()

    def captioned(live: LiveRun) -> CaptionedPage:
        return CaptionedPage(TrainingPage(live, partial(recipe, str(store.lab))), CAPTIONS[0], stop)

    shown = RunWindow(source, scale, lambda name: None, lambda name, seed: captioned(source), captioned, window)
    playback.keyboard = shown
    snapshots = loop.run(config, store, label="demo: six rooms", stride=playback.stride, look=look, live=changes)
    drive(snapshots, shown, run.begun, playback)


def _show_pole(window: Window, store: Store, lab: str, go_on: _Once) -> None:
    """Let another process train DQN, and watch it until the next scene is asked for."""
    known = {record.run for record in store.runs()}
    window.show(CaptionedPage(None, CAPTIONS[1], go_on.ask))
    with _training_pole(lab):
        new: list[str] = []
        while window.is_open and not new and not go_on.take():
            window.step(0.2)
            new = [record.run for record in store.runs() if record.run not in known and record.label == POLE_LABEL]
        if window.is_open and new:
            page = TrainingPage(WatchedRun(lab, new[0]), partial(recipe, lab))
            window.show(CaptionedPage(page, CAPTIONS[1], go_on.ask))
            _wait(window, go_on)


@contextmanager
def _training_pole(lab: str) -> Iterator[None]:
    """Train DQN in another process until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *POLE, "--lab", lab, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()  # it writes a checkpoint
        process.wait()
