"""Memories with 1,000 digits of 28 x 28 pixels, one seed: about six minutes of CPU time."""

from __future__ import annotations

from typing import Any

from tests.benchmarks._full_size import study

MEMORIES = (
    *("nearest_neighbor", "modern_hopfield", "dense-hopfield-exponential", "dense_hopfield"),
    *("pca", "probabilistic_pca", "rbm", "rbm-plain", "deep_belief", "autoencoder"),
    *("autoencoder-contractive", "vae-recall"),
)


def main(json: bool) -> dict[str, Any]:
    """Measure all of them on one seed."""
    return study(MEMORIES, 1_000, 1, json)
