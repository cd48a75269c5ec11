"""Single keys of a terminal, which is put back as it was when no more are read.

The terminal is asked for single keys only while this process is in its foreground, and gets its own mode back at the
end, on Ctrl-Z, and before the process leaves at once. Nothing is changed where lines had been typed, or pasted, before
the process began: they are for the shell.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Protocol

UP, RIGHT, DOWN, LEFT = "up", "right", "down", "left"  # the arrow keys
QUIT = "\x1c"  # Ctrl-\, which would end the process without giving the mode back
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|.", re.DOTALL)
_NAMED = {
    f"\x1b{kind}{letter}": key for letter, key in zip("ABCD", (UP, DOWN, RIGHT, LEFT), strict=True) for kind in "[O"
}


class KeySource(Protocol):
    """The keys of a person who watches an experiment, in a terminal or a window."""

    def listening(self, left: Callable[[], None]) -> AbstractContextManager[None]:
        """Give single keys, until the end of the block; ``left``: called before the process stops on Ctrl-Z."""

    def drawing(self) -> AbstractContextManager[None]:
        """Draw in the block."""

    def keys(self, seconds: float) -> list[str]:
        """Wait for keys, at most so many seconds; all that were pressed, such as ``n``, ``+`` or ``RIGHT``."""

    def release(self) -> None:
        """Take no more keys; any number of times, from any thread."""


class Keyboard:
    """The keys of a terminal.

    Args:
        terminal: its file descriptor.
    """

    def __init__(self, terminal: int = 0) -> None:
        self._terminal = terminal
        self._before: list[Any] | None = None  # the mode that it had
        self._gives_keys = False
        self._is_drawing = False
        self._is_asked_to_stop = False
        self._left: Callable[[], None] = lambda: None

    @staticmethod
    def of_terminal() -> Keyboard | None:
        """Return the keyboard of the terminal of stdin; None without one, or where nothing is drawn on it."""
        try:
            import termios  # noqa: F401 - not on every system

            watched = os.isatty(0) and sys.stderr.isatty()
        except (ImportError, OSError, ValueError):
            return None
        return Keyboard() if watched and not _has_line(0) else None

    @contextmanager
    def listening(self, left: Callable[[], None]) -> Iterator[None]:
        """Give single keys, until the end of the block.

        Args:
            left: called before the process stops on Ctrl-Z: nothing may be half drawn then.
        """
        self._left = left
        stops = getattr(signal, "SIGTSTP", 0)
        may_stop = stops and signal.getsignal(stops) == signal.SIG_DFL
        before: dict[int, Any] = {}
        try:
            if may_stop:
                before = {stops: signal.signal(stops, self._asked_to_stop)}
                before[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._continued)
            self._enter()
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.release()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Put off Ctrl-Z until something is drawn."""
        self._is_drawing = True
        try:
            yield
        finally:
            self._is_drawing = False
            if self._is_asked_to_stop:
                self._stop()

    def keys(self, seconds: float) -> list[str]:
        """Wait for keys, at most so many seconds; all that were pressed, such as ``n``, ``+`` or ``RIGHT``."""
        if not self._is_ours():  # sent to the background
            self._gives_keys = False
            time.sleep(seconds)
            return []
        self._enter()
        try:
            if not select.select([self._terminal], [], [], seconds)[0]:
                return []
            text = os.read(self._terminal, 256).decode("utf-8", "replace")
        except OSError:  # the terminal is gone
            time.sleep(seconds)
            return []
        if not text:
            time.sleep(seconds)
        return [_NAMED.get(key, key) for key in _SEQUENCE.findall(text)]

    def release(self) -> None:
        """Give the terminal its own mode back; any number of times, from any thread."""
        if self._gives_keys and self._before is not None:
            self._gives_keys = False
            self._set(self._before)

    def _enter(self) -> None:
        import termios

        if self._gives_keys or not self._is_ours():
            return
        try:
            mode = termios.tcgetattr(self._terminal)
            unused = os.fpathconf(self._terminal, "PC_VDISABLE").to_bytes(1, "big")
        except (OSError, termios.error):
            return
        if mode[3] & termios.ICANON:
            self._before = mode
        keys = [*mode[:6], [*mode[6]]]
        keys[3] &= ~(termios.ICANON | termios.ECHO)
        keys[6][termios.VMIN] = 1
        keys[6][termios.VTIME] = 0
        keys[6][termios.VQUIT] = unused
        self._gives_keys = self._set(keys)

    def _set(self, mode: list[Any]) -> bool:
        """Set the mode, also where this process is in the background by now, which would stop it."""
        import termios

        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
        except (OSError, termios.error):
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return True

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return False

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_asked_to_stop = True
        if not self._is_drawing:
            self._stop()

    def _stop(self) -> None:
        """Stop as the system would, with the terminal as it was; return when the process goes on."""
        self._is_asked_to_stop = False
        self.release()
        with contextlib.suppress(OSError):
            self._left()
        stops = signal.SIGTSTP
        signal.signal(stops, signal.SIG_DFL)
        os.kill(os.getpid(), stops)
        signal.signal(stops, self._asked_to_stop)

    def _continued(self, number: int, frame: FrameType | None) -> None:
        """Ask for keys again: a shell gives the terminal a mode of its own when it continues a process."""
        self._gives_keys = False


def _has_line(terminal: int) -> bool:
    """Tell whether a whole line waits to be read."""
    return bool(select.select([terminal], [], [], 0)[0])
