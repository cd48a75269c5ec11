"""Settings that the memories by networks share. They load no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from memory.common.sizing import SizeRule
from simulator.core.field_types import Count, CountOfSize, NonNegative, RateOfSize
from simulator.core.optimizers import RuleConfig, check_rule

LayerWidth = Annotated[int, Meta(ge=1, le=65_536)]
"""Units of one layer."""
FlipProb = Annotated[float, Meta(gt=0.0, lt=0.5)]
"""Probability of a unit having the wrong sign."""
Noise = Literal["none", "flip", "erase", "gaussian"]
"""Corruption of inputs during training."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training by gradient descent on minibatches; for what is 0 see ``RULES`` of the memory."""

    updates: CountOfSize = 0
    """gradient updates; 0: follows the number of patterns"""
    batch_size: CountOfSize = 0
    """patterns per update, sampled uniformly with replacement; 0: follows the number of patterns"""
    learning_rate: RateOfSize = 0.0
    """peak learning rate; it rises over the first twentieth of the updates and decays to 0, both linearly; 0: follows
    the number of units"""
    optimizer: RuleConfig = field(default_factory=RuleConfig)
    """update rule"""


TRAINING_RULES = {
    "updates": SizeRule(2_000, by_patterns=0.3),
    "batch_size": SizeRule(50, by_patterns=0.3),
    "learning_rate": SizeRule(5e-3, by_units=-0.5),
}


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
