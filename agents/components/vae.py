"""Variational autoencoder: as an encoder its mean code in place of the observation; as a model imagined transitions.

Kingma and Welling 2014; Ha and Schmidhuber 2018 (the code as what an agent sees); Higgins et al. 2017 for ``beta``. As
an encoder it learns from the observations of random play before the agent begins, beside the agent, or both; with
``stop_gradient`` off the agent's gradient trains it too. As a model it learns the distribution of whole transitions,
and imagines some for replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.common.encoders.codes import CodeEncoder
from agents.common.encoders.joint import JointEncoder
from agents.common.encoders.learned import LearnedConfig, make_learned
from agents.common.transitions import TransitionModel, imagination_of
from simulator.core.field_types import Count, CountOrZero, NonNegative
from simulator.core.memories import PatternSpec
from simulator.core.protocols import EnvSpec

SOCKETS = ("encoder", "model")


@dataclass(frozen=True)
class Config(LearnedConfig):
    """Settings of a variational autoencoder."""

    beta: NonNegative = 1.0
    """weight of the code's divergence from the standard normal distribution in the loss"""
    imagined: Count = 64
    """transitions imagined per environment step, as a model; every batch of them is one more update of the agent"""
    warmup: CountOrZero = 1_000
    """environment steps before the first imagined transition, as a model"""


@dataclass(frozen=True)
class VaeComponent:
    """A variational autoencoder with its settings, until the environment is known: for both sockets."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> CodeEncoder | JointEncoder:
        """Make the encoders of an environment's observations.

        Raises:
            ValueError: settings or observations that do not fit.
        """
        return make_learned(spec, seed_list, self.config, "vae", variational=True)

    def transition_model(self, spec: EnvSpec, seed_list: Sequence[int]) -> TransitionModel:
        """Make the models of an environment's transitions.

        Raises:
            ValueError: observations or actions that do not fit.
        """
        from agents.common.encoders.learned_torch import make_network  # loads torch
        from agents.common.transitions_torch import GenerativeTransitions

        def network(pattern: PatternSpec) -> Any:
            return make_network(pattern.shape, self.config, variational=True, convolutional=False)

        return GenerativeTransitions(spec, seed_list, network, imagination_of(self.config), "agent.model = 'vae'")


def make(config: Config) -> VaeComponent:
    """Make the component for an agent."""
    return VaeComponent(config)
