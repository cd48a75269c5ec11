"""Masked autoregressive networks of S seeds: model, training, and recall by beam search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from memory.common.networks.arithmetic_torch import Optimizer, product, sigmoid
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, subset, tensor, uniforms
from memory.common.networks.memory_torch import CueBatch, Iteration, Restoration, cue_evidence
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, training
from memory.common.sizing import REFERENCE_UNITS
from simulator.core.devices import device
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.autoregressive import Config

CUES_PER_BEAM = 128  # bounds the memory used


class MaskedLayer(NamedTuple):
    """A dense layer without the connections that would look ahead."""

    weight: Tensor  # [S, in, out]
    bias: Tensor  # [S, 1, out]


class Beam(NamedTuple):
    """Restorations under way, W for each cue, with pixels in the order in which they are filled in."""

    x: Tensor  # [S, R, N] with R = Q W
    preactivations: Tensor  # [S, R, H], inputs of the first hidden layer by the pixels so far
    score: Tensor  # [S, Q, W], log probability plus evidence


class AutoregressiveNetwork:
    """Masked networks; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape of a bipolar pattern.
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        self._n = spec.n
        # Degree of a unit: the last pixel that it may look at, 1 to n - 1 in turn (Germain et al. 2015, equation 12).
        pixels = torch.arange(1, spec.n + 1)
        degrees = [pixels, *(torch.arange(width) % (spec.n - 1) + 1 for width in config.hidden)]
        masks = [degrees[i][:, None] <= degrees[i + 1][None] for i in range(len(config.hidden))]
        masks.append(degrees[-1][:, None] < pixels[None])
        self._masks = [mask.float().to(device()) for mask in masks]

    def init_weights(self, streams: Streams) -> Weights:
        """Sample the layers ``net`` and the ``order`` of the pixels, int64 [S, N]."""
        weights = init_mlp("net", (self._n, *self._config.hidden, self._n), "relu", streams)
        order = np.tile(np.arange(self._n), (len(streams), 1))
        if self._config.order == "random":
            order = np.stack([stream.permutation(self._n) for stream in streams])
        return weights | {"order": tensor(order)}

    def masked_layers(self, weights: Weights) -> list[MaskedLayer]:
        """Return the layers, with weight 0 where a unit must not look."""
        return [
            MaskedLayer(weights[f"net.{i}.weight"] * mask, weights[f"net.{i}.bias"])
            for i, mask in enumerate(self._masks)
        ]

    def first_weights(self, weights: Weights) -> Tensor:
        """Return the weights [S, N, H] from a pattern to the first hidden layer."""
        weight = self.masked_layers(weights)[0].weight
        order = weights["order"].unsqueeze(-1).expand_as(weight)
        return torch.empty_like(weight).scatter(1, order, weight)

    def conditional_logits(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the logits [S, B, N] of +1 at every pixel given those before it; both in the order of filling in."""
        for i, layer in enumerate(self.masked_layers(weights)):
            x = product(torch.relu(x) if i else x, layer.weight, layer.bias)
        return x

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train on patterns [S, P, N]. Yields the share of the updates that is over."""
        config = self._config
        ordered = np.take_along_axis(patterns, weights["order"].cpu().numpy()[:, None], 2)
        layers = subset(weights, "net")
        optimizer = Optimizer(layers, config.optimizer)
        noise_max = config.noise_max * min(1.0, REFERENCE_UNITS / self._n)

        def update(_: int, learning_rate: float) -> None:
            x = sample_rows(ordered, config.batch_size, streams)
            noisy = add_noise(x, "flip", 0.0, noise_max, streams)
            logits = self.conditional_logits(weights, tensor(noisy))
            optimizer.minimize(cross_entropy(logits, tensor(x)).mean(-1), learning_rate)

        yield from training(layers, update, config.updates, config.learning_rate)

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute -log p(x), [S, Q]."""
        x = _to_order(weights, patterns)
        return cross_entropy(self.conditional_logits(weights, x), x)

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Fill in the pixels of each cue, in one pass."""
        evidence = cue_evidence(cues, self._config.assumed_flip_prob)
        evidence = torch.where(cues.known & (cues.values != 0.0), cues.values * torch.inf, evidence)
        restored = [
            self.fill_in(
                weights, part, self._config.beam_width, streams if self._config.selection == "sample" else None
            )
            for part in torch.split(_to_order(weights, evidence), CUES_PER_BEAM, 1)
        ]
        patterns = _to_raster(weights, torch.cat(restored, 1))
        energies = [self.energy(weights, x, streams) for x in (cues.values, patterns)]
        n_iters = torch.ones(patterns.shape[:2], dtype=torch.int64, device=patterns.device)
        return Restoration(patterns, torch.stack(energies, -1), n_iters)

    def iterations(self, weights: Weights, cues: CueBatch, streams: Streams) -> Iterator[Iteration]:
        """Recall one cue, and yield it pixel by pixel, in the order in which they are filled in."""
        restored = self.recall(weights, cues, streams)
        x = _to_order(weights, restored.patterns)
        surprise = cross_entropy(self.conditional_logits(weights, x).unsqueeze(-1), x.unsqueeze(-1)).cumsum(-1)
        moves = torch.ones_like(restored.n_iters, dtype=torch.bool)
        yield Iteration(cues.values, restored.energy[..., 0], moves)
        filled = torch.zeros_like(x)
        for i in range(self._n):
            filled[..., i] = x[..., i]
            unit = int(weights["order"][0, i])
            energy = surprise[..., i] if i < self._n - 1 else restored.energy[..., 1]
            yield Iteration(_to_raster(weights, filled), energy, moves, unit)

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Sample patterns [S, n, N] pixel by pixel."""
        no_evidence = torch.zeros(len(streams), n, self._n, device=device())
        return _to_raster(weights, self.fill_in(weights, no_evidence, 1, streams))

    def fill_in(self, weights: Weights, evidence: Tensor, beam_width: int, streams: Streams | None) -> Tensor:
        """Restore patterns [S, Q, N] from evidence [S, Q, N], both in the order of filling in.

        Args:
            weights: of the network.
            evidence: half log odds of each pixel of the cue; infinite where a pixel is known.
            beam_width: restorations kept.
            streams: sample with these; None: keep the most probable.
        """
        n_seeds, n_cues, n = evidence.shape
        first, *hidden, last = self.masked_layers(weights)
        score = torch.zeros(n_seeds, n_cues, beam_width, device=evidence.device)
        if streams is None:
            score[..., 1:] = -torch.inf  # begin with one restoration: several would all be the same
        beam = Beam(
            x=torch.zeros(n_seeds, n_cues * beam_width, n, device=evidence.device),
            preactivations=first.bias.expand(-1, n_cues * beam_width, -1).contiguous(),
            score=score,
        )
        for i in range(n):
            x = beam.preactivations
            for layer in hidden:
                x = product(torch.relu(x), layer.weight, layer.bias)
            logits = product(torch.relu(x), last.weight[:, :, i : i + 1], last.bias[:, :, i : i + 1])[..., 0]
            logits = torch.unflatten(logits, 1, (n_cues, beam_width))
            beam = _choose_pixel(beam, i, logits, evidence[:, :, i : i + 1], streams)
            pixel_inputs = beam.x[:, :, i : i + 1] * first.weight[:, i : i + 1]
            beam = beam._replace(preactivations=beam.preactivations + pixel_inputs)
        best = beam.score.argmax(-1)[..., None, None].expand(-1, -1, 1, n)
        restored: Tensor = torch.unflatten(beam.x, 1, (n_cues, beam_width)).gather(2, best)[:, :, 0]
        return restored


def _choose_pixel(beam: Beam, i: int, logits: Tensor, evidence: Tensor, streams: Streams | None) -> Beam:
    """Fill in pixel i from logits [S, Q, W] and evidence [S, Q, 1]."""
    is_known = evidence.isinf()
    shift = torch.where(is_known, 0.0, evidence)
    score_plus = torch.where(is_known & (evidence < 0), -torch.inf, logsigmoid(logits) + shift)
    score_minus = torch.where(is_known & (evidence > 0), -torch.inf, logsigmoid(-logits) - shift)
    if streams is not None:
        is_plus = uniforms(tuple(logits.shape[1:]), streams) < sigmoid(score_plus - score_minus)
        beam.x[:, :, i] = torch.where(is_plus, 1.0, -1.0).flatten(1)
        return beam._replace(score=beam.score + torch.where(is_plus, score_plus, score_minus))
    n_cues, beam_width = logits.shape[1:]
    successors = torch.cat([beam.score + score_plus, beam.score + score_minus], -1)  # [S, Q, 2 W]
    score, index = successors.topk(beam_width, -1)
    first = beam_width * torch.arange(n_cues, device=index.device)[:, None]
    parents = (index % beam_width + first).flatten(1).unsqueeze(-1)  # [S, R, 1]
    x = beam.x.gather(1, parents.expand(-1, -1, beam.x.shape[-1]))
    x[:, :, i] = torch.where(index < beam_width, 1.0, -1.0).flatten(1)
    preactivations = beam.preactivations.gather(1, parents.expand(-1, -1, beam.preactivations.shape[-1]))
    return Beam(x, preactivations, score)


def _to_order(weights: Weights, x: Tensor) -> Tensor:
    return x.gather(2, weights["order"].unsqueeze(1).expand(x.shape))


def _to_raster(weights: Weights, x: Tensor) -> Tensor:
    return torch.empty_like(x).scatter(2, weights["order"].unsqueeze(1).expand(x.shape), x)
