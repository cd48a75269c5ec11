"""Tests of the terminal view of a run: exact text at several widths, and untrusted text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console

from simulator.core.protocols import AgentView, Curve, Evaluation, Failure
from simulator.views.run import page_of, plain_line, terminal_view
from simulator.views.style import TerminalStyle
from tests.helpers.snapshots import graph, grid, snapshot

GOLDEN = Path(__file__).parent / "golden"
PAGES = {
    "grid-80": ((80, 40), TerminalStyle(), grid()),
    "graph-80": ((80, 40), TerminalStyle(), graph()),
    "grid-40": ((40, 30), TerminalStyle(), grid()),
    "graph-ascii-60": ((60, 30), TerminalStyle(ascii=True), graph()),
}


def _page(name: str) -> str:
    size, look, picture = PAGES[name]
    return page_of(snapshot(picture=picture), snapshot(step=500, training_seconds=1.5), size, look).plain


@pytest.mark.parametrize("name", PAGES)
def test_golden_text(name):
    text = _page(name)
    assert [line.rstrip() for line in text.splitlines()] == (GOLDEN / f"{name}.txt").read_text("utf-8").splitlines()
    assert max(map(len, text.splitlines())) < PAGES[name][0][0]
    if "ascii" in name:
        assert text.isascii()


def test_a_seed_that_failed_is_named_and_left_out():
    score = Evaluation(1_000, np.zeros((4, 0)), np.array([4.0, np.nan, 6.0, np.nan]))
    failed = (Failure(1, 1_234, "its loss was not finite"), Failure(3, 9, "its loss was not finite"))
    text = page_of(snapshot(evaluations=(score,), failed=failed), None, (80, 40), TerminalStyle()).plain
    assert "seed 1 failed at step 1,234: its loss was not finite, and 1 more" in text
    assert "IQM 5 " in text
    none_left = Evaluation(1_000, np.zeros((2, 0)), np.full(2, np.nan))
    nobody = snapshot(seeds=(1, 3), evaluations=(none_left,), failed=failed)
    assert "seed 1 failed" in plain_line(nobody)
    assert "IQM" not in page_of(nobody, None, (80, 40), TerminalStyle()).plain


def test_a_short_terminal_leaves_the_map_out():
    page = page_of(snapshot(), None, (80, 14), TerminalStyle())
    assert len(page.plain.splitlines()) <= 14
    assert "corridor" not in page.plain


def test_plain_lines_elsewhere_are_few():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80))
    for step in range(0, 2_001, 10):
        view.show(snapshot(step=step, phase="done" if step == 2_000 else "training"))
    view.close()
    lines = out.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1].startswith("r1: 2,000 of 2,000 steps, 2.0 s, 4k steps/s, all seeds")
    assert "\x1b" not in out.getvalue()


def test_the_cursor_comes_back():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80, height=40, force_terminal=True))
    view.show(snapshot())
    view.show(snapshot(phase="done"))
    view.close()
    text = out.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("q_learning")


def test_drawing_is_skipped_while_the_last_one_is_fresh(monkeypatch):
    drawn = []
    monkeypatch.setattr("simulator.views.run.page_of", lambda *_: drawn.append(1) or "")
    view = terminal_view(Console(file=io.StringIO(), width=80, force_terminal=True))
    for _ in range(200):
        view.show(snapshot())
    view.close()
    assert len(drawn) < 100


# up to 1e300, so that sums of a few stay numbers: rewards are float32
_floats = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    size=st.tuples(st.integers(1, 200), st.integers(1, 60)),
    ascii_only=st.booleans(),
    step=st.integers(0, 10**12),
    seconds=st.floats(0, 1e9),
)
def test_any_snapshot_can_be_drawn(data, size, ascii_only, step, seconds):
    n_seeds, n = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 6))
    mean = data.draw(hnp.arrays(np.float64, (n_seeds, n), elements=_floats))
    curve = Curve(np.arange(1, n + 1), mean, np.isfinite(mean).astype(np.int64))
    exact = data.draw(hnp.arrays(np.float64, n_seeds, elements=_floats))
    values = data.draw(hnp.arrays(np.float64, 3, elements=_floats))
    one = snapshot(
        seeds=tuple(range(n_seeds)),
        step=step,
        steps=10**12,
        seconds=seconds,
        curve=curve,
        evaluations=(Evaluation(step, np.zeros((n_seeds, 0)), exact),),
        metrics={"x": exact},
        picture=AgentView(graph().scene, values, None),
        optimum=data.draw(st.none() | _floats),
    )
    page = page_of(one, snapshot(), size, TerminalStyle(ascii=ascii_only))
    assert all(len(line) < max(size[0], 2) for line in page.plain.splitlines())
    assert "\n" not in plain_line(one)


def test_a_seed_that_broke_down_does_not_count_in_the_median():
    infinite = snapshot(metrics={"loss": np.array([np.inf, -np.inf, 0.5, 0.5])})
    assert "loss 0.5" in page_of(infinite, None, (100, 20), TerminalStyle()).plain
