"""Hopfield networks with stored patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from memory import hopfield
from simulator.core.memories import PatternSpec


def hopfield_with(patterns: np.ndarray, seed_list: list[int] | None = None, **config: Any) -> Any:
    """Make Hopfield networks and store patterns [S, P, N]."""
    seed_list = list(range(len(patterns))) if seed_list is None else seed_list
    memory = hopfield.make(PatternSpec((patterns.shape[2],)), seed_list, hopfield.Config(**config))
    memory.store(patterns)
    return memory
