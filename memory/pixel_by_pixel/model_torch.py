"""Masked autoregressive networks of S seeds, and filling in by a beam of restorations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from memory.common.networks.arithmetic_torch import product, sigmoid
from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import Pace, Weights, cross_entropy, layers, named, train, uniforms
from memory.common.networks.memory_torch import Asked, Found
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

_CUES = 128  # filled in at a time


class Beam(NamedTuple):
    """Restorations under way, W for each cue; pixels are in the order in which they are filled in."""

    x: Tensor  # [S, R, N] with R = Q W
    inputs: Tensor  # [S, R, H], what the first hidden layer has received so far
    score: Tensor  # [S, Q, W], log probability with the evidence


def degrees(n: int, hidden: tuple[int, ...]) -> list[Tensor]:
    """By layer, from the pixels to the last hidden one: up to which pixel each unit may look, 1 to n - 1 in turn."""
    return [torch.arange(1, n + 1)] + [torch.arange(width) % (n - 1) + 1 for width in hidden]


class PixelByPixel:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: two-valued pixels.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._n = config, units.n
        steps = degrees(units.n, config.hidden)
        masks = [steps[i][:, None] <= steps[i + 1][None] for i in range(len(config.hidden))]
        masks.append(steps[-1][:, None] < steps[0][None])  # a pixel hears only of those before it
        self._masks = [mask.float() for mask in masks]

    def draw(self, streams: Streams) -> Weights:
        """Layers ``net`` and the order of the pixels, int64 [S, N]."""
        weights = layers("net", (self._n, *self._config.hidden, self._n), "relu", streams)
        raster = np.tile(np.arange(self._n), (len(streams), 1))
        if self._config.order == "random":
            raster = np.stack([stream.permutation(self._n) for stream in streams])
        return weights | {"order": torch.from_numpy(raster)}

    def masked(self, weights: Weights) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases by layer, with 0 where a unit must not look."""
        return [(weights[f"net{i}.w"] * mask, weights[f"net{i}.b"]) for i, mask in enumerate(self._masks)]

    def log_odds(self, weights: Weights, x: Tensor) -> Tensor:
        """Of +1 at every pixel given those before it, [S, B, N]; x and these are in the order of filling in."""
        for i, (w, b) in enumerate(self.masked(weights)):
            x = product(torch.relu(x) if i else x, w, b)
        return x

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn patterns [S, P, N] by the likelihood of every pixel given corrupted ones before it."""
        config = self._config
        ordered = np.take_along_axis(patterns, weights["order"].numpy()[:, None], 2)

        def loss() -> Tensor:
            rows = draw_rows(ordered, config.batch, streams)
            seen = corrupted(rows, "flip", (0.0, config.noise_most), streams)
            return cross_entropy(self.log_odds(weights, torch.from_numpy(seen)), torch.from_numpy(rows)).mean(-1)

        train(named(weights, "net"), loss, Pace(config.updates, config.learning_rate))

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """-log p(x), [S, Q]."""
        x = _ordered(weights, patterns)
        return cross_entropy(self.log_odds(weights, x), x)

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """One pass over the pixels."""
        doubt = torch.tensor((1.0 - self._config.doubt) / self._config.doubt).log()
        says = 0.5 * doubt * asked.cues if asked.evidence is None else asked.evidence
        says = torch.where(asked.known & (asked.cues != 0.0), asked.cues * torch.inf, says)
        width, sample = self._config.kept, self._config.pick == "sample"
        parts = torch.split(_ordered(weights, says), _CUES, 1)
        filled = torch.cat([self.fill(weights, part, width, streams if sample else None) for part in parts], 1)
        restored = _raster(weights, filled)
        trace = [self.energy(weights, x, streams) for x in (asked.cues, restored)]
        return Found(restored, torch.stack(trace, -1), torch.ones(restored.shape[:2], dtype=torch.int64))

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Patterns [S, n, N] drawn pixel by pixel."""
        nothing = torch.zeros(len(streams), n, self._n)
        return _raster(weights, self.fill(weights, nothing, 1, streams))

    def fill(self, weights: Weights, evidence: Tensor, width: int, streams: Streams | None) -> Tensor:
        """Restorations [S, Q, N] for evidence [S, Q, N], which is infinite where a pixel is held.

        Args:
            weights: of the network.
            evidence: half log odds by each pixel of the cue, in the order of filling in, as the result is.
            width: restorations kept.
            streams: draw by these; None: keep the most probable.
        """
        n_seeds, n_cues, n = evidence.shape
        net = self.masked(weights)
        begun = net[0][1].expand(-1, n_cues * width, -1).contiguous()
        score = torch.zeros(n_seeds, n_cues, width)
        if streams is None:
            score[..., 1:] = -torch.inf  # one to begin with, or all would be the same
        beam = Beam(torch.zeros(n_seeds, n_cues * width, n), begun, score)
        for i in range(n):
            odds = torch.unflatten(_odds_of(net, beam.inputs, i), 1, (n_cues, width))
            beam = _chosen(beam, i, odds, evidence[:, :, i : i + 1], streams)
            now = beam.x[:, :, i : i + 1] * net[0][0][:, i : i + 1]
            beam = beam._replace(inputs=beam.inputs + now)
        best = beam.score.argmax(-1)[..., None, None].expand(-1, -1, 1, n)
        found: Tensor = torch.unflatten(beam.x, 1, (n_cues, width)).gather(2, best)[:, :, 0]
        return found


def _odds_of(net: list[tuple[Tensor, Tensor]], inputs: Tensor, i: int) -> Tensor:
    """Log odds [S, R] of pixel i from what the first hidden layer has received."""
    x = inputs
    for w, b in net[1:-1]:
        x = product(torch.relu(x), w, b)
    w, b = net[-1]
    return product(torch.relu(x), w[:, :, i : i + 1], b[:, :, i : i + 1])[..., 0]


def _chosen(beam: Beam, i: int, odds: Tensor, evidence: Tensor, streams: Streams | None) -> Beam:
    """The beam with pixel i filled in, from log odds [S, Q, W] and evidence [S, Q, 1]."""
    held = evidence.isinf()
    says = torch.where(held, 0.0, evidence)
    up = torch.where(held & (evidence < 0), -torch.inf, logsigmoid(odds) + says)
    down = torch.where(held & (evidence > 0), -torch.inf, logsigmoid(-odds) - says)
    if streams is not None:
        fired = uniforms(tuple(odds.shape[1:]), streams) < sigmoid(up - down)
        beam.x[:, :, i] = torch.where(fired, 1.0, -1.0).flatten(1)
        return beam._replace(score=beam.score + torch.where(fired, up, down))
    n_cues, width = odds.shape[1:]
    both = torch.cat([beam.score + up, beam.score + down], -1)  # [S, Q, 2 W]
    score, at = both.topk(width, -1)
    origin = (at % width + width * torch.arange(n_cues)[:, None]).flatten(1).unsqueeze(-1)  # [S, R, 1]
    x = beam.x.gather(1, origin.expand(-1, -1, beam.x.shape[-1]))
    x[:, :, i] = torch.where(at < width, 1.0, -1.0).flatten(1)
    return Beam(x, beam.inputs.gather(1, origin.expand(-1, -1, beam.inputs.shape[-1])), score)


def _ordered(weights: Weights, x: Tensor) -> Tensor:
    return x.gather(2, weights["order"].unsqueeze(1).expand(x.shape))


def _raster(weights: Weights, x: Tensor) -> Tensor:
    return torch.empty_like(x).scatter(2, weights["order"].unsqueeze(1).expand(x.shape), x)
