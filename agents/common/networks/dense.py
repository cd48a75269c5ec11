"""Dense networks, compiled: one seed at a time with its data in the cache, seeds as the outer loop.

Rumelhart, Hinton and Williams 1986. The parameters of a seed lie flat, layer by layer: weights [in, out], then biases
[out]; weights and biases begin uniform in +-1/sqrt(in), as ``torch.nn.Linear`` does. The last layer is linear.

The pieces work on one seed ``i`` in row ``w`` of the working space, and are what compiled algorithms are made of;
:mod:`agents.common.networks.compiled_network` is the same behind the contract of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from simulator.core import rng
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class NetworkSettings:
    """A dense network between observations and outputs."""

    hidden: tuple[Width, ...] = (64, 64)
    """units of every hidden layer, from the first on; empty: a linear map"""
    activation: Literal["relu", "tanh"] = "relu"
    """what hidden units do with their input"""


class Net(NamedTuple):
    """S networks of one shape, and room for one batch."""

    sizes: Array  # int64 [L + 1]: inputs, hidden units, outputs
    tanh: bool
    params: Array  # float32 [S, P]
    outputs: Array  # float32 [W, *]: what every layer gave for the batch, one after the other
    deltas: Array  # float32 [W, 2, *]: gradients at two neighbouring layers
    gradient: Array  # float32 [W, P]
    row: Array  # float32 [W, 2, widest]: the same for a single observation


def n_params(sizes: Sequence[int]) -> int:
    """How many weights and biases layers of these sizes have."""
    return sum((n + 1) * m for n, m in pairwise(sizes))


def make_net(sizes: Sequence[int], tanh: bool, seed_list: Sequence[int], batch: int) -> Net:
    """S networks with random weights from each seed's own stream, and room for batches of up to ``batch`` rows."""
    n, total, widest = len(seed_list), n_params(sizes), max(sizes)
    params = np.empty((n, total), np.float32)
    for row, generator in zip(params, rng.generators(seed_list, "weights"), strict=True):
        end = 0
        for fan, width in pairwise(sizes):
            start, end = end, end + (fan + 1) * width
            row[start:end] = generator.uniform(-1.0 / sqrt(fan), 1.0 / sqrt(fan), (fan + 1) * width)
    outputs = np.zeros((n, batch * sum(sizes[1:])), np.float32)
    deltas = np.zeros((n, 2, batch * max(sizes[1:])), np.float32)
    gradient, row = np.zeros((n, total), np.float32), np.zeros((n, 2, widest), np.float32)
    return Net(np.array(sizes, np.int64), tanh, params, outputs, deltas, gradient, row)


def clone(net: Net) -> Net:
    """A network of the same shape and weights, with room of its own for outputs; it cannot be trained."""
    shared = net._replace(params=net.params.copy(), outputs=np.zeros_like(net.outputs), row=np.zeros_like(net.row))
    return shared._replace(deltas=np.zeros((1, 2, 1), np.float32), gradient=np.zeros((1, 1), np.float32))


@jit_blas
def product(a, b, out):
    """``out`` = a b, by BLAS."""
    np.dot(a, b, out)


@jit_inline
def _activate(net, out, bias, last):
    """Add the biases; hidden layers bend."""
    if last:
        for r in range(out.shape[0]):
            for c in range(out.shape[1]):
                out[r, c] += bias[c]
    elif net.tanh:
        for r in range(out.shape[0]):
            for c in range(out.shape[1]):
                out[r, c] = np.tanh(out[r, c] + bias[c])
    else:
        for r in range(out.shape[0]):
            for c in range(out.shape[1]):
                value = out[r, c] + bias[c]
                out[r, c] = value if value > np.float32(0.0) else np.float32(0.0)


@jit
def forward(net, i, w, x):
    """Outputs of seed i at x [B, in]; they lie at ``net.outputs[w, outputs_at(net, B):]``, [B, out] in rows."""
    n_rows, last = x.shape[0], len(net.sizes) - 2
    at, inputs, start = 0, x, 0
    for layer in range(last + 1):
        n, m = net.sizes[layer], net.sizes[layer + 1]
        weights = net.params[i, at : at + n * m].reshape((n, m))
        bias = net.params[i, at + n * m : at + (n + 1) * m]
        out = net.outputs[w, start : start + n_rows * m].reshape((n_rows, m))
        product(inputs, weights, out)
        _activate(net, out, bias, layer == last)
        at, inputs, start = at + (n + 1) * m, out, start + n_rows * m


@jit_inline
def outputs_at(net, n_rows):
    """Where the outputs of the last layer begin."""
    return n_rows * net.sizes[1:-1].sum()


@jit_inline
def forward_row(net, i, w, x, out):
    """Outputs [out] of seed i at one observation x [in], without a batch: what acting needs."""
    last, at = len(net.sizes) - 2, 0
    for layer in range(last + 1):
        n, m = net.sizes[layer], net.sizes[layer + 1]
        here = net.row[w, layer % 2]
        for c in range(m):
            here[c] = net.params[i, at + n * m + c]
        for k in range(n):
            value = x[k] if layer == 0 else net.row[w, (layer + 1) % 2, k]
            if value != np.float32(0.0):  # half of all rectified units
                weights = net.params[i, at + k * m : at + (k + 1) * m]
                for c in range(m):
                    here[c] += value * weights[c]
        if layer < last:
            for c in range(m):
                here[c] = np.tanh(here[c]) if net.tanh else max(here[c], np.float32(0.0))
        at += (n + 1) * m
    for c in range(net.sizes[last + 1]):
        out[c] = net.row[w, last % 2, c]


@jit_inline
def _through(net, delta, out):
    """Multiply a gradient at a hidden layer's outputs by the slope of what the layer does."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            if net.tanh:
                delta[r, c] *= np.float32(1.0) - out[r, c] * out[r, c]
            else:
                delta[r, c] = delta[r, c] if out[r, c] > np.float32(0.0) else np.float32(0.0)


@jit
def backward(net, i, w, x, dy):
    """Gradient [P] of a loss at ``net.gradient[w]``, from dL/d(outputs) dy [B, out] after ``forward`` at x."""
    n_rows, last = x.shape[0], len(net.sizes) - 2
    at, start, delta = net.params.shape[1], outputs_at(net, n_rows), dy
    for back in range(last + 1):
        layer = last - back
        n, m = net.sizes[layer], net.sizes[layer + 1]
        at -= (n + 1) * m
        slope = net.gradient[w, at : at + n * m].reshape((n, m))
        bias = net.gradient[w, at + n * m : at + (n + 1) * m]
        bias[:] = np.float32(0.0)
        for r in range(n_rows):
            for c in range(m):
                bias[c] += delta[r, c]
        if layer == 0:
            product(x.T, delta, slope)
        else:
            start -= n_rows * n
            before = net.outputs[w, start : start + n_rows * n].reshape((n_rows, n))
            product(before.T, delta, slope)
            further = net.deltas[w, back % 2, : n_rows * n].reshape((n_rows, n))
            product(delta, net.params[i, at : at + n * m].reshape((n, m)).T, further)
            _through(net, further, before)
            delta = further


@jit_inline
def polyak_update(weights, others, i, tau):
    """Move weights [S, P] of seed i towards other ones by the fraction ``tau``; 1 copies them."""
    mine = weights[i]
    theirs = others[i]
    part = np.float32(tau)
    if tau == 1.0:
        for k in range(len(mine)):
            mine[k] = theirs[k]
    else:
        for k in range(len(mine)):
            mine[k] += part * (theirs[k] - mine[k])
