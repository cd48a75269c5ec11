"""Restricted Boltzmann machines, one on top of the other, of S seeds; one alone is the usual case.

Smolensky 1986; Hinton 2002, "Training products of experts by minimizing contrastive divergence". Units are 0 and 1, and
E(v, h) = -b'v - c'h - v'W h. Gaussian visible units hold z = v / deviation, each of unit variance, and their energy is
|z - b|^2 / 2 - c'h - z'W h (Welling, Rosen-Zvi and Hinton 2005; Cho, Ilin and Raiko 2011 with the variances fixed).

A layer's visible units are the hidden ones of the layer below.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import bits, normal

ODDS = 4.0  # the greatest log odds that a visible bias begins with


class Layer(NamedTuple):
    """Parameters of one machine, of S seeds, or without the first axis of one."""

    weights: Array  # float32 [S, N, H]
    visible: Array  # float32 [S, N], biases b
    hidden: Array  # float32 [S, H], biases c


class Stack(NamedTuple):
    """S stacks of machines."""

    layers: tuple[Layer, ...]
    gaussian: bool  # the units at the bottom; all others are binary
    deviation: Array  # float32 [S, N], of Gaussian units; 1 where they are binary


def make_stack(sizes: Sequence[int], gaussian: bool, n_seeds: int) -> Stack:
    """Stacks of machines between layers of these sizes, whose parameters are all 0."""
    shapes = [((n_seeds, n, m), (n_seeds, n), (n_seeds, m)) for n, m in pairwise(sizes)]
    layers = tuple(Layer(*(np.zeros(shape, np.float32) for shape in layer)) for layer in shapes)
    return Stack(layers, gaussian, np.ones((n_seeds, sizes[0]), np.float32))


def of_seed(stack: Stack, i: int) -> tuple[Layer, ...]:
    """The machines of one seed, as views."""
    return tuple(Layer(*(array[i] for array in layer)) for layer in stack.layers)


def draw_weights(stack: Stack, seed_list: Sequence[int], size: float) -> None:
    """Weights anew, normal with standard deviation ``size``, by each seed's own stream; all biases 0."""
    for i, generator in enumerate(rng.generators(seed_list, "weights")):
        for layer in of_seed(stack, i):
            layer.weights[:] = size * generator.standard_normal(layer.weights.shape, np.float32)
            layer.visible[:] = layer.hidden[:] = 0.0


def begin_biases(layer: Layer, gaussian: bool, data: Array) -> None:
    """Visible biases that give the means of data [S, P, N] while nothing is connected (Hinton 2012, section 8.1)."""
    mean = data.mean(1, dtype=np.float64)
    share = np.clip(mean, 1e-9, 1.0 - 1e-9)
    layer.visible[:] = mean if gaussian else np.clip(np.log(share / (1.0 - share)), -ODDS, ODDS)


def to_units(stack: Stack, patterns: Array) -> Array:
    """Patterns [S, *, N] from -1 to 1 as the machine's visible units hold them, float32."""
    if stack.gaussian:
        return np.ascontiguousarray(patterns / stack.deviation[:, None], np.float32)
    return np.ascontiguousarray(0.5 * (patterns + 1.0), np.float32)


def to_patterns(stack: Stack, units: Array, is_bipolar: bool) -> Array:
    """Visible units [S, *, N] as patterns: the likelier value of each where there are only two, else the mean."""
    values = units * stack.deviation[:, None] if stack.gaussian else 2.0 * units - 1.0
    found = np.where(values >= 0.0, 1.0, -1.0) if is_bipolar else np.clip(values, -1.0, 1.0)
    return found.astype(np.float32)


@jit_blas
def product(a, b, out):
    """``out`` = a b, by BLAS."""
    np.dot(a, b, out)


FEW = 32  # rows below which units that are 0 are left out instead


@jit
def ahead(units, weights, out):
    """``out`` [B, H] = units [B, N] times weights [N, H]; with few rows that are half zeros BLAS is the slower way."""
    if len(units) >= FEW:
        product(units, weights, out)
        return
    for r in range(len(units)):
        row = out[r]
        for j in range(len(row)):
            row[j] = np.float32(0.0)
        for c in range(units.shape[1]):
            add(units[r, c], weights[c], row)


@jit_inline
def add(share, source, out):
    """``out`` += share times source, rows of one length."""
    if share != np.float32(0.0):
        for j in range(len(out)):
            out[j] += share * source[j]


@jit_inline
def copy(source, out):
    """Numbers of one row to another; slices by themselves would make room for a copy."""
    for c in range(len(out)):
        out[c] = source[c]


@jit_inline
def sigmoid(x):
    """1 / (1 + exp(-x)) within 3e-7, float32, as half of 1 + tanh(x / 2) by Eigen's rational approximation.

    Arithmetic only, so that whole rows are done at single_pass: several times faster than the exponential.
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
def squash(rows, bias, sharp):
    """Rows [B, N] of inputs become the probabilities sigmoid(sharp (input + bias)), in place."""
    for r in range(rows.shape[0]):
        row = rows[r]
        for c in range(len(row)):
            row[c] = sigmoid(sharp * (row[c] + bias[c]))


@jit
def draw(rows, out, stream, i):
    """Binary units ``out`` [B, N] from probabilities ``rows``: two draws of 24 bits from every word."""
    unit = np.float32(1.0 / 16777216.0)
    for r in range(rows.shape[0]):
        row, drawn, n = rows[r], out[r], rows.shape[1]
        for c in range(0, n - 1, 2):
            word = bits(stream, i)
            drawn[c] = np.float32(np.float32(np.int64(word >> np.uint64(40))) * unit < row[c])
            rest = np.int64((word >> np.uint64(8)) & np.uint64(0xFFFFFF))
            drawn[c + 1] = np.float32(np.float32(rest) * unit < row[c + 1])
        if n % 2:
            drawn[n - 1] = np.float32(np.float32(np.int64(bits(stream, i) >> np.uint64(40))) * unit < row[n - 1])


@jit
def draw_normal(rows, deviation, stream, i):
    """Gaussian noise of one standard deviation added to every row [B, N]."""
    for r in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            rows[r, c] += np.float32(deviation * normal(stream, i))


@jit
def softplus_sum(row, bias, room):
    """The sum of log(1 + exp(input + bias)) over a row, float64; ``room`` has space for a row.

    By 1 + exp(-|x|) = 1 / sigmoid(|x|): one logarithm for 512 units, and all else is arithmetic on whole rows.
    """
    total = 0.0
    for c in range(len(row)):
        room[c] = sigmoid(abs(row[c] + bias[c]))
    for c in range(len(row)):
        total += max(row[c] + bias[c], np.float32(0.0))
    for start in range(0, len(row), 512):
        even, odd, end = 1.0, 1.0, min(start + 512, len(row))
        for c in range(start, end - 1, 2):
            even *= room[c]
            odd *= room[c + 1]
        total -= np.log(even * odd * (room[end - 1] if (end - start) % 2 else 1.0))
    return total


@jit
def visible_energy(units, bias, gaussian):
    """What visible units cost by themselves: -b'v, or |z - b|^2 / 2."""
    total = np.float32(0.0)
    if gaussian:
        for c in range(len(units)):
            total += np.float32(0.5) * (units[c] - bias[c]) * (units[c] - bias[c])
    else:
        for c in range(len(units)):
            total -= units[c] * bias[c]
    return total
