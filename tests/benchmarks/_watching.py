"""Windows under SDL's dummy driver for measurements: how they are opened, worked, and what they take."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

ENGRAM = [sys.executable, "-m", "simulator"]
SIZE = (1280, 800)
PATIENCE = 120.0  # seconds until a page shows something
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def engram(lab: str, *words: str) -> dict[str, Any]:
    """Run a command without a view; its JSON."""
    done = subprocess.run([*ENGRAM, *words, "--lab", lab, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def page_of(lab: str, name: str = "latest") -> Any:
    """Make the page that ``engram watch`` shows."""
    from simulator.commands.main import command_of, parsed_args
    from simulator.commands.watch import page_of as page_of_stored

    return page_of_stored(name, lab, parsed_args(command_of("watch"), [name, "--lab", lab]))


@contextmanager
def window_on(page: Any, size: tuple[int, int] = SIZE) -> Iterator[Any]:
    """Open a window that nobody sees, work it until it shows something, and close it."""
    import pygame

    from simulator.views.window.app import Window

    window = Window(page, scale=1.0)
    window._surface = pygame.display.set_mode(size)  # whatever the screen would have room for
    try:
        source = getattr(page, "source", None)
        work(window, PATIENCE, lambda: source is None or source.shown is not None)
        work(window, 1.5)
        yield window
    finally:
        window.close()


def work(window: Any, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let a window work for so many seconds at most."""
    end = time.monotonic() + seconds
    while not until() and (left := end - time.monotonic()) > 0:
        window.step(min(left, 0.5))


def press(window: Any, keys: Sequence[str]) -> None:
    """Press keys, one after the other."""
    import pygame

    for key in keys:
        code = pygame.key.key_code(key)
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=code, mod=0, unicode=""))
        window.step(0.0)


def counted(window: Any) -> list[float]:
    """Let a window note the CPU seconds of every frame that it draws from now on."""
    frames: list[float] = []
    window._draw = timed(window._draw, frames)
    return frames


def timed(act: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """Let a function note the CPU seconds of every call."""

    def noted(*args: Any) -> Any:
        began = time.process_time()
        result = act(*args)
        seconds.append(time.process_time() - began)
        return result

    return noted


def players() -> list[int]:
    """Return the ids of the processes that play episodes for a window of this one."""
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of another process so far, to a hundredth."""
    fields = _stat(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def megabytes_of(pid: int) -> float:
    """Return the memory that a process has of its own, in megabytes."""
    resident, shared = _stat(pid, "statm").split()[1:3]
    return (int(resident) - int(shared)) * _PAGE / 1e6


def _stat(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
        return file.read()
