"""Cost of what is drawn: recordings of 100 frames of 640x400, drawn and written."""

from __future__ import annotations

import io
import itertools
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.commands.record import Reel
from simulator.config.run import build
from simulator.core.protocols import Array
from simulator.training.episode_player import EpisodePlayer
from simulator.training.session import Session
from simulator.views.recording import pages
from simulator.views.recording.gif import GifWriter
from simulator.views.recording.png import ApngWriter
from tests.benchmarks._clock import ROUNDS, cpu_seconds, show

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


def main(json: bool) -> dict[str, Any]:
    """CPU seconds and kilobytes of recordings, by environment; at most 1 s and 300 kB for a GIF is the aim."""
    return show(__doc__, {"recording of 100 frames": {name: _recording(RUNS[name]) for name in RUNS}}, json)


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
