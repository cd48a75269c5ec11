"""Speed at which episodes are shown: steps a second, and how many steps lie between two pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

SPEEDS = tuple(figure * 10.0**power for power in range(4) for figure in (1, 2, 5))  # steps a second
FAST = SPEEDS[-1]
BEGIN = 10.0
FLUENT = 50.0  # of what moves smoothly, as machines and games in real time do
EVERY = tuple(figure * 10**power for power in range(5) for figure in (1, 2, 5))
PICTURE_SECONDS = 1 / 30  # between two pictures at least


class SpeedControl:
    """Timetable of the next steps: when they are due, and how many.

    Args:
        clock: seconds, never running backwards.

    Attributes:
        is_paused: nothing is due.
        every: steps from one picture to the next.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._speed = BEGIN
        self._chosen = False
        self.is_paused = False
        self.every = 1
        self._due = clock()
        self._asked = 0

    @property
    def is_fast(self) -> bool:
        """True at the highest speed."""
        return self._speed >= FAST

    @property
    def words(self) -> str:
        """The speed in words."""
        if self.is_paused:
            return "paused"
        return f"{self._speed:,g} steps/s" + (f", every {self.every:,} steps" if self.every > 1 else "")

    def seconds_left(self) -> float:
        """Return the seconds until steps are due; infinity while it is paused."""
        if self._asked:
            return 0.0
        if self.is_paused:
            return math.inf
        return max(self._due - self._clock(), 0.0)

    def is_due(self) -> bool:
        """Tell whether steps are due now."""
        return self.seconds_left() <= 0.0

    def due(self) -> int:
        """Return the steps to make now, and wait for the next ones from now on; 0: none is due."""
        if not self.is_due():
            return 0
        now = self._clock()
        if self._asked:
            self._asked -= 1
            return 1
        n = self.every
        if self.every == 1:
            n = max(1, round(self._speed * PICTURE_SECONDS))  # more than one where pictures would come too fast
        self._due = max(self._due + n / self._speed, now)
        return n

    def pause(self, paused: bool | None = None) -> None:
        """Pause or go on; None: whichever it does not do."""
        self.is_paused = not self.is_paused if paused is None else paused
        self._asked = 0
        self._due = self._clock()

    def step(self) -> None:
        """Pause after one more step."""
        self._asked += self.is_paused
        self.is_paused = True

    def suggest(self, speed: float) -> None:
        """Go at a speed, unless somebody has chosen one."""
        if not self._chosen:
            self._speed = speed

    def change(self, *, faster: bool) -> None:
        """Go to the next speed up or down."""
        self._chosen = True
        if faster:
            self._speed = next((speed for speed in SPEEDS if speed > self._speed * 1.001), FAST)
        else:
            self._speed = next((speed for speed in SPEEDS[::-1] if speed < self._speed * 0.999), SPEEDS[0])
        self._due = self._clock()

    def full(self) -> None:
        """Go to the highest speed, or back from it."""
        self._chosen = True
        self._speed = BEGIN if self.is_fast else FAST
        self.is_paused = False
        self._due = self._clock()

    def change_every(self, *, more: bool) -> None:
        """Let more or fewer steps lie between two pictures."""
        if more:
            self.every = next((n for n in EVERY if n > self.every), self.every)
        else:
            self.every = next((n for n in EVERY[::-1] if n < self.every), 1)
