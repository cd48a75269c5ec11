"""Glyphs: the letters A to Z and the digits 0 to 9 as bitmaps of 8 x 8, ink +1 and paper -1.

They are our own drawings, 5 x 7 in a field of 8 x 8, and more alike than random patterns are: most of the paper is
shared by all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envs.common.patterns.sampling import Patterns, Pool
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PAGE = """
.###. ####. .###. ###.. ##### ##### .###. #...# .###. ..### #...# #....
#...# #...# #...# #..#. #.... #.... #...# #...# ..#.. ...#. #..#. #....
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #....
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #....
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #....
#...# #...# #...# #..#. #.... #.... #...# #...# ..#.. #..#. #..#. #....
#...# ####. .###. ###.. ##### #.... .#### #...# .###. .##.. #...# #####

#...# #...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...#
##.## #...# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...#
#.#.# ##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#.
#.#.# #.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#..
#...# #..## #...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#.
#...# #...# #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. #.#.# #...#
#...# #...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. .#.#. #...#

#...# ##### .###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###.
#...# ....# #...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...#
#...# ...#. #..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
.#.#. ..#.. #.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
..#.. .#... ##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
..#.. #.... #...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
..#.. ##### .###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""
_PARTS = {"all": slice(None), "letters": slice(0, 26), "digits": slice(26, None)}


@dataclass(frozen=True)
class Config:
    """Settings of the glyphs."""

    which: Literal["all", "letters", "digits"] = "all"
    """A to Z and 0 to 9, or some of them"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make glyphs in a random order for every seed; the label is the place in A to Z, 0 to 9, from 0 on."""
    part = _PARTS[config.which]
    labels = np.arange(len(NAMES))[part]
    pool = Pool(bitmaps()[part].reshape(len(labels), -1), labels, "two", 0.5, 1.0)
    return Patterns("glyphs", PatternSpec((8, 8)), len(labels), seed_list, pool.row)


def bitmaps() -> Array:
    """Draw every glyph in the order of ``NAMES``, in a field of 8 x 8: uint8 [36, 8, 8], 1 is ink."""
    bands = [band.split("\n") for band in _PAGE.strip().split("\n\n")]
    field = np.zeros((len(NAMES), 8, 8), np.uint8)
    for n in range(len(NAMES)):
        band = bands[n // 12]
        left = 6 * (n % 12)
        field[n, :7, 1:6] = [[dot == "#" for dot in line[left : left + 5]] for line in band]
    return field


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("glyphs", make([0], Config()))
