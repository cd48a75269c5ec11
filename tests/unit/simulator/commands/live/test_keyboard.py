"""Tests of single keys: which ones, and that the terminal has its own mode again afterwards."""

from __future__ import annotations

import os
import pty
import signal
import termios
from collections.abc import Iterator

import pytest

from simulator.commands.live.keyboard import DOWN, LEFT, RIGHT, UP, Keyboard, _has_line


class Terminal:
    """A terminal in whose foreground this process is said to be."""

    def __init__(self) -> None:
        self.leader, self.number = pty.openpty()
        self.keyboard = Keyboard(self.number)
        self.is_ours = True
        self.keyboard._is_ours = lambda: self.is_ours  # type: ignore[method-assign]

    def flags(self) -> int:
        """Return the flags of lines and echo."""
        return termios.tcgetattr(self.number)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Open a terminal."""
    one = Terminal()
    yield one
    os.close(one.leader)
    os.close(one.number)


LINES = termios.ICANON | termios.ECHO | termios.ISIG


def test_keys_come_one_by_one_and_arrows_by_name(terminal: Terminal) -> None:
    with terminal.keyboard.listening(lambda: None):
        assert terminal.flags() == termios.ISIG  # Ctrl-C stays a signal
        os.write(terminal.leader, b"n \x1b[C\x1bOC\x1b[A\x1bOB\x1b[D\x1b[H+")
        assert terminal.keyboard.keys(5.0) == ["n", " ", RIGHT, RIGHT, UP, DOWN, LEFT, "\x1b[H", "+"]
        assert terminal.keyboard.keys(0.0) == []
    assert terminal.flags() == LINES


def test_the_mode_comes_back_after_an_error(terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal.number)
    with pytest.raises(KeyError), terminal.keyboard.listening(lambda: None):
        raise KeyError
    assert termios.tcgetattr(terminal.number) == before
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL


def test_the_mode_comes_back_before_a_process_exits_at_once(terminal: Terminal) -> None:
    with terminal.keyboard.listening(lambda: None):
        terminal.keyboard.release()
        assert terminal.flags() == LINES


def test_a_process_in_the_background_leaves_the_terminal_alone(terminal: Terminal) -> None:
    terminal.is_ours = False
    with terminal.keyboard.listening(lambda: None):
        os.write(terminal.leader, b"q\n")
        assert terminal.keyboard.keys(0.0) == []
        assert terminal.flags() == LINES
        terminal.is_ours = True  # fg
        os.read(terminal.number, 10)
        os.write(terminal.leader, b"q\n")
        assert terminal.keyboard.keys(5.0)[:1] == ["q"]
    assert terminal.flags() == LINES


def test_lines_that_were_typed_before_are_for_the_shell(terminal: Terminal) -> None:
    assert not _has_line(terminal.number)
    os.write(terminal.leader, b"engram list runs\n")
    while not _has_line(terminal.number):
        pass
    assert os.read(terminal.number, 100) == b"engram list runs\n"


def test_there_is_no_keyboard_without_a_terminal() -> None:
    assert Keyboard.of_terminal() is None
