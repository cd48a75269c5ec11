"""Settings that Boltzmann machines and restricted ones share: learning by a positive minus a negative phase."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.core.field_types import Count, NonNegative, PartShare


@dataclass(frozen=True)
class PhaseLearning:
    """Learning along <s s'>_data - <s s'>_model (Ackley, Hinton and Sejnowski 1985, equation 6)."""

    momentum: PartShare = 0.9
    """momentum of the gradient steps"""
    weight_decay: NonNegative = 0.0
    """L2 decay of the weights per step, as a fraction of the learning rate"""
    k: Count = 1
    """Gibbs sweeps of each chain per update, the k of CD-k"""
    batch_likelihood_weight: NonNegative = 1.0
    """weight of each pattern's log likelihood among the patterns of its batch, log softmax(-F), beside the two phases;
    0: off"""
