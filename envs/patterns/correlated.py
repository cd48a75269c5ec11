"""Correlated patterns: within families, by a common bias, or between neighbouring units.

* ``hierarchical``: families around random ancestors; a unit of a child is its ancestor's with probability
  (1 + sqrt(c)) / 2, so that two siblings have the correlation c and strangers have none (Parga and Virasoro 1986,
  section 2, one generation). Pattern k is of family k modulo their number, which is its label.
* ``biased``: every unit has the mean sqrt(c), so any two patterns have the correlation c (Amit, Gutfreund and
  Sompolinsky 1987).
* ``ising``: the units of one pattern are a chain at rest, open at its ends, P(x) ~ exp(J sum x_i x_i+1); units d apart
  have the correlation c^d with c = tanh J (Ising 1925). Patterns have none with each other.

No pattern comes twice in one seed; what that takes from the correlations is far below what can be measured, unless
there are a handful of units only or c is close to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, endless, signs
from simulator.core.field_types import Count
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array


@dataclass(frozen=True)
class Config:
    """Settings of correlated patterns."""

    kind: Literal["hierarchical", "biased", "ising"] = "hierarchical"
    """correlation within: patterns of one family, all patterns, or neighbouring units of each pattern"""
    correlation: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.5
    """mean product c of a unit in two siblings (hierarchical), in two patterns (biased), of two neighbours (ising)"""
    n_units: Count = 100
    """units N of a pattern"""
    families: Count = 5
    """families of patterns, with hierarchical"""


def pattern_correlation(config: Config, *, same_family: bool) -> float:
    """Return the expected mean product of two patterns, E[x . y] / N; only families tell them apart."""
    if config.kind == "biased":
        return config.correlation
    return config.correlation if config.kind == "hierarchical" and same_family else 0.0


def unit_correlation(config: Config, distance: int) -> float:
    """Return the expected product of two units of one pattern, E[x_i x_(i + distance)], over seeds."""
    if config.kind == "ising" or distance == 0:
        return float(config.correlation**distance)
    return config.correlation if config.kind == "biased" else 0.0


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make correlated patterns for every seed; those of hierarchical have their family as label."""
    n = config.n_units
    root = sqrt(config.correlation)

    def biased(draws: Array, first: int) -> Array:
        return signs(draws, (1.0 + root) / 2.0)

    def ising(draws: Array, first: int) -> Array:
        like = signs(draws, (1.0 + config.correlation) / 2.0)  # as the unit before it
        like[:, 0] = signs(draws[:, 0], 0.5)
        return np.cumprod(like, axis=1, dtype=np.float32)

    def hierarchical(stream: np.random.Generator, out: Array) -> Array:
        ancestors = signs(stream.random((config.families, n)), 0.5)

        def children(draws: Array, first: int) -> Array:
            family = (first + np.arange(len(draws))) % config.families
            return ancestors[family] * signs(draws, (1.0 + root) / 2.0)

        return endless("correlated", n, children, config.families)(stream, out)

    rows = {"biased": endless("correlated", n, biased), "ising": endless("correlated", n, ising)}
    return Patterns("correlated", PatternSpec((n,)), None, seed_list, rows.get(config.kind, hierarchical))


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("correlated", make([0], Config()))
