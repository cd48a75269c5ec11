"""Gibbs sampling of +-1 units, one unit at a time, compiled.

P(s_i = +1 | the others) = 1 / (1 + exp(-2 h_i / T)) with h_i = sum_j W_ij s_j + b_i (Geman and Geman 1984; Ackley,
Hinton and Sejnowski 1985). Connected units must not be sampled together: that would change the distribution. Inputs are
kept, and corrected where a unit flips, so a sweep in which few do is cheap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memory.common.kernels import matmul
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import uniform

MAX_LOG_ODDS = 40.0  # beyond, a unit takes its likelier value


class GibbsChains(NamedTuple):
    """R chains of n units."""

    states: Array  # float32 [R, n], -1 and +1
    clamped: Array  # bool [R, n], units that keep their state
    field: Array  # float32 [R, n], external, added to the inputs
    inputs: Array  # float32 [R, n], states times weights


def make_chains(n_chains: int, n: int) -> GibbsChains:
    """Make chains whose units are all -1, with no field and none clamped."""
    return GibbsChains(
        states=np.full((n_chains, n), -1.0, np.float32),
        clamped=np.zeros((n_chains, n), np.bool_),
        field=np.zeros((n_chains, n), np.float32),
        inputs=np.zeros((n_chains, n), np.float32),
    )


@jit
def gibbs_sweep(weights, bias, chains, temperature, stream):
    """Sample each unit of every chain that is not clamped once, in order.

    Args:
        weights: float32 [n, n], symmetric, diagonal 0.
        bias: float32 [n].
        chains: changed in place.
        temperature: T.
        stream: uint64 [1, 4], advanced in place.
    """
    matmul(chains.states, weights, chains.inputs)
    for r in range(len(chains.states)):
        _sweep_chain(weights, bias, chains, r, 1.0 / temperature, stream)


@jit_inline
def _sweep_chain(weights, bias, chains, r, inverse_temperature, stream):
    states = chains.states[r]
    clamped = chains.clamped[r]
    field = chains.field[r]
    inputs = chains.inputs[r]
    for i in range(len(states)):
        if clamped[i]:
            continue
        log_odds = 2.0 * inverse_temperature * np.float64(inputs[i] + bias[i] + field[i])
        is_up = log_odds > 0.0
        random = uniform(stream, 0)
        if -MAX_LOG_ODDS < log_odds < MAX_LOG_ODDS:
            is_up = random * (1.0 + np.exp(-log_odds)) < 1.0
        new = np.float32(1.0) if is_up else np.float32(-1.0)
        if new != states[i]:
            states[i] = new
            row = weights[i]
            change = np.float32(2.0) * new
            for j in range(len(row)):
                inputs[j] += change * row[j]


@jit_inline
def _chain_energy(weights, bias, chains, r):
    """Compute the energy of chain r without the field, from inputs that are up to date."""
    states = chains.states[r]
    inputs = chains.inputs[r]
    total = 0.0
    for i in range(len(states)):
        total -= np.float64(states[i]) * (0.5 * np.float64(inputs[i]) + np.float64(bias[i]))
    return total


@jit
def anneal(weights, bias, chains, temperatures, trace, stream):
    """Run one sweep at each of the temperatures [T]; energies go to ``trace`` [R, 1 + T] from column 1 on."""
    for t in range(len(temperatures)):
        gibbs_sweep(weights, bias, chains, temperatures[t], stream)
        for r in range(len(chains.states)):
            trace[r, 1 + t] = _chain_energy(weights, bias, chains, r)


def geometric_schedule(t_init: float, t_final: float, n: int) -> Array:
    """Return n temperatures that fall geometrically from t_init to t_final, float64 [n]."""
    return np.geomspace(t_init, t_final, n) if n > 1 else np.full(n, t_final)
