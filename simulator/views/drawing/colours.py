"""Colours: viridis and orange-blue tables of 256 entries, text that stays readable on them, and the light theme.

Red and green never carry a meaning: what differs, differs in shape too.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from simulator.core.protocols import Array

Colour = tuple[int, int, int]

BACKGROUND: Colour = (241, 241, 237)
PAPER: Colour = (255, 255, 255)
INK: Colour = (28, 31, 36)
BLACK: Colour = (0, 0, 0)
FAINT: Colour = (98, 103, 112)
RULE: Colour = (214, 214, 208)
EMPTY: Colour = (233, 233, 229)
WALL: Colour = (74, 78, 87)
BLUE: Colour = (0, 101, 168)
ORANGE: Colour = (201, 98, 0)
FOCUS: Colour = (0, 101, 168)
CHOSEN: Colour = (214, 230, 242)
LINES: tuple[Colour, ...] = (  # Okabe and Ito's, told apart by the colour-blind
    (0, 101, 168),
    (213, 94, 0),
    (150, 80, 140),
    (70, 160, 215),
    (64, 64, 64),
    (0, 130, 105),
    (190, 140, 0),
)

N_SHADES = 255  # of a table's entries; the last one is for what is empty
NOTHING = 255  # index of the empty entry

_VIRIDIS = (  # matplotlib's, at 17 even places
    (68, 1, 84),
    (72, 24, 106),
    (71, 45, 123),
    (66, 64, 134),
    (59, 82, 139),
    (51, 99, 141),
    (44, 114, 142),
    (38, 130, 142),
    (33, 145, 140),
    (31, 160, 136),
    (40, 174, 128),
    (63, 188, 115),
    (94, 201, 98),
    (132, 212, 75),
    (173, 220, 48),
    (216, 226, 25),
    (253, 231, 37),
)
_INKED = ((252, 252, 250), (138, 164, 196), (16, 38, 78))  # paper, what is unknown between, ink
_ORANGE_BLUE = (  # negative orange, zero nearly white, positive blue
    (127, 59, 8),
    (179, 88, 6),
    (224, 130, 20),
    (253, 184, 99),
    (254, 224, 182),
    (247, 247, 247),
    (209, 229, 240),
    (146, 197, 222),
    (67, 147, 195),
    (33, 102, 172),
    (5, 48, 97),
)


def _table(stops: tuple[Colour, ...]) -> Array:
    """Interpolate to a table uint8 [256, 3] whose last entry is for what is empty."""
    places = np.linspace(0.0, 1.0, len(stops))
    shades = [np.interp(np.linspace(0.0, 1.0, N_SHADES), places, channel) for channel in np.array(stops, float).T]
    table = np.empty((256, 3), np.uint8)
    table[:N_SHADES] = np.rint(np.stack(shades, axis=1))
    table[NOTHING] = EMPTY
    return table


VIRIDIS = _table(_VIRIDIS)
ORANGE_BLUE = _table(_ORANGE_BLUE)
INKED = _table(_INKED)


@cache
def palette(*, diverging: bool, as_ink: bool = False) -> tuple[Colour, ...]:
    """Return a table as the palette of an 8-bit surface."""
    table = INKED if as_ink else ORANGE_BLUE if diverging else VIRIDIS
    return tuple((int(r), int(g), int(b)) for r, g, b in table)


def shades(values: Array, low: float, high: float) -> Array:
    """Return the table entries uint8, of the shape of ``values``; NaN and what is infinite become ``NOTHING``.

    Args:
        values: any shape.
        low: the value of the first entry.
        high: the value of the last one.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    span = high - low
    scaled = (values - low) * ((N_SHADES - 1) / span) if np.isfinite(span) and span > 0 else np.zeros(values.shape)
    with np.errstate(invalid="ignore"):
        entries = np.clip(np.where(finite, scaled, 0.0), 0, N_SHADES - 1) + 0.5
    return np.where(finite, entries.astype(np.uint8), np.uint8(NOTHING))


def ink_on(background: Colour) -> Colour:
    """Return the colour of readable text on a background, black or white: a contrast of 4.5 or more (WCAG 2)."""
    return BLACK if contrast(BLACK, background) >= contrast(PAPER, background) else PAPER


@cache
def ink_table(*, diverging: bool) -> tuple[Colour, ...]:
    """Return the colour of readable text on each entry of a table."""
    return tuple(ink_on(colour) for colour in palette(diverging=diverging))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@cache
def _luminance(colour: Colour) -> float:
    channels = np.array(colour) / 255.0
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def blend(colour: Colour, background: Colour, share: float) -> Colour:
    """Mix ``share`` of a colour into a background."""
    r, g, b = (round(share * c + (1.0 - share) * d) for c, d in zip(colour, background, strict=True))
    return r, g, b
