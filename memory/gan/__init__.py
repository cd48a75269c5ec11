"""Generative adversarial network: a generator learns to make patterns that a discriminator takes for stored ones.

Goodfellow et al. 2014.

* Model: x = tanh(generator(z) / 2) with z ~ N(0, I); ``discriminator(x)`` gives the logit of x being stored.
* Discriminator loss: -log D(x) - log(1 - D(G(z))) (equation 1).
* Generator loss: -log D(G(z)), the non-saturating loss (section 3).
* Against mode collapse: minibatch features (Salimans et al. 2016, section 3.2), by which the discriminator sees how
  similar the rows of a batch are; unrolled steps (Metz et al. 2017), by which the generator meets the discriminator
  of a few steps later; feature matching (Salimans et al. 2016, section 3.1), |mean f(x) - mean f(G(z))|^2 in place of
  the generator's loss, with f the last hidden layer of the discriminator; and a term for coverage, -log p(x | z) at the
  z of the batch that is nearest to each stored pattern x (Li and Malik 2018; beside a GAN: Yu et al. 2020).
* Recall: argmin over z of -log p(cue | z) + |z|^2 / 2 by Adam, from several starts (Yeh et al. 2017; Bora et al. 2017).
  Or the mean of x given the cue, under the generator: of sampled z, weighted by p(cue | z).
* Energy: min over z of -log p(x | z) + |z|^2 / 2, by the same search.

Differences from the papers: minibatch features are means over the batch, not sums; the discriminator is given means of
the generator's units; a search starts from the best of many sampled codes; Adam with learning rates that decay to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from memory.common.networks.config import TRAINING_RULES, FlipProb, LayerWidth, TrainingConfig, check_training
from memory.common.sizing import SizeRule, sized
from simulator.core.field_types import Count, CountOfSize, CountOrZero, NonNegative, Positive
from simulator.core.memories import PatternSpec
from simulator.core.optimizers import RuleConfig

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Settings of a generative adversarial network."""

    batch_size: CountOfSize = 0
    """patterns per update, sampled uniformly with replacement, and as many generated ones; 0: follows the number of
    patterns"""
    optimizer: RuleConfig = field(default_factory=lambda: RuleConfig(beta1=0.5))
    """update rule of both networks; the search of a code is always by Adam"""
    recall_mode: Literal["fixed_point", "noise_aware"] = "noise_aware"
    """fixed_point: search with every unit of the cue wrong with probability `assumed_flip_prob`; noise_aware: search
    with the cue's evidence (without evidence: as fixed_point)"""
    assumed_flip_prob: FlipProb = 0.2
    """assumed probability of a unit of the cue being wrong, where there is no evidence"""
    latent_dim: LayerWidth = 16
    """dimension of the latent code"""
    generator_hidden: tuple[LayerWidth, ...] = (192,)
    """hidden units of the generator, layer by layer"""
    discriminator_hidden: tuple[LayerWidth, ...] = (192,)
    """hidden units of the discriminator, layer by layer"""
    minibatch_features: CountOrZero = 6
    """features by which the rows of a batch are compared; 0: none"""
    minibatch_feature_dim: Count = 3
    """dimension of a minibatch feature"""
    feature_matching: bool = False
    """the generator's loss is the squared distance between mean features of stored and generated patterns"""
    coverage_weight: NonNegative = 0.0
    """weight, in the generator's loss, of the cross entropy of each stored pattern of a batch with the generated one
    that is nearest"""
    unrolled_steps: CountOrZero = 0
    """discriminator steps that the generator looks ahead"""
    unrolled_lr: Positive = 0.1
    """learning rate of the unrolled steps, by plain gradient descent"""
    estimate: Literal["search", "posterior_mean"] = "search"
    """what is recalled of a cue. search: what the best code found decodes to; posterior_mean: the mean of what all
    candidates decode to, weighted by the cue's likelihood"""
    n_candidates: Count = 512
    """codes sampled for a recall; of a search the best are its starts"""
    n_starts: Count = 4
    """starts of a search"""
    latent_steps: Count = 40
    """steps of a search from every start"""
    latent_lr: Positive = 0.1
    """peak learning rate of a search, by Adam; it decays to 0"""


RULES = TRAINING_RULES | {"batch_size": SizeRule(32, by_patterns=0.3), "learning_rate": SizeRule(2e-3, by_units=-0.5)}

PRESETS = {
    "gan-fixed-point": {
        "description": "knows nothing of the corruption",
        "memory": {"recall_mode": "fixed_point"},
    },
    "gan-plain": {"description": "has nothing against mode collapse", "memory": {"minibatch_features": 0}},
    "gan-covering": {
        "description": "a term of the generator's loss asks for every stored pattern; recalls the posterior mean",
        "memory": {"coverage_weight": 10.0, "estimate": "posterior_mean"},
    },
    "gan-unrolled": {
        "description": "unrolls three steps of the discriminator",
        "memory": {"minibatch_features": 0, "unrolled_steps": 3, "updates": 1_000},
    },
}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make adversarial networks of patterns of any shape.

    Raises:
        ValueError: settings that contradict each other.
    """
    check_training(config)
    if config.n_starts > config.n_candidates:
        raise ValueError(
            f"memory.n_starts = {config.n_starts}: expected at most memory.n_candidates, {config.n_candidates}"
        )
    if not config.discriminator_hidden or not config.generator_hidden:
        raise ValueError("memory.discriminator_hidden and memory.generator_hidden: expected at least one layer each")
    from memory.common.networks.memory_torch import NetworkMemory  # loads torch
    from memory.gan.model_torch import GAN

    def network(n_patterns: int) -> GAN:
        return GAN(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("gan", spec, seed_list, config.recall_mode, network)
