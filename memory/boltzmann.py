"""Boltzmann machine: +-1 units of which any two may be connected, some of them hidden.

Ackley, Hinton and Sejnowski 1985, "A learning algorithm for Boltzmann machines". E(s) = -s'W s / 2 - b's, learned by
the positive minus the negative phase: what units do together while the patterns are clamped, less what they do freely.
Recall is Gibbs sampling, one unit at a time, while the temperature falls (Kirkpatrick, Gelatt and Vecchi 1983), with
trusted units clamped and, with the way "channel", the cue's evidence as a field. At temperature 0 and without hidden
units it is the asynchronous Hopfield network.

Departures: gradients are centred, the negative phase has chains of its own, and by sampling every pattern's likelihood
among the stored ones is raised beside; see :mod:`memory.parts.boltzmann_train`. Of several chains the one that ends
at the lowest energy is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from memory.parts.boltzmann_memory import BoltzmannMemory, Design, RecallSettings
from memory.parts.boltzmann_train import LearnSettings
from simulator.core.memories import Units
from simulator.core.ranges import CountOrZero, Positive


@dataclass(frozen=True)
class Config:
    """Settings of a Boltzmann machine."""

    way: Literal["settle", "channel"] = "channel"
    """settle: the chain begins at the cue; channel: the cue is also evidence, a field on every unit, where the damage
    says something of single units"""
    n_hidden: CountOrZero = 0
    """hidden units, connected with all others"""
    weight_size: Positive = 0.05
    """standard deviation of the first weights of hidden units; all others begin at 0"""
    learn: LearnSettings = field(default_factory=LearnSettings)
    """how it learns"""
    recall: RecallSettings = field(default_factory=RecallSettings)
    """how it recalls and makes patterns"""


def make(units: Units, seed_list: Sequence[int], config: Config) -> BoltzmannMemory:
    """Machines for two-valued patterns.

    Raises:
        ValueError: patterns of real numbers, more weights than there is memory for, or exact phases of too many units.
    """
    return BoltzmannMemory(
        units, seed_list, Design(config.way, config.n_hidden, config.weight_size, config.learn, config.recall)
    )


if __name__ == "__main__":
    from memory.parts.show import show_memory

    show_memory("boltzmann", make, Config())
