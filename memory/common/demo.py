"""Demonstration of a memory: three small pictures stored, and recalled from corrupted cues."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core import rng
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

SIDE = 8
FLIP_PROB = 0.15
PICTURES = (
    "#......# .#....#. ..#..#.. ...##... ...##... ..#..#.. .#....#. #......#",
    "######## #......# #......# #......# #......# #......# #......# ########",
    "...##... ...##... ...##... ######## ######## ...##... ...##... ...##...",
)
_SHADES = "..:+##"  # from -1 to 1; an unknown unit is a blank


def pictures() -> Array:
    """Return three pictures of -1 and +1, float32 [1, 3, 64]."""
    signs = [[1.0 if mark == "#" else -1.0 for mark in picture if mark != " "] for picture in PICTURES]
    return np.array([signs], np.float32)


def rows(pattern: Array) -> list[str]:
    """Render a picture [64] of values from -1 to 1, one character per unit."""
    shades = np.round((pattern + 1.0) / 2.0 * (len(_SHADES) - 1)).astype(int)
    characters = [" " if value == 0.0 else _SHADES[shade] for value, shade in zip(pattern, shades, strict=True)]
    return ["".join(characters[start : start + SIDE]) for start in range(0, len(characters), SIDE)]


def show_memory(name: str, make: Any, config: Any) -> None:
    """Store the pictures with one seed, and print each, its cue and the recalled pattern.

    Args:
        name: the memory's name.
        make: its ``make``.
        config: its settings.
    """
    stored = pictures()
    generator = rng.generators([0], "corruption")[0]
    cues = np.where(generator.random(stored.shape) < FLIP_PROB, -stored, stored)
    memory = make(PatternSpec((SIDE, SIDE)), [0], config)
    memory.store(stored)
    half_log_odds = 0.5 * np.log((1.0 - FLIP_PROB) / FLIP_PROB)
    recall = memory.recall(cues, None, (half_log_odds * cues).astype(np.float32))
    print(f"{name}, recall_mode = {memory.recall_mode}: {stored.shape[1]} pictures, flip probability {FLIP_PROB}")
    for q in range(stored.shape[1]):
        print(f"\n  {'stored':<11}{'cue':<11}recalled")
        for line in zip(rows(stored[0, q]), rows(cues[0, q]), rows(recall.patterns[0, q]), strict=True):
            print("  " + "   ".join(line))
        overlap = float((recall.patterns[0, q] * stored[0, q]).mean())
        trace = recall.energy[0, q][np.isfinite(recall.energy[0, q])]
        falling = " ".join(f"{value:.2f}" for value in trace[:6]) + (" ..." if len(trace) > 6 else "")
        print(f"  overlap {overlap:.2f}   iterations {int(recall.n_iters[0, q])}   energy {falling}")


if __name__ == "__main__":  # python -m memory.common.demo vae
    import sys

    from simulator.core import registry

    for name in sys.argv[1:]:
        player = registry.load("memories", name)
        show_memory(name, player.make, player.Config())
