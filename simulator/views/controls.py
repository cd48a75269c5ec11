"""Speed and keys of a watched run, as its view tells them."""

from __future__ import annotations

from typing import NamedTuple

from simulator.views.style import Part, count


class Controls(NamedTuple):
    """Speed, pause and keys of a live view."""

    speed: float | None = None  # environment steps per second; None: as fast as it can
    paused: bool = False
    keys: tuple[str, ...] = ()  # "space pause"; empty without a keyboard

    def parts(self) -> list[Part]:
        """Return the words of a line: the speed first, then the keys."""
        slow = [] if self.speed is None else [(f"{count(self.speed)} steps/s", "bold")]
        now = [("paused", "bold yellow")] if self.paused else slow
        return [*now, *((key, "dim") for key in self.keys)]
