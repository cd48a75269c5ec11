"""The adversarial_autoencoder memory: settings and construction."""

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

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of an adversarial autoencoder."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """recall: one pass; passes until the cue rests; or passes that add the cue's evidence to the output's log odds,
    and where a corruption says nothing of single units, as with fixed_point"""
    passes: Count = 20
    """most passes of a recall, with fixed_point and noise_aware"""
    hidden: tuple[Width, ...] = (192,)
    """units of the layers from the pattern on; the layers from the code back mirror them"""
    code: Width = 16
    """numbers in a code"""
    judge: tuple[Width, ...] = (64,)
    """hidden units of the discriminator, layer by layer"""
    press: NonNegative = 1.0
    """weight of passing for normal draws, beside restoring patterns"""
    noise: Literal["none", "flip", "erase", "gaussian"] = "flip"
    """corruption to what goes in while learning: signs turned, units set to 0, normal noise added"""
    noise_least: NonNegative = 0.0
    """least corruption of a row: a share of its units, or a standard deviation"""
    noise_most: NonNegative = 0.4
    """most corruption of a row; each row has its own amount, even between both"""
    batch: Count = 50
    """rows in an update, drawn evenly from the patterns"""
    updates: Count = 2_000
    """updates of all three phases"""
    learning_rate: Positive = 3e-3
    """step size of Adam; it falls to 0 over the updates"""


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Learned:
    """Adversarial autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that do not go together.
    """
    check_noise(config.noise, (config.noise_least, config.noise_most))
    from memory.adversarial_autoencoder.model_torch import AdversarialAutoencoder  # loads torch
    from memory.common.networks.memory_torch import Learned

    return Learned(
        "adversarial_autoencoder", units, seed_list, config.recall_mode, AdversarialAutoencoder(units, config)
    )


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("adversarial_autoencoder", make, Config())
