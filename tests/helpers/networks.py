"""Networks of every kind behind one interface, and plain references for them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from agents.common.networks.dense import CompiledNetwork, backward, forward, make_net, outputs_at
from agents.common.networks.modules_torch import dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings, clip_and_update, polyak_update
from simulator.core.jit import jit

KINDS = ("compiled", "rows", "stack")  # numba; torch, seed by seed; torch, seeds as a tensor axis
PLAIN = OptimizerSettings(kind="sgd", learning_rate=1.0)  # a step is the gradient itself


@jit
def _forward_all(net, x, y):
    for i in range(len(x)):
        forward(net, i, i, x[i])
        start = outputs_at(net, y.shape[1])
        for b in range(y.shape[1]):
            for c in range(y.shape[2]):
                y[i, b, c] = net.outputs[i, start + b * y.shape[2] + c]


@jit
def _apply_all(net, optimizer, x, dy, mask, lr_scale, norm):
    for i in range(len(x)):
        if mask[i]:
            backward(net, i, i, x[i], dy[i])
            norm[i] = clip_and_update(optimizer, i, net.params[i], net.gradient[i], lr_scale)


@jit
def _polyak_all(params, others, tau):
    for i in range(len(params)):
        polyak_update(params, others, i, tau)


class Compiled(CompiledNetwork):
    """The compiled network with methods that run all seeds, as the torch networks have."""

    def forward(self, x):
        """Return outputs [S, B, out] at x [S, B, in]."""
        self._x = np.ascontiguousarray(x, np.float32)
        y = np.empty((*x.shape[:2], int(self.net.sizes[-1])), np.float32)
        _forward_all(self.net, self._x, y)
        return y

    def apply_gradient(self, dy, mask, lr_scale=1.0):
        """Take one step of the optimizer in the seeds of ``mask`` and return the gradients' norms."""
        norm = np.zeros(len(mask))
        dy = np.ascontiguousarray(dy, np.float32)
        _apply_all(self.net, self.optimizer, self._x, dy, mask, float(lr_scale), norm)
        return norm

    def polyak_update(self, other, tau=1.0):
        """Move every weight towards the other network's."""
        _polyak_all(self.net.params, other.net.params, float(tau))


def make(kind, sizes, seeds=(0, 1, 2), settings=PLAIN, *, tanh=False, batch=16):
    """Make dense networks of a kind; all kinds begin with the same weights."""
    if kind == "compiled":
        return Compiled(make_net(sizes, tanh, seeds, batch), settings)
    return TorchNetwork(lambda: dense(sizes, tanh), seeds, settings, device="cpu", stacked=kind == "stack")


def weights(network, sizes):
    """Copy all weights [S, P] in the order of the compiled kind: layer by layer, weights [in, out], biases."""
    flat = network.state()["params"]
    if isinstance(network, CompiledNetwork):
        return flat
    parts, at = [], 0
    for n, m in pairwise(sizes):
        parts.append(flat[:, at : at + n * m].reshape(-1, m, n).transpose(0, 2, 1).reshape(-1, n * m))
        parts.append(flat[:, at + n * m : at + (n + 1) * m])
        at += (n + 1) * m
    return np.concatenate(parts, axis=1)


def module(row, sizes, *, tanh=False, dtype=torch.float32):
    """Return one seed's network as a plain torch module."""
    made, at = dense(sizes, tanh).to(dtype), 0
    layers = [each for each in made if isinstance(each, torch.nn.Linear)]
    for layer, (n, m) in zip(layers, pairwise(sizes), strict=True):
        layer.weight.data = torch.tensor(row[at : at + n * m].reshape(n, m).T.copy(), dtype=dtype)
        layer.bias.data = torch.tensor(row[at + n * m : at + (n + 1) * m], dtype=dtype)
        at += (n + 1) * m
    return made


def flat_of(made, what="data"):
    """Return a module's weights, or their ``grad``, in the order of :func:`weights`."""
    layers = [each for each in made if isinstance(each, torch.nn.Linear)]
    parts = [getattr(value, what).t().reshape(-1) for layer in layers for value in (layer.weight, layer.bias)]
    return torch.cat(parts).detach().numpy()


def plain_outputs(row, sizes, x, *, tanh=False):
    """Compute the network's outputs in float64."""
    h, at = np.asarray(x, np.float64), 0
    for layer, (n, m) in enumerate(pairwise(sizes)):
        h = h @ row[at : at + n * m].reshape(n, m) + row[at + n * m : at + (n + 1) * m]
        at += (n + 1) * m
        if layer < len(sizes) - 2:
            h = np.tanh(h) if tanh else np.maximum(h, 0.0)
    return h


def draws(seed):
    """Return a generator for made-up data."""
    return np.random.Generator(np.random.PCG64(seed))


def data(shape, seed=0):
    """Return made-up numbers, float32."""
    return draws(seed).standard_normal(shape).astype(np.float32)
