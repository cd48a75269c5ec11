"""The pixel_by_pixel memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import Count, Positive, Share
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import Learned

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of the autoregressive memory."""

    recall_mode: Literal["single_pass", "noise_aware"] = "noise_aware"
    """recall, in one pass over the pixels: every pixel of the cue that is not 0 counts as wrong with probability
    `doubt`; or the cue's evidence is taken, and where a corruption says nothing of single pixels, as with once"""
    doubt: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.2
    """probability of a pixel of the cue being wrong, where there is no evidence"""
    pick: Literal["maximise", "sample"] = "maximise"
    """the most probable restorations so far are kept; or each is drawn pixel by pixel"""
    kept: Count = 8
    """restorations kept along the way, of which the most probable is given out"""
    order: Literal["raster", "random"] = "raster"
    """the order of the pixels: row by row; or at random, its own in every seed"""
    hidden: tuple[Width, Width] = (192, 192)
    """units of both hidden layers"""
    noise_most: Share = 0.2
    """most share of the pixels before whose sign is turned while learning; each row has its own, even from 0"""
    batch: Count = 50
    """rows in an update, drawn evenly from the patterns"""
    updates: Count = 2_000
    """updates"""
    learning_rate: Positive = 5e-3
    """step size of Adam; it falls to 0 over the updates"""


PRESETS = {
    "pixel-by-pixel-once": {
        "description": "is told nothing of the corruption",
        "memory": {"recall_mode": "single_pass"},
    },
    "pixel-by-pixel-greedy": {"description": "keeps one restoration, pixel after pixel", "memory": {"kept": 1}},
}


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Learned:
    """Autoregressive memories of two-valued patterns of any shape.

    Raises:
        ValueError: patterns of real numbers, or of a single unit.
    """
    if not units.is_bipolar:
        raise ValueError("pixel_by_pixel: patterns of real numbers, expected -1 and +1 only")
    if units.n < 2:
        raise ValueError(f"pixel_by_pixel: patterns of {units.n} unit, expected at least 2")
    from memory.common.networks.memory_torch import Learned  # loads torch
    from memory.pixel_by_pixel.model_torch import PixelByPixel

    return Learned("pixel_by_pixel", units, seed_list, config.recall_mode, PixelByPixel(units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("pixel_by_pixel", make, Config())
