"""Glyphs: the letters A to Z and the digits 0 to 9 as bitmaps of 8 x 8, ink +1 and paper -1.

They are our own drawings, 5 x 7 in a field of 8 x 8, and more alike than random patterns are: most of the paper is
shared by all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envs.common.patterns.glyph_bitmaps import NAMES, bitmaps
from envs.common.patterns.sampling import Patterns, Pool
from simulator.core.memories import PatternSpec

_PARTS = {"all": slice(None), "letters": slice(0, 26), "digits": slice(26, None)}


@dataclass(frozen=True)
class Config:
    """Settings of the glyphs."""

    which: Literal["all", "letters", "digits"] = "all"
    """A to Z and 0 to 9, or some of them"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Glyphs in a random order for every seed; the label is the place in A to Z, 0 to 9, from 0 on."""
    part = _PARTS[config.which]
    labels = np.arange(len(NAMES))[part]
    pool = Pool(bitmaps()[part].reshape(len(labels), -1), labels, "two", 0.5, 1.0)
    return Patterns("glyphs", PatternSpec((8, 8)), len(labels), seed_list, pool.row)


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("glyphs", make([0], Config()))
