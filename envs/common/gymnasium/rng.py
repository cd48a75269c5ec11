"""Random streams of Gymnasium's environments, for compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.core import rng as streams
from simulator.core.protocols import Array


def gymnasium_streams(seeds: Sequence[int]) -> Array:
    """Return the originals' ``np_random`` after ``reset(seed=n)``, for the integer n of every seed; uint64 [S, 4]."""
    bits = [np.random.PCG64(np.random.SeedSequence(n)) for n in streams.derived_seeds(seeds, "env")]
    return np.array([streams.pack_state(one) for one in bits], np.uint64).reshape(-1, 4)
