"""A contest between memories on the terminal: how far it is, the newest cell, and its first cues and recalls.

On a terminal the picture is drawn over and over; elsewhere a plain line says how far the contest is, a dozen in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from simulator.views.patterns import recall_lines
from simulator.views.style import clean, duration, fit, look_of, stack

if TYPE_CHECKING:
    from rich.live import Live

    from simulator.core.memories import RecallSnapshot
    from simulator.views.style import Look

SHOWN = ("overlap", "ceiling_overlap", "exact", "ceiling_exact", "familiarity")
MOST_LINES = 12


class ArenaTerminal:
    """Shows a contest while it is played; see :class:`simulator.core.protocols.View`.

    Args:
        console: where to draw; stderr by default, so that results can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._look = look_of(self._console)
        self._live: Live | None = None
        self._said = 0

    def show(self, snapshot: RecallSnapshot) -> None:
        """Draw it, or say it where there is no terminal."""
        if not self._console.is_terminal:
            self._say(snapshot)
            return
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        self._live.update(page_of(snapshot, self._console.size, self._look), refresh=True)

    def close(self) -> None:
        """Leave the last drawing, and the cursor, as they should stay."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, snapshot: RecallSnapshot) -> None:
        twelfth = MOST_LINES * snapshot.step // max(snapshot.steps, 1)
        if twelfth > self._said:
            self._said = twelfth
            self._console.print(clean(plain_line(snapshot)), soft_wrap=True, highlight=False, markup=False)


def page_of(snapshot: RecallSnapshot, size: tuple[int, int], look: Look) -> Text:
    """Everything there is to see, for a terminal of ``size`` (columns, lines)."""
    width, height = max(size[0] - 1, 1), size[1]
    seeds = f"{len(snapshot.seeds)} seed{'s' if len(snapshot.seeds) > 1 else ''}"
    place = f"memories recall {clean(snapshot.challenge)}"
    cells = f"{snapshot.step:,} of {snapshot.steps:,} cells"
    lines = [
        fit(width, (clean(snapshot.run), "bold"), (place, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        fit(width, (cells, "green"), (duration(snapshot.seconds), "")),
    ]
    if snapshot.newest:
        known = [(name.replace("_", " "), snapshot.scores[name]) for name in SHOWN if name in snapshot.scores]
        found = [(f"{name} {score:.3f}", "") for name, score in known]
        lines.append(fit(width, (clean(snapshot.newest), "bold"), *found))
    if snapshot.following:
        lines.append(fit(width, ("now", "dim"), (clean(snapshot.following), "dim")))
    if snapshot.picture is not None:
        lines += recall_lines(snapshot.picture, (width, height - len(lines) - 1), look)
    return stack([Text() if not line.plain else line for line in lines])


def plain_line(snapshot: RecallSnapshot) -> str:
    """One line for a log."""
    words = [f"{snapshot.run}: {snapshot.step:,} of {snapshot.steps:,} cells", duration(snapshot.seconds)]
    words += [f"{snapshot.newest}: overlap {snapshot.scores['overlap']:.3f}"] if "overlap" in snapshot.scores else []
    return ", ".join(words)
