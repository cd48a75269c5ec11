"""Random projections of observations: short vectors that keep distances, of every kind of observation.

Johnson and Lindenstrauss 1984. A component is a sum of the observation's features, each times a standard normal number
of the seed's own, over the root of the number of components. So squared distances stay the same in the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from agents.common.spaces import is_image, make_observation_adapter
from simulator.core.protocols import Array, EnvSpec

MAX_ENTRIES = 200_000_000  # of the matrices of all seeds


class RandomProjection:
    """S projections of observations, each with a matrix of its own.

    Args:
        spec: the environment.
        owner: names it in errors.
        streams: one for each seed, which its matrix is drawn from.
        n: components of a projection; 0: as many as features, which then stay as they are.

    Attributes:
        n: components.

    Raises:
        ValueError: observations that are no numbers, or matrices that are too large.
    """

    def __init__(self, spec: EnvSpec, owner: str, streams: Sequence[np.random.Generator], n: int) -> None:
        self._n_classes = 0
        self._encode: Callable[[Array], Array] = _pixels
        n_features = prod(spec.observation.shape or (1,))
        if not is_image(spec):
            adapter = make_observation_adapter(spec, owner, normalize=True)
            self._n_classes = adapter.n_classes
            self._encode = adapter.encode
            n_features = adapter.n_inputs
        self.n = n or n_features
        if len(streams) * n_features * self.n > MAX_ENTRIES:
            raise ValueError(
                f"{owner} on {spec.id}: {len(streams)} projections of {n_features:,} features to {self.n:,}, "
                f"expected at most {MAX_ENTRIES:,} numbers"
            )
        self._matrix = None  # float32 [S, F, n]
        if n:
            drawn = [generator.standard_normal((n_features, n)) for generator in streams]
            self._matrix = np.array(drawn, np.float32) / np.float32(np.sqrt(n))

    def __call__(self, obs: Array) -> Array:
        """Project obs [S, *obs], one of each seed; float32 [S, n]."""
        encoded = self._encode(obs)
        if self._n_classes:
            classes = encoded[:, 0].astype(np.int64)
            if self._matrix is None:
                return np.eye(self._n_classes, dtype=np.float32)[classes]
            return self._matrix[np.arange(len(classes)), classes]
        if self._matrix is None:
            return encoded
        return np.array([x @ matrix for x, matrix in zip(encoded, self._matrix, strict=True)], np.float32)

    @property
    def n_classes(self) -> int:
        """Number of discrete observations; 0: they cannot be listed."""
        return self._n_classes

    def of_classes(self, classes: Array, index: int) -> Array:
        """Project discrete observations [B] by the matrix of one seed; float32 [B, n]."""
        if self._matrix is None:
            return np.eye(self._n_classes, dtype=np.float32)[classes]
        rows: Array = self._matrix[index, classes]
        return rows


def _pixels(obs: Array) -> Array:
    return np.asarray(obs, np.float32).reshape(len(obs), -1) / np.float32(127.5) - np.float32(1.0)
