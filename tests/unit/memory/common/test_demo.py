"""Tests of the demo of a memory: the printed recall."""

from __future__ import annotations

import numpy as np
import pytest

from memory import identity, nearest_neighbor
from memory.common.demo import pictures, rows, show_memory


def test_shades_and_blanks():
    assert rows(np.linspace(-1, 1, 64).astype(np.float32))[0] == "." * 8
    picture = np.zeros(64, np.float32)
    picture[1], picture[2] = 1.0, -1.0
    assert rows(picture)[0] == " #.     "


def test_the_pictures_are_hardly_alike():
    stored = pictures()[0]
    assert stored.shape == (3, 64)
    assert abs(stored @ stored.T - 64 * np.eye(3)).max() <= 16


@pytest.mark.parametrize(("player", "overlap"), [(nearest_neighbor, "1.00"), (identity, "0.78")])
def test_one_recall_is_printed(player, overlap, capsys):
    show_memory("its name", player.make, player.Config())
    said = capsys.readouterr().out
    assert said.startswith("its name, recall_mode = single_pass: 3 pictures, flip probability 0.15\n")
    assert said.count("  stored     cue        recalled\n") == 3
    assert f"  overlap {overlap}   iterations" in said
    assert max(len(line) for line in said.splitlines()) <= 80
