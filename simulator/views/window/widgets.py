"""Widgets on plain rectangles: button, slider, tabs, list, text line and tooltip; the keyboard reaches each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from simulator.views.drawing.canvas import SIZE, SMALL, Canvas, pygame_module
from simulator.views.drawing.colours import BACKGROUND, BLUE, CHOSEN, FAINT, FOCUS, INK, PAPER, RULE
from simulator.views.style import number

HEIGHT = 28  # units of a button and a tab
SLIDER = 40


class Widget(Protocol):
    """Something that is drawn in a rectangle and takes events.

    Its owner sets ``rect`` before it draws: pixels of the surface.
    """

    rect: Any

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw it, with a ring where it has the focus."""

    def handle(self, event: Any, focused: bool) -> bool:
        """Take an event; True: it was meant for this widget."""


class RectParts(NamedTuple):
    """The two parts that a rectangle is divided into."""

    first: Any  # on the left, or above
    second: Any


def columns_of(rect: Any, width: int, gap: int) -> RectParts:
    """Divide a rectangle into a left part of ``width`` pixels and what is right of it, behind a gap."""
    left, right = rect.copy(), rect.copy()
    left.width = width
    right.left = left.right + gap
    right.width = rect.right - right.left
    return RectParts(left, right)


def rows_of(rect: Any, height: int, gap: int) -> RectParts:
    """Divide a rectangle into an upper part of ``height`` pixels and what is below it, behind a gap."""
    upper, lower = rect.copy(), rect.copy()
    upper.height = height
    lower.top = upper.bottom + gap
    lower.height = rect.bottom - lower.top
    return RectParts(upper, lower)


def no_rect() -> Any:
    """Return an empty rectangle, of a widget that was not drawn yet."""
    return pygame_module().Rect(0, 0, 0, 0)


def is_click(event: Any, rect: Any) -> bool:
    """Tell whether the left button was pressed in a rectangle."""
    return bool(event.type == pygame_module().MOUSEBUTTONDOWN and event.button == 1 and rect.collidepoint(event.pos))


def is_key(event: Any, *names: str) -> bool:
    """Tell whether a key was pressed, by its names in pygame: ``return``, ``left``, ``f1``, ``a``."""
    pygame = pygame_module()
    return event.type == pygame.KEYDOWN and pygame.key.name(event.key) in names


def is_with_modifier(event: Any) -> bool:
    """Tell whether Ctrl, Alt or Cmd was held while a key was pressed: such keys are the window's."""
    pygame = pygame_module()
    held = pygame.KMOD_CTRL | pygame.KMOD_META | pygame.KMOD_ALT
    return event.type == pygame.KEYDOWN and bool(event.mod & held)


def draw_ring(canvas: Canvas, rect: Any) -> None:
    """Draw the ring of what has the focus."""
    canvas.frame(rect.inflate(canvas.px(4), canvas.px(4)), FOCUS, 2, 4)


class Button:
    """A button.

    Args:
        label: its words; a function where they change.
        act: called when it is pressed.
        hint: the key that does the same, shown after the words.
    """

    def __init__(self, label: str | Callable[[], str], act: Callable[[], None], hint: str = "") -> None:
        self.rect = no_rect()
        self.enabled = True
        self._label = label
        self._act = act
        self._hint = hint

    @property
    def words(self) -> str:
        """The words on it."""
        label = self._label if isinstance(self._label, str) else self._label()
        return label

    def width(self, canvas: Canvas) -> int:
        """Return the pixels that it needs."""
        hint = canvas.text_size(self._hint, SMALL)[0] + canvas.px(8) if self._hint else 0
        return canvas.text_size(self.words)[0] + hint + canvas.px(20)

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw it."""
        over = self.enabled and canvas.pointer is not None and self.rect.collidepoint(canvas.pointer)
        canvas.box(self.rect, CHOSEN if over else PAPER, 4)
        canvas.frame(self.rect, RULE, 1, 4)
        y = self.rect.centery - canvas.line_height() / 2
        x = self.rect.left + canvas.px(10)
        room = self.rect.right - canvas.px(6) - x
        x += canvas.text((x, y), self.words, SIZE, INK if self.enabled else FAINT, width=room) + canvas.px(8)
        small = self.rect.centery - canvas.line_height(SMALL) / 2
        canvas.text((x, small), self._hint, SMALL, FAINT, width=self.rect.right - x)
        if focused:
            draw_ring(canvas, self.rect)

    def handle(self, event: Any, focused: bool) -> bool:
        """Press it by a click, or by Enter where it has the focus."""
        if self.enabled and (is_click(event, self.rect) or (focused and is_key(event, "return", "enter"))):
            self._act()
            return True
        return False


class Slider:
    """A number between two ends.

    Args:
        name: what it sets.
        span: lowest and highest value.
        value: at first.
        changed: called with every new value.
        logarithmic: equal ways are equal factors; both ends are above 0 then.
        stops: values that it may have, ascending; None: any.
        words: formats a value.
    """

    def __init__(
        self,
        name: str,
        span: tuple[float, float],
        value: float,
        changed: Callable[[float], None],
        *,
        logarithmic: bool = False,
        stops: Sequence[float] | None = None,
        words: Callable[[float], str] = number,
    ) -> None:
        self.rect = no_rect()
        self.name = name
        self.value = value
        self._span = span
        self._changed = changed
        self._logarithmic = logarithmic
        self._stops = None if stops is None else tuple(stops)
        self._words = words
        self._track = (0, 1)  # pixels, left and right
        self._dragged = False

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw the name and the value over a track with a handle."""
        rect = self.rect
        value = self._words(self.value)
        wide = canvas.text_size(value)[0]
        canvas.text(rect.topleft, self.name, SIZE, FAINT, width=rect.width - wide - canvas.px(8))
        canvas.text(rect.topright, value, SIZE, INK, align="right")
        y = rect.top + canvas.line_height() + canvas.px(9)
        radius = canvas.px(6)
        self._track = (rect.left + radius, rect.right - radius)
        x = round(self._track[0] + self._share() * (self._track[1] - self._track[0]))
        canvas.box((rect.left, y - canvas.px(2), rect.width, canvas.px(4)), RULE, 2)
        canvas.box((rect.left, y - canvas.px(2), x - rect.left, canvas.px(4)), BLUE, 2)
        canvas.circle((x, y), radius, BLUE)
        canvas.circle((x, y), max(radius - canvas.px(2), 1), PAPER)
        if focused:
            draw_ring(canvas, rect)

    def handle(self, event: Any, focused: bool) -> bool:
        """Move the handle with the mouse, or with the arrow keys where it has the focus."""
        pygame = pygame_module()
        if is_click(event, self.rect):
            self._dragged = True
            self._drag(event.pos[0])
            return True
        if event.type == pygame.MOUSEBUTTONUP and self._dragged:
            self._dragged = False
            return True
        if event.type == pygame.MOUSEMOTION and self._dragged:
            self._drag(event.pos[0])
            return True
        if focused and is_key(event, "left", "right", "home", "end"):
            self._step(pygame.key.name(event.key))
            return True
        return False

    def _share(self) -> float:
        low, high = self._span
        if self._stops is not None:
            nearest = min(range(len(self._stops)), key=lambda i: abs(self._stops[i] - self.value))  # type: ignore[index]
            return nearest / max(len(self._stops) - 1, 1)
        if self._logarithmic:
            return math.log(max(self.value, low) / low) / math.log(high / low)
        return (self.value - low) / (high - low) if high > low else 0.0

    def _at(self, share: float) -> float:
        low, high = self._span
        share = min(max(share, 0.0), 1.0)
        if self._stops is not None:
            return self._stops[round(share * (len(self._stops) - 1))]
        return float(low * (high / low) ** share) if self._logarithmic else low + share * (high - low)

    def _drag(self, x: int) -> None:
        self._set(self._at((x - self._track[0]) / max(self._track[1] - self._track[0], 1)))

    def _step(self, key: str) -> None:
        step = 1.0 / (len(self._stops) - 1) if self._stops is not None and len(self._stops) > 1 else 0.02
        moves = {"left": self._share() - step, "right": self._share() + step, "home": 0.0, "end": 1.0}
        self._set(self._at(moves[key]))

    def _set(self, value: float) -> None:
        if value != self.value:
            self.value = value
            self._changed(value)


class Tabs:
    """Names of which one is chosen.

    Args:
        names: from left to right.
        changed: called with the number of a newly chosen one.
    """

    def __init__(self, names: Sequence[str], changed: Callable[[int], None] = lambda index: None) -> None:
        self.rect = no_rect()
        self.names = tuple(names)
        self.chosen = 0
        self._changed = changed
        self._places: list[Any] = []

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw the names; the chosen one is bold and underlined."""
        self._places = []
        x = self.rect.left
        canvas.fill((self.rect.left, self.rect.bottom - 1, self.rect.width, 1), RULE)
        for i, name in enumerate(self.names):
            face = "bold" if i == self.chosen else "sans"
            wide = canvas.text_size(name, face="bold")[0] + canvas.px(20)
            place = pygame_module().Rect(x, self.rect.top, wide, self.rect.height)
            over = canvas.pointer is not None and place.collidepoint(canvas.pointer)
            if over and i != self.chosen:
                canvas.box(place, CHOSEN, 3)
            y = place.centery - canvas.line_height() / 2
            canvas.text((place.centerx, y), name, SIZE, INK if i == self.chosen else FAINT, face=face, align="centre")
            if i == self.chosen:
                canvas.fill((place.left, place.bottom - canvas.px(3), place.width, canvas.px(3)), BLUE)
            self._places.append(place)
            x += wide
        if focused and self._places:
            draw_ring(canvas, self._places[min(self.chosen, len(self._places) - 1)])

    def handle(self, event: Any, focused: bool) -> bool:
        """Choose by a click, by a number key, or by the arrow keys where it has the focus."""
        for i, place in enumerate(self._places):
            if is_click(event, place):
                self.choose(i)
                return True
        if is_key(event, *(str(i + 1) for i in range(min(len(self.names), 9)))):
            self.choose(int(pygame_module().key.name(event.key)) - 1)
            return True
        if focused and is_key(event, "left", "right"):
            step = 1 if is_key(event, "right") else -1
            self.choose((self.chosen + step) % len(self.names))
            return True
        return False

    def choose(self, index: int) -> None:
        """Choose one."""
        if index != self.chosen and 0 <= index < len(self.names):
            self.chosen = index
            self._changed(index)


class Focus:
    """The widgets of a page in the order of Tab, and which of them has the focus.

    Args:
        widgets: from first to last.
    """

    def __init__(self, widgets: Sequence[Widget]) -> None:
        self.widgets = list(widgets)
        self.index = -1  # none

    def draw(self, canvas: Canvas) -> None:
        """Draw every widget that has a place."""
        for i, widget in enumerate(self.widgets):
            if widget.rect.width:
                widget.draw(canvas, i == self.index)

    def handle(self, event: Any) -> bool:
        """Give an event to the widget with the focus, then to the others; Tab goes to the next one."""
        pygame = pygame_module()
        if is_key(event, "tab"):
            self._move(-1 if event.mod & pygame.KMOD_SHIFT else 1)
            return True
        if is_key(event, "escape") and self.index >= 0:
            self.index = -1
            return True
        order = sorted(range(len(self.widgets)), key=lambda i: i != self.index)
        for i in order:
            if self.widgets[i].rect.width and self.widgets[i].handle(event, i == self.index):
                if event.type == pygame.MOUSEBUTTONDOWN:
                    self.index = i
                return True
        return False

    def _move(self, step: int) -> None:
        shown = [i for i, widget in enumerate(self.widgets) if widget.rect.width]
        if not shown:
            return
        if self.index not in shown:
            self.index = shown[0 if step > 0 else -1]
        else:
            self.index = shown[(shown.index(self.index) + step) % len(shown)]


def row_of(canvas: Canvas, rect: Any, buttons: Sequence[Button]) -> Any:
    """Place buttons from the left of a rectangle on, and return what is left of it; one without room is hidden."""
    x = rect.left
    gap = canvas.px(6)
    for button in buttons:
        wide = button.width(canvas)
        button.rect = pygame_module().Rect(x, rect.top, wide if x + wide <= rect.right else 0, canvas.px(HEIGHT))
        x += wide + gap
    left = rect.copy()
    left.left = min(x, rect.right)
    left.width = max(rect.right - x, 0)
    return left


def draw_tooltip(canvas: Canvas, words: str) -> None:
    """Draw words beside the pointer, within the surface."""
    if not words or canvas.pointer is None:
        return
    pad = canvas.px(6)
    room = canvas.rect.width - 4 * pad
    wide = min(canvas.text_size(words, SMALL)[0], room) + 2 * pad
    high = canvas.line_height(SMALL) + 2 * pad
    x = min(canvas.pointer[0] + canvas.px(14), canvas.rect.width - wide - pad)
    y = canvas.pointer[1] + canvas.px(18)
    if y + high > canvas.rect.height:
        y = canvas.pointer[1] - high - canvas.px(6)
    box = pygame_module().Rect(max(x, pad), max(y, 0), wide, high)
    canvas.box(box, INK, 4)
    canvas.text((box.left + pad, box.top + pad), words, SMALL, BACKGROUND, width=room)
