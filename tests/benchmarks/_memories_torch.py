"""Time of memories that learn by gradients: sixteen seeds of a small autoencoder beside one."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from memory import autoencoder
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.benchmarks._clock import cpu_seconds

N_SEEDS, ROUNDS = 16, 5
SMALL = autoencoder.Config(hidden=(32,), batch_size=20, updates=500)


def _store(n_seeds: int) -> None:
    streams = rng.generators(range(n_seeds), "patterns")
    patterns = np.stack([np.where(each.random((20, 64)) < 0.5, 1.0, -1.0) for each in streams])
    autoencoder.make(PatternSpec((8, 8)), range(n_seeds), SMALL).store(patterns.astype(np.float32))


def autoencoder_speed() -> dict[str, Any]:
    """CPU seconds of training one seed and sixteen (64-32-64, 500 updates of 20 rows), medians of alternated rounds."""
    _store(1)
    rounds = [(cpu_seconds(lambda: _store(1)), cpu_seconds(lambda: _store(N_SEEDS))) for _ in range(ROUNDS)]
    one, many = (statistics.median(column) for column in zip(*rounds, strict=True))
    times = statistics.median(b / a for a, b in rounds)
    return {"one_seed_seconds": one, "sixteen_seeds_seconds": many, "times": times, "target_times": 4.0}


if __name__ == "__main__":
    print(autoencoder_speed())
