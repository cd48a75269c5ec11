"""Driver of an experiment: asks for snapshots, draws them, and handles signals."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from simulator.console import print_status
from simulator.core.errors import BadInputError
from simulator.core.notices import forget_notices, send_notices_to
from simulator.core.snapshots import ENDED, Snapshot, View
from simulator.core.stopping import stop_requests_from

if TYPE_CHECKING:
    from simulator.commands.live.keyboard import KeySource
    from simulator.commands.live.playback import Playback

_HANGUP = getattr(signal, "SIGHUP", 0)  # not every system has it
AT_ONCE = 0.5  # seconds
FIRST_LINE = 2.0  # seconds after which a line says what is being done, where there is no live view
NEXT_LINES = 25.0  # seconds from one such line to the next
_SIGNALS = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)))


S = TypeVar("S", bound=Snapshot)


class StopSignal:
    """The signal that asked this process to stop, or 0."""

    number = 0


class Driven(NamedTuple, Generic[S]):
    """Outcome of driving an experiment in this process."""

    last: S
    signal: int  # number of the signal that ended it, 0: the experiment is over


class Outcome(NamedTuple):
    """The end of an experiment in this process, for a command."""

    summary: Mapping[str, Any] | None  # None where it was interrupted
    code: int  # the exit code


class _Screen(Generic[S]):
    """A view, and the keyboard of its terminal; either may be missing, and the terminal may go away."""

    def __init__(self, view: View[S] | None, keyboard: KeySource | None) -> None:
        self._view = view
        self._keyboard = keyboard

    def show(self, snapshot: S) -> None:
        """Draw a snapshot."""
        if self._view is not None:
            with self._drawing():
                self._view.show(snapshot)

    def close(self) -> None:
        """Leave the final screen."""
        if self._view is not None:
            with self._drawing():
                self._view.close()

    def listening(self) -> AbstractContextManager[None]:
        """Listen to the keyboard until the end of the block."""
        return nullcontext() if self._keyboard is None else self._keyboard.listening(self._leave)

    def release(self) -> None:
        """Give the terminal its own mode back."""
        if self._keyboard is not None:
            self._keyboard.release()

    def _leave(self) -> None:
        if self._view is not None:
            self._view.close()

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        with _terminal_may_be_gone(), nullcontext() if self._keyboard is None else self._keyboard.drawing():
            yield


def drive(
    snapshots: Generator[S, None, None],
    view: View[S] | None,
    begun: Callable[[S], None],
    playback: Playback | None = None,
) -> Driven[S]:
    """Drive an experiment to its end, or until Ctrl-C, SIGTERM or SIGHUP, which closes it with a checkpoint.

    Args:
        snapshots: the experiment's loop.
        view: draws every snapshot, or None.
        begun: called once with the first snapshot, when the experiment has its id.
        playback: how fast to ask for snapshots, and the keys that change it; None: at once, and no keys.

    Raises:
        ValueError: the players cannot be built from these settings.
        RuntimeError: a player refused something while it was training.
        Stopped: a signal came while files were read.
    """
    announce_compiling()
    forget_notices()
    last: S | None = None
    screen = _Screen(view, playback.keyboard if playback is not None else None)
    wait = Wait(unseen=view is None or not sys.stderr.isatty())
    with (
        _stopping(screen.release) as stop,
        stop_requests_from(lambda: stop.number),
        screen.listening(),
        telling(wait),
    ):
        try:
            while not stop.number:
                snapshot = _next(snapshots, last)
                if snapshot is None:
                    break
                if last is None:
                    begun(snapshot)
                last = snapshot
                wait.last = snapshot
                screen.show(snapshot)
                if playback is not None:
                    playback.wait(snapshot, partial(screen.show, snapshot), lambda: stop.number)
                    stop.number = stop.number or signal.SIGINT * playback.stop_asked
        finally:
            try:
                screen.close()
            finally:
                snapshots.close()  # with a checkpoint, unless it is over
    if last is None:
        raise RuntimeError("the experiment gave no snapshot")
    return Driven(last, stop.number if last.phase not in ENDED else 0)


@cache  # once in a process
def announce_compiling() -> None:
    """Print a line when compiling begins, and notices as they come."""
    from simulator.core.jit import on_compile

    on_compile(_compiling)
    send_notices_to(print_status)


@cache
def _compiling() -> None:
    print_status("compiling for this machine; it happens once, later starts take it from the cache")


class Wait:
    """Progress lines of a process that shows nothing else."""

    def __init__(self, unseen: bool, doing: str = "") -> None:
        self.unseen = unseen  # whether nobody sees a view of the snapshots
        self._doing = doing  # the line's beginning; empty: the experiment and its phase
        self.last: Snapshot | None = None

    def line(self, seconds: float) -> str:
        """Format what is being done after so many seconds; empty where a view shows it."""
        if self.last is None:
            return f"{self._doing or 'preparing'}, {seconds:.0f} s so far"
        if not self.unseen or self.last.phase in ENDED:
            return ""
        doing = self._doing or f"{self.last.id}: {self.last.phase}"
        return f"{doing}, {self.last.progress}, {seconds:.0f} s so far"


@contextmanager
def telling(wait: Wait) -> Iterator[None]:
    """Say what is being done after ``FIRST_LINE``, and then every ``NEXT_LINES``.

    A thread says it: the main one may be compiling, loading a library or in compiled code for long.
    """
    over = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        pause = FIRST_LINE
        while not over.wait(pause):
            pause = NEXT_LINES
            if line := wait.line(time.monotonic() - began):
                with suppress(OSError, ValueError):  # the terminal is gone, or stderr is closed
                    print_status(line)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def announce(snapshot: Snapshot, what: str) -> None:
    """Print what begins, under its id, and the warnings of an experiment that continues."""
    for line in (what, *snapshot.warnings):
        print_status(f"{snapshot.id}: {line}")


def outcome_of(driven: Driven[S], lab: object, finish: Callable[[S], Outcome]) -> Outcome:
    """Return what ``finish`` makes of the last snapshot; after a signal say how to continue, and return its code."""
    if not driven.signal:
        return finish(driven.last)
    print_status(interruption_line(driven, lab))
    return Outcome(None, 128 + driven.signal)


def interruption_line(driven: Driven[S], lab: object) -> str:
    """Format how to continue an experiment that a signal interrupted."""
    last = driven.last
    name = signal.Signals(driven.signal).name
    continued = f"engram resume {last.id} --lab {lab}"
    return f"engram: {name}: interrupted after {last.progress}, checkpoint saved; continue with: {continued}"


def _next(snapshots: Iterator[S], last: S | None) -> S | None:
    """Return the next snapshot, None at the end. An error after the first one is a failure, not bad input."""
    try:
        return next(snapshots, None)
    except BadInputError:
        raise
    except ValueError as error:
        if last is None:
            raise
        unit = last.progress.unit
        done = last.progress.done
        raise RuntimeError(f"{last.kind} {last.id} failed after {unit} {done:,}: {error}") from error


@contextmanager
def _terminal_may_be_gone() -> Iterator[None]:
    """Continue if the terminal is gone: output is dropped, and SIGHUP comes or has come."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        _leave_terminal()


def _leave_terminal() -> None:
    """Redirect stdout and stderr to nowhere if their terminal is gone."""
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
def _stopping(leave: Callable[[], None]) -> Iterator[StopSignal]:
    """Handle the first Ctrl-C, SIGTERM or SIGHUP. A second one exits at once, as harmless as ``kill -9``.

    A thread answers them: the main one may be in compiled code for long, and until then Python calls no handler. A
    SIGHUP that is ignored already, as under ``nohup``, stays so.

    Args:
        leave: called before the process exits at once, by another thread.
    """
    stop = StopSignal()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = stop.number or number

    heeded = [number for number in _SIGNALS if number != _HANGUP or signal.getsignal(number) != signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, note) for number in heeded}
    outer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    answers = threading.Thread(target=_answer, args=(reader, leave), daemon=True)
    answers.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(outer)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        answers.join()
        os.close(reader)


def _answer(reader: int, leave: Callable[[], None]) -> None:
    """Print what the signals do whose numbers arrive at a pipe, until it is closed.

    What comes within ``AT_ONCE`` of the first is of the same wish: ``timeout`` signals its child, and then its group.
    """
    came = 0
    first = 0.0
    while numbers := os.read(reader, 64):
        for number in (number for number in numbers if number in _SIGNALS):
            if came and time.monotonic() - first < AT_ONCE:
                continue
            came = came + 1
            first = first or time.monotonic()
            if number == _HANGUP:
                _leave_terminal()
            if came == 1:
                os.write(2, b"engram: stopping as soon as this step is done; once more to leave at once\n")
            else:
                leave()
                show_cursor = b"\x1b[?25h\n" if os.isatty(2) else b""
                os.write(
                    2, show_cursor + b"engram: stopped at once; engram resume continues from the last checkpoint\n"
                )
                os._exit(128 + number)
