"""``engram record``: episodes of a stored run as a moving picture, drawn without a window or a display.

The episodes are those of the run's evaluation, played by what it has learned by its newest checkpoint. Frames are
written as they are drawn; the file appears when it is complete.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of
from simulator.console import format_bytes, print_result, print_status
from simulator.core.files.escaping import visible
from simulator.core.stopping import Stopped
from simulator.core.wording import plural

if TYPE_CHECKING:
    from simulator.core.protocols import AgentView
    from simulator.core.scene import Panel
    from simulator.core.snapshots import RunSnapshot, Shown
    from simulator.training.episode_player import EpisodePlayer, Moment

ENDINGS = (".gif", ".apng", ".png", ".mp4", ".cast")
EPISODES = 3
FPS = 10  # of an environment that has no pace of its own
MAX_FPS = 50
MAX_STEPS = 1_000  # of an episode
END_SECONDS = 1.0  # that the last moment of an episode is shown for
SIZE = (640, 400)  # units, pixels at scale 1
TERMINAL_SIZE = (80, 24)  # columns and lines
MIN_SIZE, MAX_SIZE = 64, 4096
MIN_TERMINAL_SIZE, MAX_TERMINAL_SIZE = 10, 500


def act(args: ParsedArgs) -> CommandResult:
    """Record what is named."""
    from simulator.commands.live.driver import Wait, telling

    try:
        with _stopped_by_signals(), telling(Wait(unseen=True, doing=f"recording {args.names[0]}")):
            return CommandResult(_record(args.names, args.options), show)
    except Stopped as stopped:
        print_status(f"engram: {signal.Signals(stopped.number).name}: nothing was written")
        return CommandResult(None, show, 128 + stopped.number)


def show(data: Mapping[str, Any]) -> None:
    """Say what is written."""
    n = data["episodes"]
    what = f"{plural(n, 'episode')} of {data['run']}, seed {data['seed']}"
    returns = f"return {', '.join(f'{value:g}' for value in data['returns'])}; " if data["returns"] else ""
    size = " x ".join(map(str, data["size"]))
    print_result(
        visible(f"{data['file']} is written: {what}; {returns}{size}, {format_bytes(data['bytes'])}"),
    )


def _record(names: list[str], options: Options) -> dict[str, Any]:
    from simulator.core.files.writing import check_place, replacing
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training import episode_player
    from simulator.training.watched import snapshot_of

    ending = Path(names[1]).suffix if len(names) > 1 else ENDINGS[0]
    if ending not in ENDINGS or names[1:] == ["-"]:
        raise ValueError(f"{names[1]}: expected a file that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    size = _size_of(options, ending)
    if ending == ".mp4":
        from simulator.views.recording.mp4 import require_library

        require_library()
    with Store(existing(lab_of(options))) as store:
        record = store.find(names[0])
        path = Path(names[1] if len(names) > 1 else f"{record.run}{ending}")
        check_place(path, force=options.force)
        player = episode_player.of_run(store, record.run, options.seed, options.max_steps or MAX_STEPS)
        snapshot = snapshot_of(store, record)
    if player.trained_steps == 0:
        print_status(f"{record.run} has no checkpoint yet: its agent is shown as it begins")
    fps = options.fps or _pace_of(player)
    reel = Reel(player, options.episodes or EPISODES)
    with replacing(path, force=options.force) as file:
        film = _film(file, ending, size, _scale_of(options), fps, player, snapshot)
        for moment, shown in reel:
            film.add(shown, END_SECONDS if moment.ended else 1 / fps)
        film.close()
    if reel.n_cut:
        print_status(
            f"the last episode had not ended after {player.max_steps:,} steps; --max-steps sets another number"
        )
    return {
        "run": record.run,
        "file": str(path),
        "seed": player.seed,
        "step": player.trained_steps,
        "episodes": len(reel.returns) + reel.n_cut,
        "returns": reel.returns,
        "moments": reel.n_moments,
        "fps": fps,
        "size": list(film.size),
        "bytes": path.stat().st_size,
    }


class Reel:
    """The moments of some episodes, and what is shown of each.

    Args:
        player: plays them.
        n_episodes: number of episodes.
    """

    def __init__(self, player: EpisodePlayer, n_episodes: int) -> None:
        self._player = player
        self._n_episodes = n_episodes
        self.returns: list[float] = []  # of the episodes that ended
        self.n_cut = 0  # episodes that did not
        self.n_moments = 0

    def __iter__(self) -> Iterator[tuple[Moment, Shown]]:
        """Yield every moment with what is shown of it."""
        from simulator.core.snapshots import SeedView, Shown
        from simulator.training.inside import EpisodeStrips
        from simulator.training.watched import facts_of, panels_of_moment, place_of

        path: list[tuple[int, int]] = []
        strips = EpisodeStrips()
        values: list[Panel] = []
        while len(self.returns) < self._n_episodes and (moment := self._player.step()) is not None:
            if moment.t == 0:
                path = []
                strips.clear()
            if (place := place_of(moment.view.scene)) is not None:
                path.append(place)
            if moment.action is not None:
                values = panels_of_moment(moment)
                if moment.carried:
                    strips.add(moment.carried)
            self.n_moments += 1
            yield (
                moment,
                Shown(
                    shown=SeedView(moment.seed, _without_step(moment.view)),
                    panels=(*values[:1], *strips.panels(), *values[1:]),
                    path=np.array(path, np.int64) if path else None,
                    facts=facts_of(moment),
                ),
            )
            if moment.was_cut:
                self.n_cut = 1
            elif moment.ended:
                self.returns.append(moment.gain)


def _without_step(view: AgentView) -> AgentView:
    """Leave the step out of a scene's facts: it stands above."""
    facts = {name: text for name, text in view.scene.facts.items() if name != "step"}
    return view._replace(scene=replace(view.scene, facts=facts))


class _Film(NamedTuple):
    """A file that moments are drawn into."""

    add: Callable[[Shown, float], None]  # what is shown, for how many seconds
    close: Callable[[], None]
    size: tuple[int, int]  # pixels, or columns and lines


def _film(
    file: BinaryIO,
    ending: str,
    size: tuple[int, int],
    scale: float,
    fps: int,
    player: EpisodePlayer,
    snapshot: RunSnapshot,
) -> _Film:
    """Begin a file."""
    from simulator.views.recording import pages

    title = f"{snapshot.agent} in {snapshot.env}"
    status = f"seed {player.seed}, after {player.trained_steps:,} steps"
    if ending == ".cast":
        from simulator.views.recording.cast import CastWriter

        cast = CastWriter(file, size, title)
        text = pages.TerminalPage(size, title, status)
        return _Film(lambda shown, seconds: cast.add(text.draw(shown), seconds), cast.close, size)
    page = pages.PixelPage(size, scale, title, status, pages.learning_curve(snapshot))
    writer = _writer(file, ending, fps)
    return _Film(lambda shown, seconds: writer.add(page.draw(shown), seconds), writer.close, page.size)


def _writer(file: BinaryIO, ending: str, fps: int) -> Any:
    if ending == ".gif":
        from simulator.views.recording.gif import GifWriter

        return GifWriter(file)
    if ending == ".mp4":
        from simulator.views.recording.mp4 import Mp4Writer

        return Mp4Writer(file, fps)
    from simulator.views.recording.png import ApngWriter, PngWriter

    return ApngWriter(file) if ending == ".apng" else PngWriter(file)


def _pace_of(player: EpisodePlayer) -> int:
    """Return the moments per second at which a person would play the environment."""
    pace = player.env.spec.steps_per_second
    return FPS if pace is None else min(max(round(pace), 1), MAX_FPS)


def _scale_of(options: Options) -> float:
    return 1.0 if options.scale == "auto" else float(options.scale)


def _size_of(options: Options, ending: str) -> tuple[int, int]:
    """Return width and height: units, or columns and lines of a terminal.

    Raises:
        ValueError: it cannot be drawn; one line.
    """
    is_text = ending == ".cast"
    unit = "columns and lines" if is_text else "pixels"
    usual = TERMINAL_SIZE if is_text else SIZE
    low, high = (MIN_TERMINAL_SIZE, MAX_TERMINAL_SIZE) if is_text else (MIN_SIZE, MAX_SIZE)
    if not options.size:
        return usual
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", options.size)
    if found is None or not all(low <= int(length) <= high for length in found.groups()):
        example = "x".join(map(str, usual))
        raise ValueError(f"--size {options.size}: expected {unit} such as {example}, each {low} to {high:,}")
    width, height = map(int, found.groups())
    if not is_text and max(width, height) * _scale_of(options) > high:
        raise ValueError(f"--size {options.size} --scale {options.scale}: expected at most {high:,} pixels")
    return width, height


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise Stopped, so that no half written file stays."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


COMMAND = Command(
    act,
    (1, 2),
    ("episodes", "seed", "fps", "size", "scale", "max_steps", "force"),
    examples=(
        "record latest",
        "record r1 agent.mp4 --episodes 1 --fps 30 --size 800x600",
        "record r1 agent.cast --size 100x30",
    ),
)
