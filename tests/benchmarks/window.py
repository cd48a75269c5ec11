"""Cost of what is drawn: frames of every tab of the window, watching, and recordings; software drawing, CPU time.

Windows are of 1280x800 under SDL's dummy driver, which shows nothing: what a display takes for a frame is not in it.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.commands.live.driver import drive
from simulator.commands.live.playback import Playback
from simulator.commands.record import Reel
from simulator.config.run import build
from simulator.core.protocols import Array
from simulator.core.snapshots import LiveChanges, Look
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.episode_player import EpisodePlayer
from simulator.training.session import Session
from simulator.views.recording import pages
from simulator.views.recording.gif import GifWriter
from simulator.views.recording.png import ApngWriter
from tests.benchmarks import _watching
from tests.benchmarks._clock import ROUNDS, cpu_seconds, show
from tests.benchmarks._watching import (
    counted,
    cpu_of,
    engram,
    megabytes_of,
    page_of,
    players,
    press,
    timed,
    window_on,
    work,
)

FRAMES = 100
SIZE = (640, 400)
RUNS: Mapping[str, Mapping[str, Any]] = {
    "rooms 19x19": {
        "agent": {"name": "q_learning"},
        "env": {"name": "rooms", "layout": "maze", "size": 19},
        "steps": 50_000,
    },
    "cart and pole": {"agent": {"name": "dqn"}, "env": {"name": "CartPole-v1"}, "steps": 2_000},
}
FORMATS = {"gif": GifWriter, "apng": ApngWriter}

TAB_FRAMES = 30  # drawn of every tab, each of a new moment
WATCH_SECONDS = 20.0  # that a window is watched for the share of a core that it takes
RATE_SECONDS = 3.0  # for the frames that it draws in a second
PAIRS = 5  # of a run alone and one that is watched
GROWTH_FRAMES = 100_000
GROWTH_SIZE = (640, 400)
FRAMES_OF_MOMENT = 10  # of them
WARM_FRAMES = 2_500  # before them, each of a new moment, until everything that is kept is full
MAZE = ("q_learning", "rooms", "--env.layout", "maze", "--env.size", "19", "--env.start", "random")
WATCHED_STEPS = 60_000_000  # of 4 seeds: seven seconds of CPU
DRIVEN = {
    "seeds": 4,
    "steps": 30_000_000,
    "eval_every": 30_000_000,
    "agent": {"name": "q_learning"},
    "env": {"name": "rooms", "layout": "maze", "size": 19, "start": "random"},
    "threads": 1,
}


class Tabs(NamedTuple):
    """An experiment, and the keys that lead from one of its tabs to the next."""

    name: str
    words: Sequence[str]
    tabs: Mapping[str, Sequence[str]]


RUN_TABS = {"curves": "1", "inside": "2", "settings": "3", "wall of all seeds": "1w"}
INSIDE = {"inside": "2"}
FEW = ("--seeds", "2", "--eval-episodes", "1")
EXPERIMENTS = (
    Tabs("rooms 19x19, 16 seeds", ("run", *MAZE, "--seeds", "16", "--steps", "100000"), RUN_TABS),
    Tabs("six rooms", ("run", "q_learning", "rooms", "--seeds", "4", "--steps", "2000"), {"curves": "1", **INSIDE}),
    Tabs("dqn, cart and pole", ("run", "dqn", "cartpole", *FEW, "--steps", "2500"), {"curves": "1", **INSIDE}),
    Tabs("reinforce", ("run", "reinforce", "cartpole", *FEW, "--steps", "3000"), INSIDE),
    Tabs(
        "table of transitions",
        ("run", *MAZE, *FEW, "--agent.model", "table", "--agent.model.planning", "prioritized", "--steps", "3000"),
        INSIDE,
    ),
    Tabs("vae as a model", ("run", "dqn", "cartpole", "--agent.model", "vae", *FEW, "--steps", "600"), INSIDE),
    Tabs("gan as a model", ("run", "dqn", "cartpole", "--agent.model", "gan", *FEW, "--steps", "600"), INSIDE),
    Tabs("vae as an encoder", ("run", "dqn", "cartpole", "--agent.encoder", "vae", *FEW, "--steps", "600"), INSIDE),
    Tabs("lstm", ("run", "dqn", "repeat_previous", "--agent.recurrence", "lstm", *FEW, "--steps", "600"), INSIDE),
    Tabs("bonus by counts", ("run", *MAZE, *FEW, "--agent.intrinsic", "counts", "--steps", "3000"), INSIDE),
)
RECALL_TABS = {"overlaps": "1", "weights": "2", "samples": "3", "codes": "4"}
RECALLS = {"hopfield, 784 units": "hopfield", "boltzmann": "boltzmann", "rbm": "rbm", "autoencoder": "autoencoder"}


def main(json: bool) -> dict[str, Any]:
    """CPU milliseconds of a frame of every tab, shares of a core, losses of runs, memory, and recordings."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    found: dict[str, Any] = {"load of the machine": {"at the beginning": os.getloadavg()[0]}}
    with tempfile.TemporaryDirectory() as folder:
        lab = str(Path(folder, "lab"))
        found["ms of CPU for a frame"] = dict(_tabs(folder))
        maze = engram(lab, "run", *MAZE, "--seeds", "16", "--steps", "150000", "--view", "none")["run"]
        found["frames in a second"] = _rates(lab, maze)
        found["% of a core"] = _shares(lab, maze)
        found["opening"] = _opening(lab, maze)
        found["loss of steps per CPU-second, %"] = {
            "watched from another process": _loss(lambda watched: _run_beside(folder, watched)),
            "driven by the window": _loss(_run_driven),
            "of it, pictures and frames": _spread([_run_driven(True).drawing for _ in range(3)]),
        }
        found[f"MB after {GROWTH_FRAMES:,} frames"] = _growth(lab, maze)
    found["recording of 100 frames"] = {name: _recording(RUNS[name]) for name in RUNS}
    found["load of the machine"]["at the end"] = os.getloadavg()[0]
    return show(__doc__, found, json)


def _tabs(folder: str) -> Iterator[tuple[str, float]]:
    """Measure the frames of every tab of every experiment: names, and medians in milliseconds of CPU."""
    lab = str(Path(folder, "tabs"))
    for name, words, tabs in EXPERIMENTS:
        engram(lab, *words, "--view", "none")
        yield from _frames_of(name, page_of(lab), tabs)
    images = str(Path(folder, "digits.npy"))
    np.save(images, _large_digits())
    for name, memory in RECALLS.items():
        challenge = ("images", "--challenge.path", images, "--challenge.levels", "two", "--patterns", "20")
        given = challenge if "784" in name else ("digits", "--patterns", "10")
        engram(lab, "recall", memory, *given, "--corruption", "flip:0.2", "--seeds", "1", "--view", "none")
        yield from _frames_of(f"recall, {name}", page_of(lab), RECALL_TABS)
    league = ("--agents", "q_learning", "td", "random_walk", "--envs", "rooms", "FrozenLake-v1", "CliffWalking-v1")
    engram(lab, "tournament", *league, "--seeds", "8", "--steps", "1000", "--view", "none")
    yield from _frames_of("tournament, 3 x 3 cells", page_of(lab, "t1"), {"": ""})
    yield from _frames_of("play in rooms", _sitting(folder), {"": ""}, ("right", "left"))


def _large_digits() -> Array:
    """Return handwritten digits of 28x28 pixels, uint8 [20, 28, 28], made of those of 8x8 that scikit-learn ships."""
    from sklearn.datasets import load_digits

    small = load_digits().images[:20]
    rows = np.arange(28) * 8 // 28
    return (small[:, rows][:, :, rows] / 16 * 255).astype(np.uint8)


def _sitting(folder: str) -> Any:
    """Make the page of play in the six rooms."""
    from simulator.config import codec
    from simulator.config.play import PlayConfig
    from simulator.play.host import Host
    from simulator.play.session import EnvSession
    from simulator.views.window.play_page import PlayPage

    config = codec.build(PlayConfig, {"env": {"name": "rooms", "layout": "four"}})
    session = EnvSession(config.env, config.env_settings, config.first_seed)
    return PlayPage(Host(Store(str(Path(folder, "play"))), config, session), "engram play rooms")


def _frames_of(
    name: str, page: Any, tabs: Mapping[str, Sequence[str]], keys_on: Sequence[str] = "n"
) -> Iterator[tuple[str, float]]:
    """Measure the frames of the tabs of a page, in each of which the next of some keys goes one moment on."""
    go_on = itertools.cycle(keys_on)
    with window_on(page) as window:
        source = getattr(page, "source", None)
        for tab, keys in tabs.items():
            press(window, [*keys])
            work(window, 0.3)
            if source is not None:
                source.speed.pause(True)
            window._draw()
            frames = counted(window)
            for _ in range(TAB_FRAMES):
                if source is None:
                    press(window, [next(go_on)])
                else:
                    _go_on(page)
                window._draw()
            yield f"{name}: {tab}" if tab else name, 1e3 * statistics.median(frames)
            del window._draw


def _go_on(page: Any) -> None:
    """Go one moment on in an episode that is played."""
    source = page.source
    before = source.moment
    source.speed.step()
    end = time.monotonic() + 5.0
    while source.moment is before and time.monotonic() < end:
        page.poll()
        time.sleep(0.0005)


def _rates(lab: str, run: str) -> dict[str, float]:
    """Count the frames that are drawn in a second, at full speed and while nothing changes."""
    found = {}
    page = page_of(lab, run)
    with window_on(page) as window:
        frames = counted(window)
        for name, act in (("full speed", page.source.speed.full), ("paused", lambda: page.source.speed.pause(True))):
            act()
            work(window, 1.0)
            frames.clear()
            work(window, RATE_SECONDS)
            found[name] = len(frames) / RATE_SECONDS
    return found


def _shares(lab: str, run: str) -> dict[str, float]:
    """Measure what watching takes, of the window and of the process that plays for it."""
    found = {}
    page = page_of(lab, run)
    with window_on(page) as window:
        (player,) = players()
        for name, paused in (("10 steps/s", False), ("paused", True)):
            page.source.speed.pause(paused)
            work(window, 1.0)
            began = time.process_time(), cpu_of(player), time.monotonic()
            work(window, WATCH_SECONDS)
            seconds = time.monotonic() - began[2]
            found[f"{name}, window"] = 100 * (time.process_time() - began[0]) / seconds
            found[f"{name}, player"] = 100 * (cpu_of(player) - began[1]) / seconds
            found[name] = found[f"{name}, window"] + found[f"{name}, player"]
    return found


def _opening(lab: str, run: str) -> dict[str, dict[str, float]]:
    """Measure the time from the command to the first frame, and to the first picture of the environment."""
    rows = []
    for _ in range(5):
        words = [sys.executable, "-m", "tests.benchmarks._opening", lab, run, repr(time.time())]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2])
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: _spread([row[name] for row in rows]) for name in rows[0]}


class Trained(NamedTuple):
    """Speed of a run, and the share of it that went into drawing."""

    rate: float  # environment steps of all seeds per CPU-second of its process
    drawing: float = 0.0  # % of its CPU time in pictures and frames


def _loss(train: Callable[[bool], Trained]) -> dict[str, float]:
    """Compare a run alone and one with a window, one after the other, the first of them in turns."""
    train(True)  # compiles, and fills the caches
    losses = []
    for pair in range(PAIRS):
        order = (False, True) if pair % 2 == 0 else (True, False)
        rates = {watched: train(watched).rate for watched in order}
        losses.append(100 * (1 - rates[True] / rates[False]))
    return _spread(losses)


def _run_beside(folder: str, watched: bool) -> Trained:
    """Train in a process, with a window of another one on it or without."""
    lab = str(Path(folder, f"beside-{time.monotonic_ns()}"))
    words = [*_watching.ENGRAM, "run", *MAZE, "--seeds", "4", "--steps", str(WATCHED_STEPS), "--threads", "1"]
    words += ["--eval-every", str(WATCHED_STEPS), "--view", "none", "--json", "--lab", lab]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as trained:
        watcher = None
        if watched:
            while not Path(lab, "runs", "r1").is_dir():
                time.sleep(0.05)
            watcher = subprocess.Popen([*_watching.ENGRAM, "watch", "r1", "--lab", lab], stderr=subprocess.DEVNULL)
        assert trained.stdout is not None
        rate = float(json.loads(trained.stdout.read())["steps_per_cpu_second"])
        if watcher is not None:
            assert watcher.poll() is None, "the watcher ended before the run"
            watcher.terminate()
            watcher.wait()
    return Trained(rate)


def _run_driven(watched: bool) -> Trained:
    """Train here at full speed, with a window that draws it or without."""
    from simulator.training.watched import settings_of
    from simulator.views.window.app import Window
    from simulator.views.window.captioned_page import Caption, CaptionedPage
    from simulator.views.window.run_window import LiveRun, RunWindow

    config = build(DRIVEN)
    with tempfile.TemporaryDirectory() as lab, Store(lab) as store:
        playback, look, changes, view = Playback(), Look(), LiveChanges(), None
        shared = None
        drawing: list[float] = []
        if watched:
            source = LiveRun(look, settings_of(config), playback.controls, "engram run", changes)
            shared = Window(CaptionedPage(None, Caption("", ()), str), scale=1.0)
            view = RunWindow(source, "1", str, str, window=shared)
            view.show = timed(view.show, drawing)
            playback.keyboard = view
        began = time.process_time()
        snapshots = loop.run(config, store, stride=playback.stride, look=look if watched else None, live=changes)
        drive(snapshots, view, lambda snapshot: None, playback if watched else None)
        seconds = time.process_time() - began
        if shared is not None:
            shared.close()
    return Trained(config.seeds * config.steps / seconds, 100 * sum(drawing) / seconds)


def _growth(lab: str, run: str) -> dict[str, float]:
    """Measure how much the memory of a watcher and of its player grows while an episode after the other is drawn."""
    page = page_of(lab, run)
    with window_on(page, GROWTH_SIZE) as window:
        ids = {"window": os.getpid(), "player": players()[0]}
        page.source.speed.pause(True)
        for _ in range(WARM_FRAMES):
            _go_on(page)
            window._draw()
        before = {name: megabytes_of(pid) for name, pid in ids.items()}
        for _ in range(GROWTH_FRAMES // FRAMES_OF_MOMENT):
            _go_on(page)
            for _ in range(FRAMES_OF_MOMENT):
                window._draw()
        return {f"{name}, more than at first": megabytes_of(pid) - before[name] for name, pid in ids.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _recording(run: Mapping[str, Any]) -> dict[str, Any]:
    session = Session(build({**run, "seeds": 2, "threads": 1}))
    session.play(int(run["steps"]))
    list(_frames(session))  # compiles, and renders the letters
    found: dict[str, Any] = {"play and draw, CPU s": _median(lambda: list(_frames(session)))}
    frames = list(_frames(session))
    for name, make in FORMATS.items():
        file = io.BytesIO()
        _write(make(file), frames)
        found[f"{name}, CPU s"] = _median(lambda make=make: _write(make(io.BytesIO()), frames))  # type: ignore[misc]
        found[f"{name}, kB"] = len(file.getvalue()) / 1000
    return found


def _frames(session: Session) -> Iterator[Array]:
    """Draw the first moments of the evaluation's episodes, each [H, W, 3]."""
    page = pages.PixelPage(SIZE, 1.0, "benchmark", "")
    reel = Reel(EpisodePlayer(session), n_episodes=FRAMES)
    for _, shown in itertools.islice(reel, FRAMES):
        yield page.draw(shown)


def _write(writer: Any, frames: list[Array]) -> None:
    for frame in frames:
        writer.add(frame, 0.1)
    writer.close()


def _median(work: Any) -> float:
    return statistics.median(cpu_seconds(work) for _ in range(ROUNDS))
