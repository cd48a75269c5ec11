"""Convolutional autoencoder of pictures: convolutions and pooling to a code, unpooling and convolutions back.

Masci et al. 2011 (stacked convolutional autoencoders); Zeiler et al. 2010 (transposed convolutions); Zeiler et al. 2011
(unpooling to the positions of the maxima); Dosovitskiy et al. 2015 (unpooling without them); Vincent et al. 2008
(denoising).

* Encoder: per layer relu(convolution) and pooling to half the side; then a dense layer to the code.
* Decoder: a dense layer; per layer unpooling to twice the side and a convolution; logits of +1 at every pixel.
* Loss: cross entropy of the reconstruction of a noisy picture.
* Recall: x <- tanh(logits(x) / 2 + evidence), once or until convergence. Energy: the reconstruction error.

Differences from the papers: Adam with a learning rate that decays to 0; a dense layer between the smallest maps and the
code, so that a code describes the whole picture and not only its parts; pooling rounds sizes up, and what exceeds the
picture on the way back is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from memory.common.networks.config import TRAINING_RULES, DenoisingConfig, check_training
from memory.common.sizing import SizeRule, sized
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory

Width = Annotated[int, Meta(ge=1, le=4_096)]
MIN_SIDE = 4  # pixels


@dataclass(frozen=True)
class Config(DenoisingConfig):
    """Settings of a convolutional autoencoder."""

    channels: tuple[Width, ...] = (16,)
    """output channels of every convolution; each is followed by pooling to half the side"""
    kernel: Literal[3, 5, 7] = 3
    """side of a convolution's kernel, in pixels"""
    pool: Literal["max", "mean"] = "max"
    """pooling of every 2 by 2 pixels"""
    decoder: Literal["unpool", "upsample", "transposed"] = "upsample"
    """way back to twice the side: unpool to the positions of the maxima, zeros elsewhere; upsample to all four pixels;
    or a transposed convolution"""
    latent_dim: Width = 128
    """dimension of the latent code"""


RULES = TRAINING_RULES | {"updates": SizeRule(1_000, by_patterns=0.3), "learning_rate": SizeRule(5e-3)}

PRESETS = {
    "conv-autoencoder-unpool": {
        "description": "unpools to the positions of the cue's maxima",
        "memory": {"decoder": "unpool"},
    },
    "conv-autoencoder-transposed": {
        "description": "decodes by transposed convolutions",
        "memory": {"decoder": "transposed"},
    },
}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make autoencoders of pictures.

    Raises:
        ValueError: patterns that are no pictures, or settings that contradict each other.
    """
    if len(spec.shape) != 2 or min(spec.shape) < MIN_SIDE:
        raise ValueError(
            f"conv_autoencoder: patterns of shape {spec.shape}, expected pictures of at least {MIN_SIDE} by {MIN_SIDE}"
        )
    if not config.channels:
        raise ValueError("memory.channels = (): expected at least one layer")
    check_training(config)
    if config.decoder == "unpool" and config.pool != "max":
        raise ValueError(f"memory.decoder = unpool with pool = {config.pool}: expected max, a mean has no position")
    from memory.common.networks.memory_torch import NetworkMemory  # loads torch
    from memory.conv_autoencoder.model_torch import ConvAutoencoder

    def network(n_patterns: int) -> ConvAutoencoder:
        return ConvAutoencoder(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("conv_autoencoder", spec, seed_list, config.recall_mode, network)
