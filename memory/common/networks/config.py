"""Settings that the memories by networks share. They load no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import Count, NonNegative, Positive
from simulator.core.optimizers import RuleConfig, check_rule

LayerWidth = Annotated[int, Meta(ge=1, le=65_536)]
"""Units of one layer."""
FlipProb = Annotated[float, Meta(gt=0.0, lt=0.5)]
"""Probability of a unit having the wrong sign."""
Noise = Literal["none", "flip", "erase", "gaussian"]
"""Corruption of inputs during training."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training by gradient descent on minibatches."""

    updates: Count = 2_000
    """gradient updates"""
    batch_size: Count = 50
    """patterns per update, sampled uniformly with replacement"""
    learning_rate: Positive = 5e-3
    """peak learning rate; it rises over the first twentieth of the updates and decays to 0, both linearly"""
    optimizer: RuleConfig = field(default_factory=RuleConfig)
    """update rule"""


@dataclass(frozen=True)
class DenoisingConfig(TrainingConfig):
    """Settings of autoencoders that are trained on noisy inputs and recall by repeated reconstruction."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """single_pass: one reconstruction; fixed_point: reconstruct until the cue converges; noise_aware: the same, with
    the cue's evidence added to the logits every time (without evidence: as fixed_point)"""
    max_iters: Count = 20
    """maximum number of reconstructions in a recall, with fixed_point and noise_aware"""
    noise: Noise = "flip"
    """input noise during training: flip signs, set units to 0, or add normal noise"""
    noise_min: NonNegative = 0.0
    """minimum noise of a pattern: fraction of its units, or standard deviation"""
    noise_max: NonNegative = 0.4
    """maximum noise of a pattern; every pattern of a batch has its own level, uniform between both"""


def check_training(config: TrainingConfig) -> None:
    """Check settings of training against each other.

    Raises:
        ValueError: a constant that the update rule does not have; noise levels that are no range, or above 1 where
            they are a fraction of the units.
    """
    check_rule(config.optimizer, "memory.optimizer")
    if not isinstance(config, DenoisingConfig):
        return
    if config.noise_max < config.noise_min:
        raise ValueError(f"memory.noise_max = {config.noise_max}: expected at least noise_min, {config.noise_min}")
    if config.noise in ("flip", "erase") and config.noise_max > 1.0:
        raise ValueError(f"memory.noise_max = {config.noise_max}: expected a fraction of the units, at most 1")
