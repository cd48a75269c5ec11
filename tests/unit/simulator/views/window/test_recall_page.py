"""Tests of the window's page of a recall: painting, keys, sliders, and pictures of every tab."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from simulator.commands.live.recall_window import command_of, page_of
from simulator.config.recall import build
from tests.helpers.drawn_pages import check_picture, click, draw_page, press

pygame = pytest.importorskip("pygame")
pytestmark = pytest.mark.optional
GOLDEN = Path(__file__).parent / "golden"


def learned(*memories: str, **settings):
    """Return a page whose memory has learned, with a clock that stands still at 0."""
    values = {"memory": {name: settings.pop(name, {}) for name in memories}, "challenge": {"name": "digits"}}
    page = page_of(build({"patterns": [6], "corruption": ["flip:0.2"], "first_seed": 2, **values, **settings}))
    page._clock = lambda: 0.0
    while page.poll():
        pass
    return page


def test_a_cue_is_painted_with_the_mouse():
    page = learned("hopfield")
    draw_page(page)
    places = [page._cue_board.cell(unit).center for unit in range(3)]
    for place, button, value in zip(places, (1, 3, 2), (1.0, -1.0, 0.0), strict=True):
        assert click(page, place, button)
        unit = places.index(place)
        assert page.recalling.cue.values[unit] == value
    before = page.recalling.cue.values.copy()
    motion = pygame.event.Event(pygame.MOUSEMOTION, pos=page._cue_board.cell(10).center, rel=(1, 1), buttons=(0, 1, 0))
    assert page.handle(motion)
    assert page.recalling.cue.values[10] == 0.0
    before[10] = 0.0
    np.testing.assert_array_equal(page.recalling.cue.values, before)


def test_a_cue_is_painted_with_keys():
    page = learned("hopfield")
    draw_page(page)
    press(page, "tab")
    press(page, "right")
    press(page, "down")
    old = page.recalling.cue.values[9]
    press(page, "space")
    assert page.recalling.cue.values[9] == -old
    press(page, "delete")
    assert page.recalling.cue.values[9] == 0.0


def test_steps_go_forward_and_back():
    page = learned("hopfield")
    press(page, "n")
    press(page, "n")
    first = page._playing.moments[1].step.pattern
    assert page._playing.at == 2
    press(page, "b")
    assert page._playing.at == 1
    np.testing.assert_array_equal(page._playing.moments[1].step.pattern, first)
    press(page, "end")
    assert page._playing.is_over
    answer = page.recalling.memory.recall(page.recalling.cue.values[None, None]).patterns[0, 0]
    np.testing.assert_array_equal(page._playing.moments[-1].step.pattern, answer)
    press(page, "home")
    assert page._playing.at == 0


def test_it_plays_at_its_speed_and_rests_at_the_answer():
    page = learned("hopfield")
    now = [0.0]
    page._clock = lambda: now[0]
    press(page, "home")
    assert page.next_poll == pytest.approx(0.1)
    assert not page.poll()
    now[0] = 0.11
    assert page.poll()
    assert page._playing.at == 1
    for _ in range(200):
        now[0] += 0.1
        page.poll()
    assert page._playing.is_over
    assert page.next_poll == np.inf


def test_patterns_kinds_and_memories_are_chosen():
    page = learned("hopfield", "nearest")
    draw_page(page)
    click(page, page._stored_places[4].center)
    assert page.recalling.truth == 4
    press(page, "]")
    assert page.recalling.truth == 5
    press(page, "]")
    assert page.recalling.truth == 0
    press(page, "t")
    assert page.recalling.setup.corruption.startswith("salt:")
    press(page, "e")
    assert not page.recalling.uses_evidence
    press(page, "m")
    assert page.recalling.setup.memory.name == "nearest_neighbor"
    assert page.recalling.setup.corruption.startswith("salt:")


def test_sliders_set_corruption_load_and_temperature():
    page = learned("modern_hopfield")
    page._corruption._set(0.05)
    assert page.recalling.setup.corruption == "flip:0.05"
    page._temperature._set(0.5)
    assert page.recalling.temperature == pytest.approx(0.5)
    page._load._set(3)
    assert len(page.recalling.stored) == 3
    assert page.recalling.is_learning
    while page.poll():
        pass
    assert not page.recalling.is_learning


def test_what_cannot_be_stored_is_said_and_the_page_stays():
    page = learned("hopfield", hopfield={"rule": "pseudo_inverse"}, challenge={"name": "random_bits"})
    page._load._set(200)
    for _ in range(3):
        page.poll()
    assert "expected" in page._status()
    draw_page(page)
    page._load._set(5)
    while page.poll():
        pass
    assert "expected" not in page._status()


def test_the_command_opens_the_same_recall():
    page = learned("hopfield", hopfield={"rule": "storkey"})
    page.recalling.corrupt("erase:0.3")
    words = command_of(page.recalling)
    assert words == (
        "engram recall hopfield digits --patterns 6 --corruption erase:0.3 --seeds 1 --first-seed 2"
        " --memory.hopfield.rule storkey --view window"
    )


@pytest.mark.parametrize(
    ("name", "tab", "scale"),
    [("hopfield", 0, 1.0), ("hopfield", 0, 2.0), ("hopfield", 1, 1.0), ("identity", 3, 1.0), ("boltzmann", 2, 1.0)],
)
def test_pictures(name, tab, scale):
    page = learned(name)
    page._tabs.choose(tab)
    for _ in range(5):
        press(page, "n")
    pointer = (round(60 * scale), round(120 * scale)) if tab == 1 else None
    check_picture(
        draw_page(page, scale, pointer=pointer), GOLDEN / f"recall-{name}-{page._tabs.names[tab].lower()}-{scale:g}.png"
    )


@pytest.mark.parametrize("size", [(480, 320), (700, 500), (1920, 1080)])
def test_every_size_is_drawn(size):
    page = learned("hopfield")
    for tab in range(4):
        page._tabs.choose(tab)
        draw_page(page, 1.0, size)


def test_settings_of_nested_tables_are_in_the_command():
    page = learned("boltzmann")
    entry = page.recalling.setup.memory
    config = dataclasses.replace(entry.settings, learn=dataclasses.replace(entry.settings.learn, updates=7))
    page.recalling.setup = dataclasses.replace(page.recalling.setup, memory=entry._replace(settings=config))
    assert "--memory.boltzmann.learn.updates 7 " in command_of(page.recalling)
