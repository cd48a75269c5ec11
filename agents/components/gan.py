"""Generative adversarial network that learns an agent's transitions, and imagines some for replay.

Goodfellow et al. 2014; Salimans et al. 2016 (minibatch features, against mode collapse). A generator learns to make
transitions (observation, action, reward, next observation, end) that a discriminator takes for real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.common.transitions import TransitionModel, Width, imagination_of
from simulator.core.field_types import Count, CountOrZero, PartShare, Positive
from simulator.core.memories import PatternSpec
from simulator.core.optimizers import RuleConfig
from simulator.core.protocols import EnvSpec

SOCKETS = ("model",)


@dataclass(frozen=True)
class Config:
    """Settings of an adversarial model of transitions."""

    imagined: Count = 64
    """transitions imagined per environment step; every batch of them is one more update of the agent"""
    warmup: CountOrZero = 2_000
    """environment steps before the first imagined transition"""
    latent_dim: Width = 16
    """numbers that a transition is generated from"""
    hidden: tuple[Width, ...] = (128,)
    """hidden units of generator and discriminator, layer by layer"""
    minibatch_features: CountOrZero = 6
    """features by which the discriminator compares the rows of a batch; 0: none"""
    batch_size: Count = 32
    """transitions in an update of the model, and as many generated ones"""
    learning_rate: Positive = 1e-3
    """learning rate of Adam"""
    beta1: PartShare = 0.5
    """decay rate of Adam's first moment"""
    train_frequency: Count = 4
    """environment steps from one update of the model to the next"""
    buffer_size: Count = 5_000
    """latest transitions, per seed, that the model learns from"""
    untrained: bool = False
    """the networks keep their first weights, as a control"""


@dataclass(frozen=True)
class GanComponent:
    """A GAN with its settings, until the environment is known."""

    config: Config

    def transition_model(self, spec: EnvSpec, seed_list: Sequence[int]) -> TransitionModel:
        """Make the models of an environment's transitions.

        Raises:
            ValueError: observations, actions or settings that do not fit.
        """
        config = self.config
        if not config.hidden:
            raise ValueError("agent.model = 'gan' with hidden = (): expected at least one layer")
        import memory.gan
        from agents.common.transitions_torch import GenerativeTransitions  # loads torch
        from memory.gan.model_torch import GAN

        own = memory.gan.Config(
            batch_size=config.batch_size,
            optimizer=RuleConfig(beta1=config.beta1),
            latent_dim=config.latent_dim,
            generator_hidden=config.hidden,
            discriminator_hidden=config.hidden,
            minibatch_features=config.minibatch_features,
        )

        def network(pattern: PatternSpec) -> Any:
            return GAN(pattern, own)

        return GenerativeTransitions(spec, seed_list, network, imagination_of(config), "agent.model = 'gan'")


def make(config: Config) -> GanComponent:
    """Make the component for an agent."""
    return GanComponent(config)
