"""Random patterns: every unit is +1 or -1 by itself, as the theory of associative memories has them.

Hopfield 1982; Amit, Gutfreund and Sompolinsky 1985. Unlike there, no pattern comes twice in one seed, which matters
for a handful of units only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from envs.common.patterns.sampling import Patterns, endless, signs
from simulator.core.field_types import Count
from simulator.core.memories import PatternSpec

_COUNTABLE = 40  # units up to which it can be said how many patterns there are


@dataclass(frozen=True)
class Config:
    """Settings of random patterns."""

    n_units: Count = 100
    """units N of a pattern"""
    bias: Annotated[float, Meta(gt=-1.0, lt=1.0)] = 0.0
    """mean of a unit: +1 comes with probability (1 + bias) / 2"""


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Random patterns of ``n_units`` units for every seed."""
    n = config.n_units
    prob = (1.0 + config.bias) / 2.0
    row = endless("random_bits", n, lambda draws, first: signs(draws, prob))
    return Patterns("random_bits", PatternSpec((n,)), 2**n if n <= _COUNTABLE else None, seed_list, row)


if __name__ == "__main__":
    from envs.common.patterns.demo import show_patterns

    show_patterns("random_bits", make([0], Config()))
