"""Tests of the driver: signals, checkpoints and errors while an experiment runs."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simulator.commands.live.driver import AT_ONCE, drive
from simulator.core.protocols import Curve
from simulator.core.snapshots import RunSnapshot
from tests.helpers.commands import RunProcess
from tests.helpers.paths import ROOT

NOTHING = Curve(np.zeros(0, np.int64), np.zeros((1, 0)), np.zeros((1, 0), np.int64))


def snapshot(step: int, phase: str = "training") -> RunSnapshot:
    return RunSnapshot("r1", "a", "w", phase, (0,), step, 4, 0.0, 0.0, 0.0, 0.0, NOTHING)


class Watcher:
    """A view that only counts."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.closed = 0

    def show(self, snapshot: RunSnapshot) -> None:
        self.seen.append(snapshot.step)

    def close(self) -> None:
        self.closed += 1


def game(log: list[str], at: int = -1, number: int = 0, error: Exception | None = None) -> Iterator[RunSnapshot]:
    """Yield five snapshots; at one of them a signal arrives or an error is raised."""
    try:
        for step in range(5):
            if step == at and number:
                os.kill(os.getpid(), number)
            if step == at and error:
                raise error
            yield snapshot(step, ("preparing", "training", "training", "training", "done")[step])
    except GeneratorExit:
        log.append("checkpoint")
        raise


@pytest.fixture(autouse=True)
def _heard_hangup() -> Iterator[None]:
    """Restore the default for SIGHUP, which a suite started by nohup ignores."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_run_is_watched_to_its_end() -> None:
    log, view, begun = [], Watcher(), []
    last, number = drive(game(log), view, begun.append)
    assert (last.phase, number, log) == ("done", 0, [])
    assert (view.seen, view.closed, [each.step for each in begun]) == ([0, 1, 2, 3, 4], 1, [0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_after_the_next_snapshot_with_a_checkpoint(number: int) -> None:
    before = signal.getsignal(number)
    log, view = [], Watcher()
    last, stopped = drive(game(log, 2, number), view, lambda first: None)
    assert (last.step, stopped, log) == (2, number, ["checkpoint"])
    assert (view.seen, view.closed) == ([0, 1, 2], 1)
    assert signal.getsignal(number) is before


def test_an_ignored_hangup_stays_ignored() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        last, number = drive(game([], 2, signal.SIGHUP), None, lambda first: None)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (last.phase, number) == ("done", 0)


def test_a_signal_at_the_very_end_changes_nothing() -> None:
    last, number = drive(game([], 4, signal.SIGINT), None, lambda first: None)
    assert (last.phase, number) == ("done", 0)


def test_errors_are_bad_input_before_the_first_snapshot_and_failures_later() -> None:
    view = Watcher()
    with pytest.raises(ValueError, match=r"^no such env$"):
        drive(game([], 0, error=ValueError("no such env")), view, lambda first: None)
    with pytest.raises(RuntimeError, match=r"^run r1 failed after step 1: action 9$"):
        drive(game([], 2, error=ValueError("action 9")), view, lambda first: None)
    with pytest.raises(KeyError):
        drive(game([], 2, error=KeyError("x")), view, lambda first: None)
    assert view.closed == 3


@pytest.mark.slow
def test_a_second_signal_leaves_at_once() -> None:
    code = (
        "import os, signal, threading\nfrom tests.unit.simulator.commands.live.test_driver import drive, game\n"
        "def twice():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        f"    threading.Event().wait({AT_ONCE} + 0.2)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait()\n    yield 1\n"
        "drive(twice(), None, print)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (130, "")
    stopping, left = done.stderr.splitlines()
    assert stopping.startswith("engram: stopping")
    assert "engram resume" in left


@pytest.mark.slow
def test_signals_that_come_at_once_are_one() -> None:
    """As ``timeout`` sends them: to its child, and to the child's group."""
    code = (
        "import os, signal\nfrom tests.unit.simulator.commands.live.test_driver import drive, game, snapshot\n"
        "def twice(log):\n    try:\n        yield snapshot(0, 'preparing')\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        yield snapshot(1, 'training')\n        yield snapshot(2, 'training')\n"
        "    except GeneratorExit:\n        log.append('checkpoint')\n        raise\n"
        "log = []\nlast, number = drive(twice(log), None, lambda first: None)\nprint(number, log)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"{int(signal.SIGTERM)} ['checkpoint']\n")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_names_the_command_that_resumes_it(
    tmp_path: Path, number: int, code: int, run_process: RunProcess
) -> None:
    program = [sys.executable, "-m", "simulator"]
    endless = ["run", "q_learning", "FrozenLake-v1", "--steps", "1e12", "--view", "none", "--lab", "lab", "--json"]
    with subprocess.Popen(
        [*program, *endless], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        while not process.stderr.readline().startswith(b"r1: q_learning in FrozenLake-v1"):
            assert process.poll() is None
        process.send_signal(number)
        line = process.stderr.read().decode().splitlines()[-1]
        assert process.stdout.read() == b""
        assert process.wait() == code
    assert line.startswith(f"engram: {signal.Signals(number).name}: interrupted after ")
    assert "of 1,000,000,000,000 steps" in line
    assert line.endswith("engram resume r1 --lab lab")
    assert "interrupted" in run_process("list", "runs", "--lab", "lab", cwd=tmp_path).stdout


RUN = ["run", "q_learning", "FrozenLake-v1", "--steps", "1e12"]
TOURNAMENT = ["tournament", "--agents", "q_learning", "td", "--envs", "FrozenLake-v1", "--steps", "1e10"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [RUN, [*TOURNAMENT, "--workers", "2", "--seeds", "1"]], ids=lambda w: w[0])
def test_a_terminal_that_is_closed_leaves_a_checkpoint(
    tmp_path: Path, words: list[str], run_process: RunProcess
) -> None:
    """The kernel tells every process of the terminal, and whatever they write to it from then on fails."""
    program, (leader, terminal) = [sys.executable, "-m", "simulator", *words, "--lab", "lab"], pty.openpty()
    with subprocess.Popen(
        program, cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=_own_terminal
    ) as process:
        os.close(terminal)
        seen = b""
        while not re.search(rb"[rt]1: [^\n]*\n", seen):
            seen += os.read(leader, 1 << 16)
        time.sleep(1.0)  # so that something is shown
        os.close(leader)
        assert process.wait(60) == 128 + signal.SIGHUP
    kind = "tournaments" if words[0] == "tournament" else "runs"
    assert "interrupted" in run_process("list", kind, "--lab", "lab", cwd=tmp_path).stdout


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_signals_are_answered_while_the_main_thread_runs_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in C, as it does in compiled code, until the answer to a signal is there; Python's handlers wait too."""
    libc, mutex, (heard, written) = ctypes.PyDLL(None), ctypes.create_string_buffer(64), os.pipe()
    lock = ctypes.CDLL(None).pthread_mutex_lock  # lets other threads go on meanwhile
    answers: list[bytes] = []

    def signal_and_wait() -> None:
        libc.pthread_mutex_lock(mutex)
        locked.set()
        os.kill(os.getpid(), signal.SIGINT)
        answers.append(os.read(heard, 200))
        libc.pthread_mutex_unlock(mutex)

    def snapshots() -> Iterator[RunSnapshot]:
        yield snapshot(0)
        threading.Thread(target=signal_and_wait).start()
        locked.wait()
        lock(mutex)
        yield snapshot(1)
        raise AssertionError("it was asked to stop")

    locked, write = threading.Event(), os.write
    monkeypatch.setattr("os.write", lambda number, data: write(written if number == 2 else number, data))
    last, number = drive(snapshots(), None, lambda first: None)
    assert (last.step, number) == (1, signal.SIGINT)
    assert [answer.startswith(b"engram: stopping") for answer in answers] == [True]


def waiting(monkeypatch: pytest.MonkeyPatch, view: Watcher | None, slow: int) -> None:
    """Drive five snapshots, and wait for two lines before the one of number ``slow``."""
    told = threading.Semaphore(0)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, file=sys.stderr)
        told.release()

    def snapshots() -> Iterator[RunSnapshot]:
        for step in range(5):
            if step == slow:
                assert told.acquire(timeout=30)
                assert told.acquire(timeout=30)
            yield snapshot(step, ("preparing", "training", "evaluating", "training", "done")[step])

    monkeypatch.setattr("simulator.commands.live.driver.print_status", tell)
    monkeypatch.setattr("simulator.commands.live.driver.FIRST_LINE", 0.05)
    monkeypatch.setattr("simulator.commands.live.driver.NEXT_LINES", 0.05)
    drive(snapshots(), view, lambda first: None)


@pytest.mark.parametrize("view", [None, Watcher()])
def test_a_long_wait_before_the_first_snapshot_is_told(monkeypatch, capsys, view):
    waiting(monkeypatch, view, 0)
    assert re.match(r"(preparing, \d+ s so far\n){2}", capsys.readouterr().err)


def test_a_long_step_is_told_where_there_is_no_view(monkeypatch, capsys):
    waiting(monkeypatch, None, 3)
    assert re.search(r"r1: evaluating, 2 of 4 steps, \d+ s so far\n", capsys.readouterr().err)


def test_no_line_disturbs_a_view_on_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("simulator.commands.live.driver.FIRST_LINE", 0.01)
    monkeypatch.setattr("simulator.commands.live.driver.NEXT_LINES", 0.01)
    lines: list[str] = []
    monkeypatch.setattr("simulator.commands.live.driver.print_status", lines.append)
    first = threading.Event()

    def snapshots() -> Iterator[RunSnapshot]:
        yield snapshot(0)
        lines.clear()
        assert not first.wait(0.3)
        assert lines == []
        yield snapshot(4, "done")

    drive(snapshots(), Watcher(), lambda snapshot: None)
