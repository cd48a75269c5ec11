"""Demonstration of a challenge: its first patterns as pictures, side by side."""

from __future__ import annotations

import numpy as np

from simulator.core.memories import Challenge

_INK = " .:-=+*#%@"


def show_patterns(name: str, challenge: Challenge, n: int = 5) -> None:
    """Print what a challenge is, and the first patterns of its first seed."""
    spec = challenge.spec
    draw = challenge.draw(n, 0)
    total = "unlimited" if challenge.max_patterns is None else f"{challenge.max_patterns:,} in all"
    print(f"{name}: patterns of {spec.n} units, shape {spec.shape}; {total}; classes {draw.labels[0]}")
    rows, columns = spec.shape if len(spec.shape) == 2 else (1, spec.n)
    shades = np.clip((draw.stored[0] + 1.0) / 2.0 * (len(_INK) - 1), 0, len(_INK) - 1).astype(int)
    pictures = np.array(list(_INK))[shades].reshape(n, rows, columns)
    for row in range(rows) if rows > 1 else ():
        print("   ".join("".join(picture[row]) for picture in pictures))
    if rows == 1:
        print("\n".join("".join(picture[0]) for picture in pictures))
