"""Notices: short lines about the unexpected, each printed once.

A player does not write to the terminal; it calls :func:`notice`, and the host decides where the line goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

_said: set[tuple[str, str]] = set()


def notice(place: str, line: str) -> None:
    """Send ``place: line``, unless it was sent since the last run began in this process."""
    if (place, line) in _said:
        return
    _said.add((place, line))
    _say(f"{place}: {line}")


def send_notices_to(say: Callable[[str], None]) -> Callable[[str], None]:
    """Send every notice to ``say`` from now on, and return what they were sent to; at first that is stderr."""
    global _say
    before, _say = _say, say
    return before


def forget_notices() -> None:
    """Forget which notices were sent: a new run begins."""
    _said.clear()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_say: Callable[[str], None] = _to_stderr
