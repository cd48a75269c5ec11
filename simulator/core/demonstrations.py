"""Demonstrations: what somebody saw and did, for agents that imitate; a file of arrays.

The file is in the safetensors format: ``obs`` [T, *obs], ``actions`` [T, *action] and ``episode`` [T].
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from simulator.core.files.reading import read_bytes
from simulator.core.files.writing import write_file
from simulator.core.protocols import Array

KIND = ".safetensors"


class Demonstrations(NamedTuple):
    """T steps of play, in the order in which they were played."""

    obs: Array  # [T, *obs] what was seen before each step
    actions: Array  # [T, *action] what was done
    episode: Array  # int64 [T], the number of the episode that each step belongs to


def write_demonstrations(path: str | Path, shown: Demonstrations, *, in_lab: bool = False) -> None:
    """Write demonstrations over a file of this kind.

    Args:
        path: the file, which ends in ``.safetensors``.
        shown: at least one step.
        in_lab: whether the place is inside a lab.

    Raises:
        ValueError: the place cannot be written; one line.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in shown._asdict().items()}
    write_file(Path(path), save(arrays), force=True, in_lab=in_lab, kind=KIND)


def read_demonstrations(path: str | Path) -> Demonstrations:
    """Read demonstrations.

    Raises:
        ValueError: the file cannot be read or holds no demonstrations; one line.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = read_bytes(path, "a file of demonstrations")
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}, expected a file of demonstrations") from None
    missing = [name for name in Demonstrations._fields if name not in arrays]
    if missing:
        raise ValueError(f"{path}: {missing[0]} is missing, expected a file of demonstrations")
    shown = Demonstrations(*(arrays[name] for name in Demonstrations._fields))
    n_steps = len(shown.episode) if shown.episode.ndim == 1 else 0
    if not n_steps or {len(array) if array.ndim else 0 for array in shown} != {n_steps}:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in shown._asdict().items())
        raise ValueError(f"{path}: {shapes}: expected as many of each, and at least one")
    return shown
