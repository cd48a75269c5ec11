"""Speed of a watched run: full, N environment steps a second, paused, or step by step; keys change it.

A run is an iterator that its driver asks for snapshots: it is slow where the driver waits before it asks, and paused
where it does not ask. No result depends on that.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress

from simulator.commands.live.keyboard import RIGHT, KeySource
from simulator.core.snapshots import ENDED, Snapshot, Stride
from simulator.views.controls import Controls

FRAME_SECONDS = 0.05  # between the snapshots of a slow run, or one step where that takes longer
TICK_SECONDS = 0.1  # between looks at signals and at the size of the terminal, while nothing happens
SPEEDS = tuple(figure * 10.0**power for power in range(6) for figure in (1, 2, 5))  # that + and - go through
SLOW = 10.0  # steps per second
MAX_DOUBLINGS = 30.0
KEYS = {
    " ": "pause",
    "n": "step",
    RIGHT: "step",
    "+": "faster",
    "=": "faster",  # + without the shift key
    "-": "slower",
    "_": "slower",
    "f": "full",
    "q": "stop",
}


class Playback:
    """Speed at which a run is shown.

    Args:
        speed: environment steps per second and seed at first; None: as fast as it can.
        keyboard: keys that change it; None: it stays.
        doubles_every: seconds after which the speed doubles, again and again; 0: it does not.
        any_key_skips: True: any key sets full speed, and there are no other keys.
        clock: seconds, never running backwards.
    """

    def __init__(
        self,
        speed: float | None = None,
        keyboard: KeySource | None = None,
        *,
        doubles_every: float = 0.0,
        any_key_skips: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stride = Stride()
        self.keyboard = keyboard
        self.stop_asked = False
        self.paused = False
        self._speed = speed
        self._slow = speed or SLOW  # what - goes back to from full speed
        self._doubles_every = doubles_every
        self._any_key_skips = any_key_skips
        self._clock = clock
        self._began: float | None = None
        self._steps_asked = 0
        self._step: int | None = None  # at the snapshot before
        self._due = 0.0  # time at which that one was due

    @property
    def speed(self) -> float | None:
        """Environment steps per second and seed; None: as fast as it can."""
        if self._speed is None or self._began is None or not self._doubles_every:
            return self._speed
        doublings: float = (self._clock() - self._began) / self._doubles_every
        return self._speed * math.exp2(min(doublings, MAX_DOUBLINGS))

    def controls(self) -> Controls:
        """Return what the view says about the speed and the keys."""
        keys = ("any key skips to the end",) if self._any_key_skips else _key_words(self.paused, self._speed is None)
        return Controls(self.speed, self.paused, keys if self.keyboard else ())

    def wait(self, snapshot: Snapshot, show: Callable[[], None], is_stopped: Callable[[], int]) -> None:
        """Wait until the snapshot after this one may be asked for, and set how many steps lie between.

        Args:
            snapshot: the latest.
            show: draws it again, where a key or the terminal's size changed the picture.
            is_stopped: asked while it waits: non-zero where the run shall stop.
        """
        began = self._clock()
        done = snapshot.progress.done
        if self._step is None:
            self._began = began
            self._due = began
        advanced = done - self._step if self._step is not None else 0
        self._step = done
        if advanced and self._steps_asked:
            self._steps_asked -= 1
        size = _terminal_size()
        changed = self.paused  # the view may have left out a step that came soon after another
        while not is_stopped() and not self.stop_asked and snapshot.phase not in ENDED:
            left = self._seconds_left(advanced)
            pressed = self._keys(min(left, TICK_SECONDS))
            if not pressed and (changed or _terminal_size() != size):
                show()
                changed = False
                size = _terminal_size()
            for key in pressed:
                changed |= self._press(key)
            if not pressed and self._seconds_left(advanced) <= 0:
                break
        now = self._clock()
        self.stride.idle_seconds += now - began
        self._due = max(self._due + advanced / (self.speed or math.inf), now - FRAME_SECONDS)
        self.stride.steps = self._stride_steps()

    def _keys(self, seconds: float) -> list[str]:
        if self.keyboard is not None:
            return self.keyboard.keys(max(seconds, 0.0))
        if seconds > 0:
            time.sleep(seconds)
        return []

    def _seconds_left(self, advanced: int) -> float:
        """Return the seconds until the next snapshot is due, after one that was so many steps on."""
        if self.paused:
            return 0.0 if self._steps_asked else math.inf
        speed = self.speed
        return 0.0 if speed is None else self._due + advanced / speed - self._clock()

    def _stride_steps(self) -> int:
        if self.paused:
            return 1
        speed = self.speed
        return 0 if speed is None else max(1, math.ceil(speed * FRAME_SECONDS))

    def _press(self, key: str) -> bool:
        """Do what a key asks for; True where it means something."""
        if self._any_key_skips:
            self._speed = None
            return True
        action = KEYS.get(key)
        if action == "pause":
            self.paused = not self.paused
            self._steps_asked = 0
        elif action == "step":
            self._steps_asked += self.paused
            self.paused = True
        elif action in ("faster", "slower"):
            self._change_speed(faster=action == "faster")
        elif action == "full":
            self.paused = False
            self._speed = None
        elif action == "stop":
            self.stop_asked = True
        return action is not None

    def _change_speed(self, *, faster: bool) -> None:
        if self._speed is None:
            self._speed = None if faster else self._slow
        elif faster:
            self._speed = next((speed for speed in SPEEDS if speed > self._speed * 1.001), self._speed)
        else:
            self._speed = next((speed for speed in SPEEDS[::-1] if speed < self._speed * 0.999), self._speed)
        self._slow = self._speed or self._slow


def _key_words(paused: bool, is_full: bool) -> tuple[str, ...]:
    space = "space continue" if paused else "space pause"
    return (space, "n one step", *(("- slow",) if is_full else ("+ - speed", "f full speed")), "q stop")


def _terminal_size() -> tuple[int, int]:
    with suppress(OSError, ValueError):
        columns, lines = os.get_terminal_size(2)
        return columns, lines
    return 0, 0
