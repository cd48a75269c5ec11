"""Tests of the live view of a tuning: its page by width, and its line for logs."""

from __future__ import annotations

import pytest

from simulator.core.snapshots import TrialRow, TuneSnapshot
from simulator.views.style import TerminalStyle
from simulator.views.tune import page_of, plain_line

SNAPSHOT = TuneSnapshot(
    id="t3",
    what="q_learning in rooms",
    search="tpe",
    objective="iqm",
    phase="searching",
    planned=40,
    done=12,
    running=2,
    failed=1,
    reused=4,
    round=2,
    rounds=5,
    seconds=75.0,
    best=(TrialRow(7, "step_size=0.31 gamma=0.9", "complete", 0.71), TrialRow(3, "gamma=0.5", "pruned", 0.2)),
    now=("trial 8, seeds 0 to 7",),
    warnings=("trial 2, seeds 0 to 7: its worker was killed by signal 9; the cell runs again",),
)


@pytest.mark.parametrize("width", [30, 60, 120])
def test_the_page_fits_and_says_how_far_the_search_is(width):
    lines = page_of(SNAPSHOT, (width, 20), TerminalStyle()).plain.splitlines()
    assert max(map(len, lines)) < width
    text = "\n".join(lines)
    assert "t3" in text
    assert "0.71" in text
    if width > 60:
        assert "round 2 of 5" in text
        assert "13 of 40 cells" in text
        assert "gamma=0.5 (pruned)" in text
        assert "now trial 8, seeds 0 to 7" in text


def test_the_page_has_no_more_lines_than_the_terminal():
    assert len(page_of(SNAPSHOT, (80, 4), TerminalStyle()).plain.splitlines()) <= 4


def test_the_line_of_a_log_has_the_best_point():
    assert plain_line(SNAPSHOT) == (
        "t3: round 2 of 5, 13 of 40 cells, 1 failed, 1 min 15 s; best 0.71: step_size=0.31 gamma=0.9"
    )
