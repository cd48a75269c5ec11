"""A classifier of dense layers with a softmax on top, of one seed: trained on few labels, with dropout."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from simulator.core.memories import DenseLayer
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from envs.tasks.classes import Config

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "linear": lambda x: x,
}


def random_layers(layers: list[DenseLayer], stream: np.random.Generator) -> list[DenseLayer]:
    """Return layers of the same sizes with random weights: He's for relu, otherwise Glorot's; biases are 0."""
    fresh = []
    for weight, bias, activation in layers:
        n_in, n_out = weight.shape
        bound = sqrt(6.0 / n_in) if activation == "relu" else sqrt(6.0 / (n_in + n_out))
        drawn = np.asarray(stream.uniform(-bound, bound, weight.shape), np.float32)
        fresh.append(DenseLayer(drawn, np.zeros_like(bias), activation))
    return fresh


def train_and_predict(
    layers: list[DenseLayer],
    data: tuple[Array, Array, Array],
    n_classes: int,
    config: Config,
    streams: tuple[np.random.Generator, np.random.Generator],
    *,
    frozen: bool = False,
) -> Array:
    """Train layers and a new head on labelled rows, and return the probabilities of test rows, float64 [T, C].

    Args:
        layers: where training begins; they are not changed.
        data: labelled rows [n, N], their classes [n], and test rows [T, N].
        n_classes: number of classes C.
        config: how to train.
        streams: of the head's first weights, and of batches and dropout.
        frozen: train the softmax alone (a linear probe).
    """
    x, y, test = (torch.tensor(values) for values in data)
    of_head, of_training = streams
    n_code = layers[-1].weight.shape[1]
    bound = sqrt(6.0 / (n_code + n_classes))
    head = of_head.uniform(-bound, bound, (n_code, n_classes)).astype(np.float32)
    arrays = [*(array for layer in layers for array in layer[:2]), head, np.zeros(n_classes, np.float32)]
    weights = [torch.tensor(array) for array in arrays]
    trained = weights[-2:] if frozen else weights
    for weight in trained:
        weight.requires_grad_()
    activations = [layer.activation for layer in layers]
    optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
    keep = 1.0 - config.dropout
    for _ in range(config.updates):
        rows = torch.from_numpy(of_training.integers(len(x), size=config.batch_size))
        masks = None
        if config.dropout:
            drawn = [of_training.random((len(rows), layer.weight.shape[1]), np.float32) < keep for layer in layers]
            masks = [torch.from_numpy(mask) / keep for mask in drawn]
        loss = cross_entropy(_logits(weights, activations, x[rows], masks), y[rows])
        if config.weight_decay:
            loss = loss + 0.5 * config.weight_decay * sum(weight.square().sum() for weight in trained)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return torch.softmax(_logits(weights, activations, test), 1).numpy().astype(np.float64)


def _logits(weights: list[Tensor], activations: list[str], x: Tensor, masks: list[Tensor] | None = None) -> Tensor:
    """Compute the logits [B, C] of rows x [B, N]; ``masks``: factors of the units of every hidden layer."""
    for i, activation in enumerate(activations):
        x = ACTIVATIONS[activation](x @ weights[2 * i] + weights[2 * i + 1])
        if masks is not None:
            x = x * masks[i]
    return x @ weights[-2] + weights[-1]
