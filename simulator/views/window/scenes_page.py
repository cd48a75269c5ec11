"""Panels in the window, which the terminal and pictures draw too: tabs of them, and a slider where they have moments.

A page of finished panels shows what a command has computed; :class:`ScenesWindow` shows it while it is computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from simulator.core.jit import between_compilations
from simulator.core.scene import Panel, TextPanel
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, FAINT, INK, ORANGE, PAPER, RULE
from simulator.views.drawing.panels import draw_panel
from simulator.views.window.app import Window
from simulator.views.window.run_window import COMPILING
from simulator.views.window.widgets import HEIGHT, SLIDER, Focus, Slider, Tabs, is_key, is_with_modifier

MOST_PANELS = 4  # side by side and below each other; more are scrolled to
LOOK_SECONDS = 1.0  # between looks for something new
LOOK_SHARE = 0.05  # of the time that is spent on them
FACT_HEIGHT = 22  # units of a line of facts


class SceneMoment(NamedTuple):
    """Panels at one moment of what went on."""

    name: str  # "40 % of the training"
    panels: Sequence[Panel]


class SceneTab(NamedTuple):
    """Panels under one name; several moments have a slider."""

    name: str
    moments: Sequence[SceneMoment]


class SceneProgress(NamedTuple):
    """Progress of what is shown."""

    words: str
    share: float  # from 0 to 1
    is_fault: bool = False


class News(NamedTuple):
    """Contents of a page from now on."""

    title: str
    tabs: Sequence[SceneTab]
    progress: SceneProgress
    is_over: bool  # nothing will follow


def tab_of(name: str, panels: Sequence[Panel]) -> SceneTab:
    """Return a tab of panels without moments."""
    return SceneTab(name, (SceneMoment("", panels),))


class ScenesPage:
    """Tabs of panels; see :class:`simulator.views.window.app.Page`.

    Args:
        title: of the window, and over the tabs.
        command: the command line that shows the same again.
        tabs: what is shown, at first.
        notes: lines below the title.
        look: looks for something new now and then; None: nothing will be new.
        clock: seconds.
    """

    def __init__(
        self,
        title: str,
        command: str,
        tabs: Sequence[SceneTab] = (),
        notes: Sequence[str] = (),
        look: Callable[[], News | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.progress: SceneProgress | None = None
        self._command = command
        self._notes = notes
        self._first_panel = 0
        self._at: dict[str, int] = {}  # moment of each tab that somebody chose; otherwise the newest
        self._slider: Slider | None = None
        self._tabs = Tabs((), self._turn)
        self._scenes: list[SceneTab] = []
        self._given: Sequence[SceneTab] | None = None
        self._focus = Focus([self._tabs])
        self._look = look
        self._clock = clock
        self._next_look = -math.inf
        self._news: SceneProgress | None = None
        self.show(tabs)
        self.poll()

    @property
    def next_poll(self) -> float:
        """Seconds until the next look."""
        return math.inf if self._look is None else max(self._next_look - self._clock(), 0.0)

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Keys of the page, for F1."""
        return (
            (f"1 to {min(max(len(self._scenes), 1), 9)}", "the tabs; or click one"),
            ("[, ]", "the moment before, the one after"),
            ("PageUp, PageDown", "the panels before, the ones after"),
        )

    def show(self, tabs: Sequence[SceneTab], progress: SceneProgress | None = None) -> None:
        """Take other panels; the tab of the same name stays chosen, and its moment where somebody chose one."""
        self.progress = progress
        if tabs is self._given:  # a slider that is being moved stays
            return
        self._given = tabs
        chosen = self._tabs.names[self._tabs.chosen] if self._tabs.names else ""
        self._scenes = [tab for tab in tabs if tab.moments]
        self._tabs.names = tuple(tab.name for tab in self._scenes)
        self._tabs.chosen = self._tabs.names.index(chosen) if chosen in self._tabs.names else 0
        self._place_slider()

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the title, how far it has come, the tabs and the panels of the chosen one."""
        y = rect.top
        used = canvas.text((rect.left, y), self.title, TITLE, face="bold", width=rect.width)
        if self.progress is not None:
            words = self.progress.words
            colour = ORANGE if self.progress.is_fault else FAINT
            room = rect.width - used - canvas.px(24)
            canvas.text((rect.right, y), words, SIZE, colour, align="right", width=max(room, 1))
        y += canvas.line_height(TITLE) + canvas.px(6)
        for note in self._notes:
            canvas.text((rect.left, y), note, SIZE, INK, width=rect.width)
            y += canvas.line_height(SIZE) + canvas.px(4)
        if self.progress is not None:
            y = draw_progress(canvas, rect, y, self.progress.share)
        self._tabs.rect = pygame_module().Rect(rect.left, y, rect.width, canvas.px(HEIGHT))
        y += canvas.px(HEIGHT + 12)
        body = rect.copy()
        body.top, body.height = y, max(rect.bottom - y, 0)
        if not self._scenes:
            self._tabs.rect.width = 0
            canvas.text(body.topleft, "nothing to draw yet", SIZE, FAINT)
            return
        if self._slider is not None:
            self._slider.rect = pygame_module().Rect(
                body.left, body.bottom - canvas.px(SLIDER), body.width, canvas.px(SLIDER)
            )
            body.height -= canvas.px(SLIDER + 12)
        self._draw_panels(canvas, body, self._moment().panels)
        self._focus.draw(canvas)

    def handle(self, event: Any) -> bool:
        """Choose a tab or a moment, or scroll."""
        if self._focus.handle(event):
            return True
        if is_with_modifier(event):
            return False
        for key, step in {"page up": -MOST_PANELS, "page down": MOST_PANELS}.items():
            if is_key(event, key):
                n = len(self._moment().panels) if self._scenes else 0
                if 0 <= self._first_panel + step < n:
                    self._first_panel += step
                return True
        for key, step in {"[": -1, "]": 1}.items():
            if is_key(event, key) and self._slider is not None:
                tab = self._scenes[self._tabs.chosen]
                self._choose(min(max(self._index(tab) + step, 0), len(tab.moments) - 1))
                return True
        return False

    def poll(self) -> bool:
        """Look for something new, where it is time to."""
        if self._look is None or self.next_poll > 0.0:
            return False
        began = self._clock()
        news = self._look()
        self._next_look = self._clock() + max(LOOK_SECONDS, (self._clock() - began) / LOOK_SHARE)
        if news is None or news.progress == self._news:
            return False
        self._news = news.progress
        self.title = news.title
        self._look = None if news.is_over else self._look
        self.show(news.tabs, news.progress)
        return True

    def command(self) -> str:
        """Return the command line that shows the same again."""
        return self._command

    def close(self) -> None:
        """Hold nothing."""

    def _turn(self, index: int) -> None:
        self._first_panel = 0
        self._place_slider()

    def _index(self, tab: SceneTab) -> int:
        return min(self._at.get(tab.name, len(tab.moments) - 1), len(tab.moments) - 1)

    def _moment(self) -> SceneMoment:
        tab = self._scenes[self._tabs.chosen]
        return tab.moments[self._index(tab)]

    def _choose(self, index: int) -> None:
        """Show a moment; the newest one is followed."""
        tab = self._scenes[self._tabs.chosen]
        if index == len(tab.moments) - 1:
            self._at.pop(tab.name, None)
        else:
            self._at[tab.name] = index
        if self._slider is not None:
            self._slider.value = index

    def _place_slider(self) -> None:
        """Make the slider of the chosen tab, where it has several moments."""
        tab = self._scenes[self._tabs.chosen] if self._scenes else None
        if tab is None or len(tab.moments) < 2:
            self._slider = None
        else:
            stops = range(len(tab.moments))
            self._slider = Slider(
                "moment",
                (0, len(tab.moments) - 1),
                self._index(tab),
                lambda value: self._choose(round(value)),
                stops=stops,
                words=lambda value: tab.moments[round(value)].name,
            )
        self._focus.widgets = [self._tabs, *([self._slider] if self._slider is not None else [])]

    def _draw_panels(self, canvas: Canvas, rect: Any, panels: Sequence[Panel]) -> None:
        """Draw up to four panels, and say how many there are where more are."""
        shown = panels[self._first_panel : self._first_panel + MOST_PANELS]
        if len(panels) > MOST_PANELS:
            last = self._first_panel + len(shown)
            words = f"panels {self._first_panel + 1} to {last} of {len(panels)}; PageUp and PageDown"
            canvas.text((rect.right, rect.bottom - canvas.line_height(SMALL)), words, SMALL, FAINT, align="right")
            rect = rect.copy()
            rect.height -= canvas.px(20)
        for panel, place in zip(shown, places_of(canvas, rect, shown), strict=True):
            canvas.tip = draw_panel(canvas, place, panel, canvas.pointer) or canvas.tip


def places_of(canvas: Canvas, rect: Any, panels: Sequence[Panel]) -> list[Any]:
    """Return a rectangle for each of up to four panels: one or two in a row; facts take the height of their lines."""
    gap = canvas.px(22)
    rows = [panels] if len(panels) < 3 else [panels[:2], panels[2:]]
    if len(panels) == 3 and not isinstance(panels[2], TextPanel) and isinstance(panels[0], TextPanel):
        rows = [panels[:1], panels[1:]]
    needed = [_facts_height(canvas, row) for row in rows]
    free = rect.height - gap * (len(rows) - 1) - sum(needed)
    n_free = sum(not height for height in needed)
    places = []
    y = rect.top
    for row, height in zip(rows, needed, strict=True):
        high = height if height and n_free else free // n_free if n_free else rect.height // len(rows)
        wide = (rect.width - gap * (len(row) - 1)) // max(len(row), 1)
        for k in range(len(row)):
            places.append(pygame_module().Rect(rect.left + k * (wide + gap), y, wide, max(int(high), 0)))
        y += int(high) + gap
    return places


def _facts_height(canvas: Canvas, row: Sequence[Panel]) -> int:
    """Return the pixels that a row of facts needs; 0 where something else is in it."""
    facts = [len(panel.facts) for panel in row if isinstance(panel, TextPanel)]
    if len(facts) < len(row):
        return 0
    return canvas.line_height(TITLE) + canvas.px(12) + max(facts, default=0) * canvas.px(FACT_HEIGHT)


def draw_progress(canvas: Canvas, rect: Any, y: int, share: float) -> int:
    """Draw a bar that is full at a share of 1, and return the height below it."""
    place = pygame_module().Rect(rect.left, y, rect.width, canvas.px(8))
    canvas.box(place, PAPER, 4)
    canvas.fill((*place.topleft, int(rect.width * min(max(share, 0.0), 1.0)), place.height), BLUE)
    canvas.frame(place, RULE, 1, 4)
    return int(place.bottom + canvas.px(8))


class ScenesWindow:
    """A window on panels while they are computed, which stays open for what came of it.

    Args:
        page: its content; ``show`` changes it.
        scale: pixels of a unit of length: auto or a number.

    Raises:
        ValueError: there is no display.
    """

    def __init__(self, page: ScenesPage, scale: str = "auto") -> None:
        self.page = page
        self._window = Window(page, scale=scale)
        self._compiling = ExitStack()
        self._compiling.enter_context(between_compilations(lambda: self._window.show_waiting(COMPILING)))

    @property
    def is_open(self) -> bool:
        """True until somebody closes the window."""
        return self._window.is_open

    def show(self, tabs: Sequence[SceneTab], progress: SceneProgress | None = None) -> None:
        """Draw other panels; a closed window stays closed."""
        self.page.show(tabs, progress)
        self._window.redraw()
        self._window.step()

    def tick(self) -> None:
        """Take events while something is computed."""
        self._window.step()

    def stay(self) -> None:
        """Show the page until the window is closed, by Ctrl-C too."""
        if self._window.is_open:
            self._window.redraw()
            self._window.stay()

    def shut(self) -> None:
        """Close the window."""
        self._compiling.close()
        self._window.close()
