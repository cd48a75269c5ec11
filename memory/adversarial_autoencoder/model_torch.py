"""Adversarial autoencoders of S seeds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import (
    Adam,
    Pace,
    Weights,
    cross_entropy,
    judged,
    layers,
    named,
    normals,
    rate,
    through,
)
from memory.common.networks.memory_torch import Asked, Found, by_passes
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array


class AdversarialAutoencoder:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: what a pattern is.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._n = config, units.n

    def draw(self, streams: Streams) -> Weights:
        """Layers ``up`` to the code, ``down`` to log odds, and ``judge`` of codes."""
        config = self._config
        weights = layers("up", (self._n, *config.hidden, config.code), "relu", streams)
        weights |= layers("down", (config.code, *config.hidden[::-1], self._n), "relu", streams)
        return weights | layers("judge", (config.code, *config.judge, 1), "relu", streams)

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Codes [S, B, H]."""
        return through(weights, "up", x, "relu")

    def log_odds(self, weights: Weights, x: Tensor) -> Tensor:
        """Of +1 at every unit, [S, B, N]."""
        return through(weights, "down", self.codes(weights, x), "relu")

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn patterns [S, P, N]: judging, then restoring and passing in one step."""
        config = self._config
        coder, critic = Adam(named(weights, "up", "down")), Adam(named(weights, "judge"))
        for update in range(config.updates):
            rows = draw_rows(patterns, config.batch, streams)
            seen = corrupted(rows, config.noise, (config.noise_least, config.noise_most), streams)
            drawn = normals((config.batch, config.code), streams)
            step = rate(Pace(config.updates, config.learning_rate), update)
            codes = self.codes(weights, torch.from_numpy(seen))
            critic.step(self.judging(weights, drawn, codes.detach()), step)
            out = through(weights, "down", codes, "relu")
            restoring = cross_entropy(out, torch.from_numpy(rows)).mean(-1)
            coder.step(restoring + config.press * judged(True, through(weights, "judge", codes, "relu")[..., 0]), step)
        for part in weights.values():
            part.requires_grad_(False)

    def judging(self, weights: Weights, drawn: Tensor, codes: Tensor) -> Tensor:
        """Loss [S] of the discriminator, which should tell normal draws from codes."""
        real = judged(True, through(weights, "judge", drawn, "relu")[..., 0])
        return real + judged(False, through(weights, "judge", codes, "relu")[..., 0])

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

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Means of new patterns [S, n, N], from normal codes."""
        return torch.tanh(0.5 * through(weights, "down", normals((n, self._config.code), streams), "relu"))
