"""A comparison of predictions in the window while it is measured, and the result of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from simulator.core.scene import BarPanel, Panel
from simulator.core.snapshots import ENDED, PredictSnapshot
from simulator.views.style import duration
from simulator.views.window.scenes_page import News, SceneProgress, ScenesPage, ScenesWindow, SceneTab, tab_of
from simulator.views.window.stored_reader import StoredReader


class Comparison(NamedTuple):
    """Stored state of a comparison, as a window shows it."""

    title: str
    status: str
    step: int  # cells that are measured
    steps: int  # in all
    panels: Mapping[str, Sequence[Panel]]  # by what they show


class PredictWindow:
    """View of a comparison in a window; see :class:`simulator.core.snapshots.View`.

    Args:
        read: what is stored of a comparison, by its id; None where it cannot be read now.
        command: the command line that was typed.
        scale: pixels of a unit of length: auto or a number.
        clock: seconds.

    Raises:
        ValueError: there is no display.
    """

    def __init__(
        self,
        read: Callable[[str], Comparison | None],
        command: str,
        scale: str = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._page = ScenesPage("engram predict", command)
        self._window = ScenesWindow(self._page, scale)
        self._reader = StoredReader(read, clock)
        self._panels: Mapping[str, Sequence[Panel]] = {}

    @property
    def is_open(self) -> bool:
        """True until somebody closes the window."""
        return self._window.is_open

    def show(self, snapshot: PredictSnapshot) -> None:
        """Draw a snapshot; a closed window stays closed, and the comparison goes on."""
        if not self.is_open:
            return
        self._page.title = f"{snapshot.id}: {', '.join(snapshot.contestants)} predict {snapshot.task}"
        if found := self._reader.news(snapshot, snapshot.n_done):
            self._panels = found.panels
        words = f"{snapshot.progress}, {duration(snapshot.seconds)}"
        words += f"; now {snapshot.next_cell}" if snapshot.next_cell and snapshot.phase not in ENDED else ""
        tabs = _tabs(self._panels)
        share = snapshot.n_done / max(snapshot.n_cells, 1)
        self._window.show(tabs or newest_tabs(snapshot), SceneProgress(words, share))

    def close(self) -> None:
        """Leave the last snapshot on the screen."""
        self._window.tick()

    def stay(self) -> None:
        """Show the result until the window is closed, by Ctrl-C too."""
        self._window.stay()

    def shut(self) -> None:
        """Close the window."""
        self._window.shut()


def stored_page(
    read: Callable[[], Comparison | None], command: str, clock: Callable[[], float] = time.monotonic
) -> ScenesPage:
    """Make the page of a stored comparison, which is read again while another process goes on with it.

    Args:
        read: what is stored by now; None where it cannot be read.
        command: the command line that shows it again.
        clock: seconds.
    """

    def look() -> News | None:
        found = read()
        if found is None:
            return None
        progress = SceneProgress(
            f"{found.status}, {found.step:,} of {found.steps:,} cells", found.step / max(found.steps, 1)
        )
        return News(found.title, _tabs(found.panels), progress, found.status in ENDED)

    return ScenesPage("engram predict", command, look=look, clock=clock)


def _tabs(panels: Mapping[str, Sequence[Panel]]) -> list[SceneTab]:
    return [tab_of(name[0].upper() + name[1:], own) for name, own in panels.items() if own]


def newest_tabs(snapshot: PredictSnapshot) -> list[SceneTab]:
    """Make a tab of the scores at the newest condition, as the snapshot has them."""
    if not snapshot.rows:
        return []
    condition = snapshot.rows[-1][1]
    rows = [(name, score) for name, at, score in snapshot.rows if at == condition]
    title = f"{snapshot.score} at {condition:g} {snapshot.condition}"
    return [
        tab_of("Scores", [BarPanel(title, tuple(name for name, _ in rows), np.array([score for _, score in rows]))])
    ]
