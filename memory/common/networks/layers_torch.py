"""Layers of S networks as one tensor each, [S, in, out], and how they learn: one update moves every seed's weights.

No number crosses seeds: products are batched over them, losses are summed over them, and Adam works on every number by
itself; all of it by :mod:`memory.common.networks.arithmetic_torch`, so that no bit crosses them either. Random numbers
come from numpy streams, one for each seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import AdamStep, product, sigmoid, softplus
from memory.common.networks.input_noise import Streams

Weights = dict[str, Tensor]  # name -> [S, ...]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": sigmoid,
    "tanh": torch.tanh,
    "linear": lambda x: x,
}
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {  # by the activation itself
    "relu": lambda h: (h > 0).to(h.dtype),
    "sigmoid": lambda h: h * (1.0 - h),
    "tanh": lambda h: 1.0 - h * h,
    "linear": torch.ones_like,
}


class Pace(NamedTuple):
    """How long and how fast to learn."""

    updates: int
    learning_rate: float


def uniform(shape: tuple[int, ...], bound: float, streams: Streams) -> Tensor:
    """Even draws from +-bound, float32 [S, *shape]."""
    return torch.from_numpy(np.stack([each.uniform(-bound, bound, shape) for each in streams]).astype(np.float32))


def layers(name: str, sizes: Sequence[int], activation: str, streams: Streams) -> Weights:
    """Random dense layers ``NAME0.w`` [S, in, out] and ``NAME0.b`` [S, 1, out], and so on; the last one is linear.

    Weights are even in +-sqrt(6 / in) before a relu (He et al. 2015), otherwise in +-sqrt(6 / (in + out)) (Glorot and
    Bengio 2010); biases are 0.
    """
    made: Weights = {}
    for i, (n, m) in enumerate(pairwise(sizes)):
        bound = sqrt(6.0 / n) if activation == "relu" and i < len(sizes) - 2 else sqrt(6.0 / (n + m))
        made[f"{name}{i}.w"] = uniform((n, m), bound, streams)
        made[f"{name}{i}.b"] = torch.zeros(len(streams), 1, m)
    return made


def through(weights: Weights, name: str, x: Tensor, activation: str) -> Tensor:
    """Outputs [S, B, out] of the layers of that name at x [S, B, in]; the last one is linear."""
    bend, i = ACTIVATIONS[activation], 0
    while f"{name}{i}.w" in weights:
        x = product(bend(x) if i else x, weights[f"{name}{i}.w"], weights[f"{name}{i}.b"])
        i += 1
    return x


def uniforms(shape: tuple[int, ...], streams: Streams) -> Tensor:
    """Draws from [0, 1), float32 [S, *shape]."""
    return torch.from_numpy(np.stack([each.random(shape, np.float32) for each in streams]))


def normals(shape: tuple[int, ...], streams: Streams) -> Tensor:
    """Standard normal draws, float32 [S, *shape]."""
    return torch.from_numpy(np.stack([each.standard_normal(shape, np.float32) for each in streams]))


def uniforms_kept(shape: tuple[int, ...], share: float, streams: Streams) -> Tensor:
    """What dropout multiplies by: 1 / share where a unit is kept, otherwise 0 (Srivastava et al. 2014); [S, *shape]."""
    return (uniforms(shape, streams) < share) / share


def cross_entropy(log_odds: Tensor, values: Tensor) -> Tensor:
    """-log p of values from -1 to 1 under independent signs, summed over units: [S, B]; 0 counts as half of each."""
    return (softplus(log_odds) - 0.5 * (1.0 + values) * log_odds).sum(-1)


def judged(real: bool, log_odds: Tensor) -> Tensor:
    """Loss [S] of log odds [S, B] of being real: -log p of all rows being so, or of all being made."""
    return softplus(-log_odds if real else log_odds).mean(-1)


def named(weights: Weights, *beginnings: str) -> Weights:
    """The tensors whose names begin so; the very same ones."""
    return {name: part for name, part in weights.items() if name.startswith(beginnings)}


def rate(pace: Pace, update: int) -> float:
    """The learning rate of an update: rises over the first twentieth and falls to 0, both linearly."""
    warm = max(1, pace.updates // 20)
    return pace.learning_rate * min(1.0, (update + 1) / warm) * (1.0 - update / pace.updates)


def slope_on(parts: Weights) -> list[Tensor]:
    """The tensors as leaves that gather gradients."""
    return [part.requires_grad_() for part in parts.values()]


class Adam:
    """Adam over stacked weights; see ``torch.optim.Adam``.

    Args:
        parts: what is to move; they gather gradients from now on.
        momentum: share of the running direction that is kept.
    """

    def __init__(self, parts: Weights, momentum: float = 0.9) -> None:
        self.parts = slope_on(parts)
        self._move = AdamStep(self.parts, momentum)

    def step(self, loss: Tensor, learning_rate: float) -> None:
        """Follow the gradient of losses [S]; of the tensors given, none but these moves."""
        self._move(list(torch.autograd.grad(loss.sum(), self.parts)), learning_rate)


def train(parts: Weights, loss: Callable[[], Tensor], pace: Pace) -> None:
    """Let the tensors, in place, follow the losses [S] that ``loss`` gives anew before every update."""
    adam = Adam(parts)
    for update in range(pace.updates):
        adam.step(loss(), rate(pace, update))
    for part in parts.values():
        part.requires_grad_(False)
