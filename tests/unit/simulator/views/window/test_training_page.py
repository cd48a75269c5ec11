"""Tests of the page of a training run: what its keys, buttons and tabs do, and what is drawn in each of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pygame = pytest.importorskip("pygame")

from simulator.core.protocols import Evaluation  # noqa: E402
from simulator.core.scene import BarPanel, HeatPanel, TextPanel  # noqa: E402
from simulator.core.snapshots import SeedView, Shown  # noqa: E402
from simulator.views.window.training_page import TrainingPage, curve_panels, settings_panels, without_facts  # noqa: E402
from tests.helpers.drawn_pages import check_picture, click, draw_page, press  # noqa: E402
from tests.helpers.snapshots import graph, grid, snapshot  # noqa: E402
from tests.helpers.stored_drawings import SCENES  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
SIZE = (900, 600)
PANELS = (
    BarPanel("action values now", ("up", "down"), np.array([0.2, 0.9]), chosen=1),
    HeatPanel("Q-table", np.eye(4)),
    TextPanel("observation", {"1": "3"}),
)


class Speed:
    """A speed that notes what it is asked."""

    words = "10 steps/s"
    is_paused = False

    def __init__(self):
        self.asked = []

    def pause(self, paused=None):
        self.is_paused = not self.is_paused
        self.asked.append("pause")

    def step(self):
        self.asked.append("step")

    def change(self, *, faster):
        self.asked.append("faster" if faster else "slower")

    def full(self):
        self.asked.append("full")

    def change_every(self, *, more):
        self.asked.append("rarer" if more else "more often")


class Source:
    """A run made by hand."""

    is_live = False
    is_loading = False
    settings = {"seeds": "4", "agent.name": "q_learning", "agent.explore.kind": "epsilon", "env.name": "rooms"}  # noqa: RUF012
    status = "training, step 1,000 of 2,000"
    next_poll = 1.0

    def __init__(self, view=None):
        self.snapshot = snapshot()
        self.speed = Speed()
        self.wall = False
        self.inside = False
        self.index = 0
        self.asked = []
        self.view = view or grid()
        self.is_closed = False

    @property
    def shown(self):
        seeds = tuple(SeedView(seed, self.view) for seed in self.snapshot.seeds)
        return Shown(
            seeds[self.index],
            wall=seeds if self.wall else (),
            panels=PANELS if self.inside else (),
            facts={"episode": "3", "return": "0.5"},
        )

    def poll(self):
        return False

    def step_back(self):
        self.asked.append("back")

    def watch(self, index):
        self.index = index

    def begin_again(self):
        self.asked.append("begin")

    def command(self):
        return "engram watch r1"

    def close(self):
        self.is_closed = True


@pytest.fixture
def page():
    made = TrainingPage(Source())
    draw_page(made, size=SIZE)
    return made


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("space", "pause"),
        ("n", "step"),
        ("right", "step"),
        ("+", "faster"),
        ("-", "slower"),
        ("f", "full"),
        (".", "rarer"),
        (",", "more often"),
    ],
)
def test_keys_change_the_speed(page, key, asked):
    assert press(page, key)
    assert page.source.speed.asked == [asked]


def test_keys_go_back_and_begin_again(page):
    press(page, "b")
    press(page, "left")
    press(page, "r")
    assert page.source.asked == ["back", "back", "begin"]


def test_up_and_down_go_round_the_seeds(page):
    press(page, "down")
    assert page.source.index == 1
    press(page, "up")
    press(page, "up")
    assert page.source.index == 3


def test_a_click_on_the_wall_watches_that_seed_alone(page):
    press(page, "w")
    assert page.source.wall
    draw_page(page, size=SIZE)
    assert len(page._places) == 4
    assert click(page, page._places[2].center)
    assert page.source.index == 2
    assert not page.source.wall


def test_keys_that_it_does_not_know_are_for_the_window(page):
    assert not press(page, "q")
    assert not press(page, "f1")


def test_every_button_is_reached_by_tab_and_pressed_by_enter(page):
    for _ in range(2):  # past the tabs
        press(page, "tab")
    for _ in page._buttons:
        press(page, "return")
        press(page, "tab")
    assert page.source.speed.asked == ["pause", "step", "slower", "faster"]
    assert page.source.asked == ["back"]
    assert page.source.wall


def test_the_inside_is_asked_for_only_while_its_tab_is_chosen(page):
    assert not page.source.inside
    press(page, "2")
    draw_page(page, size=SIZE)
    assert page.source.inside
    press(page, "3")
    draw_page(page, size=SIZE)
    assert not page.source.inside


@pytest.mark.parametrize("key", ["1", "2", "3"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_every_tab_draws_something_of_its_own(page, key, scale):
    press(page, key)
    draw_page(page, size=SIZE)
    pixels = pygame.surfarray.array3d(draw_page(page, scale, SIZE).surface)
    right = pixels[int(0.6 * len(pixels)) :, 80:]
    assert (right != right[0, 0]).any(axis=2).mean() > 0.004


@pytest.mark.parametrize(
    ("name", "keys", "scale"),
    [("curves", "", 1.0), ("curves", "", 2.0), ("inside", "2", 1.0), ("settings", "3", 1.0), ("wall", "w", 1.0)],
)
def test_pictures(page, name, keys, scale):
    for key in keys:
        press(page, key)
    check_picture(draw_page(page, scale, SIZE), GOLDEN / f"training-{name}-{scale:g}.png")


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("wall", [False, True])
def test_every_kind_of_scene_is_drawn_alone_and_on_the_wall(scene, wall):
    page = TrainingPage(Source(SCENES[scene]()))
    page.source.wall = wall
    pixels = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    left = pixels[: len(pixels) // 2, 100:-50]
    assert (left != left[0, 0]).any(axis=2).mean() > 0.004


@pytest.mark.parametrize("size", [(1280, 800), (500, 700), (480, 330), (260, 200)])
@pytest.mark.parametrize("tab", ["1", "2", "3"])
def test_it_is_drawn_in_every_size(page, size, tab):
    press(page, tab)
    draw_page(page, size=size)
    press(page, "w")
    draw_page(page, size=size)


def test_what_lies_under_the_pointer_is_told(page):
    from simulator.views.drawing.environment import draw_environment

    canvas = draw_page(page, size=SIZE)
    told = set()
    for x in range(20, 480, 15):
        for y in range(80, 500, 15):
            tip = draw_environment(canvas, pygame.Rect(10, 80, 480, 400), page.source.view, pointer=(x, y))
            told |= {tip} - {None}
    assert any("row 1, column 2" in words and "value 0.9" in words and "right 100%" in words for words in told)


def test_before_the_first_picture_it_says_that_it_waits(monkeypatch):
    monkeypatch.setattr(Source, "shown", None)
    for tab in "123":
        page = TrainingPage(Source())
        press(page, tab)
        draw_page(page, size=SIZE)


def test_scrolling_begins_anew_in_another_tab(page):
    press(page, "3")
    draw_page(page, size=(900, 260))
    press(page, "page down")
    draw_page(page, size=(900, 260))
    assert page._first_panel == 1
    press(page, "2")
    assert page._first_panel == 0


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (440, 1)])
def test_settings_stand_in_two_columns_where_there_is_room(page, monkeypatch, width, columns):
    lefts = []
    monkeypatch.setattr(
        "simulator.views.window.training_page.draw_panel", lambda canvas, rect, panel, pointer: lefts.append(rect.left)
    )
    press(page, "3")
    draw_page(page, size=(width, 260))
    assert len(set(lefts)) == columns


def test_curves_have_the_mean_of_the_seeds_and_all_of_them_as_band():
    panels = curve_panels(snapshot())
    curve = panels[-1]
    returns = snapshot().curve.mean_return
    assert curve.y[0] == pytest.approx(returns.mean(axis=0))
    assert curve.low[0] == pytest.approx(returns.min(axis=0))
    assert curve.high[0] == pytest.approx(returns.max(axis=0))


def test_a_seed_that_failed_is_left_out_of_the_curves():
    now = snapshot()
    returns = now.curve.mean_return.copy()
    returns[0] = np.nan
    now = dataclasses.replace(now, curve=now.curve._replace(mean_return=returns))
    assert curve_panels(now)[-1].y[0] == pytest.approx(returns[1:].mean(axis=0))


def test_without_a_point_there_is_a_panel_that_says_so():
    now = snapshot(evaluations=())
    now = dataclasses.replace(now, curve=now.curve._replace(steps=np.zeros(0), mean_return=np.zeros((4, 0))))
    (panel,) = curve_panels(now)
    assert "no episode" in panel.title


def test_settings_are_parted_by_player():
    panels = settings_panels(Source.settings)
    assert [panel.title for panel in panels] == ["run", "agent", "agent: explore", "env"]
    assert panels[2].facts == {"kind": "epsilon"}


def test_rooms_are_a_graph():
    page = TrainingPage(Source(graph()))
    draw_page(page, size=SIZE)
    assert page.command() == "engram watch r1"
    page.close()
    assert page.source.is_closed


def test_curves_that_are_kept_are_those_that_would_be_drawn(page):
    first = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    again = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    assert (first == again).all()
    page.source.snapshot = snapshot(optimum=None)
    changed = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    assert (changed != again).any()
    fresh = TrainingPage(page.source)
    assert (pygame.surfarray.array3d(draw_page(fresh, size=SIZE).surface) == changed).all()


def test_while_something_is_loaded_the_picture_before_stays_and_it_is_said(page, monkeypatch):
    drawn = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    monkeypatch.setattr(Source, "shown", None)
    monkeypatch.setattr(Source, "is_loading", True)
    loading = pygame.surfarray.array3d(draw_page(page, size=SIZE).surface)
    assert (drawn[:, 90:] == loading[:, 90:]).all()
    assert (drawn[:, :90] != loading[:, :90]).any()


def test_the_page_after_a_run_stays_at_tab_wall_and_picture(page, monkeypatch):
    press(page, "2")
    press(page, "page down")
    press(page, "w")
    draw_page(page, size=SIZE)
    monkeypatch.setattr(Source, "shown", None)
    after = TrainingPage(Source())
    after.go_on_from(page)
    assert (after.tabs.chosen, after._first_panel, after.source.wall) == (1, 1, True)
    draw_page(after, size=SIZE)
    assert len(after._places) == 4


def test_the_memory_of_a_policy_that_plays_is_cut_by_key_and_button(page):
    assert not press(page, "x") or page._cut not in page._shown_buttons()
    page.source.has_memory, cut = True, []
    page.source.cut_memory = lambda: cut.append("cut")
    draw_page(page, size=SIZE)
    press(page, "x")
    assert click(page, page._cut.rect.center)
    assert cut == ["cut", "cut"]


def test_the_error_of_the_action_values_has_a_curve_beside_the_return():
    known = Evaluation(500, np.zeros((4, 0)), np.ones(4), np.array([1.0, 2.0, 3.0, 6.0]))
    unknown = Evaluation(1_000, np.zeros((4, 0)), np.ones(4))
    panels = curve_panels(snapshot(evaluations=(known, unknown)))
    assert panels[1].title.startswith("max |Q - Q*|")
    assert panels[1].y[0].tolist()[0] == 3.0
    assert np.isnan(panels[1].y[0, 1])
    assert "Q*" not in " ".join(panel.title for panel in curve_panels(snapshot(evaluations=(unknown,))))


def test_a_fact_that_stands_above_the_scene_is_not_said_below_it_again():
    view = grid()
    view = view._replace(scene=dataclasses.replace(view.scene, facts={"step": "3", "pays": "G"}))
    assert without_facts(view, {"step": "3"}).scene.facts == {"pays": "G"}
    assert without_facts(view, {"step": "4"}).scene.facts == {"step": "3", "pays": "G"}
