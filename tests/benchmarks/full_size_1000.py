"""Memories with 1,000 digits of 28 x 28 pixels, three seeds: about a third of an hour of CPU time."""

from __future__ import annotations

from typing import Any

from tests.benchmarks._full_size import study

MEMORIES = (
    *("nearest_neighbor", "modern_hopfield", "dense-hopfield-exponential", "dense_hopfield"),
    *("pca", "probabilistic_pca", "rbm", "rbm-plain", "deep_belief", "autoencoder"),
    *("autoencoder-contractive", "vae-recall"),
)


def main(json: bool) -> dict[str, Any]:
    """Measure all of them over three seeds."""
    return study(MEMORIES, 1_000, 3, json)
