"""Convolutional autoencoders of S seeds, on maps [S, B, C, height, width]."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor, unflatten
from torch.nn import functional

from memory.common.networks.arithmetic_torch import product
from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import Pace, Weights, cross_entropy, layers, train, uniform
from memory.common.networks.memory_torch import Asked, Found, by_passes
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

Size = tuple[int, int]


def convolve(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Maps [S, B, out, h, w] of maps x [S, B, in, h, w] by windows ``NAME.w`` [S, out, in, k, k], zeros around.

    As products with all windows laid side by side, before the product or after it, wherever there are fewer maps.
    """
    w, b = weights[f"{name}.w"], weights[f"{name}.b"]
    out, fan, kernel = w.shape[1:4]
    size, rows = (x.shape[3], x.shape[4]), x.flatten(0, 1)
    if fan <= out:
        windows = unflatten(functional.unfold(rows, kernel, padding=kernel // 2), 0, x.shape[:2])
        y = _by_rows(w.flatten(2), windows)
    else:
        around = w.flip(3, 4).permute(0, 1, 3, 4, 2).flatten(1, 3)  # [S, out k k, in]
        spread = _by_rows(around, x.flatten(3)).flatten(0, 1)
        y = unflatten(functional.fold(spread, size, kernel, padding=kernel // 2), 0, x.shape[:2]).flatten(3)
    return unflatten(y + b[:, None, :, None], 3, size)


def _by_rows(w: Tensor, x: Tensor) -> Tensor:
    """Products [S, B, out, h w] of one matrix of each seed, [S, out, in], with each of its rows x [S, B, in, h w]."""
    each = w.unsqueeze(1).expand(-1, x.shape[1], -1, -1)
    return unflatten(product(each.flatten(0, 1), x.flatten(0, 1)), 0, x.shape[:2])


def grow(x: Tensor, weights: Weights, name: str, size: Size) -> Tensor:
    """A transposed convolution by windows ``NAME.w`` [S, in, out, 2, 2], two pixels for each, cut to ``size``."""
    w, b = weights[f"{name}.w"], weights[f"{name}.b"]
    y = unflatten(_by_rows(w.flatten(2).transpose(1, 2), x.flatten(3)), 3, x.shape[3:])
    return functional.pixel_shuffle(y, 2)[..., : size[0], : size[1]] + b[:, None, :, None, None]


def to_places(x: Tensor, places: Tensor, size: Size) -> Tensor:
    """Every number of x at the place that max pooling remembers, zeros elsewhere; ``places`` as torch gives them."""
    flat = x.new_zeros((*x.shape[:-2], size[0] * size[1])).scatter(-1, places.flatten(-2), x.flatten(-2))
    return unflatten(flat, -1, size)


def copies(x: Tensor, size: Size) -> Tensor:
    """Every number of x in all of its 2 by 2 pixels, cut to ``size``."""
    return x.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., : size[0], : size[1]]


def _window(shape: tuple[int, ...], fan: int, streams: Streams) -> Tensor:
    return uniform(shape, sqrt(6.0 / fan), streams)


class ConvAutoencoder:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: pictures of two dimensions.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._maps = config, (1, *config.channels)
        self._sizes: list[Size] = [(units.shape[0], units.shape[1])]  # before each pooling, and after the last
        for _ in config.channels:
            height, width = self._sizes[-1]
            self._sizes.append(((height + 1) // 2, (width + 1) // 2))
        self._flat = config.channels[-1] * prod(self._sizes[-1])

    def draw(self, streams: Streams) -> Weights:
        """Windows of every layer on the way down and back, and the dense layers around the code."""
        kernel, weights, n = self._config.kernel, Weights(), len(streams)
        for i, (before, after) in enumerate(zip(self._maps, self._maps[1:], strict=False)):
            area = kernel * kernel
            weights[f"down{i}.w"] = _window((after, before, kernel, kernel), before * area, streams)
            weights[f"down{i}.b"] = torch.zeros(n, after)
            if self._config.up == "transposed":
                weights[f"grow{i}.w"] = _window((after, after, 2, 2), after, streams)
                weights[f"grow{i}.b"] = torch.zeros(n, after)
            weights[f"back{i}.w"] = _window((before, after, kernel, kernel), after * area, streams)
            weights[f"back{i}.b"] = torch.zeros(n, before)
        return weights | layers("code", (self._flat, self._config.code, self._flat), "relu", streams)

    def _down(self, weights: Weights, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Codes [S, B, H] before they bend, and where each pooling found its maxima."""
        maps, places = unflatten(x, 2, self._sizes[0]).unsqueeze(2), []
        for i in range(len(self._maps) - 1):
            maps = torch.relu(convolve(maps, weights, f"down{i}"))
            rows = maps.flatten(0, 1)
            if self._config.pool == "max":
                rows, found = functional.max_pool2d(rows, 2, ceil_mode=True, return_indices=True)
                places.append(unflatten(found, 0, x.shape[:2]))
            else:
                rows = functional.avg_pool2d(rows, 2, ceil_mode=True, count_include_pad=False)
            maps = unflatten(rows, 0, x.shape[:2])
        flat = maps.flatten(2)
        return product(flat, weights["code0.w"], weights["code0.b"]), places

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Activations [S, B, H] of the dense layer."""
        return torch.relu(self._down(weights, x)[0])

    def log_odds(self, weights: Weights, x: Tensor) -> Tensor:
        """Of +1 at every pixel, [S, B, N]."""
        code, places = self._down(weights, x)
        flat = torch.relu(product(torch.relu(code), weights["code1.w"], weights["code1.b"]))
        maps = unflatten(flat, 2, (-1, *self._sizes[-1]))
        for i in reversed(range(len(self._maps) - 1)):
            size = self._sizes[i]
            if self._config.up == "transposed":
                maps = torch.relu(grow(maps, weights, f"grow{i}", size))
            elif self._config.up == "places":
                maps = to_places(maps, places[i], size)
            else:
                maps = copies(maps, size)
            maps = convolve(maps, weights, f"back{i}")
            maps = torch.relu(maps) if i else maps
        return maps.flatten(2)

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn to give out patterns [S, P, N] from corrupted ones."""
        config = self._config

        def loss() -> Tensor:
            rows = draw_rows(patterns, config.batch, streams)
            seen = corrupted(rows, config.noise, (config.noise_least, config.noise_most), streams)
            return cross_entropy(self.log_odds(weights, torch.from_numpy(seen)), torch.from_numpy(rows)).mean(-1)

        train(weights, loss, Pace(config.updates, config.learning_rate))

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Reconstruction error [S, Q]: cross entropy."""
        return cross_entropy(self.log_odds(weights, patterns), patterns)

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """Pass after pass."""
        says = 0.0 if asked.evidence is None else asked.evidence

        def once(x: Tensor) -> Tensor:
            return torch.tanh(0.5 * self.log_odds(weights, x) + says)

        most = 1 if self._config.recall_mode == "single_pass" else self._config.passes
        return by_passes(once, lambda x: self.energy(weights, x, streams), asked, most)
