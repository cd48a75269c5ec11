"""Tests of widgets: mouse and keyboard reach each of them."""

from __future__ import annotations

import pytest

pygame = pytest.importorskip("pygame")

from simulator.views.drawing.canvas import Canvas, make_surface, open_fonts  # noqa: E402
from simulator.views.window.widgets import Button, Focus, Slider, Tabs, row_of  # noqa: E402

RECT = (10, 10, 200, 40)


@pytest.fixture
def canvas():
    open_fonts()
    return Canvas(make_surface(400, 300), 1.0)


def _placed(widget, rect=RECT):
    widget.rect = pygame.Rect(rect)
    return widget


def _drawn(widget, canvas, focused=False, rect=RECT):
    _placed(widget, rect).draw(canvas, focused)
    return widget


def _key(key, unicode="", mod=0):
    return pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod, unicode=unicode)


def _click(*place):
    return pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=place)


def test_button_is_pressed_by_click_and_by_enter():
    pressed = []
    button = _placed(Button("Go", lambda: pressed.append(1)))
    assert button.handle(_click(20, 20), False)
    assert not button.handle(_click(300, 20), False)
    assert not button.handle(_key(pygame.K_RETURN), False)
    assert button.handle(_key(pygame.K_RETURN), True)
    assert len(pressed) == 2
    button.enabled = False
    assert not button.handle(_click(20, 20), True)
    assert len(pressed) == 2


def test_focus_is_seen(canvas):
    _drawn(Button("Go", list), canvas)
    plain = pygame.surfarray.array3d(canvas.surface)
    _drawn(Button("Go", list), canvas, focused=True)
    assert (pygame.surfarray.array3d(canvas.surface) != plain).any()


def test_slider_is_dragged_within_its_ends(canvas):
    values = []
    slider = _drawn(Slider("x", (0.0, 10.0), 5.0, values.append), canvas)
    assert slider.handle(_click(110, 30), False)
    slider.handle(pygame.event.Event(pygame.MOUSEMOTION, pos=(10_000, 30), rel=(0, 0), buttons=(1, 0, 0)), False)
    assert slider.value == 10.0
    slider.handle(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=(0, 0)), False)
    slider.handle(pygame.event.Event(pygame.MOUSEMOTION, pos=(0, 30), rel=(0, 0), buttons=(0, 0, 0)), False)
    assert slider.value == 10.0
    assert values[-1] == 10.0


def test_slider_goes_through_its_stops_by_keys(canvas):
    values = []
    slider = _drawn(Slider("x", (1.0, 100.0), 1.0, values.append, stops=(1.0, 10.0, 100.0)), canvas)
    for key in (pygame.K_RIGHT, pygame.K_RIGHT, pygame.K_RIGHT, pygame.K_LEFT, pygame.K_HOME, pygame.K_END):
        slider.handle(_key(key), True)
    assert values == [10.0, 100.0, 10.0, 1.0, 100.0]
    assert not slider.handle(_key(pygame.K_LEFT), False)


def test_logarithmic_slider_steps_by_equal_factors(canvas):
    values = []
    slider = _drawn(Slider("x", (1e-4, 1.0), 1e-2, values.append, logarithmic=True), canvas)
    slider.handle(_key(pygame.K_RIGHT), True)
    slider.handle(_key(pygame.K_RIGHT), True)
    assert values[1] / values[0] == pytest.approx(values[0] / 1e-2)


def test_tabs_are_chosen_by_click_number_and_arrows(canvas):
    chosen = []
    tabs = _drawn(Tabs(("one", "two", "three"), chosen.append), canvas, rect=(10, 10, 380, 28))
    tabs.handle(_key(pygame.K_3), False)
    tabs.handle(_click(15, 20), False)
    tabs.handle(_key(pygame.K_LEFT), True)
    tabs.handle(_key(pygame.K_4), False)
    assert chosen == [2, 0, 2]


def test_tab_goes_through_what_is_shown_and_back():
    one, hidden, two = _placed(Button("1", list)), Button("2", list), _placed(Button("3", list), (10, 60, 50, 20))
    focus = Focus([one, hidden, two])
    places = []
    for mod in (0, 0, 0, pygame.KMOD_LSHIFT):
        assert focus.handle(_key(pygame.K_TAB, mod=mod))
        places.append(focus.index)
    assert places == [0, 2, 0, 2]
    assert focus.handle(_key(pygame.K_ESCAPE))
    assert focus.index == -1
    assert not focus.handle(_key(pygame.K_ESCAPE))


def test_buttons_without_room_are_hidden(canvas):
    buttons = [Button(f"a long label {i}", list) for i in range(6)]
    left = row_of(canvas, pygame.Rect(0, 0, 300, 28), buttons)
    shown = [button for button in buttons if button.rect.width]
    assert 1 <= len(shown) < 6
    assert all(button.rect.right <= 300 for button in shown)
    assert left.width >= 0
