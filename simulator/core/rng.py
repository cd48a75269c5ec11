"""One random stream per seed and purpose: all randomness comes from here.

A stream is numpy's PCG64, seeded from ``SeedSequence(seed, spawn_key=(purpose,))``. Spawn keys are hashed, so
neighbouring seeds and different purposes share nothing (O'Neill 2014, PCG; numpy.random.SeedSequence).
Compiled code holds the same streams as four ``uint64`` per seed (see :mod:`simulator.core.rng_compiled`), so a
compiled draw and ``numpy.random.Generator.random`` give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PURPOSES = (  # new ones at the end: the streams of the others stay as they are
    *("env", "exploration", "replay", "weights", "evaluation", "ties", "layout", "bootstrap", "sensor"),
    *("patterns", "corruption", "training", "recall"),
    *("permutation", "first", "second", "noise", "ending"),
    *("recurrence", "encoder", "model", "planning", "intrinsic", "embedding"),
    *("start", "search"),
)
_MASK = (1 << 64) - 1


def sequence(seed: int, purpose: str, *numbers: int) -> np.random.SeedSequence:
    """Return the entropy of one seed for one purpose (a name in ``PURPOSES``), or of its children of these numbers."""
    return np.random.SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), *numbers))


def generators(seeds: Sequence[int], purpose: str) -> list[np.random.Generator]:
    """Make one numpy generator per seed, ``[S]``."""
    return [np.random.Generator(np.random.PCG64(sequence(seed, purpose))) for seed in seeds]


def pcg64_states(seeds: Sequence[int], purpose: str) -> np.ndarray:
    """Make the streams for compiled code, ``uint64 [S, 4]``: state high, low, increment high, low."""
    return np.array([pack_state(np.random.PCG64(sequence(seed, purpose))) for seed in seeds], np.uint64).reshape(-1, 4)


def derived_seeds(seeds: Sequence[int], purpose: str) -> list[int]:
    """Derive one integer per seed, ``[S]`` in [0, 2**63), to seed a foreign environment with."""
    return [int(sequence(seed, purpose).generate_state(1, np.uint64)[0] >> 1) for seed in seeds]


def pack_state(bits: np.random.BitGenerator, *, drop_half: bool = False) -> np.ndarray:
    """Pack a PCG64's state as ``uint64 [4]``.

    Args:
        bits: the generator.
        drop_half: it may have half of a 64-bit draw left, as draws of 32 bits leave it (``integers``,
            ``permutation``): it is no part of the four words.

    Raises:
        ValueError: there is such a half, and it would be lost.
    """
    if bits.state["has_uint32"] and not drop_half:
        raise ValueError("a PCG64 has half of a draw left, which four words do not hold: expected draws of 64 bits")
    inner: Any = bits.state["state"]
    state = inner["state"]
    inc = inner["inc"]
    return np.array([state >> 64, state & _MASK, inc >> 64, inc & _MASK], np.uint64)


def unpack_state(stream: np.ndarray) -> np.random.PCG64:
    """Make a PCG64 that goes on from a packed state, ``uint64 [4]``."""
    high, low, inc_high, inc_low = (int(word) for word in stream)
    bits = np.random.PCG64(0)
    inner: Any = {"state": high << 64 | low, "inc": inc_high << 64 | inc_low}
    bits.state = {"bit_generator": "PCG64", "state": inner, "has_uint32": 0, "uinteger": 0}
    return bits
