"""Conversion of values between types, exact or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import Array


def held(value: Any, kind: np.dtype[Any]) -> Array | None:
    """Convert a value to a new array of a type; None if that type cannot represent it.

    Whole numbers and truth values are held exactly or not at all; floats may be rounded, but a finite one stays finite.
    """
    try:
        source = np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if source.dtype == kind and kind.kind in "biuf":  # nothing to convert
        return np.array(source, kind, order="C")
    if source.dtype.kind not in "biuf":
        return None
    if kind.kind in "iu":
        if source.dtype.kind == "f" and not (source == np.floor(source)).all():
            return None
        low = np.iinfo(kind).min
        high = np.iinfo(kind).max
        if source.size and not (
            low <= source.min().item() and source.max().item() <= high
        ):  # as Python's numbers: exact
            return None
    elif kind.kind == "b" and not ((source == 0) | (source == 1)).all():
        return None
    with np.errstate(over="ignore"):
        array = np.array(source, kind, order="C")
    overflows = kind.kind == "f" and source.dtype.kind == "f" and not (np.isfinite(array) | ~np.isfinite(source)).all()
    return None if overflows else array


def action_indices(given: Any, shape: tuple[int, ...], name: str) -> Array:
    """Convert actions to int64 [S].

    Raises:
        ValueError: another shape, or what is no whole number; says which seed, by its number among them.
    """
    actions = np.asarray(given)
    if actions.shape != shape:
        raise ValueError(f"{name}: actions have the shape {actions.shape}, expected {shape}")
    if actions.dtype.kind in "iu":
        return actions
    kind = np.dtype(np.int64)
    exact = held(actions, kind)
    if exact is not None:
        return exact
    invalid = next(i for i, action in enumerate(actions) if held(action, kind) is None)
    raise ValueError(f"{name}: seed number {invalid} was given action {actions[invalid]}, expected a whole number")
