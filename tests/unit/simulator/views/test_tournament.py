"""Tests of the live view of a tournament: what fits, what is dropped first, and untrusted text."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from simulator.core.snapshots import Standing, TournamentSnapshot
from simulator.views.style import TerminalStyle
from simulator.views.tournament import page_of, plain_line, terminal_view

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("dqn", "q_learning", "sb3:DQN with a rather long label", "random_walk", "td")
NAN = math.nan


def standing(i: int, division: str = "agent", **changes: Any) -> Standing:
    at = 1.5 - 0.5 * i
    row = Standing(
        NAMES[i], division, 1 + i // 2, at, at - 0.4, at + 0.4, 0.9 - 0.1 * i, 0.8 - 0.1 * i, 1.0 - 0.1 * i, 12, 60
    )
    return row._replace(**changes)


def snapshot(**changes: Any) -> TournamentSnapshot:
    usual = {
        "id": "t1",
        "phase": "running",
        "planned": 300,
        "done": 149,
        "running": 2,
        "failed": 1,
        "reused": 5,
        "seconds": 200.0,
        "left": 312.0,
        "rows": tuple(standing(i) for i in range(5)),
        "now": ("dqn in CartPole-v1, seeds 0 to 15", "td in rooms, seeds 0 to 15"),
        "newest": "dqn in Acrobot-v1, seeds 0 to 15",
    }
    return TournamentSnapshot(**{**usual, **changes})


@pytest.mark.parametrize(
    ("name", "look"), [("80", TerminalStyle()), ("40", TerminalStyle()), ("ascii-80", TerminalStyle(ascii=True))]
)
def test_golden_text(name, look):
    width = int(name[-2:])
    text = page_of(snapshot(), (width, 24), look).plain
    assert [line.rstrip() for line in text.splitlines()] == (GOLDEN / f"leaderboard-{name}.txt").read_text(
        "utf-8"
    ).splitlines()
    assert max(map(cell_len, text.splitlines())) < width
    assert text.isascii() == look.ascii


@pytest.mark.parametrize("size", [(40, 24), (80, 24), (200, 60), (80, 8), (20, 5), (5, 2), (1, 1)])
def test_the_view_fits_every_terminal(size):
    text = page_of(snapshot(warnings=("a cell was played again",)), size, TerminalStyle()).plain
    lines = text.split("\n")
    assert len(lines) <= max(size[1] - 1, 1)
    assert max(map(cell_len, lines)) <= max(size[0] - 1, 1)


def test_columns_dropped_first_in_a_narrow_terminal():
    heads = {}
    for width in (100, 76, 58, 51, 40, 36):
        lines = page_of(snapshot(), (width, 30), TerminalStyle()).plain.split("\n")
        head = next(at for at, line in enumerate(lines) if line.startswith("tier"))
        heads[width] = (*lines[head].split(), "●" in lines[head + 1], "[1.10, 1.90]" in lines[head + 1])
    full = ("tier", "contestant", "strength", "score", "cells")
    assert heads == {
        100: (*full, True, True),
        76: (*full, True, True),
        58: (*full, False, True),
        51: (*full[:4], False, True),
        40: (*full[:3], False, True),
        36: (*full[:3], False, False),
    }


def test_the_bar_shows_the_interval_on_the_scale_of_all():
    lines = page_of(snapshot(rows=(standing(0), standing(4))), (100, 30), TerminalStyle()).plain.split("\n")
    best, last = (next(line for line in lines if f"  {name} " in line) for name in ("dqn", "td"))
    assert best.index("├") < best.index("●") < best.index("┤")
    assert last.index("┤") < best.index("├")
    assert best.index("┤") - last.index("├") + 1 == 40


def test_tiers_are_parted_while_there_is_room_and_the_rest_is_counted():
    text = page_of(snapshot(now=(), newest=""), (80, 30), TerminalStyle()).plain
    assert [line[:1] for line in text.split("\n")[4:]] == ["1", "1", "", "2", "2", "", "3"]
    short = page_of(snapshot(now=(), newest=""), (80, 9), TerminalStyle()).plain.split("\n")
    assert short[-1] == "and 2 lines more"
    assert [line[:1] for line in short[4:-1]] == ["1", "1", "2"]


def test_divisions_are_named_where_there_are_several():
    rows = (standing(0), standing(1, "memory"))
    assert page_of(snapshot(rows=rows), (80, 30), TerminalStyle()).plain.count("\nmemories\n") == 1
    assert "agents" not in page_of(snapshot(), (80, 30), TerminalStyle()).plain


def test_numbers_that_are_not_known_yet():
    row = standing(0, tier=None, strength=NAN, strength_low=NAN, strength_high=NAN, score=NAN)
    text = page_of(snapshot(rows=(row, standing(1, strength_low=NAN)), left=None), (80, 30), TerminalStyle()).plain
    assert "nan" not in text
    assert "left" not in text
    assert "-     dqn" in text


def test_more_cells_than_lines_are_counted():
    text = page_of(snapshot(now=tuple(f"cell {i}" for i in range(9))), (80, 30), TerminalStyle()).plain
    assert "now cell 2 and 6 more" in text
    assert "cell 3" not in text


@settings(max_examples=40)
@given(st.text(max_size=30), st.text(max_size=30), st.integers(1, 120))
def test_untrusted_text_cannot_break_the_page(label, reason, width):
    rows = (standing(0, contestant=label), standing(1))
    found = snapshot(rows=rows, newest=reason, warnings=(reason,), now=(label,), id=label)
    lines = page_of(found, (width, 20), TerminalStyle()).plain.split("\n")
    assert len(lines) <= 19
    assert all(c.isprintable() for line in lines for c in line)
    assert max(map(cell_len, lines)) <= max(width - 1, 1)


def test_plain_lines_elsewhere_are_a_dozen():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80))
    for done in range(300):
        view.show(snapshot(done=done, phase="done" if done == 299 else "running"))
    view.close()
    lines = out.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[0] == "t1: 28 of 300 cells, 1 failed, 3 min 20 s, 5 min 12 s left; first tier: dqn, q_learning"
    assert lines[-1] == "t1: 300 of 300 cells, 1 failed, 3 min 20 s, done; first tier: dqn, q_learning"
    assert "\x1b" not in out.getvalue()


def test_an_interrupted_tournament_is_marked():
    assert (
        plain_line(snapshot(phase="interrupted", rows=())) == "t1: 150 of 300 cells, 1 failed, 3 min 20 s, interrupted"
    )


def test_the_view_is_drawn_ten_times_a_second_and_the_last_snapshot_stays():
    out, now = io.StringIO(), [0.0]
    view = terminal_view(Console(file=out, width=80, height=30, force_terminal=True), clock=lambda: now[0])
    for done in range(100):
        now[0] = done * 0.01
        view.show(snapshot(done=done))
    drawn = out.getvalue().count("contestants")
    assert 9 <= drawn <= 11
    view.close()
    text = out.getvalue()
    assert "100 of 300 cells" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("q_learning")


def test_no_colour_means_none():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80, height=30, force_terminal=True, no_color=True))
    view.show(snapshot())
    view.close()
    assert "\x1b[3" not in out.getvalue().replace("\x1b[3A", "")
