"""Tests of drawings against stored pictures, within what fonts and palettes differ (tests.helpers.stored_drawings)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pygame")

from PIL import Image

from tests.helpers.stored_drawings import GOLDEN, drawings

DRAWINGS = drawings()
MEAN = 0.5  # of 255: pixels differ by so much on the average, at most
FAR = 48  # a pixel that differs by more is another colour
SHARE_FAR = 0.001  # of the pixels are, at most: the edges of letters


def _stored(drawing):
    return np.asarray(Image.open(drawing.path).convert("RGB"), np.int64)


def _difference(one, other):
    return np.abs(one.astype(np.int64) - other).max(axis=2)


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_drawing_is_as_stored(drawing):
    pixels = drawing.pixels()
    stored = _stored(drawing)
    assert pixels.shape == stored.shape
    difference = _difference(pixels, stored)
    assert difference.mean() < MEAN, f"{drawing.path.name}: mean difference {difference.mean():.2f}"
    assert (difference > FAR).mean() < SHARE_FAR, f"{drawing.path.name}: {(difference > FAR).mean():.2%} differ"


def test_every_stored_picture_is_drawn():
    assert {path.name for path in GOLDEN.glob("*.png")} == {drawing.path.name for drawing in DRAWINGS}


def test_tolerance_tells_drawings_apart():
    """Two drawings of the same size that show something else are never within the tolerance of each other."""
    one = next(drawing for drawing in DRAWINGS if drawing.name == "grid")
    other = next(drawing for drawing in DRAWINGS if drawing.name == "grid with path")
    assert (_difference(one.pixels(), _stored(other)) > FAR).mean() > SHARE_FAR
