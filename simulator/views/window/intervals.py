"""Numbers with their intervals on a line: strengths of contestants, objectives of trials."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from simulator.views.drawing.canvas import Canvas
from simulator.views.drawing.colours import BLUE, EMPTY, Colour


class ValueInterval(NamedTuple):
    """A number with the ends of its interval; NaN where it is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan


def axis_of(intervals: Iterable[ValueInterval]) -> tuple[float, float]:
    """Return the lowest and the highest finite number."""
    ends = np.array([*intervals], np.float64).reshape(-1, 3)
    finite = ends[np.isfinite(ends)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def draw_interval(
    canvas: Canvas,
    ends: tuple[int, int],
    y: float,
    interval: ValueInterval,
    axis: tuple[float, float],
    colour: Colour = BLUE,
) -> None:
    """Draw a number as a point on the line of its interval.

    Args:
        canvas: drawn on.
        ends: pixels of the lowest and the highest number of the axis.
        y: pixels.
        interval: the number.
        axis: its lowest and highest number.
        colour: of the point.
    """

    def place(value: float) -> float:
        share = (value - axis[0]) / (axis[1] - axis[0])
        return ends[0] + min(max(share, 0.0), 1.0) * (ends[1] - ends[0])

    canvas.fill((ends[0], int(y), ends[1] - ends[0], 1), EMPTY)
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        low, high = place(interval.low), place(interval.high)
        canvas.line((low, y), (high, y), colour, 3)
        for x in (low, high):
            canvas.line((x, y - canvas.px(4)), (x, y + canvas.px(4)), colour, 2)
    if math.isfinite(interval.value):
        canvas.circle((place(interval.value), y), canvas.px(5), colour)
