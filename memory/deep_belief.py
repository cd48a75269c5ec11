"""Deep belief network: restricted Boltzmann machines stacked, learned layer by layer from the bottom up.

Hinton, Osindero and Teh 2006, "A fast learning algorithm for deep belief nets": each machine learns the mean codes of
the one below. Recall goes up, takes a Gibbs step in the top machine, and comes down again, many times; see
:mod:`memory.common.rbm.recall`. Patterns are made by the same passes from anywhere.

Departures: weights are not untied and fine-tuned afterwards by the wake-sleep algorithm (their section 5); layers
learn with centred gradients and a balance between patterns, see :mod:`memory.common.rbm.contrastive_divergence`; with
recall_mode "noise_aware" the cue is evidence on the visible units, and of several annealed chains the one of lowest
energy, field included, is given, where the energy is the variational bound of their section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from memory.common.rbm.config import LearnSettings, RecallSettings, Way
from memory.common.rbm.memory import StackMemory, design
from simulator.core.field_types import NonNegative, Positive
from simulator.core.memories import PatternSpec

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of a deep belief network."""

    recall_mode: Way = "noise_aware"
    """single_pass: one pass up and down; fixed_point: mean field until it rests; noise_aware: the cue is evidence, and
    chains search, and where a corruption says nothing of single units, as with fixed_point"""
    hidden: Annotated[tuple[Width, ...], Meta(min_length=1)] = (64, 64)
    """units of every layer of codes, from the lowest on"""
    visible: Literal["auto", "binary", "gaussian"] = "auto"
    """visible units; auto: binary where patterns are two-valued, else Gaussian"""
    deviation: NonNegative = 0.6
    """standard deviation of a Gaussian unit, as a share of its own over the stored patterns; 0: 1 for every unit"""
    weight_size: Positive = 0.01
    """standard deviation of the first weights"""
    learn: LearnSettings = field(default_factory=LearnSettings)
    """how each layer learns"""
    recall: RecallSettings = field(default_factory=RecallSettings)
    """how it recalls and makes patterns"""


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> StackMemory:
    """Networks for patterns of these units.

    Raises:
        ValueError: no layer at all, or more weights than there is memory for.
    """
    if not config.hidden:
        raise ValueError("deep_belief.hidden = (): expected at least one layer")
    return StackMemory(units, seed_list, design("deep_belief", tuple(config.hidden), units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("deep_belief", make, Config())
