"""Patterns written as text: ``1,-1,1; 1,1,-1``, a vector each, of -1 and +1 or of 0 and 1 throughout."""

from __future__ import annotations

import re

import numpy as np

from simulator.core.files.escaping import shortened
from simulator.core.protocols import Array

MIN_UNITS = 2
MAX_UNITS = 10_000
_VALUES = {"1": 1, "+1": 1, "-1": -1, "0": 0, "1.0": 1, "-1.0": -1, "+": 1, "-": -1}


def parse_vectors(text: str) -> Array:
    """Return the vectors of a text, float32 [P, N] of -1 and +1; 0 and 1 are taken for -1 and +1.

    Args:
        text: vectors apart by ``;``, their values by commas or spaces; brackets may stand around a vector.

    Raises:
        ValueError: vectors of different lengths, of other values, alike, or too short; the line names row and column,
            counted from 1.
    """
    rows = [_values(part, number) for number, part in enumerate(_parts(text), 1)]
    _check_lengths(rows)
    vectors = np.array(rows, np.float32)
    if (vectors == 0.0).any() and (vectors == -1.0).any():
        row, column = (int(place) + 1 for place in np.argwhere(vectors == 0.0)[0])
        below, beside = (int(place) + 1 for place in np.argwhere(vectors == -1.0)[0])
        raise ValueError(
            f"row {row}, column {column} is 0, and row {below}, column {beside} is -1: expected -1 and +1, or 0 and 1 "
            "throughout; a stored unit is not unknown"
        )
    if (vectors == 0.0).any():
        vectors = 2.0 * vectors - 1.0
    for number, row in enumerate(vectors, 1):
        for before, other in enumerate(vectors[: number - 1], 1):
            if (row == other).all():
                raise ValueError(f"rows {before} and {number} are the same: expected different vectors")
    return np.asarray(vectors, np.float32)


def inverse_pairs(vectors: Array) -> list[tuple[int, int]]:
    """Return the rows of vectors [P, N] of -1 and +1 that are each other's inverse, counted from 0."""
    n = vectors.shape[1]
    first, second = np.nonzero(vectors @ vectors.T == -n)
    return [(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j]


def _check_lengths(rows: list[list[int]]) -> None:
    if not rows:
        raise ValueError('expected vectors, such as "1,-1,1; 1,1,-1"')
    n = len(rows[0])
    for number, row in enumerate(rows[1:], 2):
        if len(row) != n:
            raise ValueError(
                f"row {number} has {len(row)} values and row 1 has {n}: expected vectors of one length, a unit each"
            )
    if n < MIN_UNITS:
        raise ValueError(f"vectors of {n} unit: expected at least {MIN_UNITS}, a unit alone has nothing to recall by")
    if n > MAX_UNITS:
        raise ValueError(f"vectors of {n:,} units: expected at most {MAX_UNITS:,}")


def _parts(text: str) -> list[str]:
    return [
        part for part in (each.strip().strip("[]()").strip() for each in re.split(r"[;\n]|\]\s*,\s*\[", text)) if part
    ]


def _values(part: str, row: int) -> list[int]:
    values = []
    for column, word in enumerate(re.split(r"[\s,]+", part.strip(" ,")), 1):
        if word not in _VALUES:
            shown = shortened(word, 20)
            raise ValueError(f"row {row}, column {column} is {shown!r}: expected -1 and +1, or 0 and 1")
        values.append(_VALUES[word])
    return values
