"""Tests of the progress bar, in a notebook, on a terminal and in a log."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from simulator.progress import ProgressBar, in_notebook
from tests.helpers.commands import TerminalStream


def test_a_log_gets_a_line_for_every_tenth(capsys):
    bar = ProgressBar("r1")
    for done in range(0, 1_001, 7):
        bar.update(done, 1_000, "steps")
    bar.update(1_000, 1_000, "steps")
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("r1: 0 of 1,000 steps", "r1: 1,000 of 1,000 steps")


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", TerminalStream())
    bar = ProgressBar("r1 [bold]")
    bar.update(5, 10, "cells")
    bar.update(10, 10, "cells")
    bar.close()
    shown = sys.stderr.getvalue()
    assert "r1 [bold]" in shown
    assert "10/10" in shown


def test_a_notebook_gets_one_output_that_is_replaced(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=shown.append)

    def display(page, display_id):
        shown.append(page)
        return handle

    module = SimpleNamespace(HTML=str, display=display)
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()), display=module)
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    assert in_notebook()
    bar = ProgressBar("<r1>")
    bar.update(5, 10, "cells")
    bar.update(10, 10, "cells")
    bar.close()
    first, last = shown
    assert '<progress value="5" max="10"' in first
    assert "&lt;r1&gt;: 10 of 10 cells" in last
