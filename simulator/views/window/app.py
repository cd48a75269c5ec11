"""Window: the one owner of the display, with its event loop.

It draws at most thirty times a second, and not at all while nothing changes: then it sleeps until an event comes or
its page wants to look for something new.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from simulator.core.files.escaping import visible
from simulator.views.drawing.canvas import (
    SIZE,
    SMALL,
    TITLE,
    Canvas,
    forget_texts,
    open_fonts,
    prepare_sdl,
    pygame_module,
)
from simulator.views.drawing.colours import BACKGROUND, FAINT, INK, PAPER, RULE
from simulator.views.window.widgets import draw_tooltip, is_key

FRAME_SECONDS = 1 / 30
LOOK_SECONDS = 0.02  # between looks for events, while nothing happens
WAITING_SECONDS = 0.1  # between two drawings while the process does something else
LONGEST_WAIT = 0.5  # seconds, after which signals are looked at
MESSAGE_SECONDS = 6.0
TIP_SECONDS = 5.0  # after which words about what lies under a pointer that rests are gone
STEPS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)  # that Ctrl + and - go through
WINDOW_SIZE = (1280, 800)  # units
SMALLEST = (480, 320)
KEYS = (
    ("F1", "show or hide the keys"),
    ("Tab, Shift Tab", "go from control to control; arrows and Enter use it"),
    ("Ctrl +, Ctrl -", "larger, smaller"),
    ("s, F12", "save a picture of the window as PNG"),
    ("c", "copy the command that shows this again"),
    ("k", "copy the command that makes it again, with all its settings"),
    ("q, Esc", "close"),
)
NO_DISPLAY = "no display: none of DISPLAY, WAYLAND_DISPLAY and SDL_VIDEODRIVER is set, expected one for a window"
UNSEEN = "no display: SDL_VIDEODRIVER={driver} draws where nobody sees it, expected a display to play on"
WATCHED_WITHOUT = (
    "without one, engram record RUN out.gif draws into a file, and engram run --view terminal in the terminal"
)
UNSEEN_DRIVERS = ("dummy", "offscreen")


class WindowClosed(Exception):  # noqa: N818 - it is no error
    """The window was closed while its page waited for something."""


class Page(Protocol):
    """Content of a window."""

    @property
    def title(self) -> str:
        """Title of the window."""

    @property
    def keys(self) -> Sequence[tuple[str, str]]:
        """(key, what it does), for F1."""

    @property
    def next_poll(self) -> float:
        """Seconds until ``poll`` shall be called again; infinity: not before an event."""

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw into a rectangle; what lies under the canvas's pointer may be told in its ``tip``."""

    def handle(self, event: Any) -> bool:
        """Take an event of pygame; True: it was used."""

    def poll(self) -> bool:
        """Look for something new; True: it is to be drawn."""

    def command(self) -> str:
        """Return the command line that shows the same again."""

    def close(self) -> None:
        """Let go of what it holds."""


@runtime_checkable
class HasRecipe(Protocol):
    """A page of an experiment that can be made again, which is more than to be shown again."""

    def recipe(self, onward: bool) -> str:
        """Return the command line that makes it again; ``onward``: one that begins with what this one has learned.

        Raises:
            ValueError: it cannot be told now; one line.
        """


def check_display(otherwise: str = WATCHED_WITHOUT, *, must_be_seen: bool = False) -> None:
    """Check that there may be a display, before anything begins.

    Args:
        otherwise: what to do without one.
        must_be_seen: a driver that shows nothing is none.

    Raises:
        ValueError: there is none, in one line that says what to do.
    """
    prepare_sdl()
    named = [name for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER") if os.environ.get(name)]
    if not named and sys.platform not in ("darwin", "win32"):
        raise ValueError(f"{NO_DISPLAY}; {otherwise}")
    driver = os.environ.get("SDL_VIDEODRIVER", "")
    if must_be_seen and driver in UNSEEN_DRIVERS:
        raise ValueError(f"{UNSEEN.format(driver=driver)}; {otherwise}")


class Window:
    """A window with a page.

    Args:
        page: its content.
        scale: pixels of a unit of length: auto or a number.
        size: units that it is wide and high at first.
        folder: where pictures of it are saved.

    Raises:
        ValueError: there is no display, in one line.
    """

    def __init__(
        self,
        page: Page,
        *,
        scale: str | float = "auto",
        size: tuple[int, int] = WINDOW_SIZE,
        folder: Path | str = ".",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_display()
        self.page = page
        self.is_open = True
        self._pygame = pygame_module()
        self._folder = Path(folder)
        self._clock = clock
        self._message = ""
        self._message_until = -math.inf
        self._shows_keys = False
        self._dirty = True
        self._drawn = -math.inf
        self._waited = -math.inf  # when words of waiting were drawn, since the page was
        self._pointer: tuple[int, int] | None = None
        self._tip_until = -math.inf
        try:
            self._pygame.display.init()
            open_fonts()
            self.scale = float(scale) if scale != "auto" else _scale_of_desktop(self._pygame)
            self._surface = self._open(size)
        except self._pygame.error as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"no display: {reason}; engram record RUN out.gif draws without one") from None

    def run(self) -> None:
        """Show the page until the window is closed."""
        try:
            while self.is_open:
                self.step(LONGEST_WAIT)
        finally:
            self.close()

    def stay(self) -> None:
        """Show the page of an experiment that is over until the window is closed, by Ctrl-C or SIGTERM too."""

        def leave(number: int, frame: object) -> None:
            self.is_open = False

        before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def step(self, seconds: float = 0.0) -> bool:
        """Wait at most so long for something to do, do it, and draw where something changed; False: it is closed.

        An error of the display, as after another library closed it, closes the window.
        """
        if not self.is_open:
            return False
        try:
            self._step(seconds)
        except self._pygame.error:
            if self._pygame.display.get_init() and self._pygame.display.get_surface() is not None:
                raise
            self.is_open = False
        return self.is_open

    def show(self, page: Page) -> None:
        """Show another page in the place of this one, which is closed."""
        self.page.close()
        self.page = page
        self._pygame.display.set_caption(page.title)
        self._dirty = True

    def stay_alive(self) -> None:
        """Let the system see that the window is alive, while its page waits for something.

        Raises:
            WindowClosed: it was closed meanwhile.
        """
        self._pygame.event.pump()
        if self._pygame.event.peek(self._pygame.QUIT):
            self.is_open = False
            raise WindowClosed

    def show_waiting(self, words: str) -> None:
        """Draw words over the page, now and then, while the process does something else for long; takes no keys."""
        if not self.is_open or self._clock() - self._waited < WAITING_SECONDS:
            return
        try:
            self._pygame.event.pump()
            if self._pygame.event.peek(self._pygame.QUIT):
                self.is_open = False
                return
            self._draw()
            _draw_waiting(Canvas(self._surface, self.scale), words)
            self._pygame.display.flip()
        except self._pygame.error:  # another library has closed the display
            self.is_open = False
        self._waited = self._clock()
        self._dirty = True

    def redraw(self) -> None:
        """Draw at the next step."""
        self._dirty = True

    def say(self, words: str) -> None:
        """Show a line in the upper right corner, where no control is, for some seconds."""
        self._message = words
        self._message_until = self._clock() + MESSAGE_SECONDS
        self._dirty = True

    def close(self) -> None:
        """Close the window; any number of times."""
        self.is_open = False
        self.page.close()
        with suppress(self._pygame.error):
            self._pygame.display.quit()
        forget_texts()

    def save_picture(self, path: Path) -> None:
        """Write what the window shows into a PNG.

        Raises:
            OSError: it cannot be written.
        """
        self._draw()

        self._pygame.image.save(self._surface, str(path))

    def _open(self, size: tuple[int, int]) -> Any:
        pygame = self._pygame
        pixels = [round(units * self.scale) for units in size]
        with suppress(AttributeError, IndexError):
            width, height = pygame.display.get_desktop_sizes()[0]
            if width > 0 and height > 0:
                pixels = [min(pixels[0], int(width * 0.97)), min(pixels[1], int(height * 0.9))]
        surface = pygame.display.set_mode(pixels, pygame.RESIZABLE)
        pygame.display.set_caption(self.page.title)
        pygame.key.set_repeat(300, 40)
        return surface

    def _step(self, seconds: float) -> None:
        for event in self._events(self._pause(seconds)):
            self._handle(event)
            if not self.is_open:
                return
        self._dirty |= self.page.poll()
        if self._message and self._clock() >= self._message_until:
            self._message = ""
            self._dirty = True
        if self._clock() >= self._tip_until:
            self._hide_tip()
        if self._dirty and self._clock() - self._drawn >= FRAME_SECONDS - 0.001:
            self._drawn = self._clock()
            self._waited = -math.inf
            self._draw()
            self._dirty = False
            self._pygame.display.flip()

    def _pause(self, seconds: float) -> float:
        """Return the seconds until there is something to do, if no event comes."""
        now = self._clock()
        waits = [seconds, self.page.next_poll]
        if self._dirty:
            waits.append(self._drawn + FRAME_SECONDS - now)
        waits += [until - now for until in (self._message_until, self._tip_until) if until > now]
        return max(min(waits), 0.0)

    def _events(self, seconds: float) -> list[Any]:
        """Wait for events, at most so many seconds.

        SDL's own wait looks a thousand times a second, which takes 2 % of a core while nothing happens.
        """
        until = time.monotonic() + seconds
        while not (events := self._pygame.event.get()):
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, LOOK_SECONDS))
        return events

    def _handle(self, event: Any) -> None:
        pygame = self._pygame
        if event.type == pygame.QUIT:
            self.is_open = False
        elif event.type == pygame.VIDEORESIZE:
            self._surface = pygame.display.get_surface()
            self._dirty = True
        elif event.type in (pygame.WINDOWEXPOSED, pygame.WINDOWSHOWN, pygame.WINDOWRESTORED):
            self._dirty = True
        elif event.type == pygame.WINDOWLEAVE:
            self._pointer = None
            self._dirty = True
        else:
            self._give(event)

    def _give(self, event: Any) -> None:
        """Give an event of the mouse or the keyboard to the page, and keys that it does not use to the window."""
        pygame = self._pygame
        if event.type == pygame.MOUSEMOTION:
            self._pointer = event.pos
            self._tip_until = self._clock() + TIP_SECONDS
            self._dirty = True
        elif event.type in (pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN):
            self._hide_tip()
        if self._shows_keys and is_key(event, "escape", "return", "f1", "q"):
            self._shows_keys = False
            self._dirty = True
            return
        if self.page.handle(event) or (event.type == pygame.KEYDOWN and self._press(event)):
            self._dirty = True

    def _hide_tip(self) -> None:
        self._dirty |= self._tip_until > -math.inf
        self._tip_until = -math.inf

    def _press(self, event: Any) -> bool:
        control = bool(event.mod & (self._pygame.KMOD_CTRL | self._pygame.KMOD_META))
        if control and is_key(event, "=", "+", "[+]", "-", "[-]", "0"):
            self._zoom(self._pygame.key.name(event.key))
        elif is_key(event, "f1"):
            self._shows_keys = True
        elif is_key(event, "f12") or (is_key(event, "s") and not control):
            self._save()
        elif is_key(event, "c") and not control:
            self._copy(self.page.command())
        elif is_key(event, "k") and not control:
            self._copy_recipe(onward=bool(event.mod & self._pygame.KMOD_SHIFT))
        elif is_key(event, "q", "escape") or (control and is_key(event, "w")):
            self.is_open = False
        else:
            return False
        return True

    def _zoom(self, key: str) -> None:
        larger = [step for step in STEPS if step > self.scale + 1e-6]
        smaller = [step for step in STEPS if step < self.scale - 1e-6]
        if "-" in key:
            self.scale = smaller[-1] if smaller else self.scale
        elif key == "0":
            self.scale = 1.0
        else:
            self.scale = larger[0] if larger else self.scale
        self.say(f"scale {self.scale:g}")

    def _save(self) -> None:
        path = free_path(self._folder, "engram", ".png")
        try:
            self.save_picture(path)
        except (OSError, self._pygame.error) as error:
            self.say(f"{path}: {error}")
        else:
            self.say(f"saved {path}")

    def _copy_recipe(self, onward: bool) -> None:
        try:
            command = self.page.recipe(onward) if isinstance(self.page, HasRecipe) else self.page.command()
        except ValueError as error:
            self.say(str(error))
        else:
            self._copy(command)

    def _copy(self, command: str) -> None:
        """Put a command on the clipboard; where there is none it is printed, and stays to be read in the window."""
        if copy_text(command):
            self.say(f"copied: {command}")
        else:
            print_line(command)
            self.say(command)

    def _draw(self) -> None:
        canvas = Canvas(self._surface, self.scale, self._pointer)
        canvas.fill(canvas.rect, BACKGROUND)
        if canvas.rect.width < SMALLEST[0] // 2 or canvas.rect.height < SMALLEST[1] // 2:
            canvas.text((4, 4), "too small", SIZE, INK, width=canvas.rect.width)
            return
        self.page.draw(canvas, canvas.rect.inflate(-canvas.px(20), -canvas.px(16)))
        if self._shows_keys:
            _draw_keys(canvas, (*self.page.keys, *KEYS))
        elif canvas.tip and self._clock() < self._tip_until:
            draw_tooltip(canvas, canvas.tip)
        if self._message:
            _draw_message(canvas, self._message)


def free_path(folder: Path, stem: str, suffix: str) -> Path:
    """Return the path of a file that does not exist yet: stem-1, stem-2 and so on."""
    number = 1
    while (path := folder / f"{stem}-{number}{suffix}").exists():
        number += 1
    return path


def print_line(line: str) -> None:
    """Print a line on stdout, or on stderr where a file or another program reads stdout, which is for results."""
    with suppress(OSError, ValueError):  # nobody reads it, or not in these letters
        print(visible(line), file=sys.stdout if sys.stdout.isatty() else sys.stderr, flush=True)


def copy_text(text: str) -> bool:
    """Put a text on the clipboard; False where there is none."""
    pygame = pygame_module()
    try:
        if hasattr(pygame.scrap, "put_text"):
            pygame.scrap.put_text(text)
        else:
            pygame.scrap.init()
            pygame.scrap.put("text/plain;charset=utf-8", text.encode())
    except (pygame.error, AttributeError):
        return False
    return True


def _scale_of_desktop(pygame: Any) -> float:
    """Return 1, 1.5 or 2 by the height of the first screen, which is all that is known below Wayland and X."""
    try:
        height = pygame.display.get_desktop_sizes()[0][1]
    except (AttributeError, IndexError, pygame.error):
        return 1.0
    return 2.0 if height >= 1800 else 1.5 if height >= 1350 else 1.0


def _draw_keys(canvas: Canvas, keys: Sequence[tuple[str, str]]) -> None:
    """Draw the keys over the page."""
    step = canvas.px(22)
    wide = max(canvas.text_size(key, face="mono")[0] for key, _ in keys) + canvas.px(24)
    words = max(canvas.text_size(text)[0] for _, text in keys)
    box = canvas.rect.copy()
    box.size = (
        min(wide + words + canvas.px(40), canvas.rect.width - canvas.px(20)),
        min(len(keys) * step + canvas.px(56), canvas.rect.height - canvas.px(20)),
    )
    box.center = canvas.rect.center
    canvas.box(box, PAPER, 6)
    canvas.frame(box, RULE, 2, 6)
    x, y = box.left + canvas.px(20), box.top + canvas.px(14)
    canvas.text((x, y), "Keys", TITLE, face="bold")
    for key, text in keys:
        y += step
        if y + step > box.bottom:
            break
        canvas.text((x, y + canvas.px(6)), key, SIZE, INK, face="mono")
        canvas.text((x + wide, y + canvas.px(6)), text, SIZE, FAINT, width=box.right - x - wide - canvas.px(10))


class EmptyPage:
    """Page of a window that has nothing to show yet; see :class:`Page`.

    Args:
        title: of the window.
    """

    keys: Sequence[tuple[str, str]] = ()
    next_poll = math.inf

    def __init__(self, title: str) -> None:
        self.title = title

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw nothing."""

    def handle(self, event: Any) -> bool:
        """Use no event."""
        return False

    def poll(self) -> bool:
        """Find nothing new."""
        return False

    def command(self) -> str:
        """Return no command."""
        return ""

    def close(self) -> None:
        """Hold nothing."""


def _draw_waiting(canvas: Canvas, words: str) -> None:
    """Draw words in the middle."""
    pad = canvas.px(16)
    box = canvas.rect.copy()
    box.size = (canvas.text_size(words)[0] + 2 * pad, canvas.line_height() + 2 * pad)
    box.center = canvas.rect.center
    canvas.box(box, PAPER, 6)
    canvas.frame(box, RULE, 2, 6)
    canvas.text(box.move(0, pad).midtop, words, SIZE, INK, align="centre", width=canvas.rect.width - 2 * pad)


def _draw_message(canvas: Canvas, words: str) -> None:
    pad = canvas.px(8)
    room = canvas.rect.width - 4 * pad
    box = canvas.rect.copy()
    box.size = (min(canvas.text_size(words, SMALL)[0], room) + 2 * pad, canvas.line_height(SMALL) + pad)
    box.topright = (canvas.rect.right - pad // 2, canvas.px(3))
    canvas.box(box, INK, 4)
    canvas.text((box.left + pad, box.top + pad // 2), words, SMALL, BACKGROUND, width=room)
