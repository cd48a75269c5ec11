"""Tests of windows that stay open after what they showed: they open for what is resumed, and Ctrl-C closes them."""

from __future__ import annotations

import os
import signal
import threading

import pytest

pytest.importorskip("pygame")

from simulator.views.window.app import EmptyPage, Window
from simulator.views.window.recall_page import RecallPage


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_a_window_that_stays_open_and_nothing_is_raised(number):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    window = Window(EmptyPage("over"), scale=1)
    threading.Timer(0.2, lambda: os.kill(os.getpid(), number)).start()
    window.stay()
    assert not window.is_open
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_recall_benchmark_is_resumed_in_a_window(engram, tmp_path, monkeypatch):
    stayed = []
    monkeypatch.setattr(Window, "stay", lambda window: stayed.append(window.page))
    recall = ("recall", "identity", "digits", "--patterns", "2", "--seeds", "1", "--lab", str(tmp_path / "lab"))
    engram(*recall, "--view", "window")
    resumed = engram("resume", "latest", "--view", "window", "--scale", "1", "--lab", str(tmp_path / "lab"))
    assert [type(page) for page in stayed] == [RecallPage, RecallPage]
    assert "r1: 1 of 1 cells, done" in [page._progress_words for page in stayed]
    assert "stays open until it is closed" in resumed.err
