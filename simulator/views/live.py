"""Live view of an experiment in the terminal: one shell for every kind of snapshot.

On a terminal the page is redrawn in place, as often as the view says; elsewhere, as in a log file, one line now and
then says how far the experiment is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.console import Console
from rich.text import Text

from simulator.core.snapshots import ENDED, Snapshot
from simulator.core.stopping import RateLimiter
from simulator.views.style import TerminalStyle, clean, style_of

if TYPE_CHECKING:
    from rich.live import Live

REDRAW_SECONDS = 0.1
LOG_LINES = 11  # of an experiment that is played to its end in one process

S = TypeVar("S", bound=Snapshot)


class LiveView(Generic[S]):
    """Draws snapshots of one experiment; see :class:`simulator.core.snapshots.View`.

    Args:
        page: draws a whole page of (snapshot, the one drawn before or None, (columns, lines), look).
        line: formats one line of a snapshot, for logs.
        console: terminal to draw on; stderr by default, so that results can be piped.
        clock: seconds, for the rate limit.
        redraw_seconds: seconds between two drawings at least.
    """

    def __init__(
        self,
        page: Callable[[S, S | None, tuple[int, int], TerminalStyle], Text],
        line: Callable[[S], str],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        redraw_seconds: float = REDRAW_SECONDS,
    ) -> None:
        self._page = page
        self._line = line
        self._console = console or Console(stderr=True)
        self._look = style_of(self._console)
        self._redraws = RateLimiter(redraw_seconds, clock)
        self._live: Live | None = None
        self._drawn: S | None = None
        self._newest: S | None = None
        self._n_logged = 0

    def show(self, snapshot: S) -> None:
        """Draw a snapshot unless the last drawing is fresh, or log it where there is no terminal."""
        ended = snapshot.phase in ENDED
        if not self._console.is_terminal:
            self._log(snapshot, ended)
            return
        self._newest = snapshot
        if self._redraws.is_due() or ended:
            self._draw(snapshot)

    def close(self) -> None:
        """Leave the newest snapshot on the screen, and the cursor as it was."""
        if self._newest is not None and self._newest is not self._drawn:
            self._draw(self._newest)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, snapshot: S) -> None:
        from rich.live import Live

        page = self._page(snapshot, self._drawn, self._console.size, self._look)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        self._live.update(page, refresh=True)
        self._drawn = snapshot

    def _log(self, snapshot: S, ended: bool) -> None:
        progress = snapshot.progress
        n_due = LOG_LINES * progress.done // max(progress.total, 1)
        if n_due > self._n_logged or ended:
            self._n_logged = max(n_due, self._n_logged)
            self._console.print(clean(self._line(snapshot)), soft_wrap=True, highlight=False, markup=False)
