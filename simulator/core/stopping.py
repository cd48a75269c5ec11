"""Polling in long work: a rate limiter, and requests to stop for work without snapshots, such as reading files."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STOP_REQUESTS: list[Callable[[], int]] = []


class Stopped(BaseException):
    """A signal to stop. Not an Exception, so that no error handler catches it.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def raise_if_stopped() -> None:
    """Continue, unless a signal asked to stop.

    Raises:
        Stopped: one did.
    """
    for ask in _STOP_REQUESTS:
        if number := ask():
            raise Stopped(number)


@contextmanager
def stop_requests_from(ask: Callable[[], int]) -> Iterator[None]:
    """Let :func:`raise_if_stopped` ask for the number of the signal that came, 0 for none."""
    _STOP_REQUESTS.append(ask)
    try:
        yield
    finally:
        _STOP_REQUESTS.remove(ask)


class RateLimiter:
    """Lets one call through per interval; the first one at once.

    Args:
        interval: seconds.
        clock: seconds, never running backwards.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._last = -math.inf

    def is_due(self) -> bool:
        """Return whether the interval is over, and begin the next one where it is."""
        now = self._clock()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True

    def restart(self) -> None:
        """Begin a new interval now."""
        self._last = self._clock()


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Let processes that are started within the block begin without Ctrl-C, which is for the one that starts them.

    They would print a traceback if it came before they can ignore it; see :func:`ignore_ctrl_c`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_ctrl_c() -> None:
    """Ignore Ctrl-C from now on, in a process that was started while it was held back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
