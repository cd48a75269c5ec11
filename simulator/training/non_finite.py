"""Numbers that are not finite in what an agent has learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def arrays_with_nan(state: Any, place: str = "") -> Iterator[str]:
    """Name the arrays of a state, nested dicts and lists, that hold NaN: ``seeds[0].weights``."""
    if isinstance(state, dict):
        for key, value in state.items():
            yield from arrays_with_nan(value, f"{place}.{key}" if place else str(key))
    elif isinstance(state, list | tuple):
        for i, value in enumerate(state):
            yield from arrays_with_nan(value, f"{place}[{i}]")
    elif isinstance(state, np.ndarray) and state.dtype.kind == "f" and np.isnan(state).any():
        yield place
