"""Rows of stored patterns and the corruption done to them while a network learns: numpy, a stream for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from simulator.core.protocols import Array

Noise = Literal["none", "flip", "erase", "gaussian"]
Streams = Sequence[np.random.Generator]


def check_noise(kind: Noise, span: tuple[float, float]) -> None:
    """Refuse a span of amounts that cannot be.

    Raises:
        ValueError: less at most than at least, or more than all units.
    """
    least, most = span
    if most < least:
        raise ValueError(f"memory.noise_most = {most}: expected at least {least}, the least")
    if kind in ("flip", "erase") and most > 1.0:
        raise ValueError(f"memory.noise_most = {most}: expected a share of the units, at most 1")


def draw_rows(patterns: Array, n_rows: int, streams: Streams) -> Array:
    """Rows [S, B, N] of patterns [S, P, N], drawn evenly with replacement, each seed by its stream."""
    drawn = np.empty((len(patterns), n_rows, patterns.shape[2]), np.float32)
    for out, stored, stream in zip(drawn, patterns, streams, strict=True):
        np.take(stored, stream.integers(0, len(stored), n_rows), axis=0, out=out)
    return drawn


def corrupted(rows: Array, kind: Noise, span: tuple[float, float], streams: Streams) -> Array:
    """A corrupted copy of rows [S, B, N] (Vincent et al. 2008; Bengio et al. 2013 for the span of amounts).

    Args:
        rows: what is corrupted.
        kind: the sign of a unit is turned, or the unit is set to 0, or a normal draw is added to it; or nothing.
        span: least and most of the amount: the share of units, or the standard deviation. Each row has an amount of
            its own, even over the span.
        streams: one for each seed.
    """
    if kind == "none":
        return rows
    out = np.empty_like(rows)
    for done, row, stream in zip(out, rows, streams, strict=True):
        amount = stream.uniform(*span, (len(row), 1)).astype(np.float32)
        if kind == "gaussian":
            np.add(row, amount * stream.standard_normal(row.shape, np.float32), out=done)
        else:
            hit = stream.random(row.shape, np.float32) < amount
            np.multiply(row, 1.0 - hit * np.float32(2.0 if kind == "flip" else 1.0), out=done)
    return out
