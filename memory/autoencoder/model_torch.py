"""Dense autoencoders of S seeds: layers down to a code and back, every variant's loss, and recall by passes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from memory.autoencoder.pretraining_torch import by_autoencoders, by_rbms
from memory.common.networks.arithmetic_torch import atanh, product
from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import (
    ACTIVATIONS,
    SLOPES,
    Pace,
    Weights,
    cross_entropy,
    layers,
    train,
    uniforms_kept,
)
from memory.common.networks.losses_torch import contraction
from memory.common.networks.memory_torch import Asked, Found, by_passes
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

_SURE = 0.999  # a linear output's mean is kept within this where odds are asked for


class Output(NamedTuple):
    """What the last layer's numbers mean."""

    logistic: bool  # log odds of +1; otherwise the value itself

    def loss(self, out: Tensor, x: Tensor) -> Tensor:
        """[S, B]: cross entropy, or squared error."""
        return cross_entropy(out, x) if self.logistic else (out - x).square().sum(-1)

    def mean(self, out: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Restored values from -1 to 1; evidence is added to half the log odds."""
        if evidence is None:
            return torch.tanh(0.5 * out) if self.logistic else out.clamp(-1.0, 1.0)
        half = 0.5 * out if self.logistic else atanh(out.clamp(-_SURE, _SURE))
        return torch.tanh(half + evidence)


class Autoencoder:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: what a pattern is.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._sizes = config, (units.n, *config.hidden)
        self._bend, self._output = ACTIVATIONS[config.activation], Output(config.output == "logistic")

    def draw(self, streams: Streams) -> Weights:
        """Layers ``up0.w`` [S, in, out] from the pattern to the code, and ``down0.w`` from the code back."""
        activation = self._config.activation
        weights = layers("up", self._sizes, activation, streams)
        back = layers("down", self._sizes[::-1], activation, streams)
        if self._config.tied:
            back = {name: part for name, part in back.items() if name.endswith("b")}
        return weights | back

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Activations [S, B, H] of the innermost layer."""
        return self._encode(weights, x, None)[-1]

    def _encode(self, weights: Weights, x: Tensor, kept: list[Tensor] | None) -> list[Tensor]:
        found = []
        for i in range(len(self._sizes) - 1):
            x = self._bend(product(x, weights[f"up{i}.w"], weights[f"up{i}.b"]))
            x = x if kept is None else x * kept[i]
            found.append(x)
        return found

    def _decode(self, weights: Weights, code: Tensor, kept: list[Tensor] | None) -> tuple[list[Tensor], Tensor]:
        found, last = [], len(self._sizes) - 2
        for i in range(last + 1):
            tied = self._config.tied
            w = weights[f"up{last - i}.w"].transpose(1, 2) if tied else weights[f"down{i}.w"]
            code = product(code, w, weights[f"down{i}.b"])
            if i < last:
                code = self._bend(code)
                code = code if kept is None else code * kept[last + 1 + i]
                found.append(code)
        return found, code

    def out(self, weights: Weights, x: Tensor) -> Tensor:
        """The last layer's numbers [S, B, N]."""
        return self._decode(weights, self.codes(weights, x), None)[1]

    def loss(self, weights: Weights, rows: Tensor, seen: Tensor, kept: list[Tensor] | None = None) -> Tensor:
        """Loss [S]: of restoring rows [S, B, N] from what was seen of them, and the penalties of the variants.

        Args:
            weights: of the layers.
            rows: what is to come out.
            seen: what goes in.
            kept: by hidden layer what its units are multiplied by, for dropout; None: nothing.
        """
        config = self._config
        ups = self._encode(weights, seen, kept)
        downs, out = self._decode(weights, ups[-1], kept)
        total = self._output.loss(out, rows)
        if config.sparse:
            total = total + config.sparse * sum(h.abs().sum(-1) for h in (*ups, *downs))
        if config.code_square:
            total = total + config.code_square * ups[-1].square().sum(-1)
        if config.contractive:
            total = total + config.contractive * contraction(SLOPES[config.activation](ups[0]), weights["up0.w"])
        return total.mean(-1)

    def _kept(self, n_rows: int, streams: Streams) -> list[Tensor] | None:
        if not self._config.dropout:
            return None
        sizes = (*self._sizes[1:], *self._sizes[-2:0:-1])
        return [uniforms_kept((n_rows, width), 1.0 - self._config.dropout, streams) for width in sizes]

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn patterns [S, P, N]: layer by layer first where that is asked for, then all layers together."""
        config = self._config
        if config.pretrain != "none":
            self._prepare(weights, patterns, streams)

        def loss() -> Tensor:
            rows = draw_rows(patterns, config.batch, streams)
            seen = corrupted(rows, config.noise, (config.noise_least, config.noise_most), streams)
            kept = self._kept(config.batch, streams)
            return self.loss(weights, torch.from_numpy(rows), torch.from_numpy(seen), kept)

        train(weights, loss, Pace(config.updates, config.learning_rate))

    def _prepare(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        config, last = self._config, len(self._sizes) - 2
        learn = by_rbms if config.pretrain == "rbms" else by_autoencoders
        pace = Pace(config.pretrain_updates, config.learning_rate)
        for i, _ in enumerate(pairwise(self._sizes)):
            inputs = self._inputs(weights, torch.from_numpy(patterns), i)
            found = learn(inputs.numpy(), self._sizes[i + 1], i == 0, (config, pace), streams)
            weights[f"up{i}.w"].copy_(found.up)
            weights[f"up{i}.b"].copy_(found.up_bias)
            weights[f"down{last - i}.b"].copy_(found.down_bias)
            if not config.tied:
                weights[f"down{last - i}.w"].copy_(found.down)

    def _inputs(self, weights: Weights, x: Tensor, layer: int) -> Tensor:
        return self._encode(weights, x, None)[layer - 1] if layer else x

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Reconstruction error [S, Q]."""
        return self._output.loss(self.out(weights, patterns), patterns)

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """Pass after pass."""
        most = 1 if self._config.recall_mode == "single_pass" else self._config.passes

        def once(x: Tensor) -> Tensor:
            return self._output.mean(self.out(weights, x), asked.evidence)

        return by_passes(once, lambda x: self.energy(weights, x, streams), asked, most)
