"""Dense layers of S networks, stacked along the first axis: a weight is one tensor [S, in, out].

No number crosses seeds: products are batched over them and losses are summed over them. All arithmetic is that of
:mod:`memory.common.networks.arithmetic_torch`, so that no rounding crosses them either. Random numbers come from numpy
streams, one for each seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import product, sigmoid
from simulator.core.devices import device
from simulator.core.protocols import Array

Streams = Sequence[np.random.Generator]  # one for each seed
Weights = dict[str, Tensor]  # name -> [S, ...]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": sigmoid,
    "tanh": torch.tanh,
    "linear": lambda x: x,
}


def tensor(values: Array) -> Tensor:
    """Put an array on the run's device; on the CPU the tensor shares its memory."""
    return torch.from_numpy(values).to(device())


def uniform_weights(shape: tuple[int, ...], bound: float, streams: Streams) -> Tensor:
    """Sample weights uniformly from [-bound, bound): float32 [S, *shape]."""
    samples = [stream.uniform(-bound, bound, shape) for stream in streams]
    return tensor(np.stack(samples).astype(np.float32))


def uniforms(shape: tuple[int, ...], streams: Streams) -> Tensor:
    """Sample uniformly from [0, 1): float32 [S, *shape]."""
    return tensor(np.stack([stream.random(shape, np.float32) for stream in streams]))


def normals(shape: tuple[int, ...], streams: Streams) -> Tensor:
    """Sample from the standard normal distribution: float32 [S, *shape]."""
    return tensor(np.stack([stream.standard_normal(shape, np.float32) for stream in streams]))


def init_mlp(name: str, sizes: Sequence[int], activation: str, streams: Streams) -> Weights:
    """Initialize dense layers ``NAME.0.weight`` [S, in, out], ``NAME.0.bias`` [S, 1, out], and so on.

    Weights are uniform within sqrt(6 / in) before a relu (He et al. 2015), otherwise within sqrt(6 / (in + out))
    (Glorot and Bengio 2010). Biases are 0. The last layer is linear.
    """
    weights: Weights = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        is_last = i == len(sizes) - 2
        bound = sqrt(6.0 / n_in) if activation == "relu" and not is_last else sqrt(6.0 / (n_in + n_out))
        weights[f"{name}.{i}.weight"] = uniform_weights((n_in, n_out), bound, streams)
        weights[f"{name}.{i}.bias"] = torch.zeros(len(streams), 1, n_out, device=device())
    return weights


def mlp(weights: Weights, name: str, x: Tensor, activation: str = "relu") -> Tensor:
    """Apply the dense layers of that name to x [S, B, in]; the last one is linear, [S, B, out]."""
    activate = ACTIVATIONS[activation]
    i = 0
    while f"{name}.{i}.weight" in weights:
        x = product(activate(x) if i else x, weights[f"{name}.{i}.weight"], weights[f"{name}.{i}.bias"])
        i += 1
    return x


def subset(weights: Weights, *prefixes: str) -> Weights:
    """Select the tensors whose names begin with a prefix; they are not copied."""
    return {name: weight for name, weight in weights.items() if name.startswith(prefixes)}
