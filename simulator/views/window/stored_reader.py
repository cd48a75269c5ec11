"""Reading of what is stored of an experiment, for a window that shows it while this process runs it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from simulator.core.snapshots import ENDED, Snapshot

READ_SHARE = 0.05  # of the time that is spent on reading

T = TypeVar("T")


class StoredReader(Generic[T]):
    """Reads what is stored of a running experiment where it has changed, in a small part of the time.

    Args:
        read: what is stored of an experiment, by its id; None where it cannot be read now.
        clock: seconds.
    """

    def __init__(self, read: Callable[[str], T | None], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._state: Hashable = None  # when it was read
        self._next = -math.inf  # seconds of the clock from which it may be read again

    def news(self, snapshot: Snapshot, state: Hashable) -> T | None:
        """Read it, unless its state is as before or it was read just now; an experiment that is over waits for nothing.

        Args:
            snapshot: the newest one.
            state: what changes whenever more is stored.
        """
        if state == self._state or (snapshot.phase not in ENDED and self._clock() < self._next):
            return None
        began = self._clock()
        found = self._read(snapshot.id)
        if found is not None:
            self._state = state
        self._next = self._clock() + (self._clock() - began) / READ_SHARE
        return found
