"""Kill writers of a lab again and again, and check the lab each time: ``python -m tests.system.killing LAB HOW``.

This process forks writers, so that what they need is imported once, and kills them with SIGKILL: from outside at a
random moment, or from inside before a line of the store's own code, every line of a checkpoint in turn.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from simulator.store import run_store as host
from simulator.store.run_store import Store
from tests.system import storing

MOMENTS = 15
OURS = str(Path(host.__file__).parent)


def go_on(lab: str, run: str, n: int, written: int = -1) -> None:
    """Resume the run and write n more checkpoints, one every two steps."""
    with Store(lab) as store:
        store.take(run)
        saved = store.newest(run)
        step = saved.progress.step if saved else 0
        for first in range(step, step + 2 * n, 2):
            storing.write(store, run, first, first + 2)
            if written >= 0:
                os.write(written, b".")


def killed(work: Callable[[], None], kill: Callable[[int], None]) -> None:
    """Do the work in a process that is killed before its end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    kill(pid)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "it came to its end"
    assert os.WTERMSIG(status) == signal.SIGKILL


def at_random(lab: str, run: str, draw: random.Random) -> None:
    """Kill a writer from outside, some time after some checkpoint."""
    reading, writing = os.pipe()

    def kill(pid: int) -> None:
        for _ in range(draw.randrange(4)):
            assert os.read(reading, 1) == b"."
        until = time.perf_counter() + draw.random() * 0.01
        while time.perf_counter() < until:
            pass
        os.kill(pid, signal.SIGKILL)

    killed(lambda: go_on(lab, run, 1_000, writing), kill)
    os.close(reading)
    os.close(writing)


def at_line(lab: str, run: str, line: int) -> None:
    """Kill a writer from inside before that line of the store's code, counted from the moment of taking the run."""

    def work() -> None:
        seen = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal seen
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            seen += event == "line"
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        go_on(lab, run, 1_000)

    killed(work, lambda pid: None)


def check_lab(lab: str, run: str, least: int) -> int:
    """Fail unless rows and newest checkpoint agree and nothing else is left; return the step of that checkpoint."""
    with Store(lab) as store:
        store.take(run)
        saved = store.newest(run)
        step = saved.progress.step if saved else 0
        assert step >= least
        assert store.find(run).step == step
        storing.check_rows(store, run, tuple(range(2, step + 1, 2)))
        if saved:
            assert saved.warnings == ()
            storing.check_newest(store, run, step)
        numbers = range(max(1, step // 2 - 2), step // 2 + 1)
        assert set(storing.files(store, run)) == {f"checkpoint-{number}.safetensors" for number in numbers}
    return step


def main(lab: str, how: str) -> None:
    """Kill, check, resume; then finish the run undisturbed."""
    with Store(lab) as store:
        run = store.begin(storing.NEW)
    draw, step, steps = random.Random(7), 0, set()
    moments = range(MOMENTS) if how == "random" else (*range(1, 1_000, 8), *range(1_000, 4_000, 100))
    for moment in moments:
        if how == "random":
            at_random(lab, run, draw)
        else:
            at_line(lab, run, moment)
        step = check_lab(lab, run, step)
        steps.add(step)
    go_on(lab, run, 3)
    assert check_lab(lab, run, step) == step + 6
    print(len(moments), len(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])
