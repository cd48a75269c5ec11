"""Random projection of the observation on k directions that nothing is learned of: a control of every learned code.

Johnson and Lindenstrauss 1984: weights are normal, so distances between observations are kept on average, up to a
common factor. Only the scale of the features is measured, on random play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from agents.common.encoders.codes import CodeConfig, CodeEncoder
from agents.common.encoders.patterns import make_pattern_adapter
from simulator.core import rng
from simulator.core.protocols import Array, EnvSpec, State

SOCKETS = ("encoder",)


@dataclass(frozen=True)
class Config(CodeConfig):
    """Settings of a random projection."""

    components: Annotated[int, Meta(ge=1, le=65_536)] = 8
    """random directions"""


class RandomProjectionCode:
    """S projections; see :class:`agents.common.encoders.codes.PatternCode`.

    Args:
        n: units N of a pattern.
        seed_list: the run's seeds.
        n_features: directions F.
    """

    learns_beforehand = False
    update_every = 0
    n_kept = 0

    def __init__(self, n: int, seed_list: Sequence[int], n_features: int) -> None:
        self.n_features = n_features
        samples = [stream.standard_normal((n, n_features)) for stream in rng.generators(seed_list, "encoder")]
        self._weights = (np.stack(samples) / np.sqrt(n)).astype(np.float32)  # [S, N, F]

    def codes(self, patterns: Array) -> Array:
        """Project patterns [S, B, N], float32 [S, B, F]."""
        return np.stack([x @ w for x, w in zip(patterns, self._weights, strict=True)])

    def first_weights(self, index: int) -> Array:
        """Return the directions of one seed, [F, N]."""
        weights: Array = self._weights[index].T
        return weights

    def fit(self, patterns: Array) -> None:
        """Do nothing."""

    def update(self, patterns: Array) -> None:
        """Do nothing."""

    def frozen(self) -> RandomProjectionCode:
        """Return itself: it never changes."""
        return self

    def state(self) -> State:
        """Return the weights."""
        return {"weights": self._weights.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._weights = np.array(state["weights"])


@dataclass(frozen=True)
class ProjectionComponent:
    """A random projection with its settings, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> CodeEncoder:
        """Make the encoders of an environment's observations.

        Raises:
            ValueError: observations without numbers.
        """
        field = "agent.encoder = 'random_projection'"
        adapter = make_pattern_adapter(spec, field, self.config.image_side)
        code = RandomProjectionCode(adapter.n, seed_list, self.config.components)
        return CodeEncoder(spec, seed_list, adapter, code, self.config, field)


def make(config: Config) -> ProjectionComponent:
    """Make the component for an agent."""
    return ProjectionComponent(config)
