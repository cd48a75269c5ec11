"""Page under a caption that says what to look at, and a button to the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from simulator.views.drawing.canvas import SIZE, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import CHOSEN, INK
from simulator.views.window.app import HasRecipe, Page
from simulator.views.window.widgets import HEIGHT, Button, is_key


class Caption(NamedTuple):
    """Words over a page."""

    title: str
    lines: Sequence[str]


class CaptionedPage:
    """A page under a caption; see :class:`simulator.views.window.app.Page`.

    Args:
        page: what is shown; None: nothing yet.
        caption: the words.
        go_on: called when the next one is asked for.
        label: of the button.
    """

    def __init__(self, page: Page | None, caption: Caption, go_on: Callable[[], None], label: str = "Next") -> None:
        self.page = page
        self.title = f"Engram: {caption.title}"
        self.keys = (("Enter", "the next one"), *(page.keys if page is not None else ()))
        self._caption = caption
        self._go_on = go_on
        self._button = Button(label, go_on, "Enter")

    @property
    def next_poll(self) -> float:
        """Seconds until there may be something new."""
        return self.page.next_poll if self.page is not None else 0.5

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the caption and the page under it."""
        line = canvas.line_height(SIZE) + canvas.px(4)
        pad = canvas.px(10)
        high = canvas.line_height(TITLE) + canvas.px(6) + len(self._caption.lines) * line + 2 * pad
        box = pygame_module().Rect(rect.left, rect.top, rect.width, high)
        canvas.box(box, CHOSEN, 5)
        wide = self._button.width(canvas)
        room = rect.width - wide - 4 * pad
        canvas.text((box.left + pad, box.top + pad), self._caption.title, TITLE, INK, face="bold", width=room)
        y = box.top + pad + canvas.line_height(TITLE) + canvas.px(6)
        for words in self._caption.lines:
            canvas.text((box.left + pad, y), words, SIZE, INK, width=room)
            y += line
        place = (box.right - wide - pad, box.centery - canvas.px(HEIGHT) // 2, wide, canvas.px(HEIGHT))
        self._button.rect = pygame_module().Rect(place)
        self._button.draw(canvas, False)
        if self.page is not None:
            below = rect.copy()
            below.top = box.bottom + pad
            below.height = rect.bottom - below.top
            self.page.draw(canvas, below)

    def handle(self, event: Any) -> bool:
        """Give an event to the page; Enter that it does not use goes on."""
        if self._button.handle(event, focused=False) or (self.page is not None and self.page.handle(event)):
            return True
        if is_key(event, "return", "enter"):
            self._go_on()
            return True
        return False

    def poll(self) -> bool:
        """Look for something new."""
        return self.page.poll() if self.page is not None else False

    def command(self) -> str:
        """Return the command that shows the page again."""
        return self.page.command() if self.page is not None else "engram demo --view window"

    def recipe(self, onward: bool) -> str:
        """Return the command that makes again what the page shows."""
        return self.page.recipe(onward) if isinstance(self.page, HasRecipe) else self.command()

    def close(self) -> None:
        """Close the page."""
        if self.page is not None:
            self.page.close()
