"""Networks of every kind behind one contract, and plain oracles for them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from agents.common.networks.compiled_network import CompiledNetwork, make_net
from agents.common.networks.modules_torch import dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings

KINDS = ("compiled", "rows", "stack")  # numba; torch, seed by seed; torch, seeds as a tensor axis
PLAIN = OptimizerSettings(kind="sgd", learning_rate=1.0)  # a step is the gradient itself


def make(kind, sizes, seeds=(0, 1, 2), settings=PLAIN, *, tanh=False, batch=16):
    """Dense networks of a kind; all kinds begin with the same weights."""
    if kind == "compiled":
        return CompiledNetwork(make_net(sizes, tanh, seeds, batch), settings)
    return TorchNetwork(lambda: dense(sizes, tanh), seeds, settings, device="cpu", stacked=kind == "stack")


def weights(network, sizes):
    """Copies of all weights [S, P] in the order of the compiled kind: layer by layer, weights [in, out], biases."""
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
    """One seed's network as a plain torch module."""
    made, at = dense(sizes, tanh).to(dtype), 0
    layers = [each for each in made if isinstance(each, torch.nn.Linear)]
    for layer, (n, m) in zip(layers, pairwise(sizes), strict=True):
        layer.weight.data = torch.tensor(row[at : at + n * m].reshape(n, m).T.copy(), dtype=dtype)
        layer.bias.data = torch.tensor(row[at + n * m : at + (n + 1) * m], dtype=dtype)
        at += (n + 1) * m
    return made


def flat_of(made, what="data"):
    """A module's weights, or their ``grad``, in the order of :func:`weights`."""
    layers = [each for each in made if isinstance(each, torch.nn.Linear)]
    parts = [getattr(value, what).t().reshape(-1) for layer in layers for value in (layer.weight, layer.bias)]
    return torch.cat(parts).detach().numpy()


def plain_outputs(row, sizes, x, *, tanh=False):
    """The network in float64, by the textbook."""
    h, at = np.asarray(x, np.float64), 0
    for layer, (n, m) in enumerate(pairwise(sizes)):
        h = h @ row[at : at + n * m].reshape(n, m) + row[at + n * m : at + (n + 1) * m]
        at += (n + 1) * m
        if layer < len(sizes) - 2:
            h = np.tanh(h) if tanh else np.maximum(h, 0.0)
    return h


def draws(seed):
    """A stream for made-up data."""
    return np.random.Generator(np.random.PCG64(seed))


def data(shape, seed=0):
    """Made-up numbers, float32."""
    return draws(seed).standard_normal(shape).astype(np.float32)
