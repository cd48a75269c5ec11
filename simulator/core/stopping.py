"""Long work that plays no steps, such as reading a folder of files, asks here whether somebody wants to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_asked: list[Callable[[], int]] = []


class Stopped(BaseException):
    """A signal that came while files were read: no error, and nothing that catches errors may catch it.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def heed() -> None:
    """Go on, unless somebody asked to stop.

    Raises:
        Stopped: somebody did.
    """
    for ask in _asked:
        if number := ask():
            raise Stopped(number)


@contextmanager
def heeding(ask: Callable[[], int]) -> Iterator[None]:
    """Let :func:`heed` ask here: the number of the signal that came, or 0."""
    _asked.append(ask)
    try:
        yield
    finally:
        _asked.remove(ask)
