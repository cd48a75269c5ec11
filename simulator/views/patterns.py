"""Patterns as text: the stored one, the corrupted cue, and the recalled one, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from simulator.core.wording import plural
from simulator.views.style import TerminalStyle, number

if TYPE_CHECKING:
    from simulator.core.memories import RecallPicture
    from simulator.core.protocols import Array

MAX_DRAWN = 40  # rows and columns of a pattern that is drawn; the rest is left out
_SHADES = (" ░▒▓█", " .:*#")  # from -1 to 1; the middle one is a unit that is not known
_BARS = ("▁▂▃▄▅▆▇█", "_.-~=+*#")
GAP = 3  # columns between two patterns


def grid_of(pattern: Array, shape: tuple[int, ...]) -> Array:
    """Reshape a pattern [N] to rows and columns; one without a picture is folded into a square."""
    if len(shape) == 2:
        return pattern.reshape(shape)
    side = int(np.ceil(np.sqrt(pattern.size)))
    rows = int(np.ceil(pattern.size / side))
    folded = np.full(rows * side, -1.0)
    folded[: pattern.size] = pattern
    return folded.reshape(rows, side)


def pattern_lines(grid: Array, look: TerminalStyle) -> list[str]:
    """Draw a grid as text, a unit two columns wide; half as wide if it would be too large."""
    grid = grid[:MAX_DRAWN, :MAX_DRAWN]
    wide = 2 if grid.shape[1] <= MAX_DRAWN // 2 else 1
    shades = _SHADES[look.ascii]
    level = np.clip(np.round((grid + 1.0) * 2.0), 0, 4).astype(int)
    return ["".join(shades[at] * wide for at in row) for row in level]


def recall_lines(picture: RecallPicture, size: tuple[int, int], look: TerminalStyle) -> list[Text]:
    """Draw as many cues as fit into ``size`` (columns, lines), each as stored, cue and recalled."""
    width, height = size
    lines = [Text(energy_line(picture.energy, look), "dim")]
    for stored, cue, restored in zip(picture.stored, picture.cue, picture.restored, strict=True):
        blocks = [pattern_lines(grid_of(pattern, picture.shape), look) for pattern in (stored, cue, restored)]
        across = len(blocks[0][0])
        if len(lines) + len(blocks[0]) + 2 > height or 3 * across + 2 * GAP > width:
            break
        names = [name.ljust(across)[:across] for name in ("stored", "cue", "recalled")]
        lines += [Text(), Text((" " * GAP).join(names), "bold")]
        lines += [Text((" " * GAP).join(row)) for row in zip(*blocks, strict=True)]
    return lines if len(lines) > 1 else []


def energy_line(energy: Array, look: TerminalStyle) -> str:
    """Format a trace of the energy: ``energy -12.3 to -40.1 in 3 sweeps``, with a bar for each."""
    finite = energy[np.isfinite(energy)]
    if not len(finite):
        return ""
    low = finite.min()
    high = finite.max()
    height = np.zeros(len(finite)) if high == low else (finite - low) / (high - low)
    bars = "".join(_BARS[look.ascii][round(7 * float(at))] for at in height[:MAX_DRAWN])
    sweeps = len(finite) - 1
    return f"energy {number(finite[0])} to {number(finite[-1])} in {plural(sweeps, 'sweep')}  {bars}"
