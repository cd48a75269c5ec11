"""Autoencoder: dense layers to a code and back, trained to give the clean pattern for a noisy one.

Hinton and Salakhutdinov 2006 (deep, pretrained layer by layer); Bengio et al. 2007 (pretrained by autoencoders);
Vincent et al. 2008 (denoising, the default); Ng 2011 (sparse, here with an L1 norm); Rifai et al. 2011 (contractive);
Srivastava et al. 2014 (dropout). Every variant is a setting, and settings can be combined.

* Model: h_0 = x, h_i = activation(W_i h_{i-1} + b_i) to the code, and mirrored layers back to logits or values.
* Loss: cross entropy or squared error of the reconstruction of a noisy x, plus the penalties
  sparsity_weight sum |h|, latent_l2_weight |code|^2 and contractive_weight |d code / d x|^2.
* Recall: x <- reconstruction(x), once or until convergence (Bengio et al. 2013: repeated denoising leads towards what
  was learned); noise-aware recall adds the cue's evidence to the logits every time.
* Energy: the reconstruction error.

Differences from the papers: Adam by default, with a learning rate that decays to 0; every row of a batch has its own
noise level; the code has the activation of all hidden layers, unless it is linear; the contractive penalty is the exact
one of a single hidden layer, and refused for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from memory.common.networks.config import TRAINING_RULES, DenoisingConfig, LayerWidth, check_training
from memory.common.sizing import SizeRule, grown, sized
from simulator.core.field_types import Count, NonNegative, PartShare
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory


@dataclass(frozen=True)
class Config(DenoisingConfig):
    """Settings of an autoencoder."""

    hidden: tuple[LayerWidth, ...] = ()
    """units of the layers from the pattern to the code, which is the last; the layers back mirror them; (): two, whose
    widths follow the number of units, and beyond 2,000 stored patterns also the number of patterns"""
    hidden_growth: NonNegative = 0.0
    """power of N / 64 by which widths given as `hidden` grow where a pattern has N > 64 units; 0: they do not"""
    activation: Literal["relu", "sigmoid", "tanh", "linear"] = "relu"
    """activation of hidden units"""
    linear_code: bool = False
    """the code is linear, whatever the activation of the other hidden units"""
    output: Literal["logistic", "linear"] = "logistic"
    """logistic: logits, trained by cross entropy; linear: values, trained by squared error"""
    tied: bool = False
    """use the transposed weights of the encoder in the decoder"""
    sparsity_weight: NonNegative = 0.0
    """weight of the L1 norm of all hidden activations in the loss"""
    contractive_weight: NonNegative = 0.0
    """weight of the squared Frobenius norm of the code's Jacobian in the loss; multiplied by 64 / N where a pattern has
    N > 64 units, as the norm is a sum over all pairs of units"""
    latent_l2_weight: NonNegative = 0.0
    """weight of the squared norm of the code in the loss"""
    dropout: PartShare = 0.0
    """probability of a hidden unit being dropped during training"""
    pretrain: Literal["none", "autoencoders", "rbms"] = "none"
    """pretrain the layers one by one: not; as autoencoders; as restricted Boltzmann machines"""
    pretrain_updates: Count = 500
    """gradient updates of every pretrained layer"""


RULES = TRAINING_RULES | {
    "learning_rate": SizeRule(8e-3, by_units=-0.5),
    "hidden": SizeRule((192, 192), by_units=0.4, by_patterns=0.42, from_patterns=2_000),
}

_ONE_LAYER = {"hidden": [256], "activation": "sigmoid", "noise": "none"}
PRESETS = {
    "autoencoder-fixed-point": {
        "description": "knows nothing of the corruption",
        "memory": {"recall_mode": "fixed_point"},
    },
    "autoencoder-sparse": {"description": "few hidden units active at a time", "memory": {"sparsity_weight": 0.01}},
    "autoencoder-contractive": {
        "description": "one layer with a code that hardly changes with the pattern; trained without noise",
        "memory": {**_ONE_LAYER, "hidden_growth": 0.45, "contractive_weight": 1.0},
    },
    "autoencoder-deep": {
        "description": "four layers to a linear code of 30 numbers, trained without noise: Hinton and Salakhutdinov's",
        "memory": {
            "hidden": [1000, 500, 250, 30],
            "linear_code": True,
            "noise": "none",
            "learning_rate": 1e-3,
            "updates": 2_000,
            "batch_size": 100,
        },
    },
    "autoencoder-dropout": {"description": "dropout of hidden units", "memory": {"dropout": 0.1}},
    "autoencoder-tied": {
        "description": "the decoder has the transposed weights of the encoder",
        "memory": {"tied": True, "activation": "tanh"},
    },
    "autoencoder-pretrained": {
        "description": "sigmoid layers, pretrained one by one as restricted Boltzmann machines",
        "memory": {"activation": "sigmoid", "pretrain": "rbms"},
    },
}


def _check(config: Config) -> None:
    check_training(config)
    if config.contractive_weight and (len(config.hidden) > 1 or config.activation == "relu"):
        raise ValueError(
            f"memory.contractive_weight = {config.contractive_weight} with {len(config.hidden)} layers of "
            f"{config.activation}: expected one hidden layer of sigmoid, tanh or linear units"
        )
    if config.linear_code and (config.contractive_weight or config.pretrain != "none"):
        what = f"pretrain = {config.pretrain}" if config.pretrain != "none" else "a contractive_weight"
        raise ValueError(f"memory.linear_code = true with {what}: expected neither, they are of the activation")
    if config.pretrain == "rbms" and config.activation != "sigmoid":
        raise ValueError(f"memory.pretrain = rbms with activation = {config.activation}: expected sigmoid")


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that contradict each other.
    """
    config = replace(config, hidden=grown(config.hidden, config.hidden_growth, spec.n))
    _check(sized(config, RULES, spec.n))
    from memory.autoencoder.model_torch import Autoencoder  # loads torch
    from memory.common.networks.memory_torch import NetworkMemory

    def network(n_patterns: int) -> Autoencoder:
        return Autoencoder(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("autoencoder", spec, seed_list, config.recall_mode, network)
