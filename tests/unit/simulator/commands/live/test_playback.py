"""Tests of the speed of a watched run: paced, paused, step by step, and by keys; the clock moves while it waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simulator.commands.live.keyboard import RIGHT
from simulator.commands.live.playback import FRAME_SECONDS, Playback
from simulator.config.run import build
from simulator.core.snapshots import RunSnapshot, Stride
from simulator.store.run_store import Store
from simulator.training import loop
from tests.helpers.commands import Engram
from tests.helpers.snapshots import snapshot


class Fake:
    """A keyboard and its clock: keys come when their time has."""

    def __init__(self, **pressed: float) -> None:
        self.now = 100.0
        self.pressed = [
            (self.now + at, {"space": " ", "plus": "+", "minus": "-"}.get(k, k)) for k, at in pressed.items()
        ]

    def keys(self, seconds: float) -> list[str]:
        due = [key for at, key in self.pressed if at <= self.now + seconds]
        self.pressed = [each for each in self.pressed if each[1] not in due]
        self.now += seconds
        return due


def watched(playback: Playback, fake: Fake, seconds: float, show: Callable[[], None] = lambda: None) -> int:
    """Drive an endless run for so many seconds of the clock; the steps that it took."""
    step, end = 0, fake.now + seconds
    while fake.now < end and not playback.stop_asked:
        playback.wait(snapshot(step=step), show, lambda: int(fake.now >= end))
        if fake.now < end:
            step += playback.stride.steps or 1000
            fake.now += 0.001  # the step itself
    return step


def made(fake: Fake, speed: float | None, **more: float) -> Playback:
    return Playback(speed, fake, clock=lambda: fake.now, **more)


@pytest.mark.parametrize("speed", [1.0, 10.0, 30.0, 1000.0])
def test_a_slow_run_takes_its_steps_per_second(speed: float) -> None:
    fake = Fake()
    playback = made(fake, speed)
    assert watched(playback, fake, 10.0) == pytest.approx(10 * speed, rel=0.03, abs=1)
    assert playback.stride.steps == max(1, math.ceil(speed * FRAME_SECONDS))
    assert playback.stride.idle_seconds == pytest.approx(10.0, rel=0.3)


def test_at_full_speed_nothing_waits_and_the_loop_chooses_its_steps() -> None:
    fake = Fake()
    playback = made(fake, None)
    playback.wait(snapshot(step=5), lambda: None, lambda: 0)
    assert (fake.now, playback.stride.steps, playback.stride.idle_seconds) == (100.0, 0, 0.0)


def test_space_pauses_and_n_makes_one_step() -> None:
    fake = Fake(space=2.02)
    playback = made(fake, 10.0)
    assert watched(playback, fake, 5.0) == pytest.approx(20, abs=1)
    assert playback.paused
    assert playback.controls().keys[0] == "space continue"
    for key in ("n", RIGHT):
        fake.pressed = [(fake.now, key)]
        assert watched(playback, fake, 5.0) == 1
    fake.pressed = [(fake.now, " ")]
    assert watched(playback, fake, 5.0) == pytest.approx(50, abs=1)


def test_n_pauses_a_run_that_goes_on() -> None:
    fake = Fake(n=1.02)
    playback = made(fake, 10.0)
    assert watched(playback, fake, 5.0) == pytest.approx(10, abs=1)
    assert playback.paused


def test_keys_change_the_speed() -> None:
    fake = Fake()
    playback = made(fake, 10.0)
    speeds: list[float | None] = []
    for key in ("+", "+", "-", "_", "-", "f", "+", "-", "="):
        fake.pressed = [(fake.now, key)]
        playback.wait(snapshot(step=0), lambda: None, lambda: 0)
        speeds.append(playback.speed)
    assert speeds == [20, 50, 20, 10, 5, None, None, 5, 10]


def test_q_stops_and_other_keys_do_nothing() -> None:
    fake = Fake(x=1.0, q=3.02)
    playback = made(fake, 10.0)
    drawn: list[float] = []
    assert watched(playback, fake, 9.0, lambda: drawn.append(fake.now)) == pytest.approx(30, abs=2)
    assert playback.stop_asked
    assert drawn == []


def test_a_key_draws_the_page_again() -> None:
    fake = Fake(space=1.02)
    drawn: list[float] = []
    watched(made(fake, 1.0), fake, 3.0, lambda: drawn.append(fake.now))
    assert len(drawn) == 1


def test_a_doubling_speed_and_a_key_that_skips() -> None:
    fake = Fake()
    playback = made(fake, 20.0, doubles_every=1.0, any_key_skips=True)
    assert watched(playback, fake, 6.0) == pytest.approx(20 * 63 / np.log(2), rel=0.1)
    assert playback.controls().keys == ("any key skips to the end",)
    fake.pressed = [(fake.now, "q")]
    playback.wait(snapshot(), lambda: None, lambda: 0)
    assert (playback.speed, playback.stop_asked) == (None, False)


def test_without_a_keyboard_no_keys_are_named() -> None:
    assert Playback(10.0).controls().keys == ()


@pytest.mark.parametrize(
    ("agent", "env"),
    [
        ("q_learning", {"name": "rooms", "layout": "cliff"}),
        ("q_learning", {"name": "CartPole-v1"}),
        ("reinforce", {"name": "rooms"}),
    ],
    ids=["rollouts", "single steps", "networks"],
)
def test_the_results_of_a_watched_run_are_those_of_any_other(agent: str, env: dict[str, str], tmp_path: Path) -> None:
    """Hold for all steps between snapshots, however often they change."""

    def played(name: str, strides: list[int]) -> tuple[RunSnapshot, object]:
        stride, steps = Stride(), []
        config = build({"seeds": 3, "steps": 260, "eval_every": 100, "agent": {"name": agent}, "env": env})
        with Store(tmp_path / name) as store:
            for n, last in enumerate(loop.run(config, store, stride=stride)):
                stride.steps = strides[n % len(strides)]
                steps.append(last.step)
            saved = store.newest(last.id)
        if strides == [1]:
            assert set(range(260)) <= set(steps)
        return last, saved.state

    (usual, state), *others = played("a", [0]), played("b", [1]), played("c", [7, 0, 1, 64])
    for last, its_state in others:
        np.testing.assert_equal(last.curve, usual.curve)
        np.testing.assert_equal(last.evaluations, usual.evaluations)
        np.testing.assert_equal(its_state, state)


def test_slow_stands_with_a_number_or_alone(engram: Engram, clean_folder: Path) -> None:
    words = ["run", "q_learning", "rooms", "--steps", "4", "--seeds", "1", "--eval-episodes", "1", "--json"]
    for slow in (["--slow", "1000"], ["--slow=1e3"], ["--slow"]):
        assert engram(*words, *slow).json["steps"] == 4
    assert engram("run", "--slow", *words[1:]).json["steps"] == 4
    for bad in ("0", "-1", "nan", "2e9"):
        assert f"--slow {bad}: expected" in engram(*words, "--slow", bad, code=2).err
    assert "--slow: nothing is shown with --view none" in engram(*words, "--slow", "--view", "none", code=2).err
    assert "--slow" in engram("run", "--help").out
