"""Parameters and kernels of restricted Boltzmann machines, stacked one on another, of S seeds.

Smolensky 1986; Hinton 2002, "Training products of experts by minimizing contrastive divergence". Units are 0 and 1, and
E(v, h) = -b'v - c'h - v'W h. Gaussian visible units hold z = v / std, of unit variance, and their energy is
|z - b|^2 / 2 - c'h - z'W h (Welling, Rosen-Zvi and Hinton 2005; Cho, Ilin and Raiko 2011 with the variances fixed).

The visible units of a layer are the hidden ones of the layer below. A plain machine is a stack of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from memory.common.kernels import matmul
from simulator.core import rng
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import bits, normal

MAX_INITIAL_LOG_ODDS = 4.0  # bound of the initial visible biases
MIN_BLAS_ROWS = 32  # below, skipping units that are 0 is faster than BLAS


class RBMParams(NamedTuple):
    """Parameters of one machine, of S seeds, or of one seed without the first axis."""

    weights: Array  # float32 [S, N, H], W
    visible_bias: Array  # float32 [S, N], b
    hidden_bias: Array  # float32 [S, H], c


class RBMStack(NamedTuple):
    """S stacks of machines."""

    layers: tuple[RBMParams, ...]
    gaussian: bool  # units of the lowest layer; all others are binary
    visible_std: Array  # float32 [S, N], of Gaussian units; 1 where they are binary


def make_stack(sizes: Sequence[int], gaussian: bool, n_seeds: int) -> RBMStack:
    """Make stacks of machines between layers of these sizes, with all parameters 0."""
    layers = tuple(
        RBMParams(
            weights=np.zeros((n_seeds, n, m), np.float32),
            visible_bias=np.zeros((n_seeds, n), np.float32),
            hidden_bias=np.zeros((n_seeds, m), np.float32),
        )
        for n, m in pairwise(sizes)
    )
    return RBMStack(layers, gaussian, np.ones((n_seeds, sizes[0]), np.float32))


def seed_params(stack: RBMStack, i: int) -> tuple[RBMParams, ...]:
    """Return views of the machines of seed i."""
    return tuple(RBMParams(*(array[i] for array in layer)) for layer in stack.layers)


def init_weights(stack: RBMStack, seed_list: Sequence[int], std: float) -> None:
    """Draw all weights from N(0, std^2), by each seed's own stream, and set all biases to 0."""
    for i, generator in enumerate(rng.generators(seed_list, "weights")):
        for layer in seed_params(stack, i):
            layer.weights[:] = std * generator.standard_normal(layer.weights.shape, np.float32)
            layer.visible_bias[:] = 0.0
            layer.hidden_bias[:] = 0.0


def init_visible_bias(layer: RBMParams, gaussian: bool, data: Array) -> None:
    """Set the visible biases to the means of data [S, P, N], as log odds where units are binary (Hinton 2012, 8.1)."""
    mean = data.mean(1, dtype=np.float64)
    if gaussian:
        layer.visible_bias[:] = mean
        return
    prob = np.clip(mean, 1e-9, 1.0 - 1e-9)
    layer.visible_bias[:] = np.clip(np.log(prob / (1.0 - prob)), -MAX_INITIAL_LOG_ODDS, MAX_INITIAL_LOG_ODDS)


def patterns_to_visible(stack: RBMStack, patterns: Array) -> Array:
    """Convert patterns [S, *, N] from -1 to 1 to visible units, float32 [S, *, N]."""
    if stack.gaussian:
        return np.ascontiguousarray(patterns / stack.visible_std[:, None], np.float32)
    return np.ascontiguousarray(0.5 * (patterns + 1.0), np.float32)


def visible_to_patterns(stack: RBMStack, visible: Array, is_bipolar: bool) -> Array:
    """Convert visible units [S, *, N] to patterns, float32: the likelier sign of each if bipolar, else the mean."""
    values = visible * stack.visible_std[:, None] if stack.gaussian else 2.0 * visible - 1.0
    patterns = np.where(values >= 0.0, 1.0, -1.0) if is_bipolar else np.clip(values, -1.0, 1.0)
    return patterns.astype(np.float32)


@jit
def binary_matmul(units, weights, out):
    """Write units [B, N] times weights [N, H] to ``out`` [B, H].

    Units that are 0 are skipped where there are few rows: with half of them 0, BLAS is slower then.
    """
    if len(units) >= MIN_BLAS_ROWS:
        matmul(units, weights, out)
        return
    for r in range(len(units)):
        row = out[r]
        for j in range(len(row)):
            row[j] = np.float32(0.0)
        for c in range(units.shape[1]):
            axpy(units[r, c], weights[c], row)


@jit_inline
def axpy(scale, source, out):
    """Add scale times ``source`` [N] to ``out`` [N]; nothing to do where scale is 0."""
    if scale != np.float32(0.0):
        for j in range(len(out)):
            out[j] += scale * source[j]


@jit_inline
def fast_sigmoid(x):
    """Compute 1 / (1 + exp(-x)) within 3e-7, float32, as (1 + tanh(x / 2)) / 2 by Eigen's rational approximation.

    It is arithmetic only, so whole rows are vectorised: several times faster than the exponential.
    """
    x = np.float32(0.5) * min(max(x, np.float32(-15.8)), np.float32(15.8))
    y = x * x
    top = y * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
    top = top * y + np.float32(-8.60467152213735e-11)
    top = top * y + np.float32(5.12229709037114e-08)
    top = top * y + np.float32(1.48572235717979e-05)
    top = top * y + np.float32(6.37261928875436e-04)
    top = top * y + np.float32(4.89352455891786e-03)
    below = y * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
    below = below * y + np.float32(2.26843463243900e-03)
    below = below * y + np.float32(4.89352518554385e-03)
    return np.float32(0.5) + np.float32(0.5) * x * top / below


@jit
def inputs_to_probs(rows, bias, inverse_temperature):
    """Replace inputs ``rows`` [B, N] by sigmoid(inverse_temperature (input + bias)), in place."""
    for r in range(rows.shape[0]):
        row = rows[r]
        for c in range(len(row)):
            row[c] = fast_sigmoid(inverse_temperature * (row[c] + bias[c]))


@jit
def sample_binary(probs, out, stream, i):
    """Sample binary units ``out`` [B, N] with probabilities ``probs``; each 64-bit word gives two draws of 24 bits."""
    unit = np.float32(1.0 / 16777216.0)
    n = probs.shape[1]
    for r in range(probs.shape[0]):
        row = probs[r]
        sample = out[r]
        for c in range(0, n - 1, 2):
            word = bits(stream, i)
            sample[c] = np.float32(np.float32(np.int64(word >> np.uint64(40))) * unit < row[c])
            low_bits = np.int64((word >> np.uint64(8)) & np.uint64(0xFFFFFF))
            sample[c + 1] = np.float32(np.float32(low_bits) * unit < row[c + 1])
        if n % 2:
            sample[n - 1] = np.float32(np.float32(np.int64(bits(stream, i) >> np.uint64(40))) * unit < row[n - 1])


@jit
def add_normal_noise(rows, std, stream, i):
    """Add N(0, std^2) noise to every entry of ``rows`` [B, N], in place."""
    for r in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            rows[r, c] += np.float32(std * normal(stream, i))


@jit
def softplus_sum(inputs, bias, scratch):
    """Compute sum_j log(1 + exp(input_j + bias_j)), float64, over a row; ``scratch`` is at least as long as the row.

    By 1 + exp(-|x|) = 1 / sigmoid(|x|) one logarithm serves 512 units, and all else is arithmetic on whole rows.
    """
    total = 0.0
    for c in range(len(inputs)):
        scratch[c] = fast_sigmoid(abs(inputs[c] + bias[c]))
    for c in range(len(inputs)):
        total += max(inputs[c] + bias[c], np.float32(0.0))
    for start in range(0, len(inputs), 512):
        end = min(start + 512, len(inputs))
        even = 1.0
        odd = 1.0
        for c in range(start, end - 1, 2):
            even *= scratch[c]
            odd *= scratch[c + 1]
        total -= np.log(even * odd * (scratch[end - 1] if (end - start) % 2 else 1.0))
    return total


@jit
def visible_energy(units, bias, gaussian):
    """Compute the energy of visible units [N] without the hidden ones: -b'v, or |z - b|^2 / 2."""
    total = np.float32(0.0)
    if gaussian:
        for c in range(len(units)):
            total += np.float32(0.5) * (units[c] - bias[c]) * (units[c] - bias[c])
    else:
        for c in range(len(units)):
            total -= units[c] * bias[c]
    return total
