"""Tests of pages of panels: tabs, moments and scrolling, and of the windows that commands open, or say they cannot."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator.commands.main import main
from simulator.core.scene import BarPanel, CurvePanel, PicturePanel, TextPanel
from simulator.views.window.app import Window
from simulator.views.window.scenes_page import SceneMoment, SceneProgress, ScenesPage, SceneTab, tab_of
from tests.helpers.drawn_pages import check_picture, draw_page, press

pytest.importorskip("pygame")
pytestmark = pytest.mark.optional
GOLDEN = Path(__file__).parent / "golden"
QUICK = "--steps 200 --trials 2 --batch 2 --seeds 2 --judge-seeds 2 --eval-episodes 2 --workers 1"


def samples(k):
    images = np.where(np.arange(9 * 16).reshape(9, 4, 4) % (k + 2), 1.0, -1.0)
    return PicturePanel(f"samples {k}", images, tuple("abcdefghi"), as_ink=True, per_row=3)


CURVE = CurvePanel("modes", np.arange(4.0), np.array([[1.0, 2.0, 2.5, 3.0]]), ("vae",), levels={"uniform": 3.2})
BARS = BarPanel("energies", ("stored 1", "random"), np.array([-2.0, 0.5]))
FACTS = TextPanel("kinds", {"stored": "2 fixed points", "other": "0"})
TABS = (
    SceneTab("Samples", [SceneMoment(f"{k}0 %", [samples(k), CURVE]) for k in (1, 2, 3)]),
    tab_of("All", [samples(0), CURVE, BARS, FACTS, BARS]),
    SceneTab("Empty", ()),
)


def test_the_newest_moment_is_shown_until_somebody_chooses_one():
    page = ScenesPage("vae generates digits", "engram generate vae digits", TABS[:1])
    assert page._moment().name == "30 %"
    press(page, "[")
    assert page._moment().name == "20 %"
    page.show([SceneTab("Samples", [*TABS[0].moments, SceneMoment("40 %", [CURVE])])])
    assert page._moment().name == "20 %"
    for _ in range(5):
        press(page, "]")
    page.show([SceneTab("Samples", [*TABS[0].moments, *TABS[0].moments[:2]])])
    assert page._moment() is TABS[0].moments[1]  # the newest is followed again


def test_tabs_are_kept_by_name_and_panels_are_scrolled_to():
    page = ScenesPage("shown", "engram show", TABS)
    draw_page(page)
    assert page._tabs.names == ("Samples", "All")
    press(page, "2")
    page.show([tab_of("New", [BARS]), *TABS])
    assert page._tabs.names[page._tabs.chosen] == "All"
    press(page, "page down")
    assert page._first_panel == 4
    press(page, "page down")
    assert page._first_panel == 4
    draw_page(page)
    press(page, "1")
    assert page._first_panel == 0
    page.show([], SceneProgress("learns, 10 %", 0.1))
    draw_page(page)
    assert not press(page, "]")


@pytest.mark.parametrize("key", ["1", "2"])
def test_pictures(key):
    page = ScenesPage("vae generates digits", "engram generate vae digits", notes=["a note about what was stored"])
    page.show(TABS, SceneProgress("vae learns, 30 %", 0.3))
    draw_page(page)
    press(page, key)
    check_picture(draw_page(page), GOLDEN / f"scenes-{key}-1.png")


@pytest.mark.parametrize(
    ("words", "title", "tabs"),
    [
        ("show hopfield --patterns-from 1,-1,1;-1,1,-1 --what weights,states", "hopfield after", ("Weights", "States")),
        ("recall hopfield --patterns-from 1,-1,1;1,1,1 --what weights", "hopfield after", ("Weights",)),
        (
            "generate boltzmann digits --patterns 4 --moments 2 --seeds 1",
            "boltzmann generate",
            ("boltzmann", "Measures"),
        ),
        ("atlas rooms --steps 50", "rooms, all 6 states", ("laplacian",)),
        ("predict nearest classes --task.labels 20 --seeds 2", "r1: nearest predict classes", ("Scores",)),
        (f"tune q_learning rooms --space.agent.gamma 0.5,0.9 {QUICK}", "t1: random search of q_learning", ("gamma",)),
    ],
)
def test_commands_open_a_window_and_print_their_result_when_it_is_closed(
    words, title, tabs, tmp_path, monkeypatch, capsys
):
    shown = []

    def stay(window):
        window.step()
        shown.append((window.page.title, window.page._tabs.names, draw_page(window.page)))
        assert window.page.command() == shlex.join(["engram", *words])

    monkeypatch.setattr(Window, "stay", stay)
    words = [*words.split(), "--view", "window", "--json", "--lab", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["engram", *words])
    assert main(words) == 0
    ((found, names, _),) = shown
    assert found.startswith(title)
    assert names[: len(tabs)] == tabs
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", ["show hopfield digits", "generate boltzmann digits", "atlas rooms"])
def test_without_a_display_one_line_says_what_to_do(words, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    assert main([*words.split(), "--view", "window"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.endswith("--picture FILE draws the same, and --view terminal prints it\n")
