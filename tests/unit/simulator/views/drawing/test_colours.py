"""Tests of colour tables and of readable text."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.views.drawing.colours import (
    BLACK,
    EMPTY,
    INK,
    N_SHADES,
    NOTHING,
    ORANGE_BLUE,
    PAPER,
    VIRIDIS,
    contrast,
    ink_on,
    shades,
)


def test_viridis_is_matplotlibs():
    colormaps = pytest.importorskip("matplotlib").colormaps
    expected = np.rint(255 * colormaps["viridis"](np.linspace(0.0, 1.0, N_SHADES))[:, :3])
    assert np.abs(VIRIDIS[:N_SHADES].astype(int) - expected).max() <= 6


def test_zero_is_nearly_white_between_orange_and_blue():
    middle = shades(np.array([0.0]), -3.0, 3.0)[0]
    assert ORANGE_BLUE[middle].min() > 235
    red, _, blue = ORANGE_BLUE[shades(np.array([-3.0]), -3.0, 3.0)[0]].astype(int)
    assert red > blue
    red, _, blue = ORANGE_BLUE[shades(np.array([3.0]), -3.0, 3.0)[0]].astype(int)
    assert blue > red


def test_shades_run_from_the_first_entry_to_the_last():
    found = shades(np.array([[-5.0, 0.0, 1.0, 2.0, 9.0]]), 0.0, 2.0)
    assert found.tolist() == [[0, 0, (N_SHADES - 1) // 2, N_SHADES - 1, N_SHADES - 1]]
    assert found.dtype == np.uint8


def test_what_is_not_finite_is_empty():
    found = shades(np.array([np.nan, np.inf, -np.inf]), 0.0, 1.0)
    assert (found == NOTHING).all()
    assert tuple(VIRIDIS[NOTHING].tolist()) == EMPTY


@pytest.mark.parametrize("span", [(1.0, 1.0), (-np.inf, np.inf), (np.nan, 1.0), (2.0, 1.0)])
def test_a_span_without_length_gives_one_shade(span):
    assert len(set(shades(np.array([0.0, 1.0, 2.0]), *span).tolist())) == 1


@pytest.mark.parametrize("table", [VIRIDIS, ORANGE_BLUE], ids=["viridis", "orange and blue"])
def test_text_is_readable_on_every_shade(table):
    for entry in table:
        colour = tuple(int(c) for c in entry)
        assert contrast(ink_on(colour), colour) >= 4.5


def test_contrast_is_that_of_the_web_guidelines():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert ink_on(PAPER) == BLACK
    assert ink_on(INK) == PAPER
