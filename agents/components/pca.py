"""Principal components of the observations of random play: the best linear code, a control of every learned one.

Pearson 1901; Hotelling 1933. With the collected patterns x and their mean m, X - m = U diag(s) V^T, and the features
are the first k columns of (x - m) V: no other k linear features restore the patterns with a smaller squared error.
Signs are chosen so that the largest weight of a component is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from agents.common.encoders.codes import CodeConfig, CodeEncoder, refuse_size
from agents.common.encoders.patterns import make_pattern_adapter
from simulator.core import rng
from simulator.core.jit import parallel_for
from simulator.core.protocols import Array, EnvSpec, State

SOCKETS = ("encoder",)


@dataclass(frozen=True)
class Config(CodeConfig):
    """Settings of principal components."""

    components: Annotated[int, Meta(ge=1, le=65_536)] = 8
    """components, those of the largest variance first"""
    untrained: bool = False
    """random orthogonal directions in place of the components, as a control"""


class PrincipalComponents:
    """S projections on components; see :class:`agents.common.encoders.codes.PatternCode`.

    Args:
        n: units N of a pattern.
        seed_list: the run's seeds.
        config: the settings.
    """

    update_every = 0
    n_kept = 0

    def __init__(self, n: int, seed_list: Sequence[int], config: Config) -> None:
        self.n_features = config.components
        self.learns_beforehand = not config.untrained
        shape = (n, config.components)
        samples = [stream.standard_normal(shape) for stream in rng.generators(seed_list, "encoder")]
        self._directions = np.stack([np.linalg.qr(sample)[0] for sample in samples]).astype(np.float32)  # [S, N, F]
        self._mean = np.zeros((len(seed_list), n), np.float32)

    def codes(self, patterns: Array) -> Array:
        """Compute the scores float32 [S, B, F] of patterns [S, B, N]."""
        rows = [(x - m) @ v for x, m, v in zip(patterns, self._mean, self._directions, strict=True)]
        return np.stack(rows)

    def restored(self, code: Array, index: int) -> Array:
        """Turn scores [B, F] of one seed back into patterns [B, N], as near as these components come."""
        patterns: Array = code @ self._directions[index].T + self._mean[index]
        return patterns

    def first_weights(self, index: int) -> Array:
        """Return the components of one seed, [F, N]."""
        directions: Array = self._directions[index].T
        return directions

    def fit(self, patterns: Array) -> None:
        """Compute the components of patterns [S, P, N]."""

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                x = patterns[i].astype(np.float64)
                self._mean[i] = x.mean(axis=0)
                self._directions[i] = principal_directions(x - x.mean(axis=0), self.n_features)

        parallel_for(work, len(patterns))

    def update(self, patterns: Array) -> None:
        """Do nothing: components are computed beforehand."""

    def frozen(self) -> PrincipalComponents:
        """Return a copy."""
        frozen = copy(self)
        frozen._directions, frozen._mean = self._directions.copy(), self._mean.copy()
        return frozen

    def state(self) -> State:
        """Return directions and means."""
        return {"directions": self._directions.copy(), "mean": self._mean.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._directions[...] = state["directions"]
        self._mean[...] = state["mean"]


def principal_directions(x: Array, n: int) -> Array:
    """Compute the first n right singular vectors of centred rows x [P, N], float64 [N, n].

    They are eigenvectors of the smaller of x^T x and x x^T. Where x has a lower rank than n, the rest are zeros.
    """
    if x.shape[1] <= x.shape[0]:
        values, vectors = np.linalg.eigh(x.T @ x)
        found = vectors[:, ::-1][:, :n]
        squares = values[::-1][:n]
    else:
        values, vectors = np.linalg.eigh(x @ x.T)
        squares = values[::-1][:n]
        found = x.T @ vectors[:, ::-1][:, :n] / np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    directions = np.zeros((x.shape[1], n))
    found = np.where(squares > 1e-10 * max(values[-1], np.finfo(np.float64).tiny), found, 0.0)
    directions[:, : found.shape[1]] = found
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.where(directions[largest, np.arange(n)] < 0.0, -1.0, 1.0)
    return directions


@dataclass(frozen=True)
class PcaComponent:
    """Principal components with their settings, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> CodeEncoder:
        """Make the encoders of an environment's observations.

        Raises:
            ValueError: observations without numbers, or fewer of them than components.
        """
        field = "agent.encoder = 'pca'"
        adapter = make_pattern_adapter(spec, field, self.config.image_side)
        refuse_size(field, spec, "components", self.config.components, adapter)
        code = PrincipalComponents(adapter.n, seed_list, self.config)
        return CodeEncoder(spec, seed_list, adapter, code, self.config, field)


def make(config: Config) -> PcaComponent:
    """Make the component for an agent."""
    return PcaComponent(config)
