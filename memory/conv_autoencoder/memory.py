"""The conv_autoencoder memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from memory.common.networks.input_noise import check_noise
from simulator.core.field_types import Count, NonNegative, Positive
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import Learned

Width = Annotated[int, Meta(ge=1, le=4_096)]
SMALLEST = 4  # pixels of a side


@dataclass(frozen=True)
class Config:
    """Settings of a convolutional autoencoder."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """recall: one pass; passes until the cue rests; or passes that add the cue's evidence to the output's log odds,
    and where a corruption says nothing of single units, as with fixed_point"""
    passes: Count = 20
    """most passes of a recall, with fixed_point and noise_aware"""
    channels: tuple[Width, ...] = (16,)
    """maps of every layer from the picture on; each is pooled to half its side"""
    kernel: Literal[3, 5, 7] = 3
    """side of a convolution's window, in pixels"""
    pool: Literal["max", "mean"] = "max"
    """what is kept of every 2 by 2 pixels"""
    up: Literal["places", "copies", "transposed"] = "copies"
    """the way back to twice the side: to the places where the maximum was, zeros elsewhere; to all four; or by a
    transposed convolution of its own"""
    code: Width = 128
    """units of the dense layer between the smallest maps"""
    noise: Literal["none", "flip", "erase", "gaussian"] = "flip"
    """corruption to what goes in while learning: signs turned, units set to 0, normal noise added"""
    noise_least: NonNegative = 0.0
    """least corruption of a row: a share of its units, or a standard deviation"""
    noise_most: NonNegative = 0.4
    """most corruption of a row; each row has its own amount, even between both"""
    batch: Count = 50
    """rows in an update, drawn evenly from the patterns"""
    updates: Count = 1_000
    """updates"""
    learning_rate: Positive = 5e-3
    """step size of Adam; it falls to 0 over the updates"""


PRESETS = {
    "conv-autoencoder-places": {
        "description": "back to the places that pooling remembers of the cue",
        "memory": {"up": "places"},
    },
    "conv-autoencoder-transposed": {"description": "back by transposed convolutions", "memory": {"up": "transposed"}},
}


def _check(units: PatternSpec, config: Config) -> None:
    if len(units.shape) != 2 or min(units.shape) < SMALLEST:
        raise ValueError(
            f"conv_autoencoder: patterns of shape {units.shape}, expected pictures of at least {SMALLEST} by {SMALLEST}"
        )
    if not config.channels:
        raise ValueError("memory.channels = (): expected at least one layer")
    check_noise(config.noise, (config.noise_least, config.noise_most))
    if config.up == "places" and config.pool != "max":
        raise ValueError(f"memory.up = places with pool = {config.pool}: expected max, a mean has no place")


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Learned:
    """Autoencoders of pictures.

    Raises:
        ValueError: patterns that are no pictures, or settings that do not go together.
    """
    _check(units, config)
    from memory.common.networks.memory_torch import Learned
    from memory.conv_autoencoder.model_torch import ConvAutoencoder  # loads torch

    return Learned("conv_autoencoder", units, seed_list, config.recall_mode, ConvAutoencoder(units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("conv_autoencoder", make, Config())
