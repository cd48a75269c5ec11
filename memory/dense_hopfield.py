"""Dense associative memory: Hopfield's network with an energy so steep that patterns hardly disturb each other.

Krotov and Hopfield 2016, "Dense associative memory for pattern recognition": E = -sum_mu F(x_mu . s), F(m) = m^n, and
a unit takes the state of lower energy (equation 3). Without errors it holds about N^(n - 1) / (2 (2 n - 3)!! ln N)
patterns (equation 6). With F = exp they are exponentially many (Demircigil et al. 2017, "On a model of associative
memory with huge storage capacity"). Degree 2 is Hopfield's network with Hebb's weights and no diagonal.

Units turn one after the other, in an order drawn for every sweep; where both states have the same energy a unit stays
as it is, and one that is unknown (0) takes the state of lower energy. Energies are in units of a stored pattern's own,
F(m) = (m / N)^n; with exp it is the logarithm that is given, E = -log sum_mu exp(m), as the sum is beyond numbers.
An even degree keeps with every pattern its negative too, unless ``rectified``: F = 0 below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2, sinh
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from memory.common.asynchronous import ENERGIES, EVEN, ODD, SLOPE, F, Net, Walk, settle
from memory.common.validation import check, check_known
from simulator.core import rng
from simulator.core.field_types import Count
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """Settings of a dense memory."""

    kind: Literal["polynomial", "exponential"] = "polynomial"
    """what the energy makes of an overlap"""
    degree: Annotated[int, Meta(ge=2, le=100)] = 10
    """power of the overlap, with kind = polynomial"""
    rectified: bool = False
    """overlaps below 0 count nothing, with kind = polynomial"""
    recall_mode: Literal["single_pass", "fixed_point"] = "fixed_point"
    """one sweep, or sweeps until it rests"""
    sweeps: Count = 100
    """sweeps at most, with fixed_point"""


class DenseHopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, units: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._units, self._config = units, config
        self._streams = rng.pcg64_states(seed_list, "recall")
        exponential = config.kind == "exponential"
        self._table = exponential_table(units.n) if exponential else power_table(units.n, config)
        self._keep(np.zeros((len(seed_list), units.n, 0), np.int8))

    @property
    def n_parameters(self) -> int:
        """The numbers of the patterns."""
        return int(self._net.columns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N] of -1 and +1.

        Raises:
            ValueError: other values.
        """
        x = check(patterns, len(self._streams), self._units, "pattern", domain="bipolar")
        self._keep(np.ascontiguousarray(x.astype(np.int8).transpose(0, 2, 1)))

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Let cues [S, Q, N] of -1, +1 and 0 come to rest.

        Raises:
            ValueError: other values, or nothing is stored.
        """
        return self._walk(cues, known, 1 if self.recall_mode == "single_pass" else self._config.sweeps)

    def energy(self, patterns: Array) -> Array:
        """The energy at patterns [S, Q, N] of -1, +1 and 0."""
        return self._walk(patterns, None, 0).energy[:, :, 0]

    def state(self) -> State:
        """The patterns by unit."""
        return {"columns": self._net.columns}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._keep(np.array(state["columns"]))

    def _keep(self, columns: Array) -> None:
        exponential = self._config.kind == "exponential"
        self._net = Net(ENERGIES, columns, np.zeros((1, 1, 1), np.float32), True, self._table, exponential)

    def _walk(self, cues: Array, known: Array | None, n_sweeps: int) -> Recall:
        found = check(cues, len(self._streams), self._units, "cue", domain="cue")
        if not self._net.columns.size:
            raise ValueError("dense_hopfield: nothing is stored yet, expected patterns before cues")
        states, held = found.astype(np.int8), check_known(known, found)
        push, fields = np.zeros((len(found), 1, self._units.n)), np.zeros((1, 1, 1), np.float32)
        energy, sweeps = np.full((*states.shape[:2], 1 + n_sweeps), np.nan), np.zeros(states.shape[:2], np.int64)
        settle(self._net, Walk(states, held, push, fields, energy, sweeps), self._streams)
        return Recall(states.astype(np.float32), energy, sweeps)


def power_table(n: int, config: Config) -> Array:
    """What a walk needs of F(m) = m^degree at the overlaps m = -N to N, float64 [4, 2 N + 1].

    With G(u) = F(u + 1) - F(u - 1), twice the force on a unit of +1 from a pattern whose other units overlap by u, and
    u = m - x s, the energy speaks for +1 by sum_mu x_mu G(m_mu - x_mu s). As x and s are -1 and +1 this is
    sum_mu x_mu EVEN(m_mu) + s sum_mu ODD(m_mu) with EVEN(m) = (G(m - 1) + G(m + 1)) / 2 and ODD(m) = (G(m - 1) -
    G(m + 1)) / 2; for a unit that is 0 it is sum_mu x_mu G(m_mu), SLOPE. These are scaled by a power of two, which
    leaves whole numbers, and so ties, exact.
    """
    m = np.arange(-n, n + 1, dtype=np.float64)
    bound = 2.0 ** ceil(log2(n + 2))

    def f(values: Array) -> Array:
        return (np.maximum(values, 0.0) if config.rectified else values) ** config.degree

    def g(u: Array) -> Array:
        return f((u + 1.0) / bound) - f((u - 1.0) / bound)

    return _table(f(m / n), g(m - 1.0), g(m), g(m + 1.0))


def exponential_table(n: int) -> Array:
    """The same of F = exp, at the largest overlap less 0 to 2 N, and in units of exp at the largest."""
    falls = np.exp(-np.arange(2.0 * n + 1.0))
    slope = 2.0 * sinh(1.0)
    return _table(falls, slope * np.exp(-1.0) * falls, slope * falls, slope * np.exp(1.0) * falls)


def _table(heights: Array, before: Array, here: Array, after: Array) -> Array:
    table = np.empty((4, len(heights)))
    table[F], table[SLOPE] = heights, here
    table[EVEN], table[ODD] = 0.5 * (before + after), 0.5 * (before - after)
    return table


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> DenseHopfield:
    """Networks for patterns of these units; they hold -1 and +1."""
    return DenseHopfield(units, seed_list, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("dense_hopfield", make, Config())
