"""Short lines for people about what is not as they may expect, each said once.

A player has no business with the terminal; it calls :func:`notice`, and whoever hosts it decides where the line goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

_said: set[tuple[str, str]] = set()
_hosts: list[Callable[[str], None]] = []


def notice(place: str, line: str) -> None:
    """Say ``place: line``, unless it was said since the last run began here."""
    if (place, line) in _said:
        return
    _said.add((place, line))
    for say in _hosts or [_to_stderr]:
        say(f"{place}: {line}")


def send_notices_to(say: Callable[[str], None]) -> None:
    """Let ``say`` have every notice; until then they go to stderr as they are."""
    _hosts[:] = [say]


def forget_notices() -> None:
    """Say everything again: a new run begins."""
    _said.clear()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
