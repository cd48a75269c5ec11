"""Restricted Boltzmann machine: a layer of visible and a layer of hidden units, connected only with each other.

Smolensky 1986; Hinton 2002 (contrastive divergence); Tieleman 2008 (persistent chains); Hinton 2012, "A practical guide
to training restricted Boltzmann machines". Binary visible units (-1 and +1 are 0 and 1 inside) or Gaussian ones.

Departures: gradients are centred (Montavon and Mueller 2012), and beside contrastive divergence each
pattern's likelihood among the stored ones is raised, which sampling close by cannot do; see
:mod:`memory.common.rbm.contrastive_divergence`. The preset ``rbm-plain`` has the textbook rule. Recall with recall_mode
= noise_aware takes the evidence of the cue as a field on the visible units, runs several chains of annealed Gibbs
sampling, and returns the one of lowest energy, field included, or their mean by Boltzmann weights where the machine
holds more patterns than it can tell apart; see :mod:`memory.common.rbm.recall`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.common.rbm.memory import RBMStackConfig, RBMStackMemory
from memory.common.sizing import SizeRule
from simulator.core.field_types import CountOfSize
from simulator.core.memories import PatternSpec


@dataclass(frozen=True)
class Config(RBMStackConfig):
    """Settings of a restricted Boltzmann machine."""

    n_hidden: CountOfSize = 0
    """hidden units; 0: follows the number of patterns and of their units"""


N_HIDDEN_RULES = (SizeRule(128, by_units=0.55), SizeRule(128, by_patterns=0.3))  # the larger of both


PRESETS = {
    "rbm-plain": {
        "description": "plain contrastive divergence; passes up and down until nothing moves",
        "memory": {
            "recall_mode": "fixed_point",
            "learn": {"k": 1, "centered": False, "batch_likelihood_weight": 0.0, "lr_end": 1.0, "input_noise": 0.0},
        },
    },
}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> RBMStackMemory:
    """Make machines for patterns of this spec.

    Raises:
        ValueError: weights of more than 4 GiB.
    """

    def n_hidden_for(n_patterns: int) -> tuple[int]:
        return (config.n_hidden or max(rule.value(spec.n, n_patterns) for rule in N_HIDDEN_RULES),)

    return RBMStackMemory("rbm", spec, seed_list, n_hidden_for, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("rbm", make, Config())
