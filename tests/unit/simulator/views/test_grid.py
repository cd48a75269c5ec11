"""Tests of grids drawn with characters."""

from __future__ import annotations

import pytest

pytest.importorskip("pygame")

from simulator.views.grid import draw_grid
from simulator.views.style import TerminalStyle
from tests.helpers.stored_drawings import chart_view


def test_a_chart_names_its_rows_and_columns_and_the_letters_of_its_actions():
    drawing = draw_grid(chart_view(), 80, None, TerminalStyle(colour=False, ascii=True))
    assert [line.plain.rstrip() for line in drawing.lines] == [
        "sums by cards",
        "   ace 2   3   4   5",
        "21 99s 94s 89s 83s 78s",
        "20 73s 68s 63  57s@52s",  # of the third neither action is better
        "19 47s 42s 36s 31h 26h",
        "18 21h 16h 10h  5h  0h",
    ]
    assert ["s stick", "h hit"] == [item.plain for item in drawing.legend if item.plain.split()[-1] in ("stick", "hit")]


def test_a_chart_in_a_low_terminal_leaves_its_names_out():
    drawing = draw_grid(chart_view(), 80, 5, TerminalStyle(colour=False, ascii=True))
    assert [line.plain[:3] for line in drawing.lines[1:]] == ["99s", "73s", "47s", "21h"]
