"""Part of a frame that differs from the one before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array


class ChangedPart(NamedTuple):
    """The smallest rectangle with all pixels that differ."""

    top: int
    left: int
    pixels: Array  # uint8 [h, w, 3], as they are now
    differs: Array  # bool [h, w]


def change_between(before: Array, frame: Array) -> ChangedPart | None:
    """Return what differs between two frames, uint8 [H, W, 3]; None where they are equal."""
    n_rows, n_columns, _ = frame.shape
    unequal = before.reshape(n_rows, -1) != frame.reshape(n_rows, -1)  # [H, 3 W]
    rows = np.flatnonzero(unequal.any(axis=1))
    if not len(rows):
        return None
    part = unequal[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(part.any(axis=0)) // 3
    first, last = int(columns[0]), int(columns[-1])
    channels = part.reshape(-1, n_columns, 3)[:, first : last + 1]
    differs = channels[..., 0] | channels[..., 1] | channels[..., 2]
    return ChangedPart(int(rows[0]), first, frame[rows[0] : rows[-1] + 1, first : last + 1], differs)


def whole(frame: Array) -> ChangedPart:
    """Return a frame as a change of everything."""
    return ChangedPart(0, 0, frame, np.ones(frame.shape[:2], np.bool_))
