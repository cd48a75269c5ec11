"""Shapes of marks, arrows and states of work: each is told apart by its form, not by its colour alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.views.drawing.canvas import SMOOTH, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, INK, ORANGE, PAPER, Colour
from simulator.views.drawing.kept import KeptSurfaces

if TYPE_CHECKING:
    from pygame import Surface

LEVELS = 8  # lengths of an arrow
MAX_ARROW_PIXELS = 1_000_000  # of cells with arrows that are kept, 4 bytes each
GOLD: Colour = (245, 190, 40)
DIRECTIONS = {"up": (0, -1), "right": (1, 0), "down": (0, 1), "left": (-1, 0)}


def draw_mark(canvas: Canvas, kind: str, centre: Any, size: float, label: str = "", ink: Colour = INK) -> None:
    """Draw a mark of a scene around a point.

    Args:
        canvas: drawn on.
        kind: see :class:`simulator.core.scene.Mark`.
        centre: (x, y) in pixels.
        size: of the square that it fills, pixels.
        label: one letter stands in place of the sign where there is one.
        ink: the colour of letters, readable on what is below.
    """
    sprite = _mark(kind, max(int(size), 4))
    if sprite is not None:
        canvas.surface.blit(sprite, (round(centre[0] - size / 2), round(centre[1] - size / 2)))
    words = label[:2] or ("" if sprite is not None else _LETTERS.get(kind, kind[:1].upper()))
    if words and kind != "walker":
        height = max(size * 0.62, 7) / canvas.scale
        colour = INK if kind in ("goal", "cue", "key") else ink
        wide, tall = canvas.text_size(words, height, face="bold")
        canvas.text((centre[0] - wide / 2, centre[1] - tall / 2), words, height, colour, face="bold")


_LETTERS = {"start": "S"}


@lru_cache(maxsize=64)
def _mark(kind: str, size: int) -> Surface | None:
    """Draw the sign of a mark; None for one that is a letter."""
    paint = _SIGNS.get(kind)
    if paint is None:
        return None
    pygame = pygame_module()
    large = pygame.Surface((size * SMOOTH, size * SMOOTH), pygame.SRCALPHA, 32)
    paint(pygame, large, size * SMOOTH)
    return pygame.transform.smoothscale(large, (size, size))


def _walker(pygame: Any, surface: Any, n: int) -> None:
    pygame.draw.circle(surface, PAPER, (n / 2, n / 2), n * 0.40)
    pygame.draw.circle(surface, INK, (n / 2, n / 2), n * 0.34)
    pygame.draw.circle(surface, ORANGE, (n / 2, n / 2), n * 0.24)


def _goal(pygame: Any, surface: Any, n: int) -> None:
    for radius, colour in ((0.47, INK), (0.39, GOLD)):
        pygame.draw.polygon(surface, colour, _star(n / 2, n * 0.52, n * radius))


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    corners = []
    for i in range(10):
        r = radius if i % 2 == 0 else radius * 0.48
        angle = math.pi * i / 5 - math.pi / 2
        corners.append((x + r * math.cos(angle), y + r * math.sin(angle)))
    return corners


def _lava(pygame: Any, surface: Any, n: int) -> None:
    pygame.draw.rect(surface, (250, 205, 150), (0, 0, n, n))
    for row in range(3):
        points = [(n * i / 12, n * (0.24 + 0.26 * row) + n * 0.07 * math.sin(i * math.pi / 2)) for i in range(13)]
        pygame.draw.lines(surface, (150, 60, 0), False, points, max(n // 14, 1))
    pygame.draw.rect(surface, (150, 60, 0), (0, 0, n, n), max(n // 24, 1))


def _slippery(pygame: Any, surface: Any, n: int) -> None:
    for row in range(2):
        points = [
            (n * (0.15 + 0.7 * i / 8), n * (0.4 + 0.2 * row) + n * 0.06 * math.sin(i * math.pi / 2)) for i in range(9)
        ]
        pygame.draw.lines(surface, PAPER, False, points, max(n // 8, 1))
        pygame.draw.lines(surface, BLUE, False, points, max(n // 16, 1))


def _door(pygame: Any, surface: Any, n: int) -> None:
    pygame.draw.rect(surface, PAPER, (n * 0.2, n * 0.1, n * 0.6, n * 0.8))
    pygame.draw.rect(surface, INK, (n * 0.2, n * 0.1, n * 0.6, n * 0.8), max(n // 14, 1))
    pygame.draw.circle(surface, INK, (n * 0.66, n * 0.52), n * 0.06)


def _key(pygame: Any, surface: Any, n: int) -> None:
    for grow, colour in ((0.06, PAPER), (0.0, INK)):
        wide = int(n * (0.11 + grow))
        pygame.draw.circle(surface, colour, (n * 0.32, n * 0.5), n * (0.2 + grow / 2), wide)
        pygame.draw.line(surface, colour, (n * 0.5, n * 0.5), (n * 0.88, n * 0.5), wide)
        pygame.draw.line(surface, colour, (n * 0.8, n * 0.5), (n * 0.8, n * 0.7), wide)


def _passenger(pygame: Any, surface: Any, n: int) -> None:
    for grow, colour in ((0.05, PAPER), (0.0, INK)):
        pygame.draw.circle(surface, colour, (n * 0.5, n * 0.3), n * (0.15 + grow))
        body = (n * (0.26 - grow), n * (0.5 - grow), n * (0.48 + 2 * grow), n * (0.4 + 2 * grow))
        pygame.draw.rect(surface, colour, body, border_radius=int(n * 0.16))


def _cue(pygame: Any, surface: Any, n: int) -> None:
    pygame.draw.polygon(surface, INK, [(n / 2, 0), (n, n / 2), (n / 2, n), (0, n / 2)])
    pygame.draw.polygon(
        surface, (190, 225, 245), [(n / 2, n * 0.1), (n * 0.9, n / 2), (n / 2, n * 0.9), (n * 0.1, n / 2)]
    )


_SIGNS = {
    "walker": _walker,
    "goal": _goal,
    "lava": _lava,
    "slippery": _slippery,
    "door": _door,
    "key": _key,
    "cue": _cue,
    "passenger": _passenger,
}


_arrows = KeptSurfaces(MAX_ARROW_PIXELS)


def arrows_sprite(levels: tuple[int, ...], size: int, colour: Colour) -> Surface:
    """Draw the arrows of a cell: their lengths are probabilities.

    Args:
        levels: of up, right, down and left, 0 to ``LEVELS``.
        size: of the cell, pixels.
        colour: of the arrows.
    """
    return _arrows.get((levels, size, colour), lambda: _arrows_drawn(levels, size, colour))


def _arrows_drawn(levels: tuple[int, ...], size: int, colour: Colour) -> Surface:
    pygame = pygame_module()
    n = size * SMOOTH
    large = pygame.Surface((n, n), pygame.SRCALPHA, 32)
    large.fill((*colour, 0))
    single = sum(level > 0 for level in levels) == 1
    for level, (dx, dy) in zip(levels, DIRECTIONS.values(), strict=True):
        if level:
            _arrow(pygame, large, n, (dx, dy), level / LEVELS, colour, single=single)
    return pygame.transform.smoothscale(large, (size, size))


def _arrow(
    pygame: Any, surface: Any, n: int, direction: tuple[int, int], share: float, colour: Colour, *, single: bool
) -> None:
    """Draw an arrow from the middle of the cell, or across it where it is the only one."""
    dx, dy = direction
    tip = n * (0.12 + (0.26 if single else 0.32) * share)
    head = n * (0.06 + 0.08 * share)
    thick = max(int(n * 0.055), 1)
    centre = n / 2
    x, y = centre + dx * tip, centre + dy * tip
    start = (centre - dx * tip, centre - dy * tip) if single else (centre, centre)
    pygame.draw.line(surface, colour, start, (x - dx * head, y - dy * head), thick)
    side = head * 0.8
    corners = [(x, y), (x - dx * head - dy * side, y - dy * head + dx * side)]
    corners.append((x - dx * head + dy * side, y - dy * head - dx * side))
    pygame.draw.polygon(surface, colour, corners)


def arrow_levels(probs: Any) -> Any:
    """Return lengths 0 to ``LEVELS`` of probabilities, int [N, 4]; one below a fortieth is not drawn."""
    probs = np.nan_to_num(np.asarray(probs, np.float64))
    levels = np.ceil(np.clip(probs, 0.0, 1.0) * LEVELS - 1e-9).astype(np.int64)
    return np.where(probs < 0.025, 0, levels)
