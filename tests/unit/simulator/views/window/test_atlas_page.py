"""Tests of the window's page of an atlas: what is pointed at or chosen, in the rooms and in the plane, and pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from simulator.views.window.atlas_page import AtlasPage
from tests.helpers.drawn_pages import check_picture, click, draw_page, press

pytest.importorskip("pygame")
pytestmark = pytest.mark.optional
GOLDEN = Path(__file__).parent / "golden"
WALLS = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 0, 1], [1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1]], np.bool_)
CELLS = np.argwhere(~WALLS)


def atlas(**changes):
    """An atlas of the seven free cells of two rooms with a doorway; the last two states share a cell."""
    n = len(CELLS)
    places = np.vstack([CELLS, CELLS[-1:]])
    angle = np.arange(n + 1) * 0.9
    found = {
        "method": "laplacian",
        "points": np.column_stack([np.cos(angle), np.sin(angle)]),
        "plane": np.column_stack([np.cos(angle), np.sin(angle)]),
        "axes": ("number 1", "number 2"),
        "clusters": np.arange(n + 1) % 2,
        "n_clusters": 2,
        "tree": None,
        "neighbours": {"trustworthiness": 0.75, "continuity": 0.5},
        "neighbours_by_steps": None,
        "agreement": 0.25,
        "linear": None,
        "facts": {"graph": "of steps"},
    }
    data = {
        "atlas": "two rooms",
        "kind": "env",
        "of": "observations",
        "seed": 0,
        "states": n + 1,
        "color": "room",
        "values": np.linspace(0.0, 1.0, n + 1),
        "actions": np.arange(n + 1) % 4,
        "action_names": ("up", "right", "down", "left"),
        "rooms": np.where(places[:, 1] == 3, -1, places[:, 1] > 3),
        "classes": None,
        "steps": np.r_[math.nan, np.arange(n, dtype=float)],
        "visits": None,
        "places": places,
        "map": {"walls": WALLS, "rooms": None, "doors": None},
        "maps": [found, {**found, "method": "hac", "plane": found["plane"][:, ::-1]}],
        "notes": (),
    }
    return {**data, **changes}


def page_of(**changes):
    page = AtlasPage(atlas(**changes), "engram atlas rooms", [{"trustworthiness": "0.75"}, {}])
    draw_page(page)
    return page


def test_a_cell_and_a_point_are_chosen_by_the_mouse_and_are_the_same_state():
    page = page_of()
    cell = next(place for place in page._places if place.states == (2,))
    click(page, cell.rect.center)
    assert page._chosen == 2
    click(page, (0, 0))
    assert page._chosen == -1
    click(page, tuple(int(at) for at in page._pixels[2]))
    assert page._chosen == 2
    facts = page._facts((2,), page._maps[0]).facts
    assert (facts["place"], facts["room"], facts["action"]) == ("row 1, column 4", "2", "down")
    assert press(page, "escape")  # lets the state go, before the window closes
    assert page._chosen == -1
    assert not press(page, "escape")


def test_states_of_one_cell_follow_each_other():
    page = page_of()
    shared = next(place for place in page._places if len(place.states) == 2)
    assert shared.states == (6, 7)
    chosen = []
    for _ in range(3):
        click(page, shared.rect.center)
        chosen.append(page._chosen)
    assert chosen == [6, 7, 6]


def test_arrows_go_to_the_next_cell_with_a_state_and_colours_and_maps_by_keys():
    page = page_of()
    press(page, "right")
    assert page._chosen == 0
    for key, state in (("right", 1), ("right", 2), ("down", 6), ("left", 5), ("up", 5)):
        press(page, key)
        assert page._chosen == state
    colors = []
    for _ in range(len(page._colors)):
        press(page, "x")
        draw_page(page)
        colors.append(page._color)
    assert colors == ["step", "cluster", "value", "action", "room"]
    press(page, "2")
    assert page._maps[page._tabs.chosen]["method"] == "hac"
    draw_page(page)


@pytest.mark.parametrize("pointed", ["cell", "point"])
def test_what_is_pointed_at_is_ringed_in_both(pointed):
    page = page_of()
    cell = next(place.rect for place in page._places if place.states == (3,))
    at = {"cell": cell.center, "point": tuple(int(x) for x in page._pixels[3])}[pointed]
    plain, canvas = draw_page(page), draw_page(page, pointer=at)
    x, y = (int(x) for x in page._pixels[3])
    for place in (cell.inflate(6, 6), cell.copy().move(x - cell.centerx, y - cell.centery)):
        before, after = (np.array(_pixels(each, place)) for each in (plain, canvas))
        assert (before != after).any()


def _pixels(canvas, rect):
    from simulator.views.drawing.canvas import pygame_module

    return pygame_module().surfarray.array3d(canvas.surface.subsurface(rect)).copy()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_pictures(scale):
    page = page_of()
    press(page, "right")
    press(page, "right")
    check_picture(draw_page(page, scale), GOLDEN / f"atlas-{scale:g}.png")


def test_a_graph_of_rooms_and_states_without_a_map():
    rooms = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    places = np.array([[0, 0], [1, 0], [2, 0], [0, 0], [1, 0], [2, 0], [0, 0], [1, 0]])
    graph_map = {"walls": None, "rooms": rooms, "doors": np.array([[0, 1], [1, 2]])}
    graph = page_of(map=graph_map, places=places, rooms=None, color="value")
    click(graph, graph._places[2].rect.center)
    assert graph._chosen == 2
    press(graph, "left")
    assert graph._chosen == 1
    check_picture(draw_page(graph), GOLDEN / "atlas-graph-1.png")
    alone = page_of(map=None, places=None, rooms=None, color="cluster")
    press(alone, "down")
    press(alone, "down")
    assert alone._chosen == 1
    draw_page(alone)
