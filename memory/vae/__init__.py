"""Variational autoencoder: a decoder generates patterns from normal codes, an encoder infers the code of a pattern.

Kingma and Welling 2014; Rezende et al. 2014; Higgins et al. 2017 for ``beta``; Im et al. 2017 for the noise on inputs.

* Model: p(z) = N(0, I); p(x | z) has independent units with logits ``decoder(z)``;
  q(z | x) = N(mean, exp(log_variance)) with both from ``encoder(x)``.
* Loss: -ELBO = -log p(x | z) + beta KL(q(z | noisy x) | p(z)), with one sample of z per row.
* Recall: x <- tanh(logits(mean(x)) / 2 + evidence), once or until convergence (pseudo-Gibbs, Rezende et al. 2014,
  appendix F, with means in place of samples).
* Energy: -ELBO, averaged over a few samples of z.

Differences from the papers: Adam with a learning rate that decays to 0; ``beta`` rises from 0 over the first tenth of
the updates (Bowman et al. 2016), which keeps the code from being ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memory.common.networks.config import TRAINING_RULES, DenoisingConfig, LayerWidth, check_training
from memory.common.sizing import SizeRule, grown, sized
from simulator.core.field_types import NonNegative
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory


@dataclass(frozen=True)
class Config(DenoisingConfig):
    """Settings of a variational autoencoder."""

    hidden: tuple[LayerWidth, ...] = ()
    """hidden units of the encoder, layer by layer; the decoder mirrors them; (): one layer, whose width follows the
    number of units"""
    hidden_growth: NonNegative = 0.0
    """power of N / 64 by which widths given as `hidden` grow where a pattern has N > 64 units; 0: they do not"""
    latent_dim: LayerWidth = 16
    """dimension of the latent code"""
    beta: NonNegative = 1.0
    """weight of the KL divergence in the loss"""


RULES = TRAINING_RULES | {"hidden": SizeRule((192,), by_units=0.4)}

PRESETS = {
    "vae-plain": {"description": "is trained without noise", "memory": {"noise": "none"}},
    "vae-recall": {
        "description": "recalls more and generates worse: a larger code, which need not be normal",
        "memory": {"beta": 0.02, "latent_dim": 32, "hidden": [256, 256], "hidden_growth": 0.3, "updates": 9_000},
    },
    "vae-fixed-point": {
        "description": "knows nothing of the corruption",
        "memory": {"recall_mode": "fixed_point"},
    },
}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make variational autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that contradict each other.
    """
    check_training(config)
    config = replace(config, hidden=grown(config.hidden, config.hidden_growth, spec.n))
    from memory.common.networks.memory_torch import NetworkMemory  # loads torch
    from memory.vae.model_torch import VAE

    def network(n_patterns: int) -> VAE:
        return VAE(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("vae", spec, seed_list, config.recall_mode, network)
