"""Tests of panels drawn with characters: exact text at a fixed width."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.scene import (
    BarPanel,
    CurvePanel,
    HeatPanel,
    PicturePanel,
    PointPanel,
    StripPanel,
    TextPanel,
)
from simulator.views.panels import DIVERGING, panel_text
from simulator.views.style import TerminalStyle

ASCII = TerminalStyle(ascii=True)


def _lines(panel, width=40, look=None):
    drawn = panel_text(panel, width, look).plain.split("\n")
    assert all(len(line) <= width for line in drawn)
    return [line.rstrip() for line in drawn]


def test_a_small_table_shows_its_numbers():
    panel = HeatPanel("Q-table", np.array([[1.0, np.nan], [-0.5, 12350.0]]), ("state 0", "state 1"), ("up", "down"))
    assert _lines(panel) == [
        "Q-table",
        "                up      down",
        "state 0          1",
        "state 1       -0.5    12.35k",
    ]


def test_colours_part_at_zero():
    panel = HeatPanel("Q", np.array([[-1.0, 1.0]]), (), ("a", "b"))
    styles = [str(span.style) for span in panel_text(panel, 40, TerminalStyle(colour=True)).spans]
    assert f"white on {DIVERGING[0]}" in styles
    assert f"white on {DIVERGING[-1]}" in styles


def test_weights_are_signs_without_colours():
    panel = HeatPanel("weights", np.array([[-1.0, -0.4, 0.0, 0.4, 1.0]]))
    assert _lines(panel) == ["weights", "▼▼▽▽··△△▲▲", "-1 to 1  from '▼' to '▲'"]
    assert _lines(panel, look=ASCII)[1] == "NN--..++PP"


def test_a_large_matrix_is_drawn_by_means_of_neighbours():
    values = np.repeat(np.repeat([[0.0, 4.0], [8.0, 4.0]], 20, axis=0), 40, axis=1)
    drawn = _lines(HeatPanel("weights", values, diverging=False), 21)
    assert len(drawn) == 1 + 16 + 1
    assert drawn[1] == "          ▒▒▒▒▒▒▒▒▒▒"
    assert drawn[16] == "██████████▒▒▒▒▒▒▒▒▒▒"


def test_bars_begin_at_zero_and_the_chosen_one_is_marked():
    panel = BarPanel("values", ("a", "b", "c"), np.array([1.0, -1.0, np.nan]), chosen=1)
    assert _lines(panel, 35) == [
        "values",
        "a          1      █████",
        "b ●       -1 █████",
        "c",
    ]


def test_bars_have_numbers_beside_them():
    panel = BarPanel("overlap", ("a",), np.array([1.0]), np.array([0.5]), "posterior")
    assert _lines(panel, 34, ASCII) == ["overlap", "a          1       0.5 #########", "second number: posterior"]


def test_a_strip_has_a_column_for_every_step_and_marks_cuts():
    panel = StripPanel("hidden", np.array([[-1.0, 1.0], [0.0, 0.0], [1.0, -1.0]]), ("unit 1", "unit 2"), (2,))
    assert _lines(panel) == [
        "hidden",
        "           ✂",
        "unit 1 ▼▼··▲▲",
        "unit 2 ▲▲··▼▼",
        "       step 0 to 2",
        "-1 to 1  from '▼' to '▲'",
    ]


def test_a_curve_is_a_line_of_blocks_for_each_name():
    x = np.arange(5.0)
    y = np.array([[4.0, 3.0, 2.0, 1.0, 0.0], [np.nan, np.nan, 2.0, np.nan, np.nan]])
    panel = CurvePanel("epsilon", x, y, ("epsilon", "now"), levels={"least": 0.5}, x_name="steps")
    assert _lines(panel) == [
        "epsilon",
        "epsilon █████▇▇▇▇▆▆▆▆▅▅▅▅▄▄▄▄▃▃▃▃▂▂▂▁▁▁▁",
        "now                     ▅",
        "0 to 4  steps 0 to 4  least 0.5",
    ]


def test_points_lie_in_their_plane():
    panel = PointPanel("codes", np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1]), ("before", "now"), 1, "x", "y")
    drawn = _lines(panel, 30, ASCII)
    assert drawn[1] == " " * 27 + "@"
    assert drawn[2:14] == [""] * 12
    assert drawn[14:] == ["o", "o before  + now  @ marked", "x 0 to 1  y 0 to 1"]


@pytest.mark.parametrize("colours", [False, True])
def test_pictures_stand_side_by_side(colours):
    images = np.array([[[-1.0, 1.0]], [[1.0, -1.0]]])
    if colours:
        images = np.repeat(((images + 1) * 127.5).astype(np.uint8)[..., None], 3, axis=-1)
    panel = PicturePanel("patterns", images, ("one", "two"))
    assert _lines(panel) == ["patterns", "  ██  ██", "one   two"]


def test_facts_stand_one_a_line_without_control_characters():
    assert _lines(TextPanel("replay", {"held": "3", "name": "a\x1b[0m"}))[:2] == ["replay", "held: 3"]
    assert "\x1b" not in panel_text(TextPanel("x", {"name": "a\x1b[0m"})).plain


@pytest.mark.parametrize(
    "panel",
    [
        HeatPanel("nothing", np.zeros((0, 3))),
        HeatPanel("nothing", np.full((2, 2), np.nan)),
        BarPanel("nothing", (), np.zeros(0)),
        StripPanel("nothing", np.zeros((0, 3))),
        CurvePanel("nothing", np.zeros(1), np.full((1, 1), np.nan), ("a",)),
        PointPanel("nothing", np.zeros((0, 2)), np.zeros(0, np.int64)),
    ],
)
def test_what_is_empty_is_drawn_too(panel):
    assert _lines(panel, 20)[0] == "nothing"
