"""Tests of the tab that changes a run while it learns: what clicks, keys and sliders ask for, and how it looks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pygame = pytest.importorskip("pygame")

from simulator.views.window.training_page import TrainingPage  # noqa: E402
from tests.helpers.drawn_pages import check_picture, click, draw_page, press  # noqa: E402
from tests.helpers.snapshots import snapshot  # noqa: E402
from tests.unit.simulator.views.window.test_training_page import Source  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
SIZE = (900, 600)
TAB = "4"


class Changeable(Source):
    """A run made by hand that notes the changes that are asked of it."""

    is_live = True
    refusal = ""

    def __init__(self, **more):
        super().__init__()
        self.snapshot = snapshot(
            editable=True, has_memory=True, changeable={"epsilon": 0.1, "step_size": 0.5}, changes=("500 wall 1 3",)
        )
        self.snapshot = dataclasses.replace(self.snapshot, **more)
        self.changes = []

    def change(self, what):
        self.changes.append(what)
        return self.refusal


def opened(**more):
    page = TrainingPage(Changeable(**more))
    draw_page(page, size=SIZE)  # keys are for what is drawn
    press(page, TAB)
    draw_page(page, size=SIZE)
    draw_page(page, size=SIZE)  # sliders have their place from the second time on
    return page


def cell(page, row, column):
    """Return the middle of a cell of the map, pixels."""
    x, y = page._change._frame.place(row, column)
    return round(x), round(y)


def test_a_click_into_the_map_makes_what_the_brush_says():
    page = opened()
    click(page, cell(page, 1, 3))
    lava = next(widget for widget in page._change.widgets if getattr(widget, "words", "") == "lava")
    click(page, lava.rect.center)
    click(page, cell(page, 1, 2))
    assert page.source.changes == ["wall 1 3", "lava 1 2"]


def test_the_map_is_reached_by_the_keyboard():
    page = opened()
    page._change._map.cell = (1, 1)
    n = page.focus.widgets.index(page._change._map)
    while page.focus.index != n:
        before = page.focus.index
        press(page, "tab")
        assert page.focus.index > before
    for key in ("right", "down", "return"):
        press(page, key)
    assert page.source.changes == ["wall 2 2"]


def test_a_slider_changes_its_setting_when_it_is_let_go():
    page = opened()
    slider = page._change._sliders["epsilon"]
    place = (slider.rect.left + slider.rect.width // 2, slider.rect.centery)
    click(page, place)
    assert page.source.changes == []
    page.handle(pygame.event.Event(pygame.MOUSEBUTTONUP, pos=place, button=1))
    ((name, value),) = [change.split() for change in page.source.changes]
    assert (name, float(value)) == ("epsilon", pytest.approx(0.5, abs=0.03))


def test_a_setting_that_changes_by_itself_moves_its_slider():
    page = opened()
    page.source.snapshot = dataclasses.replace(page.source.snapshot, changeable={"epsilon": 0.05})
    draw_page(page, size=SIZE)
    assert {name: slider.value for name, slider in page._change._sliders.items()} == {"epsilon": 0.05}


def test_x_cuts_the_memory():
    page = opened()
    press(page, "x")
    assert page.source.changes == ["cut"]


def test_a_change_that_is_refused_says_why():
    page = opened()
    before = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    page.source.refusal = "1 4 is a goal: expected a free cell"
    click(page, cell(page, 1, 4))
    assert (pygame.surfarray.array3d(draw_page(page, size=SIZE).surface) != before).any()


def test_a_run_that_is_over_is_not_changed():
    page = opened(phase="done")
    click(page, cell(page, 1, 3))
    press(page, "x")
    assert page.source.changes == []
    assert "over" in page._change._message


def test_picture():
    check_picture(draw_page(opened(), size=SIZE), GOLDEN / "training-change-1.png")


def test_a_run_of_which_nothing_can_change_says_so():
    page = opened(editable=False, has_memory=False, changeable={})
    assert page._change.widgets == []
    check_picture(draw_page(page, size=SIZE), GOLDEN / "training-change-nothing-1.png")
