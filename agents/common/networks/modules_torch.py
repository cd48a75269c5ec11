"""Torch modules of agents' networks, and their initial weights from a numpy stream."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from itertools import pairwise
from math import prod, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulator.core.protocols import Array

_CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


class PresetModule(nn.Module):
    """Module whose weights are not sampled but set, seed by seed; until then they are as built."""


_CONSTANT = (nn.LayerNorm, nn.GroupNorm, PresetModule)  # the same at first in every seed


class Pixels(nn.Module):
    """Scales bytes 0 to 255 to 0 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Convert to float32."""
        return x.float() / 255.0


def dense(sizes: Sequence[int], tanh: bool = False) -> nn.Sequential:
    """Make dense layers of these sizes, from the inputs to the linear outputs."""
    layers: list[nn.Module] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m), nn.Tanh() if tanh else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def behind(first_layers: Any, layers: nn.Sequential) -> nn.Sequential:
    """Put layers behind those of an encoder, if there is one; see ``agents.common.encoders.joint``."""
    return nn.Sequential(first_layers.build(), *layers) if first_layers else layers


def count_params(build: Callable[[], nn.Module]) -> int:
    """Count the weights of the module that ``build`` makes, without allocating them."""
    with torch.device("meta"):
        return sum(value.numel() for value in build().parameters())


def init_weights(module: nn.Module, generator: np.random.Generator, given: Container[str] = ()) -> dict[str, Array]:
    """Sample initial weights of a module by name, in the bounds of torch's own but from ``generator``.

    Linear and convolution: uniform in +-1/sqrt(fan in), weights and biases (LeCun et al. 1998). A linear layer samples
    in the order of :func:`agents.common.networks.dense.make_net`, so both kinds of network begin with the same weights.
    Recurrent: uniform in +-1/sqrt(hidden units). Embedding: standard normal. Norms: as built. Those of the names
    ``given`` are left out.

    Raises:
        ValueError: a module with parameters of its own that is none of these.
    """
    weights: dict[str, Array] = {}
    for path, part in module.named_modules():
        for name, value in part.named_parameters(recurse=False):
            full_name = f"{path}.{name}" if path else name
            if full_name not in given:
                weights[full_name] = _init(part, value, generator)
    return weights


def _init(part: nn.Module, value: Tensor, generator: np.random.Generator) -> Array:
    shape = tuple(value.shape)
    if isinstance(part, nn.Linear):
        bound = 1.0 / sqrt(part.in_features)
        return generator.uniform(-bound, bound, shape[::-1]).T  # sampled as [in, out]
    if isinstance(part, _CONVOLUTION):
        bound = 1.0 / sqrt(prod(part.weight.shape[1:]))
        return generator.uniform(-bound, bound, shape)
    if isinstance(part, _RECURRENT):
        bound = 1.0 / sqrt(part.hidden_size)
        return generator.uniform(-bound, bound, shape)
    if isinstance(part, nn.Embedding):
        return generator.standard_normal(shape)
    if isinstance(part, _CONSTANT):
        return value.detach().numpy()
    raise ValueError(f"module {type(part).__name__}: expected one with a rule for initial weights, as Linear has")


def build_quietly(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module on the CPU and in evaluation mode, leaving torch's global generator as it was.

    In evaluation mode nothing is random and no running statistic changes, so nothing crosses seeds or batches.
    """
    with torch.random.fork_rng(devices=[]):
        return build().eval()
