"""Window of a run that this process trains: one of its views, and the keys that change its speed.

The driver of the run asks for the next snapshot; between two of them, and while it waits, the window takes its events.
Closing the window leaves the run going.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from simulator.core.jit import between_compilations
from simulator.core.snapshots import ENDED, LiveChanges, Look, RunSnapshot, Shown
from simulator.core.stopping import Stopped, raise_if_stopped
from simulator.views.controls import Controls
from simulator.views.window.app import EmptyPage, Page, Window
from simulator.views.window.training_page import TrainingPage

COMPILING = "compiling for this machine; it happens once, later starts take it from the cache"
FULL_SPEED = "f"  # the key of the driver
TRAINING_PER_FRAME = 40  # CPU time of training for each of drawing, at full speed
LONGEST_PAUSE = 2.0  # seconds between frames even so, where a frame is expensive or the machine is busy


class FramePace:
    """Pace of frames that are drawn beside training: they take a small share of its CPU time.

    Args:
        clock: seconds.
        cpu_clock: CPU seconds of this process.
    """

    def __init__(self, clock: Callable[[], float], cpu_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._next = -math.inf  # on the clock, at the latest
        self._next_cpu = -math.inf

    def is_due(self) -> bool:
        """Tell whether the next frame is due, by the cost of the one before."""
        return self._cpu_clock() >= self._next_cpu or self._clock() >= self._next

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Measure a frame, which is made in the block."""
        began = self._cpu_clock()
        yield
        ended = self._cpu_clock()
        self._next_cpu = ended + TRAINING_PER_FRAME * (ended - began)
        self._next = self._clock() + LONGEST_PAUSE


class LiveRun:
    """A run that this process trains, as a page shows it.

    Args:
        look: what the run is asked to show.
        settings: the run's settings by name.
        controls: tells the speed.
        command: the command that does the same again.
        changes: makes changes of the run while it learns.

    Attributes:
        snapshot: the newest; the run waits after it, unless it is busy.
        pressed: keys that the driver has not taken yet.
        is_busy: the run is between two snapshots, where it has no picture.
    """

    is_live = True
    next_poll = 1.0  # the driver brings what is new

    def __init__(
        self,
        look: Look,
        settings: Mapping[str, str],
        controls: Callable[[], Controls],
        command: str,
        changes: LiveChanges,
    ) -> None:
        self.look = look
        self.settings = settings
        self.pressed: list[str] = []
        self.snapshot: RunSnapshot = None  # type: ignore[assignment] # it comes before the page is made
        self.controls = controls
        self._command = command
        self._changes = changes
        self.speed = LiveSpeed(self.pressed, controls)
        self.is_busy = False
        self._shown: Shown | None = None
        self._shown_of: RunSnapshot | None = None
        self._shown_look = (0, False, False)

    @property
    def shown(self) -> Shown | None:
        """Picture of the newest snapshot, made when it is asked for first; of an earlier one while the run is busy."""
        look = (self.look.index, self.look.wall, self.look.inside)
        if not self.is_busy and (self._shown_of is not self.snapshot or self._shown_look != look):
            self._shown = self.look.picture()
            self._shown_of = self.snapshot
            self._shown_look = look
        return self._shown

    @property
    def status(self) -> str:
        """The phase and the step."""
        snapshot = self.snapshot
        return f"{snapshot.phase} here, step {snapshot.step:,} of {snapshot.steps:,}"

    @property
    def is_loading(self) -> bool:
        """Return False: a snapshot has what is asked for."""
        return False

    @property
    def wall(self) -> bool:
        """True where all seeds are looked at."""
        return self.look.wall

    @wall.setter
    def wall(self, wall: bool) -> None:
        self.look.wall = wall

    @property
    def inside(self) -> bool:
        """True where the inside of the agent is looked at."""
        return self.look.inside

    @inside.setter
    def inside(self, inside: bool) -> None:
        self.look.inside = inside

    @property
    def index(self) -> int:
        """Number of the seed that is watched."""
        return self.look.index

    def watch(self, index: int) -> None:
        """Watch another seed from the next snapshot on."""
        self.look.index = index % len(self.snapshot.seeds)

    def change(self, what: str) -> str:
        """Change the run at its present step; return why that cannot be, or nothing."""
        try:
            self.snapshot = self._changes.make(what)
        except ValueError as error:
            return str(error)
        return ""

    def step_back(self) -> None:
        """Do nothing: training does not run backwards."""

    def begin_again(self) -> None:
        """Do nothing: training does not begin again."""

    def poll(self) -> bool:
        """Return False: the driver brings what is new."""
        return False

    def command(self) -> str:
        """Return the command that does the same again, with the changes that were made."""
        if not self.snapshot.changes:
            return self._command
        return f"engram reproduce {self.snapshot.id}"

    def close(self) -> None:
        """Let the run go on."""


class LiveSpeed:
    """Speed of a run whose driver takes keys; see :class:`simulator.views.window.training_page.Speed`."""

    def __init__(self, pressed: list[str], controls: Callable[[], Controls]) -> None:
        self._pressed = pressed
        self._controls = controls

    @property
    def is_paused(self) -> bool:
        """True while the run waits."""
        return self._controls().paused

    @property
    def words(self) -> str:
        """The speed in words."""
        controls = self._controls()
        if controls.paused:
            return "paused"
        return "full speed" if controls.speed is None else f"{controls.speed:,g} steps/s"

    def pause(self, paused: bool | None = None) -> None:
        """Pause or go on."""
        if paused is None or paused != self.is_paused:
            self._pressed.append(" ")

    def step(self) -> None:
        """Go one step on and pause."""
        self._pressed.append("n")

    def change(self, *, faster: bool) -> None:
        """Go faster or slower."""
        self._pressed.append("+" if faster else "-")

    def full(self) -> None:
        """Go as fast as it can, or back to slow."""
        self._pressed.append(FULL_SPEED if self._controls().speed is not None else "-")

    def change_every(self, *, more: bool) -> None:
        """Draw more rarely or more often."""
        self._pressed.append("." if more else ",")


class RunWindow:
    """The window as a view and as a keyboard of the driver.

    Args:
        source: the run.
        scale: size of everything.
        watch_elsewhere: called with the id of a run whose environment draws itself: where it closes, it would close
            this window too, so that another process opens one.
        watch_on: makes the page of a run that is over, of its id and the seed that was watched.
        make_page: makes the page of the run.
        window: a window that is open already, and stays so at the end; None: one of its own.
        clock: seconds.
        cpu_clock: CPU seconds of this process.
    """

    def __init__(
        self,
        source: LiveRun,
        scale: str,
        watch_elsewhere: Callable[[str], None],
        watch_on: Callable[[str, int], Page],
        make_page: Callable[[LiveRun], Page] = TrainingPage,
        window: Window | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._source = source
        self._scale = scale
        self._make_page = make_page
        self._window = window
        self._is_shared = window is not None
        self._has_begun = False
        self._watch_elsewhere = watch_elsewhere
        self._watch_on = watch_on
        self._is_elsewhere = False
        self._was_let_go = False
        self._pace = FramePace(clock, cpu_clock)

    @property
    def is_open(self) -> bool:
        """True while the window is there."""
        return self._window is not None and self._window.is_open

    def show(self, snapshot: RunSnapshot) -> None:
        """Draw a snapshot, and take the window's events."""
        self._source.snapshot = snapshot
        if self._is_elsewhere:
            return
        if not self._has_begun and _draws_itself(self._source.shown):
            self._is_elsewhere = True
            if self._window is not None:
                self._window.close()
            self._watch_elsewhere(snapshot.id)
            return
        if not self._has_begun:
            self._has_begun = True
            page = self._make_page(self._source)
            if self._window is None:
                self._window = Window(page, scale=self._scale)
            else:
                self._window.show(page)
        if self._window is not None and self.is_open:
            controls = self._source.controls()
            is_fast = not controls.paused and controls.speed is None and snapshot.phase not in ENDED
            if is_fast and not self._pace.is_due():
                self._window.step(0.0)
            else:
                with self._pace.frame():
                    _ = self._source.shown  # of every step of a slow run: a frame left out leaves no gap in the strips
                    self._window.redraw()
                    self._window.step(0.0)

    def close(self) -> None:
        """Show what the run has learned until the window is closed; a run that was stopped closes it."""
        if self._window is None or self._is_shared:
            return
        try:
            if self.is_open and self._source.snapshot.phase in ENDED:
                self._window.show(self._page_after(self._window.page))
            while self.is_open and self._source.snapshot.phase in ENDED:
                self._window.step(0.5)
                raise_if_stopped()
        except Stopped:
            pass  # the run is over: what it has learned is stored
        finally:
            self._window.close()

    def _page_after(self, before: Page) -> Page:
        """Make the page of the run that is over, at the tab and the seed that were looked at."""
        snapshot = self._source.snapshot
        page = self._watch_on(snapshot.id, snapshot.seeds[self._source.index])
        if isinstance(page, TrainingPage) and isinstance(before, TrainingPage):
            page.go_on_from(before)
        return page

    @contextmanager
    def listening(self, left: Callable[[], None]) -> Iterator[None]:
        """Give keys until the end of the block, and show what is compiled meanwhile."""
        with between_compilations(self._show_compiling):
            yield

    def _show_compiling(self) -> None:
        if self._is_elsewhere:
            return
        if self._window is None:
            try:
                self._window = Window(EmptyPage("Engram"), scale=self._scale)
            except ValueError:  # there is no display: the first snapshot says so
                return
        self._source.is_busy = True
        try:
            self._window.show_waiting(COMPILING)
        finally:
            self._source.is_busy = False

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw: nothing has to be put off."""
        yield

    def release(self) -> None:
        """Do nothing: no terminal was changed."""

    def keys(self, seconds: float) -> list[str]:
        """Wait for keys, at most so many seconds, while the window takes its events.

        A run whose window was closed goes on at full speed, also where it was paused: what was pressed before the
        window closed counts no more, as nobody could take a pause back.
        """
        until = time.monotonic() + seconds
        while self._window is not None and self.is_open and not self._source.pressed:
            left = until - time.monotonic()
            self._window.step(max(left, 0.0))
            if left <= 0:
                break
        if self._window is not None and not self.is_open:
            self._source.pressed.clear()
            if not self._was_let_go:
                self._was_let_go = True
                return [FULL_SPEED]
        if not self.is_open and seconds > 0:
            time.sleep(max(until - time.monotonic(), 0.0))
        pressed = list(self._source.pressed)
        self._source.pressed.clear()
        return pressed


def _draws_itself(shown: Shown | None) -> bool:
    return shown is not None and shown.shown.view.scene.image is not None
