"""Watched runs in a terminal of 24 lines and 80 columns: keys, the map, and the terminal's own mode afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.helpers.paths import ROOT

PROGRAM = [sys.executable, "-m", "simulator"]
RUN = ["run", "q_learning", "rooms", "--env.layout", "maze", "--seeds", "2", "--steps", "100000", "--lab", "lab"]
LINES = termios.ICANON | termios.ECHO | termios.ISIG
PATIENCE = 120.0  # seconds


class Screen:
    """The terminal of a process."""

    def __init__(self, leader: int, process: subprocess.Popen[bytes]) -> None:
        self.leader = leader
        self.process = process
        self.seen = ""

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self.leader, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Read until something is written; everything written since the last call, up to there."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.seen[-3000:]!r}"
            if select.select([self.leader], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.leader, 1 << 16).decode("utf-8", "replace")
                except OSError:  # everybody has closed it
                    assert re.search(pattern, self.seen), f"no {pattern!r} in {self.seen[-3000:]!r}"
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def flags_become(self, flags: int) -> bool:
        """Wait for these flags of lines, echo and signals: a process may draw before it changes the mode."""
        end = time.monotonic() + PATIENCE
        while (found := termios.tcgetattr(self.leader)[3] & LINES) != flags and time.monotonic() < end:
            time.sleep(0.01)
        return found == flags


@contextmanager
def terminal(words: Sequence[str], folder: Path, stdout: IO[Any] | None = None) -> Iterator[Screen]:
    """Run a process in a terminal of its own."""
    leader, number = pty.openpty()
    fcntl.ioctl(number, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PS1": "$ ", "PYTHONUTF8": "1"}
    for name in ("NO_COLOR", "COLUMNS", "LINES", "ENV"):
        env.pop(name, None)
    process = subprocess.Popen(
        words, cwd=folder, env=env, stdin=number, stdout=stdout or number, stderr=number, preexec_fn=_own_terminal
    )
    try:
        yield Screen(leader, process)
    finally:
        process.kill()
        process.wait()
        os.close(number)
        os.close(leader)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # background jobs of a shell begin without it


def text_of(screen: str) -> list[str]:
    """Return the lines of the last drawing: after the cursor went up, without styles."""
    last = re.split(r"\x1b\[1A", screen.rpartition("q stop")[0])[-1]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", last).split("\n")


@pytest.mark.slow
def test_keys_pause_step_and_stop_a_run_and_the_map_is_whole(tmp_path: Path) -> None:
    with open(tmp_path / "out.json", "wb") as out:
        with terminal([*PROGRAM, *RUN, "--slow", "20", "--json"], tmp_path, out) as screen:
            screen.wait_for(r"training[\s\S]*20 steps/s")
            assert screen.flags_become(termios.ISIG)
            screen.press(" ")
            screen.wait_for("space continue")
            screen.press("n")
            page = text_of(screen.wait_for(r"q stop[\s\S]*q stop"))
            screen.press("q")
            screen.wait_for("continue with: engram resume r1")
            assert screen.process.wait(PATIENCE) == 128 + signal.SIGINT
            assert screen.flags_become(LINES)
    assert len(page) <= 23
    assert sum(line.startswith("██") for line in page) == 15
    assert all(f" {name}" in "".join(page) for name in ("wall", "agent", "goal", "start"))
    assert (tmp_path / "out.json").read_bytes() == b""  # nothing else on stdout


@pytest.mark.slow
def test_a_run_to_its_end_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with open(tmp_path / "out.json", "wb") as out:
        with terminal([*PROGRAM, *RUN, "--steps", "400", "--slow", "100", "--json"], tmp_path, out) as screen:
            screen.wait_for("100 steps/s")
            screen.press("f")
            screen.wait_for(r"done[\s\S]*\x1b\[\?25h")
            assert screen.process.wait(PATIENCE) == 0
            assert screen.flags_become(LINES)
    assert json.loads((tmp_path / "out.json").read_text())["steps"] == 400


@pytest.mark.slow
def test_a_signal_while_it_is_paused_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with terminal([*PROGRAM, *RUN, "--slow", "20"], tmp_path) as screen:
        screen.wait_for("20 steps/s")
        screen.press(" ")
        screen.wait_for("space continue")
        screen.process.send_signal(signal.SIGTERM)
        screen.wait_for("continue with: engram resume r1")
        assert screen.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert screen.flags_become(LINES)


@pytest.mark.slow
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(tmp_path: Path) -> None:
    with terminal(["sh", "-i", "+o", "emacs"], tmp_path) as screen:
        screen.wait_for(r"\$ ")
        screen.press(" ".join([*PROGRAM, *RUN, "--slow", "20"]) + "\n")
        screen.wait_for(r"training[\s\S]*q stop")
        screen.press("\x1a")
        screen.wait_for(r"\x1b\[\?25h[\s\S]*[Ss]topped[\s\S]*\$ ")
        assert screen.flags_become(LINES)
        screen.press("fg\n")
        screen.wait_for(r"training[\s\S]*q stop")
        assert screen.flags_become(termios.ISIG)
        screen.press("q")
        screen.wait_for(r"continue with: engram resume r1[\s\S]*\$ ")
        assert screen.flags_become(LINES)


@pytest.mark.slow
def test_lines_typed_before_a_run_stay_with_the_shell(tmp_path: Path) -> None:
    with terminal(["sh", "-i", "+o", "emacs"], tmp_path) as screen:
        screen.wait_for(r"\$ ")
        short = [*RUN, "--steps", "300"]
        screen.press(" ".join([*PROGRAM, *short]) + "\necho and-then-$((1 + 1)) quits n f q\n")
        page = screen.wait_for("and-then-2 quits n f q")
        assert "q stop" not in page
        assert "r1: q_learning in rooms" in page
