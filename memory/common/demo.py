"""One look at a memory: three small pictures stored, and one of them brought back from a corrupted cue."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core import rng
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

SIDE, FLIP_PROB = 8, 0.15
PICTURES = (
    "#......# .#....#. ..#..#.. ...##... ...##... ..#..#.. .#....#. #......#",
    "######## #......# #......# #......# #......# #......# #......# ########",
    "...##... ...##... ...##... ######## ######## ...##... ...##... ...##...",
)
_SHADES = "..:+##"  # from -1 to 1; what is not known is a blank


def pictures() -> Array:
    """Three pictures of -1 and +1, [1, 3, 64]."""
    signs = [[1.0 if mark == "#" else -1.0 for mark in picture if mark != " "] for picture in PICTURES]
    return np.array([signs], np.float32)


def rows(pattern: Array) -> list[str]:
    """A picture of numbers from -1 to 1 in one character a unit."""
    shades = np.round((pattern.reshape(SIDE, SIDE) + 1.0) / 2.0 * (len(_SHADES) - 1)).astype(int)
    blank = pattern.reshape(SIDE, SIDE) == 0.0
    return [
        "".join(" " if b else _SHADES[s] for b, s in zip(*line, strict=True))
        for line in zip(blank, shades, strict=True)
    ]


def show_memory(name: str, make: Any, config: Any) -> None:
    """Store the pictures with one seed and print every picture, its cue and what was recalled."""
    stored, draws = pictures(), rng.generators([0], "corruption")[0]
    cues = np.where(draws.random(stored.shape) < FLIP_PROB, -stored, stored)
    memory = make(PatternSpec((SIDE, SIDE)), [0], config)
    memory.store(stored)
    odds = 0.5 * np.log((1.0 - FLIP_PROB) / FLIP_PROB)
    found = memory.recall(cues, None, (odds * cues).astype(np.float32))
    print(f"{name}, recall_mode = {memory.recall_mode}: {stored.shape[1]} pictures, flip probability {FLIP_PROB}")
    for q in range(stored.shape[1]):
        print(f"\n  {'stored':<11}{'cue':<11}recalled")
        for line in zip(rows(stored[0, q]), rows(cues[0, q]), rows(found.patterns[0, q]), strict=True):
            print("  " + "   ".join(line))
        overlap = float((found.patterns[0, q] * stored[0, q]).mean())
        trace = found.energy[0, q][np.isfinite(found.energy[0, q])]
        falling = " ".join(f"{value:.2f}" for value in trace[:6]) + (" ..." if len(trace) > 6 else "")
        print(f"  overlap {overlap:.2f}   sweeps {int(found.sweeps[0, q])}   energy {falling}")


if __name__ == "__main__":  # python -m memory.common.demo vae
    import sys

    from simulator.core import registry

    for name in sys.argv[1:]:
        player = registry.load("memories", name)
        show_memory(name, player.make, player.Config())
