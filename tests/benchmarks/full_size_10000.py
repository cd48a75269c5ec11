"""Memories with 10,000 digits of 28 x 28 pixels, one seed: about ten minutes of CPU time."""

from __future__ import annotations

from typing import Any

from tests.benchmarks._full_size import study

MEMORIES = (
    *("nearest_neighbor", "modern_hopfield", "dense-hopfield-exponential"),
    *("pca", "probabilistic_pca", "rbm", "autoencoder"),
)


def main(json: bool) -> dict[str, Any]:
    """Measure all of them on one seed."""
    return study(MEMORIES, 10_000, 1, json)
