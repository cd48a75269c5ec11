"""Canvas: a surface with a scale, on which text, shapes and shaded matrices are drawn.

Drawing needs a surface and fonts, never a display: the window gives the display's surface, a recorder one of its own.
Texts are rendered at their final size and cached. Lengths are given in units of scale 1; rectangles in pixels.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from simulator.core.files.escaping import visible
from simulator.core.protocols import Array
from simulator.views.drawing.colours import INK, PAPER, RULE, Colour, palette, shades
from simulator.views.drawing.kept import KeptSurfaces

if TYPE_CHECKING:
    from pygame import Rect, Surface

Align = Literal["left", "centre", "right"]

SIZE = 13.0  # of text
SMALL = 11.0
TITLE = 14.0
SMOOTH = 4  # shapes with smooth edges are drawn so many times larger, and made smaller by averaging
SMALLEST_SMOOTH = 5  # pixels of a circle's radius
MAX_TEXT_PIXELS = 1_000_000  # of rendered texts that are kept, 4 bytes each
MAX_WORDS = 2_048  # widths of texts that are kept
MAX_DISC_PIXELS = 250_000  # of discs, likewise
_FACES = {"sans": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}


def prepare_sdl() -> None:
    """Tell pygame and SDL what they read once, when anything imports them first, such as an environment."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "engram")  # what desktops file the window under
    if sys.platform.startswith("linux"):  # shared memory: through OpenGL without a GPU a frame takes 4 ms more
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")


@cache
def pygame_module() -> Any:
    """Import pygame without its greeting, with fonts and without sound."""
    prepare_sdl()
    import pygame

    return pygame


class Canvas:
    """A surface to draw on.

    Args:
        surface: takes the pixels.
        scale: pixels of a unit of length.
        pointer: place of the mouse on the surface, pixels; None: there is none.

    Attributes:
        tip: words about what lies under the pointer, which the window shows beside it.
    """

    def __init__(self, surface: Surface, scale: float = 1.0, pointer: tuple[int, int] | None = None) -> None:
        self.surface = surface
        self.scale = scale
        self.pointer = pointer
        self.tip = ""
        self._pygame = pygame_module()

    @property
    def rect(self) -> Rect:
        """The whole surface."""
        return self.surface.get_rect()

    def px(self, units: float) -> int:
        """Return the pixels of a length in units of scale 1."""
        return round(units * self.scale)

    def fill(self, rect: Any, colour: Colour) -> None:
        """Fill a rectangle."""
        self.surface.fill(colour, rect)

    def frame(self, rect: Any, colour: Colour = RULE, width: float = 1.0, radius: float = 0.0) -> None:
        """Draw the edge of a rectangle."""
        self._pygame.draw.rect(self.surface, colour, rect, max(self.px(width), 1), self.px(radius))

    def box(self, rect: Any, colour: Colour = PAPER, radius: float = 0.0) -> None:
        """Fill a rectangle with rounded corners."""
        self._pygame.draw.rect(self.surface, colour, rect, 0, self.px(radius))

    def line(self, start: Any, end: Any, colour: Colour = INK, width: float = 1.0) -> None:
        """Draw a stroke with smooth edges."""
        pixels = max(self.px(width), 1)
        if pixels == 1:
            self._pygame.draw.aaline(self.surface, colour, start, end)
        elif abs(start[0] - end[0]) < 1 or abs(start[1] - end[1]) < 1:
            self._pygame.draw.line(self.surface, colour, start, end, pixels)
        else:
            for shift in _shifts(start, end, pixels):
                self._pygame.draw.aaline(
                    self.surface,
                    colour,
                    (start[0] + shift[0], start[1] + shift[1]),
                    (end[0] + shift[0], end[1] + shift[1]),
                )

    def lines(self, points: Array, colour: Colour = INK, width: float = 1.0) -> None:
        """Draw strokes from point to point, float [P, 2]; what is not finite or far outside is left out."""
        pixels = max(self.px(width), 1)
        for run in _finite_runs(points):
            if len(run) == 1:
                self._pygame.draw.circle(self.surface, colour, run[0], max(2 * pixels, 3))
            elif pixels == 1:
                self._pygame.draw.aalines(self.surface, colour, False, run)
            else:
                self._pygame.draw.lines(self.surface, colour, False, run, pixels)

    def polygon(self, points: Any, colour: Colour = INK) -> None:
        """Fill a polygon, with smooth edges."""
        points = [(float(x), float(y)) for x, y in points]
        self._pygame.draw.polygon(self.surface, colour, points)
        self._pygame.draw.aalines(self.surface, colour, True, points)

    def circle(self, centre: Any, radius: float, colour: Colour = INK, width: float = 0.0) -> None:
        """Draw a disc, or a ring where there is a width; the radius is in pixels."""
        thick = max(self.px(width), 1) if width else 0
        if radius < SMALLEST_SMOOTH:
            self._pygame.draw.circle(self.surface, colour, centre, max(radius, 1), thick)
            return
        diameter = round(2 * radius)
        disc = _discs.get((diameter, thick, colour), lambda: _disc(diameter, thick, colour))
        half = disc.get_width() / 2
        self.surface.blit(disc, (round(centre[0] - half), round(centre[1] - half)))

    def text(
        self,
        place: Any,
        words: str,
        size: float = SIZE,
        colour: Colour = INK,
        *,
        face: str = "sans",
        align: Align = "left",
        width: float = math.inf,
    ) -> int:
        """Write a line of text and return the pixels that it is wide.

        Args:
            place: the left, middle or right end of its upper edge, as ``align`` says.
            words: one line; a longer one is cut.
            size: height of the letters.
            colour: of the letters.
            face: sans, bold or mono.
            align: see ``place``.
            width: pixels to fill at most; what does not fit is cut, which dots say.
        """
        rendered = self.rendered(words, size, colour, face=face, width=width)
        if rendered is None:
            return 0
        wide = rendered.get_width()
        left = place[0] - {"left": 0, "centre": wide / 2, "right": wide}[align]
        self.surface.blit(rendered, (round(left), round(place[1])))
        return int(wide)

    def paragraph(
        self,
        place: Any,
        words: str,
        size: float = SIZE,
        colour: Colour = INK,
        *,
        width: float,
        face: str = "sans",
    ) -> int:
        """Write a text in as many lines as it needs and return the pixels that they are high.

        Args:
            place: the left end of the upper edge.
            words: broken between words; a word that is longer than a line is cut.
            size: height of the letters.
            colour: of the letters.
            width: pixels of a line.
            face: sans, bold or mono.
        """
        lines: list[str] = []
        for word in words.split(" "):
            if lines and self.text_size(f"{lines[-1]} {word}", size, face=face)[0] <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        high = self.line_height(size)
        for i, line in enumerate(lines):
            self.text((place[0], place[1] + i * high), line, size, colour, face=face, width=width)
        return len(lines) * high

    def rendered(
        self, words: str, size: float = SIZE, colour: Colour = INK, *, face: str = "sans", width: float = math.inf
    ) -> Surface | None:
        """Return a text as a surface of its own, None where nothing of it fits."""
        pixels = max(round(size * self.scale), 6)
        if not words or width < 2:
            return None
        if math.isfinite(width):
            words = _shortened(words, pixels, face, int(width))
        return _render(words, pixels, colour, face) if words else None

    def text_size(self, words: str, size: float = SIZE, *, face: str = "sans") -> tuple[int, int]:
        """Return the width and the height in pixels of a line of text."""
        return _size(words, max(round(size * self.scale), 6), face)

    def line_height(self, size: float = SIZE) -> int:
        """Return the pixels from one line of text to the next."""
        return _size("Xg", max(round(size * self.scale), 6), "sans")[1]

    def matrix(
        self, rect: Any, values: Array, low: float, high: float, *, diverging: bool, as_ink: bool = False
    ) -> None:
        """Fill a rectangle with the shades of a matrix, float [H, W]: an 8-bit surface, scaled without mixing."""
        size = (max(int(rect[2]), 1), max(int(rect[3]), 1))
        if values.shape[0] > size[1] or values.shape[1] > size[0]:  # only what is seen is shaded
            rows = np.arange(min(values.shape[0], size[1])) * values.shape[0] // min(values.shape[0], size[1])
            columns = np.arange(min(values.shape[1], size[0])) * values.shape[1] // min(values.shape[1], size[0])
            values = values[np.ix_(rows, columns)]
        small = shaded(values, low, high, diverging=diverging, as_ink=as_ink)
        self.surface.blit(self._pygame.transform.scale(small, size), (rect[0], rect[1]))


def shaded(values: Array, low: float, high: float, *, diverging: bool, as_ink: bool = False) -> Surface:
    """Make an 8-bit surface of W x H pixels from a matrix, float [H, W]."""
    pygame = pygame_module()
    entries = np.ascontiguousarray(shades(values, low, high))
    height, width = entries.shape
    surface = pygame.image.frombuffer(entries.tobytes(), (width, height), "P")
    surface.set_palette(palette(diverging=diverging, as_ink=as_ink))
    return surface


def picture(image: Array) -> Surface:
    """Make a surface from an image, uint8 [H, W, 3]."""
    image = np.ascontiguousarray(image, np.uint8)
    return pygame_module().image.frombuffer(image.tobytes(), (image.shape[1], image.shape[0]), "RGB")


def make_surface(width: int, height: int) -> Surface:
    """Make a surface of 32 bits a pixel that belongs to no display."""
    return pygame_module().Surface((width, height), 0, 32)


def open_fonts() -> None:
    """Start pygame's fonts, where they do not run."""
    pygame = pygame_module()
    if not pygame.font.get_init():
        forget_texts()
        pygame.font.init()


def forget_texts() -> None:
    """Drop every rendered text: fonts of a time before they were stopped are dead."""
    for kept in (_font, _size, _shortened):
        kept.cache_clear()
    _texts.clear()


_texts = KeptSurfaces(MAX_TEXT_PIXELS)
_discs = KeptSurfaces(MAX_DISC_PIXELS)


def _disc(diameter: int, width: int, colour: Colour) -> Surface:
    """Draw a disc, or a ring of some width, with smooth edges."""
    pygame = pygame_module()
    n = diameter * SMOOTH
    large = pygame.Surface((n, n), pygame.SRCALPHA, 32)
    large.fill((*colour, 0))
    pygame.draw.circle(large, colour, (n / 2, n / 2), n / 2, width * SMOOTH)
    return pygame.transform.smoothscale(large, (diameter, diameter))


def _render(words: str, pixels: int, colour: Colour, face: str) -> Surface:
    def draw() -> Surface:
        return _living(lambda: _font(face, pixels).render(visible(words), True, colour))

    return _texts.get((words, pixels, colour, face), draw)


@lru_cache(maxsize=MAX_WORDS)
def _size(words: str, pixels: int, face: str) -> tuple[int, int]:
    width, height = _living(lambda: _font(face, pixels).size(visible(words)))
    return int(width), int(height)


@lru_cache(maxsize=MAX_WORDS)
def _shortened(words: str, pixels: int, face: str, width: int) -> str:
    """Cut a text to a width in pixels; three dots say so."""
    if _size(words, pixels, face)[0] <= width:
        return words
    low, high = 0, len(words)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        fits = _size(f"{words[:middle].rstrip()}…", pixels, face)[0] <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{words[:low].rstrip()}…" if low else ""


@lru_cache(maxsize=64)
def _font(face: str, pixels: int) -> Any:
    open_fonts()
    return pygame_module().font.Font(str(_font_file(_FACES[face])), pixels)


def _living(draw: Any) -> Any:
    """Call with fonts that live: a foreign environment that closes stops those of its process."""
    pygame = pygame_module()
    try:
        return draw()
    except pygame.error:
        forget_texts()
        return draw()


@lru_cache(maxsize=8)
def _font_file(name: str) -> Path:
    """Find a font of matplotlib without importing it.

    Raises:
        RuntimeError: matplotlib is not installed.
    """
    found = importlib.util.find_spec("matplotlib")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise RuntimeError("matplotlib is not installed, expected it for its fonts: pip install matplotlib")
    return Path(places[0], "mpl-data", "fonts", "ttf", name)


def _shifts(start: Any, end: Any, width: float) -> list[tuple[float, float]]:
    """Return half a pixel apart, across a stroke, the ways to the thin lines that fill it."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    across = np.arange(0.5, width, 0.5) - width / 2
    return [(-dy / length * way, dx / length * way) for way in across.tolist()]


def _finite_runs(points: Array) -> list[list[tuple[float, float]]]:
    """Split points [P, 2] where they are not finite."""
    points = np.clip(np.asarray(points, np.float64), -1e5, 1e5)
    finite = np.isfinite(points).all(axis=1)
    if finite.all():
        return [points.tolist()] if len(points) else []
    edges = np.flatnonzero(np.diff(np.r_[False, finite, False].astype(np.int8)))
    return [points[start:end].tolist() for start, end in zip(edges[::2], edges[1::2], strict=True)]
