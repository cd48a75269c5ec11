"""Ratings of 150 users for 80 items, 10, 20 and 40 % seen: ``engram predict ratings`` beside the exact posterior.

Seeds 1000 to 1015, on which nothing was chosen; the methods of the task, and memories that complete the pattern of a
user. The width and the weight decay of autorec were chosen on seeds 100 to 105, all else is as it comes.
"""

from __future__ import annotations

from typing import Any

from simulator.config.predict import build
from tests.benchmarks._predict import played

OWN = ("posterior_mean", "global_mean", "user_item_means", "nearest_users", "als", "probabilistic_pca", "autorec")
MEMORIES = ("nearest_neighbor", "modern_hopfield", "autoencoder", "rbm")


def main(json: bool) -> dict[str, Any]:
    """Return the JSON object of ``engram predict``."""
    names = {name: name for name in (*OWN, *MEMORIES)} | {"probabilistic_pca": "ppca"}
    methods = {label: {"name": name} for label, name in names.items()}
    return played(build({"seeds": 16, "first_seed": 1000, "method": methods, "task": {"name": "ratings"}}), json)
