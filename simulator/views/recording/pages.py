"""Pages of a recording: the environment at the left, values of the moment and the learning curve at the right.

One page has pixels, the other one the characters of a terminal; both draw the same moments.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from simulator.core.protocols import AgentView, Array
from simulator.core.scene import BarPanel, CurvePanel, Panel, TextPanel
from simulator.core.snapshots import RunSnapshot, Shown
from simulator.views.drawing.canvas import SIZE, TITLE, Canvas, make_surface, pygame_module
from simulator.views.drawing.colours import FAINT, INK, PAPER
from simulator.views.drawing.environment import draw_environment
from simulator.views.drawing.panels import draw_panel
from simulator.views.grid import draw_grid, wall_array
from simulator.views.room_graph import room_legend, room_table
from simulator.views.style import TerminalStyle, beside, clean, fit, flow, number
from simulator.views.window.training_page import curve_panels

if TYPE_CHECKING:
    from pygame import Rect

MARGIN = 12  # units around everything
WIDE = 480  # units from which panels stand beside the environment
LEAST_PANEL = 150  # units of height
LEAST_COLUMN = 30  # columns of a terminal that values need beside the environment
SMOOTH = 4  # a picture of characters is drawn so many times larger, and made smaller by averaging
BAR = 12  # characters
SHADE = 5  # levels of a channel that pictures of characters do not tell apart; 255 is one


def learning_curve(snapshot: RunSnapshot) -> CurvePanel | None:
    """Make a panel of a run's evaluations, or else of its training episodes; None where there were neither."""
    if not snapshot.evaluations and not len(snapshot.curve.steps):
        return None
    n_seeds = len(snapshot.seeds)
    panel = curve_panels(snapshot)[0]
    name = f"mean of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    return replace(panel, title=panel.title.replace("exact expected", "exact"), names=(name,))


class PixelPage:
    """Draws moments as frames.

    Args:
        size: width and height in units of scale 1.
        scale: pixels of a unit.
        title: what is recorded.
        status: more words about it.
        curve: the learning curve; None: there is none.
    """

    def __init__(
        self, size: tuple[int, int], scale: float, title: str, status: str, curve: CurvePanel | None = None
    ) -> None:
        self._surface = make_surface(round(size[0] * scale), round(size[1] * scale))
        self._canvas = Canvas(self._surface, scale)
        self._title = title
        self._status = status
        self._curve = curve

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame."""
        width, height = self._surface.get_size()
        return int(width), int(height)

    def draw(self, shown: Shown) -> Array:
        """Draw a moment, uint8 [H, W, 3]."""
        pygame = pygame_module()
        canvas = self._canvas
        canvas.fill(canvas.rect, PAPER)
        margin = canvas.px(MARGIN)
        body = canvas.rect.inflate(-2 * margin, -2 * margin)
        self._draw_head(body, shown)
        above = canvas.line_height(TITLE) + canvas.line_height(SIZE) + canvas.px(12)
        body = pygame.Rect(body.left, body.top + above, body.width, max(body.height - above, 1))
        panels = self._panels(shown, body.height)
        left = body.copy()
        if panels and canvas.rect.width >= canvas.px(WIDE):
            left.width = int(body.width * 0.56)
            x = left.right + canvas.px(18)
            high = body.height // len(panels)
            for i, panel in enumerate(panels):
                place = pygame.Rect(x, body.top + i * high, body.right - x, high - canvas.px(12))
                draw_panel(canvas, place, panel)
        draw_environment(canvas, left, shown.shown.view, shown.path)
        return np.ascontiguousarray(pygame.surfarray.array3d(self._surface).swapaxes(0, 1))

    def _draw_head(self, rect: Rect, shown: Shown) -> None:
        canvas = self._canvas
        left, top, width, _ = rect
        taken = canvas.text((left, top), self._title, TITLE, face="bold", width=width)
        gap = canvas.px(12)
        canvas.text((left + taken + gap, top + canvas.px(1)), self._status, SIZE, FAINT, width=width - taken - gap)
        words = "    ".join(f"{name} {text}" for name, text in shown.facts.items())
        canvas.text((left, top + canvas.line_height(TITLE) + canvas.px(2)), words, SIZE, INK, width=width)

    def _panels(self, shown: Shown, height: int) -> list[Panel]:
        """Choose the panels that fit; the learning curve is among them."""
        n = max(height // self._canvas.px(LEAST_PANEL), 1)
        words_last = sorted(shown.panels, key=lambda panel: isinstance(panel, TextPanel))
        curve = [] if self._curve is None else [self._curve]
        return [*words_last[: n - len(curve)], *curve]


class TerminalPage:
    """Draws moments as lines of a terminal.

    Args:
        size: columns and lines.
        title: what is recorded.
        status: more words about it.
    """

    def __init__(self, size: tuple[int, int], title: str, status: str) -> None:
        self._width, self._height = size
        self._title = title
        self._status = status
        self._look = TerminalStyle(colour=True)

    def draw(self, shown: Shown) -> list[str]:
        """Draw a moment: its lines with their escape sequences."""
        facts = [(f"{clean(name)} {clean(text)}", "") for name, text in shown.facts.items()]
        head = [
            fit(self._width, (clean(self._title), "bold cyan"), (clean(self._status), "dim")),
            fit(self._width, *facts),
        ]
        height = self._height - len(head)
        bars = next((panel for panel in shown.panels if isinstance(panel, BarPanel)), None)
        values = [] if bars is None else _bar_lines(bars, LEAST_COLUMN)
        width = self._width - LEAST_COLUMN - 2 if values else self._width
        picture = _picture_lines(shown.shown.view, width, height, self._look)
        left_width = max((line.cell_len for line in picture), default=0)
        return _escaped([*head, *beside(picture, values, left_width)][: self._height], self._width)


def _picture_lines(view: AgentView, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw an environment with characters."""
    if wall_array(view.scene).size:
        drawn = draw_grid(view, width, height, look)
        words = flow(width, [*drawn.legend, *drawn.notes])
        if len(drawn.lines) + len(words) > height:
            drawn = draw_grid(view, width, max(height - len(words), 2), look)
        return [*drawn.lines, *words][:height]
    if view.scene.rooms is not None:
        return [*room_table(view, width, look), *flow(width, room_legend(view, look))][:height]
    if view.scene.image is None and view.scene.lines is None:
        return flow(width, [Text(f"{clean(name)} {clean(text)}") for name, text in view.scene.facts.items()])[:height]
    return _half_blocks(view, width, height)


def _half_blocks(view: AgentView, width: int, height: int) -> list[Text]:
    """Draw an image or strokes with two pixels in a character: its ink is the upper one, its paper the lower one."""
    pygame = pygame_module()
    image = view.scene.image
    shape = (2, 3) if image is None else image.shape[:2]
    rows = 2 * max(min(height, round(width * shape[0] / shape[1] / 2)), 1)
    columns = max(min(width, round(rows * shape[1] / shape[0])), 1)
    if image is None:
        surface = make_surface(columns * SMOOTH, rows * SMOOTH)
        surface.fill(PAPER)
        draw_environment(Canvas(surface), surface.get_rect(), view)
    else:
        image = np.ascontiguousarray(image)
        surface = pygame.image.frombuffer(image.tobytes(), image.shape[1::-1], "RGB")
    pixels = pygame.surfarray.array3d(pygame.transform.smoothscale(surface, (columns, rows))).swapaxes(0, 1)
    pixels = ((pixels.astype(np.int64) + SHADE // 2) // SHADE * SHADE).tolist()
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text(no_wrap=True)
        for (ink, paper), cells in itertools.groupby(zip(map(tuple, upper), map(tuple, lower), strict=True)):
            line.append("▀" * len(list(cells)), Style(color=Color.from_rgb(*ink), bgcolor=Color.from_rgb(*paper)))
        lines.append(line)
    return lines


def _bar_lines(panel: BarPanel, width: int) -> list[Text]:
    """Draw named numbers as bars of characters, from the smallest number to the largest."""
    values = np.asarray(panel.values, np.float64)
    finite = values[np.isfinite(values)]
    low = min(float(finite.min()), 0.0) if len(finite) else 0.0
    span = (max(float(finite.max()), 0.0) if len(finite) else 0.0) - low
    names = max(map(len, panel.names), default=0)
    lines = [fit(width, (clean(panel.title), "bold"))]
    for i, (name, value) in enumerate(zip(panel.names, values.tolist(), strict=True)):
        length = round(BAR * (value - low) / span) if span > 0 and np.isfinite(value) else 0
        sign = "▶" if i == panel.chosen else " "
        style = "bold yellow" if i == panel.chosen else "cyan"
        words = (f"{sign} {clean(name).ljust(names)}", style), ("█" * length).ljust(BAR), (number(value), "")
        lines.append(fit(width, words[0], (words[1], style), words[2], gap=" "))
    return lines


def _escaped(lines: Sequence[Text], width: int) -> list[str]:
    """Turn lines into text with escape sequences."""
    page = io.StringIO()
    console = Console(
        file=page, force_terminal=True, color_system="truecolor", width=width, legacy_windows=False, _environ={}
    )
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop", crop=True, highlight=False)
    return page.getvalue().split("\n")[: len(lines)]
