"""Gibbs sampling of +-1 units, one unit at a time, compiled.

P(s_i = +1 | the others) = 1 / (1 + exp(-2 h_i / T)) with h_i = sum_j W_ij s_j + b_i (Geman and Geman 1984; Ackley,
Hinton and Sejnowski 1985). Units that are not connected may be drawn together; any others may not: that would be
another law. Inputs are kept and corrected where a unit flips, so that a sweep in which few do costs little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import uniform

SURE = 40.0  # log odds from which a unit is not left to chance


class Chains(NamedTuple):
    """R states of n units, and room to move them."""

    states: Array  # float32 [R, n], -1 and +1
    held: Array  # bool [R, n], units that stay
    field: Array  # float32 [R, n], from outside, added to the inputs
    inputs: Array  # float32 [R, n]


def make_chains(n_rows: int, n: int) -> Chains:
    """Chains whose units are all -1."""
    states = np.full((n_rows, n), -1.0, np.float32)
    return Chains(states, np.zeros(states.shape, np.bool_), np.zeros_like(states), np.zeros_like(states))


@jit_blas
def product(a, b, out):
    """``out`` = a b, by BLAS."""
    np.dot(a, b, out)


@jit
def sweep(weights, bias, chains, temperature, stream):
    """Every free unit of every chain once, in order; ``weights`` [n, n] are symmetric with zero diagonal."""
    product(chains.states, weights, chains.inputs)
    for r in range(len(chains.states)):
        _sweep_row(weights, bias, chains, r, 1.0 / temperature, stream)


@jit_inline
def _sweep_row(weights, bias, chains, r, sharp, stream):
    states, held, field, inputs = chains.states[r], chains.held[r], chains.field[r], chains.inputs[r]
    for i in range(len(states)):
        if held[i]:
            continue
        odds = 2.0 * sharp * np.float64(inputs[i] + bias[i] + field[i])
        up, chance = odds > 0.0, uniform(stream, 0)
        if -SURE < odds < SURE:
            up = chance * (1.0 + np.exp(-odds)) < 1.0
        new = np.float32(1.0) if up else np.float32(-1.0)
        if new != states[i]:
            states[i] = new
            row, twice = weights[i], np.float32(2.0) * new
            for j in range(len(row)):
                inputs[j] += twice * row[j]


@jit_inline
def row_energy(weights, bias, chains, r):
    """E of a state without the field; its inputs must be of now."""
    states, inputs, total = chains.states[r], chains.inputs[r], 0.0
    for i in range(len(states)):
        total -= np.float64(states[i]) * (0.5 * np.float64(inputs[i]) + np.float64(bias[i]))
    return total


@jit
def anneal(weights, bias, chains, temperatures, trace, stream):
    """One sweep at each of the temperatures [T]; energies go to ``trace`` [R, 1 + T] from column 1 on."""
    for t in range(len(temperatures)):
        sweep(weights, bias, chains, temperatures[t], stream)
        for r in range(len(chains.states)):
            trace[r, 1 + t] = row_energy(weights, bias, chains, r)


def cooling(hot: float, cold: float, n: int) -> Array:
    """N temperatures that fall geometrically from hot to cold."""
    return np.geomspace(hot, cold, n) if n > 1 else np.full(n, cold)
