"""Every kind of memory with 100 digits of 28 x 28 pixels: about quarter of an hour of CPU time."""

from __future__ import annotations

from typing import Any

from tests.benchmarks._full_size import study

MEMORIES = (
    *("nearest_neighbor", "modern_hopfield", "dense-hopfield-exponential", "dense_hopfield"),
    *("hopfield-pseudo-inverse", "hopfield-pseudo-inverse-noise-aware", "perceptron", "perceptron-noise-aware"),
    *("pca", "probabilistic_pca", "rbm", "rbm-plain", "deep_belief", "boltzmann"),
    *("autoencoder", "autoencoder-contractive", "conv_autoencoder", "adversarial_autoencoder", "vae", "vae-recall"),
    *("autoregressive", "gan"),
)


def main(json: bool) -> dict[str, Any]:
    """Measure all of them over two seeds."""
    return study(MEMORIES, 100, 2, json)
