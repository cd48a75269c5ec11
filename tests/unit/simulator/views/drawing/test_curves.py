"""Tests of curves with more points than pixels: what is seen of them, and that it is drawn once."""

from __future__ import annotations

import numpy as np
import pytest

pygame = pytest.importorskip("pygame")

from simulator.core.scene import CurvePanel  # noqa: E402
from simulator.views.drawing import panels  # noqa: E402
from simulator.views.drawing.canvas import Canvas, make_surface, open_fonts  # noqa: E402
from simulator.views.drawing.colours import BACKGROUND  # noqa: E402

RECT = (10, 10, 400, 250)


@pytest.fixture(autouse=True)
def _nothing_kept():
    open_fonts()
    panels._plots.clear()


def _canvas():
    canvas = Canvas(make_surface(440, 280))
    canvas.fill(canvas.rect, BACKGROUND)
    return canvas


def _pixels(panel, pointer=None):
    canvas = _canvas()
    panels.draw_panel(canvas, pygame.Rect(RECT), panel, pointer)
    return pygame.surfarray.array3d(canvas.surface)


def test_of_each_column_the_lowest_and_the_highest_are_left_in_their_order():
    x = np.arange(9.0)
    y = np.array([[1, 5, 2, 8, 8, 3, np.nan, np.nan, np.nan], [9, 7, 8, 0, 0, 0, 4, np.nan, 5]])
    kept_x, kept_y = panels.thinned(x, y, np.repeat([4, 5, 6], 3))
    assert kept_x.tolist() == [0, 2, 3, 5, 6, 8]
    np.testing.assert_array_equal(kept_y, [[1, 5, 8, 3, np.nan, np.nan], [9, 7, 0, 0, 4, 5]])


@pytest.mark.parametrize("columns", [np.arange(4), [0, 0, 1, 2], [3, 2, 2, 0], []])
def test_few_points_and_points_that_go_back_are_left_as_they_are(columns):
    columns = np.asarray(columns, np.int64)
    x, y = np.arange(float(len(columns))), np.ones((2, len(columns)))
    kept = panels.thinned(x, y, columns)
    assert kept[0] is x
    assert kept[1] is y


def test_a_long_curve_looks_as_if_all_of_its_points_were_drawn(monkeypatch):
    generator = np.random.Generator(np.random.PCG64(0))
    x = np.arange(20_000.0)
    y = np.sin(x / 3000) + 0.05 * generator.normal(size=(2, len(x)))
    y[0, 12_345] = 3.0  # one among thousands
    y[1, 5_000:7_000] = np.nan
    few = _pixels(CurvePanel("long", x, y, ("one", "two")))
    monkeypatch.setattr(panels, "thinned", lambda x, y, columns: (x, y))
    every = _pixels(CurvePanel("long", x, y, ("one", "two")))
    different = (np.abs(few.astype(int) - every) > 64).any(axis=2)
    assert different.mean() < 0.01


def test_a_plot_is_drawn_once_until_it_changes(monkeypatch):
    drawn = []
    draw = panels._draw_plot
    monkeypatch.setattr(panels, "_draw_plot", lambda *given: drawn.append(1) or draw(*given))
    panel = CurvePanel("return", np.arange(5.0), np.arange(5.0)[None])
    first = _pixels(panel)
    assert (_pixels(panel) == first).all()
    assert len(drawn) == 1
    assert (_pixels(panel, pointer=(200, 100)) != first).any()  # a line under the pointer, over what is kept
    assert (_pixels(panel) == first).all()
    assert len(drawn) == 1
    _pixels(CurvePanel("return", np.arange(5.0), np.arange(5.0)[None] ** 2))
    assert len(drawn) == 2


def test_the_plots_that_are_kept_are_no_larger_than_what_they_are_drawn_on():
    canvas = _canvas()
    counts = []
    for n in range(20):
        place = pygame.Rect(10, 10, 200, 120)
        panels.draw_panel(canvas, place, CurvePanel("return", np.arange(5.0), n * np.ones((1, 5))))
        counts.append(len(panels._plots))
    sizes = [plot.place.width * plot.place.height for plot in panels._plots.values()]
    assert 440 * 280 - max(sizes) < sum(sizes) <= 440 * 280
    assert counts[-1] == max(counts) < 10
