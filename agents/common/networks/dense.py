"""Dense networks, compiled: one seed at a time with its data in the cache, seeds as the outer loop.

Rumelhart, Hinton and Williams 1986. The parameters of a seed lie flat, layer by layer: weights [in, out], then biases
[out]; weights and biases begin uniform in +-1/sqrt(in), as ``torch.nn.Linear`` does. The last layer is linear.

The functions work on one seed ``i`` in row ``w`` of the working space; compiled algorithms are made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from agents.common.networks.optimizers import OptimizerSettings, OptimizerState, make_optimizer
from simulator.core import rng
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array, State

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class NetworkSettings:
    """A dense network between observations and outputs."""

    hidden: tuple[Width, ...] = (64, 64)
    """units of every hidden layer, the first layer first; empty: a linear map"""
    activation: Literal["relu", "tanh"] = "relu"
    """activation function of the hidden units"""


class Net(NamedTuple):
    """S networks of one shape, and working space for W batches."""

    sizes: Array  # int64 [L + 1]: inputs, hidden units, outputs
    tanh: bool
    params: Array  # float32 [S, P]
    first: int  # index in P of the first layer's parameters; those before it are of a recurrence
    outputs: Array  # float32 [W, *]: outputs of every layer for the batch, one layer after the other
    deltas: Array  # float32 [W, 2, *]: gradients at two neighbouring layers
    gradient: Array  # float32 [W, P]
    row: Array  # float32 [W, 2, widest]: outputs of two neighbouring layers for a single observation
    input_grad: Array  # float32 [W, *]: gradient at the inputs, which only what lies before the layers needs


def n_params(sizes: Sequence[int]) -> int:
    """Number of weights and biases of layers of these sizes."""
    return sum((n + 1) * m for n, m in pairwise(sizes))


def make_net(
    sizes: Sequence[int], tanh: bool, seed_list: Sequence[int], batch: int, before: Array | None = None
) -> Net:
    """Make S networks with random weights from each seed's own stream, for batches of up to ``batch`` rows.

    ``before`` float32 [S, P'] are the parameters of a recurrence, whose outputs are the layers' inputs.
    """
    n_seeds = len(seed_list)
    first = 0 if before is None else before.shape[1]
    total = first + n_params(sizes)
    params = np.empty((n_seeds, total), np.float32)
    if before is not None:
        params[:, :first] = before
    for row, generator in zip(params, rng.generators(seed_list, "weights"), strict=True):
        end = first
        for fan_in, width in pairwise(sizes):
            start = end
            end += (fan_in + 1) * width
            row[start:end] = generator.uniform(-1.0 / sqrt(fan_in), 1.0 / sqrt(fan_in), (fan_in + 1) * width)
    return Net(
        sizes=np.array(sizes, np.int64),
        tanh=tanh,
        params=params,
        first=first,
        outputs=np.zeros((n_seeds, batch * sum(sizes[1:])), np.float32),
        deltas=np.zeros((n_seeds, 2, batch * max(sizes[1:])), np.float32),
        gradient=np.zeros((n_seeds, total), np.float32),
        row=np.zeros((n_seeds, 2, max(sizes)), np.float32),
        input_grad=np.zeros((n_seeds, batch * sizes[0] if first else 0), np.float32),
    )


def clone(net: Net) -> Net:
    """Copy a network, with working space of its own for outputs; the copy cannot be trained."""
    return net._replace(
        params=net.params.copy(),
        outputs=np.zeros_like(net.outputs),
        row=np.zeros_like(net.row),
        deltas=np.zeros((1, 2, 1), np.float32),
        gradient=np.zeros((1, 1), np.float32),
    )


class NamedWeights(NamedTuple):
    """The weights of S networks as the ``state_dict`` of a module of torch has them."""

    weights: dict[str, Array]  # [S, ...]
    activation: str  # of hidden layers: relu or tanh


def named_weights(net: Net) -> NamedWeights:
    """Return copies of the weights, named and shaped as those of a ``torch.nn.Sequential``.

    Layers are 0, 2, 4 and so on, with the activations between them: ``0.weight`` [S, out, in], ``0.bias`` [S, out].
    """
    named = {}
    at = net.first
    for layer, (n, m) in enumerate(pairwise(net.sizes.tolist())):
        named[f"{2 * layer}.weight"] = net.params[:, at : at + n * m].reshape(-1, n, m).swapaxes(1, 2).copy()
        at += (n + 1) * m
        named[f"{2 * layer}.bias"] = net.params[:, at - m : at].copy()
    return NamedWeights(named, "tanh" if net.tanh else "relu")


class CompiledNetwork:
    """S compiled networks with their optimiser, as a checkpoint holds them.

    Args:
        net: shape, weights and working space; ``Net`` or ``RecurrentNet``.
        settings: the optimiser; None for a network that is not trained.
    """

    def __init__(self, net: Any, settings: OptimizerSettings | None = None) -> None:
        self.net = net
        self.optimizer: OptimizerState | None = make_optimizer(settings, *net.params.shape) if settings else None

    def state(self) -> State:
        """Return weights [S, P], and the optimiser's moments [S, 2, P] and step counts [S]."""
        saved = {"params": self.net.params.copy()}
        if self.optimizer is None:
            return saved
        return saved | {"moments": self.optimizer.moments.copy(), "step_count": self.optimizer.step_count.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self.net.params[...] = state["params"]
        if self.optimizer is not None:
            self.optimizer.moments[...] = state["moments"]
            self.optimizer.step_count[...] = state["step_count"]


@jit_blas
def product(a, b, out):
    """Write the matrix product a b to ``out``, by BLAS."""
    np.dot(a, b, out)


@jit_inline
def _activate(net, out, bias, last):
    """Add the biases, and apply the activation function of hidden layers."""
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
    """Write outputs of seed i at x [B, in] to ``net.outputs[w, outputs_at(net, B):]``, [B, out] in rows."""
    n_rows = x.shape[0]
    last = len(net.sizes) - 2
    at = net.first
    start = 0
    inputs = x
    for layer in range(last + 1):
        n = net.sizes[layer]
        m = net.sizes[layer + 1]
        weights = net.params[i, at : at + n * m].reshape((n, m))
        bias = net.params[i, at + n * m : at + (n + 1) * m]
        out = net.outputs[w, start : start + n_rows * m].reshape((n_rows, m))
        product(inputs, weights, out)
        _activate(net, out, bias, layer == last)
        at += (n + 1) * m
        start += n_rows * m
        inputs = out


@jit_inline
def outputs_at(net, n_rows):
    """Return the index in ``net.outputs[w]`` at which the outputs of the last layer begin."""
    return n_rows * net.sizes[1:-1].sum()


@jit_inline
def forward_row(net, i, w, x, out):
    """Write outputs ``out`` [out] of seed i at one observation x [in], without a batch, for acting."""
    last = len(net.sizes) - 2
    at = net.first
    for layer in range(last + 1):
        n = net.sizes[layer]
        m = net.sizes[layer + 1]
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
def _activation_gradient(net, delta, out):
    """Multiply a gradient at a hidden layer's outputs by the derivative of its activation function."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            if net.tanh:
                delta[r, c] *= np.float32(1.0) - out[r, c] * out[r, c]
            else:
                delta[r, c] = delta[r, c] if out[r, c] > np.float32(0.0) else np.float32(0.0)


@jit
def backward(net, i, w, x, dy):
    """Write the gradient [P] to ``net.gradient[w]``, from dL/d(outputs) dy [B, out] after ``forward`` at x."""
    n_rows = x.shape[0]
    last = len(net.sizes) - 2
    at = net.params.shape[1]
    start = outputs_at(net, n_rows)
    delta = dy
    for back in range(last + 1):
        layer = last - back
        n = net.sizes[layer]
        m = net.sizes[layer + 1]
        at -= (n + 1) * m
        weight_grad = net.gradient[w, at : at + n * m].reshape((n, m))
        bias_grad = net.gradient[w, at + n * m : at + (n + 1) * m]
        bias_grad[:] = np.float32(0.0)
        for r in range(n_rows):
            for c in range(m):
                bias_grad[c] += delta[r, c]
        if layer == 0:
            product(x.T, delta, weight_grad)
            if net.first > 0:
                input_grad = net.input_grad[w, : n_rows * n].reshape((n_rows, n))
                product(delta, net.params[i, at : at + n * m].reshape((n, m)).T, input_grad)
        else:
            start -= n_rows * n
            before = net.outputs[w, start : start + n_rows * n].reshape((n_rows, n))
            product(before.T, delta, weight_grad)
            further = net.deltas[w, back % 2, : n_rows * n].reshape((n_rows, n))
            product(delta, net.params[i, at : at + n * m].reshape((n, m)).T, further)
            _activation_gradient(net, further, before)
            delta = further
