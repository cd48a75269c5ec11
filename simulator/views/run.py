"""A run on the terminal: progress, speed, curve, evaluation, and the map with values and best moves.

On a terminal the picture is drawn over and over, at most ten times a second; elsewhere a plain line says how far the
run is, about ten times in all.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.text import Text

from simulator.core.protocols import Snapshot
from simulator.views.grid import grid_map
from simulator.views.plots import curve_plot
from simulator.views.room_graph import room_table
from simulator.views.style import Look, Part, clean, count, duration, fit, look_of, number, stack

if TYPE_CHECKING:
    from rich.live import Live

REDRAW_EVERY = 0.1  # seconds
PLOT_HEIGHT, SHORTEST_MAP = 12, 4  # lines
OVER = ("done", "failed")


class Terminal:
    """Shows a run while it learns; see :class:`simulator.core.protocols.View`.

    Args:
        console: where to draw; stderr by default, so that results can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._look = look_of(self._console)
        self._live: Live | None = None
        self._drawn, self._said = 0.0, -1
        self._before: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Draw it, unless the last drawing is fresh."""
        now = time.monotonic()
        last = snapshot.phase in OVER
        if self._console.is_terminal:
            if last or now - self._drawn >= REDRAW_EVERY:
                self._redraw(snapshot)
                self._drawn = now
        else:
            self._say(snapshot, last)

    def close(self) -> None:
        """Leave the last drawing, and the cursor, as they should stay."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _redraw(self, snapshot: Snapshot) -> None:
        from rich.live import Live

        page = page_of(snapshot, self._before, self._console.size, self._look)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        self._live.update(page, refresh=True)
        self._before = snapshot

    def _say(self, snapshot: Snapshot, last: bool) -> None:
        tenth = 10 * snapshot.step // max(snapshot.steps, 1)
        if last or (tenth > self._said and snapshot.step > 0):
            self._said = tenth
            self._console.print(clean(plain_line(snapshot)), soft_wrap=True, highlight=False, markup=False)


def page_of(snapshot: Snapshot, before: Snapshot | None, size: tuple[int, int], look: Look) -> Text:
    """Everything there is to see, for a terminal of ``size`` (columns, lines)."""
    width, height = max(size[0] - 1, 1), size[1]
    page = [*header(snapshot, before, width, look)]
    plot = curve_plot(snapshot.curve, width, min(PLOT_HEIGHT, max(height - 12, 6)), snapshot.optimum, look)
    page += plot.split("\n")
    left = height - len(page) - 2
    if snapshot.picture is not None and left >= SHORTEST_MAP:
        scene = snapshot.picture.scene
        if scene.walls is not None:
            page += grid_map(snapshot.picture, width, left, look).split("\n")
        elif scene.rooms is not None:
            page += room_table(snapshot.picture, width, look)[:left]
    return stack([Text() if not line.plain else line for line in page])


def header(snapshot: Snapshot, before: Snapshot | None, width: int, look: Look) -> list[Text]:
    """Who plays, how far it is, how fast, and what the last evaluation said."""
    seeds = f"{len(snapshot.seeds)} seed{'s' if len(snapshot.seeds) > 1 else ''}"
    players = f"{clean(snapshot.agent)} in {clean(snapshot.env)}"
    lines = [
        fit(width, (clean(snapshot.run), "bold"), (players, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        _progress(snapshot, width, look),
        fit(width, *_speed(snapshot, before)),
    ]
    if snapshot.evaluations:
        lines.append(fit(width, *_evaluation(snapshot, look)))
    medians = [(f"{clean(name)} {number(float(np.median(values)))}", "") for name, values in snapshot.metrics.items()]
    if medians:
        lines.append(fit(width, ("median over seeds", "dim"), *medians))
    if snapshot.failed:
        lines.append(fit(width, (_failures(snapshot), "red")))
    if not snapshot.exact:
        lines.append(fit(width, ("the environment could not be continued exactly: new episodes began", "yellow")))
    return lines


def _progress(snapshot: Snapshot, width: int, look: Look) -> Text:
    share = min(snapshot.step / max(snapshot.steps, 1), 1.0)
    left = (snapshot.seconds / share - snapshot.seconds) if share > 0 else float("nan")
    words = f" {share:4.0%}  {count(snapshot.step)} of {count(snapshot.steps)} steps"
    if snapshot.phase not in OVER:
        words += f", {duration(left)} left"
    length = max(min(width - len(words), 40), 0)
    full = round(length * share)
    signs = ("#", ".") if look.ascii else ("━", "─")
    bar = Text.assemble((signs[0] * full, "green"), (signs[1] * (length - full), "dim"), (words, ""))
    bar.truncate(width)
    return bar


def _speed(snapshot: Snapshot, before: Snapshot | None) -> list[Part]:
    n_seeds = len(snapshot.seeds)
    parts = [(f"{duration(snapshot.seconds)}", "")]
    if snapshot.training_seconds > 0:
        parts.append((f"{count(n_seeds * snapshot.step / snapshot.training_seconds)} steps/s mean", ""))
    if before is not None and snapshot.training_seconds > before.training_seconds:
        now = n_seeds * (snapshot.step - before.step) / (snapshot.training_seconds - before.training_seconds)
        parts.append((f"{count(now)} now", ""))
    parts.append(("all seeds together", "dim"))
    if snapshot.compile_seconds:
        parts.append((f"compiled once in {duration(snapshot.compile_seconds)}", "dim"))
    return parts


def _evaluation(snapshot: Snapshot, look: Look) -> list[Part]:
    from simulator.core.episodes import cut_seeds, scores
    from simulator.statistics.estimates import confidence_interval, iqm

    last = snapshot.evaluations[-1]
    broken = np.isin(snapshot.seeds, [failure.seed for failure in snapshot.failed])
    n_cut, score = int(cut_seeds(last.returns, broken).sum()), scores(last)[~broken]
    score = score[np.isfinite(score)]
    cut = [(f"{n_cut} seed{'s' * (n_cut > 1)} cut", "yellow")] if n_cut else []
    if not len(score):
        return cut
    low, high = confidence_interval(score) if len(score) > 1 else (float("nan"), float("nan"))
    kind = "exact greedy return" if last.exact is not None else "greedy return"
    parts = [(kind, "dim"), (f"IQM {number(iqm(score))}", "bold")]
    if np.isfinite(low):
        parts.append((f"[{number(low)}, {number(high)}]", ""))
    if snapshot.optimum is not None:
        parts.append((f"best possible {number(snapshot.optimum)}", "green"))
    return [*parts, *cut, (f"after {count(last.step)}", "dim")]


def _failures(snapshot: Snapshot) -> str:
    first, more = snapshot.failed[0], len(snapshot.failed) - 1
    others = f", and {more} more" if more else ""
    return f"seed {first.seed} failed at step {first.step:,}: {first.reason}{others}"


def plain_line(snapshot: Snapshot) -> str:
    """One line for a log."""
    words = [f"{snapshot.run}: {snapshot.step:,} of {snapshot.steps:,} steps", duration(snapshot.seconds)]
    if snapshot.training_seconds > 0:
        words.append(f"{count(len(snapshot.seeds) * snapshot.step / snapshot.training_seconds)} steps/s, all seeds")
    if snapshot.evaluations:
        words += [text for text, _ in _evaluation(snapshot, Look())[:3]]
    if snapshot.failed:
        words.append(_failures(snapshot))
    if snapshot.compile_seconds:
        words.append(f"compiled in {duration(snapshot.compile_seconds)}")
    return ", ".join(words)
