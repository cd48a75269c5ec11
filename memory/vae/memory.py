"""The vae memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from memory.common.networks.input_noise import check_noise
from simulator.core.field_types import Count, NonNegative, Positive
from simulator.core.memories import Units

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import Learned

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of a variational autoencoder."""

    way: Literal["once", "settle", "channel"] = "channel"
    """recall: one pass; passes until the cue rests; or passes that add the cue's evidence to the output's log odds,
    and where a corruption says nothing of single units, as with settle"""
    passes: Count = 20
    """most passes of a recall, with settle and channel"""
    hidden: tuple[Width, ...] = (192,)
    """units of the layers from the pattern on; the layers from the code back mirror them"""
    code: Width = 16
    """numbers in a code"""
    beta: NonNegative = 1.0
    """weight of the divergence in the loss"""
    noise: Literal["none", "flip", "erase", "gaussian"] = "flip"
    """corruption to what goes in while learning: signs turned, units set to 0, normal noise added"""
    noise_least: NonNegative = 0.0
    """least corruption of a row: a share of its units, or a standard deviation"""
    noise_most: NonNegative = 0.4
    """most corruption of a row; each row has its own amount, even between both"""
    batch: Count = 50
    """rows in an update, drawn evenly from the patterns"""
    updates: Count = 2_000
    """updates"""
    learning_rate: Positive = 5e-3
    """step size of Adam; it falls to 0 over the updates"""


TUNED = {
    "vae-plain": {"about": "never shown any corruption while it learns", "memory": {"noise": "none"}},
    "vae-settle": {"about": "is told nothing of the corruption", "memory": {"way": "settle"}},
}


def make(units: Units, seed_list: Sequence[int], config: Config) -> Learned:
    """Variational autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that do not go together.
    """
    check_noise(config.noise, (config.noise_least, config.noise_most))
    from memory.common.networks.memory_torch import Learned  # loads torch
    from memory.vae.model_torch import VAE

    return Learned("vae", units, seed_list, config.way, VAE(units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("vae", make, Config())
