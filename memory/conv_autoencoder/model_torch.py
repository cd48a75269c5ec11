"""Convolutional autoencoders of S seeds, on maps [S, B, C, height, width]: layers, model, training, recall."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod, sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, unflatten
from torch.nn import functional

from memory.common.networks.arithmetic_torch import Optimizer, product
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, tensor, uniform_weights
from memory.common.networks.memory_torch import (
    CueBatch,
    Iteration,
    Restoration,
    mean_pattern,
    reconstructions,
    restoration_of,
)
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, training
from simulator.core.devices import device
from simulator.core.memories import Maps, PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.conv_autoencoder import Config

Size = tuple[int, int]  # height, width


def convolve(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Convolve maps x [S, B, in, h, w] with kernels ``NAME.weight`` [S, out, in, k, k], padded with zeros.

    It is one product over all windows: before the product they are unfolded, or after it they are folded, whichever
    has fewer maps.
    """
    weight = weights[f"{name}.weight"]
    n_out, n_in, kernel = weight.shape[1:4]
    size = (x.shape[3], x.shape[4])
    if n_in <= n_out:
        windows = functional.unfold(x.flatten(0, 1), kernel, padding=kernel // 2)
        y = _multiply_maps(weight.flatten(2), unflatten(windows, 0, x.shape[:2]))
    else:
        flipped = weight.flip(3, 4).permute(0, 1, 3, 4, 2).flatten(1, 3)  # [S, out k k, in]
        windows = _multiply_maps(flipped, x.flatten(3)).flatten(0, 1)
        y = functional.fold(windows, size, kernel, padding=kernel // 2)
        y = unflatten(y, 0, x.shape[:2]).flatten(3)
    return unflatten(y + weights[f"{name}.bias"][:, None, :, None], 3, size)


def _multiply_maps(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply the matrix of each seed, [S, out, in], with each of its rows x [S, B, in, h w]: [S, B, out, h w]."""
    repeated = matrix.unsqueeze(1).expand(-1, x.shape[1], -1, -1)
    return unflatten(product(repeated.flatten(0, 1), x.flatten(0, 1)), 0, x.shape[:2])


def transposed_convolve(x: Tensor, weights: Weights, name: str, size: Size) -> Tensor:
    """Apply a transposed convolution of stride 2 with kernels ``NAME.weight`` [S, in, out, 2, 2]; cut to ``size``."""
    y = _multiply_maps(weights[f"{name}.weight"].flatten(2).transpose(1, 2), x.flatten(3))
    y = functional.pixel_shuffle(unflatten(y, 3, x.shape[3:]), 2)
    return y[..., : size[0], : size[1]] + weights[f"{name}.bias"][:, None, :, None, None]


def unpool(x: Tensor, indices: Tensor, size: Size) -> Tensor:
    """Put every number of x at the index that max pooling returned for it, with zeros elsewhere."""
    flat = x.new_zeros((*x.shape[:-2], size[0] * size[1])).scatter(-1, indices.flatten(-2), x.flatten(-2))
    return unflatten(flat, -1, size)


def upsample(x: Tensor, size: Size) -> Tensor:
    """Repeat every number of x in 2 by 2 pixels; cut to ``size``."""
    return x.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., : size[0], : size[1]]


class Encoded(NamedTuple):
    """Result of the encoder."""

    code: Tensor  # [S, B, H]
    pool_indices: list[Tensor]  # of the maxima, by layer; empty with mean pooling


class ConvAutoencoder:
    """Convolutional autoencoders; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape of a picture, [height, width] or [colours, height, width].
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        if config.decoder != "unpool":
            self.decoded = self._decoded
        self._n_maps = spec.shape[0] if len(spec.shape) == 3 else 1
        self._sizes: list[Size] = [spec.shape[-2:]]  # before each pooling, and after the last
        for _ in config.channels:
            height, width = self._sizes[-1]
            self._sizes.append(((height + 1) // 2, (width + 1) // 2))

    def init_weights(self, streams: Streams) -> Weights:
        """Sample kernels of ``encoder``, ``upsample`` and ``decoder`` layers, and the two dense layers ``code``."""
        config = self._config
        weights: Weights = {}
        n_seeds = len(streams)
        area = config.kernel * config.kernel

        def add(name: str, shape: tuple[int, ...], n_inputs: int, n_out: int) -> None:
            weights[f"{name}.weight"] = uniform_weights(shape, sqrt(6.0 / n_inputs), streams)
            weights[f"{name}.bias"] = torch.zeros(n_seeds, n_out, device=device())

        for i, (outer, inner) in enumerate(pairwise((self._n_maps, *config.channels))):
            add(f"encoder.{i}", (inner, outer, config.kernel, config.kernel), outer * area, inner)
            if config.decoder == "transposed":
                add(f"upsample.{i}", (inner, inner, 2, 2), inner, inner)
            add(f"decoder.{i}", (outer, inner, config.kernel, config.kernel), inner * area, outer)
        return weights | init_mlp("code", (self.n_flat, config.latent_dim, self.n_flat), "relu", streams)

    @property
    def n_flat(self) -> int:
        """Number of values of the smallest maps together."""
        return self._config.channels[-1] * prod(self._sizes[-1])

    def encode(self, weights: Weights, x: Tensor) -> Encoded:
        """Encode pictures x [S, B, N]."""
        flat, pool_indices = self.smallest_maps(weights, x)
        return Encoded(torch.relu(product(flat, weights["code.0.weight"], weights["code.0.bias"])), pool_indices)

    def smallest_maps(self, weights: Weights, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the maps before the code, [S, B, n_flat], of pictures x [S, B, N], and the indices of pooling."""
        maps = unflatten(x, 2, (self._n_maps, *self._sizes[0]))
        pool_indices = []
        for i in range(len(self._config.channels)):
            rows = torch.relu(convolve(maps, weights, f"encoder.{i}")).flatten(0, 1)
            if self._config.pool == "max":
                rows, indices = functional.max_pool2d(rows, 2, ceil_mode=True, return_indices=True)
                pool_indices.append(unflatten(indices, 0, x.shape[:2]))
            else:
                rows = functional.avg_pool2d(rows, 2, ceil_mode=True, count_include_pad=False)
            maps = unflatten(rows, 0, x.shape[:2])
        return maps.flatten(2), pool_indices

    def kernels(self, weights: Weights) -> list[Maps]:
        """Return the kernels of every convolution of the encoder, [out * in, k, k] each."""
        layers = range(len(self._config.channels))
        kernels = [weights[f"encoder.{i}.weight"][0].flatten(0, 1).cpu().numpy() for i in layers]
        return [Maps(f"kernels of layer {i + 1}", kernel) for i, kernel in enumerate(kernels)]

    def feature_maps(self, weights: Weights, x: Tensor) -> list[Maps]:
        """Return the maps of one picture x [1, 1, N] after every convolution, rectification and pooling."""
        found = []
        maps = unflatten(x, 2, (self._n_maps, *self._sizes[0]))
        for i in range(len(self._config.channels)):
            convolved = convolve(maps, weights, f"encoder.{i}")[0]
            rectified = torch.relu(convolved)
            pool = functional.max_pool2d if self._config.pool == "max" else functional.avg_pool2d
            kinds = {} if self._config.pool == "max" else {"count_include_pad": False}
            pooled = pool(rectified, 2, ceil_mode=True, **kinds)
            for what, values in (
                ("convolution", convolved),
                ("ReLU", rectified),
                (f"{self._config.pool} pooling", pooled),
            ):
                found.append(Maps(f"after the {what} of layer {i + 1}", values[0].cpu().numpy()))
            maps = pooled.unsqueeze(0)
        return found

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Encode x [S, B, N] as codes [S, B, H]."""
        return self.encode(weights, x).code

    def reconstruct(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the logits [S, B, N] of +1 at every pixel."""
        return self.decode(weights, self.encode(weights, x))

    def decode(self, weights: Weights, encoded: Encoded) -> Tensor:
        """Compute the logits [S, B, N] of +1 at every pixel from a code."""
        flat = torch.relu(product(encoded.code, weights["code.1.weight"], weights["code.1.bias"]))
        maps = unflatten(flat, 2, (-1, *self._sizes[-1]))
        for i in reversed(range(len(self._config.channels))):
            size = self._sizes[i]
            if self._config.decoder == "transposed":
                maps = torch.relu(transposed_convolve(maps, weights, f"upsample.{i}", size))
            elif self._config.decoder == "unpool":
                maps = unpool(maps, encoded.pool_indices[i], size)
            else:
                maps = upsample(maps, size)
            maps = convolve(maps, weights, f"decoder.{i}")
            maps = torch.relu(maps) if i else maps
        return maps.flatten(2)

    @property
    def code_size(self) -> int:
        """Number of values of a code."""
        return self._config.latent_dim

    def _decoded(self, weights: Weights, codes: Tensor) -> Tensor:
        """Decode codes [S, B, H] to mean patterns [S, B, N]."""
        return mean_pattern(self.decode(weights, Encoded(codes, [])))

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train on patterns [S, P, N]. Yields the share of the updates that is over."""
        config = self._config
        optimizer = Optimizer(weights, self._config.optimizer)

        def update(_: int, learning_rate: float) -> None:
            x = sample_rows(patterns, config.batch_size, streams)
            noisy = add_noise(x, config.noise, config.noise_min, config.noise_max, streams)
            logits = self.reconstruct(weights, tensor(noisy))
            optimizer.minimize(cross_entropy(logits, tensor(x)).mean(-1), learning_rate)

        yield from training(weights, update, config.updates, config.learning_rate)

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute the reconstruction error [S, Q], a cross entropy."""
        return cross_entropy(self.reconstruct(weights, patterns), patterns)

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Reconstruct cues."""
        return restoration_of(self.iterations(weights, cues, streams))

    def iterations(self, weights: Weights, cues: CueBatch, streams: Streams) -> Iterator[Iteration]:
        """Reconstruct cues."""
        return reconstructions(
            lambda x: mean_pattern(self.reconstruct(weights, x), cues.evidence),
            lambda x: self.energy(weights, x, streams),
            cues,
            self._config,
        )
