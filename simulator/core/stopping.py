"""Polling in long work: a rate limiter, and requests to stop for work without snapshots, such as reading files."""

from __future__ import annotations

import math
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
