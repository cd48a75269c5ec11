"""One sitting of a run: asks for snapshots, shows them, and stops in good order when a signal comes."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from simulator.core.protocols import Snapshot, View
from simulator.core.stopping import heeding

_HANGUP = getattr(signal, "SIGHUP", 0)  # not every system has it
AT_ONCE = 0.5  # seconds
_SIGNALS = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)))


class BadInput(ValueError):  # noqa: N818 - what it is called is what it is
    """Bad input that shows only while playing: patterns that a memory refuses."""


class StopSignal:
    """The signal that asked the run to stop, or 0."""

    number = 0


def drive(snapshots: Iterator[Snapshot], view: View | None, begun: Callable[[Snapshot], None]) -> tuple[Snapshot, int]:
    """Play a run to its end, or until Ctrl-C, SIGTERM or SIGHUP; then it is closed, which writes a checkpoint.

    Args:
        snapshots: the run, as the engine gives it.
        view: shows every snapshot, or None.
        begun: called once with the first snapshot, when the run has its name.

    Returns:
        The last snapshot, and the number of the signal that ended the sitting (0: none did).

    Raises:
        ValueError: the players cannot be built from these settings.
        RuntimeError: a player refused something while it was training.
        Stopped: a signal came while files were read.
    """
    snapshot: Snapshot | None = None
    with _stopping() as stop, heeding(lambda: stop.number):
        try:
            while not stop.number:
                following = _next(snapshots, snapshot)
                if following is None:
                    break
                if snapshot is None:
                    begun(following)
                snapshot = following
                if view is not None:
                    with _nobody_watching():
                        view.show(snapshot)
        finally:
            if view is not None:
                with _nobody_watching():
                    view.close()
            if stop.number and hasattr(snapshots, "close"):
                snapshots.close()
    if snapshot is None:
        raise RuntimeError("the run gave nothing to see")
    return snapshot, stop.number if snapshot.phase not in ("done", "failed") else 0


def _next(snapshots: Iterator[Snapshot], before: Snapshot | None) -> Snapshot | None:
    """The next snapshot. What is refused before training is bad input; what is refused later is a failure."""
    try:
        return next(snapshots, None)
    except BadInput:
        raise
    except ValueError as error:
        if before is None:
            raise
        raise RuntimeError(f"{before.run} failed, step {before.step:,} was still well: {error}") from error


@contextmanager
def _nobody_watching() -> Iterator[None]:
    """Go on where the terminal is gone: what it would be told is lost, and SIGHUP comes or has come."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        _leave_terminal()


def _leave_terminal() -> None:
    """Let what is written from now on go nowhere, where it went to a terminal that is gone."""
    import termios

    for number in (1, 2):
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


@contextmanager
def _stopping() -> Iterator[StopSignal]:
    """Note the first Ctrl-C, SIGTERM or SIGHUP. A second one leaves at once, as harmless as ``kill -9``.

    A thread answers them: the main one may be in compiled code for long, and until then Python calls no handler. A
    SIGHUP that is ignored already, as under ``nohup``, stays so.
    """
    stop, (heard, told) = StopSignal(), os.pipe()
    os.set_blocking(told, False)

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = stop.number or number

    heeded = [number for number in _SIGNALS if number != _HANGUP or signal.getsignal(number) != signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, note) for number in heeded}
    outer = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    answers = threading.Thread(target=_answer, args=(heard,), daemon=True)
    answers.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(outer)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        answers.join()
        os.close(heard)


def _answer(heard: int) -> None:
    """Say what the signals do whose numbers arrive at a pipe, until it is closed.

    What comes within ``AT_ONCE`` of the first is of the same wish: ``timeout`` signals its child, and then its group.
    """
    came, first = 0, 0.0
    while numbers := os.read(heard, 64):
        for number in (each for each in numbers if each in _SIGNALS):
            if came and time.monotonic() - first < AT_ONCE:
                continue
            came, first = came + 1, first or time.monotonic()
            if number == _HANGUP:
                _leave_terminal()
            if came == 1:
                os.write(2, b"engram: stopping as soon as this step is done; once more to leave at once\n")
            else:
                show_cursor = b"\x1b[?25h\n" if os.isatty(2) else b""
                os.write(2, show_cursor + b"engram: left at once; engram resume goes on from the last checkpoint\n")
                os._exit(128 + number)
