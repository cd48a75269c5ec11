"""The gan memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import Count, CountOrZero, NonNegative, Positive
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import Learned

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of a generative adversarial network."""

    recall_mode: Literal["fixed_point", "noise_aware"] = "noise_aware"
    """recall: the search takes every unit of the cue to be wrong with probability `doubt`; or by the cue's evidence,
    and where a corruption says nothing of single units, as with fixed_point"""
    doubt: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.2
    """probability of a unit of the cue being wrong, where there is no evidence"""
    code: Width = 16
    """numbers in a code"""
    generator: tuple[Width, ...] = (192,)
    """hidden units of the generator, from the code on"""
    discriminator: tuple[Width, ...] = (192,)
    """hidden units of the discriminator, from the pattern on"""
    minibatch_features: CountOrZero = 6
    """features by which rows of a batch are compared, of `feature_numbers` numbers each; 0: none"""
    feature_numbers: Count = 3
    """numbers of a minibatch feature"""
    unrolled: CountOrZero = 0
    """steps of the discriminator that the generator looks ahead"""
    unrolled_rate: Positive = 0.1
    """step size of these steps, plain gradient descent"""
    batch: Count = 32
    """rows in an update, drawn evenly from the patterns, and as many made"""
    updates: Count = 2_000
    """updates of both networks"""
    learning_rate: Positive = 2e-3
    """step size of Adam; it falls to 0 over the updates"""
    momentum: NonNegative = 0.5
    """share of Adam's running direction that is kept"""
    drawn: Count = 512
    """codes drawn for a search, of which the best are its starts"""
    starts: Count = 4
    """starts of a search"""
    steps: Count = 40
    """steps of a search from every start"""
    search_rate: Positive = 0.1
    """step size of a search, by Adam; it falls to 0"""


PRESETS = {
    "gan-settle": {"description": "is told nothing of the corruption", "memory": {"recall_mode": "fixed_point"}},
    "gan-plain": {
        "description": "nothing against making few of the patterns only",
        "memory": {"minibatch_features": 0},
    },
    "gan-unrolled": {
        "description": "the generator looks three steps of the discriminator ahead",
        "memory": {"minibatch_features": 0, "unrolled": 3, "updates": 1_000},
    },
}


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Learned:
    """Adversarial networks of patterns of any shape.

    Raises:
        ValueError: settings that do not go together.
    """
    if config.starts > config.drawn:
        raise ValueError(f"memory.starts = {config.starts}: expected at most memory.drawn, {config.drawn}")
    if not config.discriminator or not config.generator:
        raise ValueError("memory.discriminator and memory.generator: expected at least one layer each")
    if config.momentum >= 1.0:
        raise ValueError(f"memory.momentum = {config.momentum}: expected below 1")
    from memory.common.networks.memory_torch import Learned
    from memory.gan.model_torch import GAN  # loads torch

    return Learned("gan", units, seed_list, config.recall_mode, GAN(units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("gan", make, Config())
