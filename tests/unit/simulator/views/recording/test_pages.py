"""Tests of the pages of a recording: what is on them, in pixels and in characters."""

from __future__ import annotations

import re

import numpy as np
import pytest

from simulator.core.protocols import AgentView
from simulator.core.scene import BarPanel, CurvePanel, Mark, Scene
from simulator.core.snapshots import SeedView, Shown
from simulator.views.recording.pages import PixelPage, TerminalPage

WALLS = np.pad(np.zeros((2, 3), np.bool_), 1, constant_values=True)
PLACES = np.array([[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]])
SCENES = {
    "grid": Scene("a room", walls=WALLS, marks=(Mark(1, 1, "walker"),), places=PLACES, actions=("up", "down")),
    "rooms": Scene("rooms", rooms=np.array([[0.2, 0.2], [0.8, 0.8]]), doors=np.array([[0, 1]]), walker=1),
    "machine": Scene("a machine", lines=np.array([[0.1, 0.1, 0.9, 0.9], [0.1, 0.9, 0.9, 0.1]])),
    "image": Scene("a game", image=np.full((30, 40, 3), (200, 40, 80), np.uint8)),
    "facts": Scene("cards", facts={"hand": "17"}),
}
BARS = BarPanel("action values now", ("up", "down"), np.array([0.25, 0.75]), chosen=1)
CURVE = CurvePanel("evaluation: return", np.arange(3.0), np.array([[0.0, 1.0, 2.0]]), ("mean",))


def shown(name, panels=(BARS,)):
    view = AgentView(SCENES[name], np.linspace(0, 1, 6), None)
    return Shown(SeedView(3, view), panels=panels, facts={"episode": "1", "step": "4"})


def plain(lines):
    return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines]


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("name", SCENES)
def test_a_frame_has_the_size_and_shows_the_environment(name, scale):
    page = PixelPage((500, 300), scale, "q_learning in rooms", "seed 3", CURVE)
    frame = page.draw(shown(name))
    assert frame.shape == (round(300 * scale), round(500 * scale), 3)
    assert frame.dtype == np.uint8
    assert page.size == (round(500 * scale), round(300 * scale))
    left = frame[round(80 * scale) :, : round(270 * scale)]
    assert (left != 255).any(axis=2).mean() > 0.002
    np.testing.assert_array_equal(page.draw(shown(name)), frame)


def test_panels_stand_at_the_right_where_there_is_room():
    right = np.s_[60:, 300:]
    wide = PixelPage((500, 300), 1.0, "t", "", None)
    assert (wide.draw(shown("facts", ()))[right] == 255).all()
    assert (wide.draw(shown("facts"))[right] < 255).any()
    narrow = PixelPage((300, 300), 1.0, "t", "", CURVE)
    np.testing.assert_array_equal(narrow.draw(shown("grid")), narrow.draw(shown("grid", ())))


def test_the_smallest_frame_is_drawn():
    assert PixelPage((64, 64), 1.0, "q_learning in rooms", "seed 3", CURVE).draw(shown("grid")).shape == (64, 64, 3)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (10, 10)])
@pytest.mark.parametrize("name", SCENES)
def test_a_terminal_page_fits(name, size):
    lines = plain(TerminalPage(size, "q_learning in rooms", "seed 3").draw(shown(name)))
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    assert lines[0].startswith("q_learning"[: size[0]])


def test_a_terminal_page_shows_map_and_values():
    lines = plain(TerminalPage((80, 24), "q_learning in rooms", "seed 3").draw(shown("grid")))
    assert lines[:2] == ["q_learning in rooms  seed 3", "episode 1  step 4"]
    assert any("●" in line for line in lines[3:])
    assert any(re.search(r"▶ down +█{12} 0.75$", line) for line in lines)
    assert any(re.search(r"  up +█{4} +0.25$", line) for line in lines)


def test_pictures_are_half_blocks_in_their_colours():
    lines = TerminalPage((40, 12), "t", "").draw(shown("image", ()))
    assert "▀" * 20 in plain(lines)[5]
    assert "38;2;200;40;80" in lines[5]
