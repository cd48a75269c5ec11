"""Adversarial autoencoder: a discriminator shapes the codes of an autoencoder into a normal distribution.

Makhzani et al. 2016. Each update has the paper's three phases, the first and the third in one step:

* Reconstruction: minimize -log p(x | encoder(noisy x)), with logits ``decoder(z)``.
* Discriminator: minimize -log D(z) - log(1 - D(encoder(noisy x))) with z ~ N(0, I).
* Regularization: minimize -adversarial_weight log D(encoder(noisy x)) over the encoder.

Recall: x <- tanh(logits(x) / 2 + evidence), once or until convergence. Energy: the reconstruction error. The decoder
generates patterns from normal codes.

Differences from the paper: noise on inputs, as in Creswell and Bharath 2018; Adam with a learning rate that decays to
0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.common.networks.config import TRAINING_RULES, DenoisingConfig, LayerWidth, check_training
from memory.common.sizing import SizeRule, sized
from simulator.core.field_types import NonNegative
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory


@dataclass(frozen=True)
class Config(DenoisingConfig):
    """Settings of an adversarial autoencoder."""

    hidden: tuple[LayerWidth, ...] = ()
    """hidden units of the encoder, layer by layer; the decoder mirrors them; (): one layer, whose width follows the
    number of units"""
    latent_dim: LayerWidth = 16
    """dimension of the latent code"""
    discriminator_hidden: tuple[LayerWidth, ...] = (64,)
    """hidden units of the discriminator of codes, layer by layer"""
    adversarial_weight: NonNegative = 1.0
    """weight of the encoder's adversarial loss, beside the reconstruction error"""


RULES = TRAINING_RULES | {"learning_rate": SizeRule(3e-3, by_units=-0.5), "hidden": SizeRule((192,), by_units=0.4)}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make adversarial autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that contradict each other.
    """
    check_training(config)
    from memory.adversarial_autoencoder.model_torch import AdversarialAutoencoder  # loads torch
    from memory.common.networks.memory_torch import NetworkMemory

    def network(n_patterns: int) -> AdversarialAutoencoder:
        return AdversarialAutoencoder(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("adversarial_autoencoder", spec, seed_list, config.recall_mode, network)
