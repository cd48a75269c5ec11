"""The random streams that Gymnasium's environments draw from, as words for compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.core import rng as streams
from simulator.core.protocols import Array


def words(seeds: Sequence[int]) -> Array:
    """What the originals' ``np_random`` is after ``reset(seed=n)``, for the integer n of every seed; uint64 [S, 4]."""
    bits = [np.random.PCG64(np.random.SeedSequence(n)) for n in streams.derived_seeds(seeds, "env")]
    return np.array([streams.pack_state(one) for one in bits], np.uint64).reshape(-1, 4)
