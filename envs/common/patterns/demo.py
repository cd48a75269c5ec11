"""Demonstration of a challenge: its first patterns as pictures, side by side."""

from __future__ import annotations

import numpy as np

from simulator.core.memories import Challenge

_INK = " .:-=+*#%@"


def show_patterns(name: str, challenge: Challenge, n: int = 5) -> None:
    """Print a description of a challenge and the first patterns of its first seed."""
    units = challenge.units
    draw = challenge.draw(n, 0)
    most = "as many as one likes" if challenge.most is None else f"{challenge.most:,}"
    print(f"{name}: patterns of {units.n} units, shape {units.shape}; there are {most}; classes {draw.labels[0]}")
    rows, columns = units.shape if len(units.shape) == 2 else (1, units.n)
    shades = np.clip((draw.stored[0] + 1.0) / 2.0 * (len(_INK) - 1), 0, len(_INK) - 1).astype(int)
    pictures = np.array(list(_INK))[shades].reshape(n, rows, columns)
    for row in range(rows) if rows > 1 else ():
        print("   ".join("".join(picture[row]) for picture in pictures))
    if rows == 1:
        print("\n".join("".join(picture[0]) for picture in pictures))
