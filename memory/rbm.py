"""Restricted Boltzmann machine: one layer of hidden units, none connected to its like.

Smolensky 1986; Hinton 2002 (contrastive divergence); Tieleman 2008 (persistent chains); Hinton 2012, "A practical guide
to training restricted Boltzmann machines". Binary visible units (-1 and +1 are 0 and 1 inside) or Gaussian ones.

Departures: gradients are centred (Montavon and Mueller 2012), and beside contrastive divergence every pattern's
likelihood among those of its batch is raised, which sampling nearby cannot do; see
:mod:`memory.common.rbm.contrastive_divergence`. Set
``centered`` off, ``balance`` and ``noise`` to 0 for the plain rule. Recall with recall_mode "noise_aware" takes the
cue as a field on the visible units, runs several chains of annealed Gibbs sampling from it, and gives the one that
ends at the lowest energy, field included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from memory.common.rbm.config import LearnSettings, RecallSettings, Way
from memory.common.rbm.memory import StackMemory, design
from simulator.core.field_types import Count, NonNegative, Positive
from simulator.core.memories import PatternSpec


@dataclass(frozen=True)
class Config:
    """Settings of a restricted Boltzmann machine."""

    recall_mode: Way = "noise_aware"
    """single_pass: one pass up and down; fixed_point: mean field until it rests; noise_aware: the cue is evidence, and
    chains search, and where a corruption says nothing of single units, as with fixed_point"""
    hidden: Count = 128
    """hidden units"""
    visible: Literal["auto", "binary", "gaussian"] = "auto"
    """visible units; auto: binary where patterns are two-valued, else Gaussian"""
    deviation: NonNegative = 0.6
    """standard deviation of a Gaussian unit, as a share of its own over the stored patterns; 0: 1 for every unit"""
    weight_size: Positive = 0.01
    """standard deviation of the first weights"""
    learn: LearnSettings = field(default_factory=LearnSettings)
    """how it learns"""
    recall: RecallSettings = field(default_factory=RecallSettings)
    """how it recalls and makes patterns"""


PRESETS = {
    "rbm-plain": {
        "description": "contrastive divergence as in the textbook, and one pass up and down",
        "memory": {"recall_mode": "single_pass", "learn": {"centered": False, "balance": 0.0, "noise": 0.0}},
    },
}


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> StackMemory:
    """Machines for patterns of these units.

    Raises:
        ValueError: more weights than there is memory for.
    """
    return StackMemory(units, seed_list, design("rbm", (config.hidden,), units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("rbm", make, Config())
