"""Tests of the surfaces that are kept: they never have more pixels than their limit, however long is drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pygame = pytest.importorskip("pygame")

from simulator.views.drawing import canvas as canvas_module  # noqa: E402
from simulator.views.drawing import environment, shapes  # noqa: E402
from simulator.views.drawing.canvas import Canvas, make_surface, open_fonts  # noqa: E402
from simulator.views.drawing.environment import draw_environment  # noqa: E402
from simulator.views.drawing.kept import KEY_PIXELS, KeptSurfaces  # noqa: E402
from tests.helpers.stored_drawings import grid_view, rooms_view  # noqa: E402

SIZE = (320, 240)


def _surface():
    return make_surface(10, 10)


def test_the_least_recently_used_are_dropped():
    kept = KeptSurfaces(3 * (100 + KEY_PIXELS))
    first = [kept.get(key, _surface) for key in "abc"]
    assert kept.get("a", _surface) is first[0]
    kept.get("d", _surface)
    assert len(kept) == 3
    assert kept.get("a", _surface) is first[0]
    assert kept.get("b", _surface) is not first[1]
    assert kept.n_pixels == 3 * (100 + KEY_PIXELS)


def test_one_that_is_too_large_is_kept_alone():
    kept = KeptSurfaces(50)
    kept.get("a", _surface)
    large = kept.get("b", _surface)
    assert len(kept) == 1
    assert kept.get("b", _surface) is large
    kept.clear()
    assert (len(kept), kept.n_pixels) == (0, 0)


@pytest.fixture
def small(monkeypatch):
    """Make the limits small, so that they are reached soon."""
    open_fonts()
    for place, name, limit in (
        (canvas_module, "_texts", 20_000),
        (canvas_module, "_discs", 20_000),
        (shapes, "_arrows", 20_000),
        (environment, "_grounds", 0),
    ):
        monkeypatch.setattr(place, name, KeptSurfaces(limit))
    return lambda: (canvas_module._texts, canvas_module._discs, shapes._arrows, environment._grounds)


def test_maps_arrows_and_texts_do_not_grow_while_values_and_policy_change(small):
    canvas = Canvas(make_surface(*SIZE))
    generator = np.random.Generator(np.random.PCG64(0))
    view = grid_view()
    counts = []
    for step in range(150):
        values = generator.random(view.values.shape)
        scene = dataclasses.replace(view.scene, facts={"step": f"{step}", "return": f"{generator.random()}"})
        probs = generator.dirichlet(np.ones(4), len(view.probs))
        draw_environment(canvas, canvas.rect, view._replace(scene=scene, values=values, probs=probs))
        counts.append(tuple(map(len, small())))
    assert max(counts[100:]) <= max(counts[:100])
    assert all(kept.n_pixels <= max(kept.max_pixels, 1) for kept in small())
    assert environment._grounds.max_pixels == SIZE[0] * SIZE[1]
    assert len(environment._grounds) < 8


def test_discs_do_not_grow_while_the_colours_of_rooms_change(small):
    canvas = Canvas(make_surface(*SIZE))
    generator = np.random.Generator(np.random.PCG64(0))
    for _ in range(100):
        draw_environment(canvas, canvas.rect, rooms_view()._replace(values=generator.random(4)))
    _, discs, *_ = small()
    assert 0 < discs.n_pixels <= discs.max_pixels


def test_a_map_that_does_not_change_is_drawn_once(small, monkeypatch):
    drawn = []
    draw = environment._draw_ground
    monkeypatch.setattr(environment, "_draw_ground", lambda *given: drawn.append(1) or draw(*given))
    canvas = Canvas(make_surface(*SIZE))
    for _ in range(5):
        draw_environment(canvas, canvas.rect, grid_view())
    assert len(drawn) == 1
