"""Settings that Boltzmann machines and restricted ones share: learning by a positive minus a negative phase."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.core.field_types import Count, NonNegative
from simulator.core.optimizers import RuleConfig


@dataclass(frozen=True)
class PhaseLearning:
    """Learning along <s s'>_data - <s s'>_model (Ackley, Hinton and Sejnowski 1985, equation 6)."""

    optimizer: RuleConfig = field(default_factory=lambda: RuleConfig(kind="momentum"))
    """update rule; momentum has the learning rate within the running sum (Hinton 2012, section 9)"""
    weight_decay: NonNegative = 0.0
    """L2 decay of the weights per step, as a fraction of the learning rate"""
    k: Count = 1
    """Gibbs sweeps of each chain per update, the k of CD-k"""
    batch_likelihood_weight: NonNegative = 1.0
    """weight of each pattern's log likelihood among the patterns of its batch, log softmax(-F), beside the two phases;
    0: off"""


def momentum_of(settings: PhaseLearning) -> float | None:
    """Return the momentum of the plain steps, 0 for sgd; None for another rule."""
    if settings.optimizer.kind == "momentum":
        return settings.optimizer.beta1
    return 0.0 if settings.optimizer.kind == "sgd" else None
