"""Validation of actions from outside against the action space of an environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.foreign.casts import held
from simulator.core.protocols import EnvSpec

_MAX_CHARACTERS = 80


def valid_action(given: Any, spec: EnvSpec) -> Any:
    """Convert an action to what the environment takes, an int or an array; None where the action space lacks it.

    A whole number may come as an array of one. Texts, truth values and fractions are no discrete actions.
    """
    space: Any = spec.action
    try:
        action = np.asarray(given)
        if hasattr(space, "n"):
            fits = action.size == 1 and action.dtype.kind in "iu" and 0 <= int(action.item()) < space.n
            return int(action.item()) if fits else None
        exact = held(action, np.dtype(space.dtype)) if action.dtype.kind in "iuf" else None
        if exact is None or exact.shape != space.shape or not np.isfinite(exact).all():
            return None
        return exact if np.all((exact >= space.low) & (exact <= space.high)) else None
    except (TypeError, ValueError, OverflowError):
        return None


def expected_action(spec: EnvSpec) -> str:
    """Describe the actions of an environment."""
    space: Any = spec.action
    if hasattr(space, "n"):
        return f"a whole number from 0 to {space.n - 1}"
    return f"numbers of the shape {space.shape} within the bounds of the action space"


def brief(value: Any) -> str:
    """Format a value in a few characters of one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 3] + "..."
