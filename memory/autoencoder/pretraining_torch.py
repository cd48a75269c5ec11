"""Layers learned one at a time, each from what the layers before it give, before a deep autoencoder learns as a whole.

By autoencoders of one hidden layer: Bengio et al. 2007. By restricted Boltzmann machines: Hinton and Salakhutdinov
2006; one step of contrastive divergence (Hinton 2002), with probabilities in place of samples for the visible units.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import product, sigmoid, softplus
from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import (
    ACTIVATIONS,
    Adam,
    Pace,
    Weights,
    cross_entropy,
    layers,
    rate,
    train,
    uniforms,
)
from simulator.core.protocols import Array


class Layer(NamedTuple):
    """What one layer of an autoencoder begins with."""

    up: Tensor  # [S, n, m]
    up_bias: Tensor  # [S, 1, m]
    down: Tensor  # [S, m, n]
    down_bias: Tensor  # [S, 1, n]


def by_autoencoders(inputs: Array, n: int, outer: bool, settings: tuple[Any, Pace], streams: Streams) -> Layer:
    """A layer of n units learned as an autoencoder of inputs [S, P, m].

    Args:
        inputs: what the layers before give.
        n: hidden units.
        outer: the inputs are the patterns themselves: their noise and their loss are those of the whole.
        settings: of the autoencoder, and how long to learn.
        streams: one for each seed.
    """
    config, pace = settings
    bend, logistic = ACTIVATIONS[config.activation], config.output == "logistic"
    sizes = (inputs.shape[2], n)
    weights = layers("up", sizes, config.activation, streams) | layers("down", sizes[::-1], config.activation, streams)

    def loss() -> Tensor:
        rows = draw_rows(inputs, config.batch, streams)
        span = (config.noise_least, config.noise_most)
        seen = torch.from_numpy(corrupted(rows, config.noise, span, streams) if outer else rows)
        code = bend(product(seen, weights["up0.w"], weights["up0.b"]))
        down = weights["up0.w"].transpose(1, 2) if config.tied else weights["down0.w"]
        out, wanted = product(code, down, weights["down0.b"]), torch.from_numpy(rows)
        if outer and logistic:
            return cross_entropy(out, wanted).mean(-1)
        return ((out if outer else bend(out)) - wanted).square().sum(-1).mean(-1)

    moving = {name: part for name, part in weights.items() if not (config.tied and name == "down0.w")}
    train(moving, loss, pace)
    return Layer(weights["up0.w"], weights["up0.b"], weights["down0.w"], weights["down0.b"])


def by_rbms(inputs: Array, n: int, outer: bool, settings: tuple[Any, Pace], streams: Streams) -> Layer:
    """A layer of n logistic units learned as a restricted Boltzmann machine; see :func:`by_autoencoders`.

    Patterns from -1 to 1 are seen as probabilities (1 + x) / 2, and the layer is given for -1 to 1.
    """
    config, pace = settings
    weights = layers("up", (inputs.shape[2], n), "sigmoid", streams)
    weights["v"] = torch.zeros(len(streams), 1, inputs.shape[2])
    adam = Adam(weights)
    for update in range(pace.updates):
        rows = torch.from_numpy(draw_rows(inputs, config.batch, streams))
        visible = 0.5 * (1.0 + rows) if outer else rows
        adam.step(_one_step(weights, visible, streams), rate(pace, update))
    up, bias, back = (weights[name].detach() for name in ("up0.w", "up0.b", "v"))
    if outer:  # W v + b with v = (1 + x) / 2
        return Layer(0.5 * up, bias + 0.5 * up.sum(1, keepdim=True), up.transpose(1, 2), back)
    return Layer(up, bias, up.transpose(1, 2), back)


def _one_step(weights: Weights, visible: Tensor, streams: Streams) -> Tensor:
    """A loss [S] whose gradient is that of CD-1: free energy at the data less that at their reconstruction."""
    with torch.no_grad():
        hidden = sigmoid(product(visible, weights["up0.w"], weights["up0.b"]))
        fired = (uniforms(tuple(hidden.shape[1:]), streams) < hidden).float()
        again = sigmoid(product(fired, weights["up0.w"].transpose(1, 2), weights["v"]))
    return (free_energy(weights, visible) - free_energy(weights, again)).mean(-1)


def free_energy(weights: Weights, visible: Tensor) -> Tensor:
    """[S, B]: -v a - sum_j softplus(b_j + v W_j), visible units from 0 to 1."""
    inputs = product(visible, weights["up0.w"], weights["up0.b"])
    return -(visible * weights["v"]).sum(-1) - softplus(inputs).sum(-1)
