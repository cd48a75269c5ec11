"""The boltzmann memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from memory.boltzmann.model import BoltzmannMemory, Design, RecallSettings
from memory.boltzmann.training import LearnSettings
from simulator.core.field_types import CountOrZero, Positive
from simulator.core.memories import PatternSpec


@dataclass(frozen=True)
class Config:
    """Settings of a Boltzmann machine."""

    recall_mode: Literal["fixed_point", "noise_aware"] = "noise_aware"
    """fixed_point: the chain begins at the cue; noise_aware: the cue is also evidence, a field on every unit, where the
    corruption says something of single units"""
    n_hidden: CountOrZero = 0
    """hidden units, connected with all others"""
    weight_size: Positive = 0.05
    """standard deviation of the first weights of hidden units; all others begin at 0"""
    learn: LearnSettings = field(default_factory=LearnSettings)
    """how it learns"""
    recall: RecallSettings = field(default_factory=RecallSettings)
    """how it recalls and makes patterns"""


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> BoltzmannMemory:
    """Machines for two-valued patterns.

    Raises:
        ValueError: patterns of real numbers, more weights than there is memory for, or exact phases of too many units.
    """
    return BoltzmannMemory(
        units, seed_list, Design(config.recall_mode, config.n_hidden, config.weight_size, config.learn, config.recall)
    )


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("boltzmann", make, Config())
