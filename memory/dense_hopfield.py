"""Dense associative memory: Hopfield's network with an energy so steep that patterns hardly interfere.

Krotov and Hopfield 2016, "Dense associative memory for pattern recognition": E = -sum_mu F(x_mu . s), F(m) = m^n, and
a unit takes the state of lower energy (equation 3). Without errors it holds about N^(n - 1) / (2 (2 n - 3)!! ln N)
patterns (equation 6). With F = exp they are exponentially many (Demircigil et al. 2017, "On a model of associative
memory with huge storage capacity"). Degree 2 is Hopfield's network with Hebb's weights and no diagonal.

Units are updated one after another, in an order drawn for every sweep; where both states have the same energy a unit
stays as it is, and an unknown one (0) takes the state of lower energy. Energies are in units of a stored pattern's own,
F(m) = (m / N)^n; with exp the logarithm is given, E = -log sum_mu exp(m), as the sum overflows. An even degree stores
with every pattern its negative too, unless ``rectified``: F = 0 below 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log2, sinh
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from memory.common.asynchronous import (
    ENERGIES,
    NO_WEIGHTS,
    AsyncNetwork,
    AsyncState,
    EnergyTable,
    flips,
    one_seed,
    settle,
)
from memory.common.validation import check, check_known, one_cue
from simulator.core import rng
from simulator.core.field_types import Count
from simulator.core.memories import PatternSpec, Recall, RecallStep
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class Config:
    """Settings of a dense associative memory."""

    kind: Literal["polynomial", "exponential"] = "polynomial"
    """F, the function of the overlaps in the energy"""
    degree: Annotated[int, Meta(ge=2, le=100)] = 10
    """power of the overlap, with kind = polynomial"""
    rectified: bool = False
    """F is 0 for overlaps below 0, with kind = polynomial"""
    recall_mode: Literal["single_pass", "fixed_point"] = "fixed_point"
    """single_pass: one sweep; fixed_point: sweeps until nothing changes"""
    max_iters: Count = 100
    """sweeps at most, with fixed_point"""


PRESETS = {
    "dense-hopfield-exponential": {
        "description": "F = exp: exponentially many patterns",
        "memory": {"kind": "exponential"},
    },
}


class DenseHopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, spec: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._config = config
        self._streams = rng.pcg64_states(seed_list, "recall")
        is_exponential = config.kind == "exponential"
        self._table = exponential_table(spec.n) if is_exponential else polynomial_table(spec.n, config)
        self._set_patterns(np.zeros((len(seed_list), spec.n, 0), np.int8))

    @property
    def n_parameters(self) -> int:
        """Number of values stored per seed."""
        return int(self._net.columns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N] of -1 and +1.

        Raises:
            ValueError: other values.
        """
        values = check(patterns, len(self._streams), self._spec, "pattern", domain="bipolar")
        self._set_patterns(np.ascontiguousarray(values.astype(np.int8).transpose(0, 2, 1)))

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Update cues [S, Q, N] of -1, +1 and 0 to a fixed point.

        Raises:
            ValueError: other values, or nothing is stored.
        """
        return self._settle(cues, known, 1 if self.recall_mode == "single_pass" else self._config.max_iters)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue unit by unit."""
        values = check(np.asarray(cue)[None, None], 1, self._spec, "cue", domain="cue")
        max_iters = 1 if self.recall_mode == "single_pass" else self._config.max_iters
        state = self._initial_state(values, one_cue(known), max_iters)
        for flip in flips(one_seed(self._net, index), state, self._streams[index : index + 1]):
            yield RecallStep(state.states[0, 0].astype(np.float32), flip.energy, flip.iteration, flip.unit)

    def energy(self, patterns: Array) -> Array:
        """Compute the energy at patterns [S, Q, N] of -1, +1 and 0; float64 [S, Q]."""
        return self._settle(patterns, None, 0).energy[:, :, 0]

    def receptive_fields(self, index: int) -> Array:
        """Return the patterns [P, N] of seed number ``index``."""
        return self._net.columns[index].T.astype(np.float32)

    def state(self) -> State:
        """Return the patterns by unit."""
        return {"columns": self._net.columns}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._set_patterns(np.array(state["columns"]))

    def _set_patterns(self, columns: Array) -> None:
        """Keep patterns by unit, int8 [S, N, P]."""
        is_exponential = self._config.kind == "exponential"
        self._net = AsyncNetwork(ENERGIES, columns, NO_WEIGHTS, True, self._table, from_largest=is_exponential)

    def _settle(self, cues: Array, known: Array | None, max_iters: int) -> Recall:
        values = check(cues, len(self._streams), self._spec, "cue", domain="cue")
        state = self._initial_state(values, known, max_iters)
        settle(self._net, state, self._streams)
        return Recall(state.states.astype(np.float32), state.energy, state.n_iters)

    def _initial_state(self, values: Array, known: Array | None, max_iters: int) -> AsyncState:
        """Make the state of recall at cues [S, Q, N]."""
        if not self._net.columns.size:
            raise ValueError("dense_hopfield: nothing is stored yet, expected patterns before cues")
        n_seeds, n_cues, n = values.shape
        return AsyncState(
            states=values.astype(np.int8),
            clamped=check_known(known, values),
            external_field=np.zeros((n_seeds, 1, n)),
            local_field=np.zeros((1, 1, 1), np.float32),
            energy=np.full((n_seeds, n_cues, 1 + max_iters), np.nan),
            n_iters=np.zeros((n_seeds, n_cues), np.int64),
        )


def polynomial_table(n: int, config: Config) -> EnergyTable:
    """Tabulate F(m) = m^degree at the overlaps m = -N to N.

    With G(u) = F(u + 1) - F(u - 1), twice the field on a unit of +1 from a pattern whose other units overlap by u, and
    u = m - x s, the energy gap of a unit is sum_mu x_mu G(m_mu - x_mu s). As x and s are -1 and +1 this is
    sum_mu x_mu even(m_mu) + s sum_mu odd(m_mu) with even(m) = (G(m - 1) + G(m + 1)) / 2 and odd(m) = (G(m - 1) -
    G(m + 1)) / 2; for a unit that is 0 it is sum_mu x_mu G(m_mu). G is scaled by a power of two, which leaves whole
    numbers, and so ties, exact.
    """
    m = np.arange(-n, n + 1, dtype=np.float64)
    bound = 2.0 ** ceil(log2(n + 2))

    def f(overlaps: Array) -> Array:
        return (np.maximum(overlaps, 0.0) if config.rectified else overlaps) ** config.degree

    def g(u: Array) -> Array:
        return f((u + 1.0) / bound) - f((u - 1.0) / bound)

    return _make_table(f(m / n), g(m - 1.0), g(m), g(m + 1.0))


def exponential_table(n: int) -> EnergyTable:
    """Tabulate F = exp at the largest overlap less 0 to 2 N, in units of exp at the largest."""
    height = np.exp(-np.arange(2.0 * n + 1.0))
    slope = 2.0 * sinh(1.0)
    return _make_table(height, slope * np.exp(-1.0) * height, slope * height, slope * np.exp(1.0) * height)


def _make_table(height: Array, g_before: Array, g: Array, g_after: Array) -> EnergyTable:
    """Make the table of F(m), from G(m - 1), G(m) and G(m + 1)."""
    return EnergyTable(height=height, even=0.5 * (g_before + g_after), odd=0.5 * (g_before - g_after), slope=g)


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> DenseHopfield:
    """Make networks for patterns of this spec; they store -1 and +1."""
    return DenseHopfield(spec, seed_list, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("dense_hopfield", make, Config())
