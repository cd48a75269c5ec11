"""A recall benchmark in the window while it is measured: its newest scores, cues and recalls."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from simulator.core.jit import between_compilations
from simulator.core.memories import RecallPicture
from simulator.core.scene import BarPanel, CurvePanel, PicturePanel
from simulator.core.snapshots import ENDED, RecallSnapshot
from simulator.views.drawing.canvas import SIZE, TITLE, Canvas
from simulator.views.drawing.colours import BLUE, FAINT, INK, PAPER, RULE
from simulator.views.drawing.panels import draw_panel
from simulator.views.style import duration
from simulator.views.window.app import Page, Window
from simulator.views.window.run_window import COMPILING
from simulator.views.window.widgets import columns_of, rows_of

SCORES = ("overlap", "exact", "familiarity", "spurious", "latent_precision")
CEILINGS = {"overlap": "ceiling_overlap", "exact": "ceiling_exact"}


class LiveRecallPage:
    """The newest snapshot of a benchmark that this process measures."""

    keys: tuple[tuple[str, str], ...] = ()
    next_poll = math.inf

    def __init__(self, typed: str = "") -> None:
        self._typed = typed
        self.snapshot: RecallSnapshot | None = None
        self._picture: RecallPicture | None = None
        self.title = "engram recall"

    def show(self, snapshot: RecallSnapshot) -> None:
        """Take a snapshot; the newest picture stays."""
        self.snapshot = snapshot
        self._picture = snapshot.picture or self._picture
        self.title = f"{', '.join(snapshot.contestants)} recall {snapshot.challenge}"

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw progress, the newest cell's scores beside the best possible ones, and its first cues."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        y = rect.top
        canvas.text((rect.left, y), f"{snapshot.id}: {self.title}", TITLE, face="bold", width=rect.width)
        y += canvas.line_height(TITLE) + canvas.px(4)
        words = f"{snapshot.progress}, {duration(snapshot.seconds)}"
        if snapshot.next_cell and snapshot.phase not in ENDED:
            words += f"; now {snapshot.next_cell}"
        canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
        y += canvas.line_height(SIZE) + canvas.px(4)
        share = snapshot.n_done / max(snapshot.n_cells, 1)
        canvas.box((rect.left, y, rect.width, canvas.px(8)), PAPER, 4)
        canvas.frame((rect.left, y, rect.width, canvas.px(8)), RULE, 1, 4)
        canvas.fill((rect.left, y, int(rect.width * share), canvas.px(8)), BLUE)
        y += canvas.px(20)
        if snapshot.newest:
            canvas.text((rect.left, y), f"newest: {snapshot.newest}", SIZE, INK, face="bold", width=rect.width)
        y += canvas.line_height(SIZE) + canvas.px(10)
        body = rect.copy()
        body.top, body.height = y, max(rect.bottom - y, 0)
        left, right = columns_of(body, int(body.width * 0.52), canvas.px(24))
        if self._picture is not None:
            draw_panel(canvas, left, _cues_panel(self._picture))
        upper, lower = rows_of(right, int(right.height * 0.5), canvas.px(12))
        if snapshot.scores:
            draw_panel(canvas, upper, _scores_panel(snapshot))
        if self._picture is not None and np.isfinite(self._picture.energy).any():
            draw_panel(canvas, lower, _energy_panel(self._picture))

    def handle(self, event: Any) -> bool:
        """Use no event."""
        return False

    def poll(self) -> bool:
        """Wait for the next snapshot."""
        return False

    def command(self) -> str:
        """Return the command that shows this benchmark again."""
        return f"engram watch {self.snapshot.id}" if self.snapshot is not None else "engram recall"

    def recipe(self, onward: bool) -> str:
        """Return the command that was typed."""
        return self._typed or self.command()

    def close(self) -> None:
        """Hold nothing."""


def _cues_panel(picture: RecallPicture) -> PicturePanel:
    images = np.stack([picture.stored, picture.cue, picture.restored], axis=1)  # [C, 3, N]
    shape = picture.shape if len(picture.shape) == 2 else (1, -1)
    if len(picture.shape) == 3:
        images = images.reshape(*images.shape[:2], *picture.shape).mean(axis=2)
    pictures = images.reshape(-1, *(picture.shape[-2:] if len(picture.shape) == 3 else shape))
    captions = ("pattern", "cue", "recall") * len(images)
    return PicturePanel("the first cues of the first seed", pictures, captions, as_ink=True)


def _scores_panel(snapshot: RecallSnapshot) -> BarPanel:
    names = [name for name in SCORES if name in snapshot.scores]
    values = np.array([snapshot.scores[name] for name in names])
    beside = np.array([snapshot.scores.get(CEILINGS.get(name, ""), np.nan) for name in names])
    words = tuple(name.replace("_", " ") for name in names)
    return BarPanel("scores, means over seeds", words, values, beside, "best possible")


def _energy_panel(picture: RecallPicture) -> CurvePanel:
    energy = np.asarray(picture.energy, np.float64)
    x = np.arange(len(energy), dtype=np.float64)
    return CurvePanel("energy of the first cue", x, energy[None], x_name="sweep")


class RecallWindow:
    """View of a benchmark in a window, which shows its memories at last; see :class:`simulator.core.snapshots.View`.

    Args:
        page_of: makes the page of a measured benchmark's memories, by its id.
        typed: the command line that began the benchmark, to be copied.
        scale: pixels of a unit of length: auto or a number.

    Raises:
        ValueError: there is no display.
    """

    def __init__(self, page_of: Callable[[str], Page], typed: str = "", scale: str = "auto") -> None:
        self._page_of = page_of
        self._page = LiveRecallPage(typed)
        self._window = Window(self._page, scale=scale)
        self._compiling = ExitStack()
        self._compiling.enter_context(between_compilations(lambda: self._window.show_waiting(COMPILING)))

    @property
    def is_open(self) -> bool:
        """True until somebody closes the window."""
        return self._window.is_open

    def show(self, snapshot: RecallSnapshot) -> None:
        """Draw a snapshot; a closed window stays closed, and the benchmark goes on."""
        self._page.show(snapshot)
        self._window.redraw()
        self._window.step()

    def close(self) -> None:
        """Leave the last snapshot on the screen."""
        self._window.redraw()
        self._window.step()

    def stay(self) -> None:
        """Let the memories be played with until the window is closed, by Ctrl-C too."""
        if self._page.snapshot is not None:
            self._window.show(self._page_of(self._page.snapshot.id))
        self._window.stay()

    def shut(self) -> None:
        """Close the window."""
        self._compiling.close()
        self._window.close()
