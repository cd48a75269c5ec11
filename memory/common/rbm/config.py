"""Settings that restricted Boltzmann machines and stacks of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import Count, NonNegative, PartShare, Positive, Share

Way = Literal["single_pass", "fixed_point", "noise_aware"]


@dataclass(frozen=True)
class LearnSettings:
    """How a restricted Boltzmann machine learns."""

    updates: Count = 2_000
    """steps along the gradient, each by one batch"""
    batch: Count = 100
    """patterns in a batch; all of them where there are fewer"""
    learning_rate: Positive = 0.05
    """length of a step, in gradients of the mean log likelihood of a pattern; of it, 64 / N where a layer has N > 64
    visible units, as energies change by so much more, and a tenth where they are Gaussian"""
    last: Share = 1.0
    """share of the learning rate that is left at the end; it falls linearly"""
    momentum: PartShare = 0.9
    """share of the running step that is kept"""
    decay: NonNegative = 0.0
    """pull of the weights to 0, per step, as a share of the learning rate"""
    k: Count = 1
    """sweeps of a chain in every update"""
    persistent: bool = False
    """chains go on from where they were instead of beginning at the data"""
    centered: bool = True
    """means are taken off in the gradient of the weights"""
    balance: NonNegative = 1.0
    """weight of a pattern's log likelihood among those of its batch, beside contrastive divergence"""
    noise: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.05
    """share of units that are flipped where a chain begins; of Gaussian units, the standard deviation added"""


@dataclass(frozen=True)
class RecallSettings:
    """How a restricted Boltzmann machine looks for what a cue was."""

    sweeps: Count = 40
    """most passes with fixed_point; sweeps of a chain with noise_aware"""
    tries: Count = 16
    """chains per cue with noise_aware, of which the one that ends at the lowest energy counts"""
    hot: Annotated[float, Meta(ge=1.0)] = 1.5
    """temperature of the first sweep with noise_aware and when making patterns; it falls geometrically to 1"""
