"""Variational autoencoders of S seeds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memory.common.networks.input_noise import Streams, corrupted, draw_rows
from memory.common.networks.layers_torch import Pace, Weights, cross_entropy, layers, normals, through, train
from memory.common.networks.losses_torch import gaussian_divergence
from memory.common.networks.memory_torch import Asked, Found, by_passes
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

N_DRAWS = 8  # of the code, for the energy


class VAE:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: what a pattern is.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._n = config, units.n

    def draw(self, streams: Streams) -> Weights:
        """Layers ``up`` to the mean and the log variance of the code, and ``down`` to log odds."""
        config = self._config
        weights = layers("up", (self._n, *config.hidden, 2 * config.code), "relu", streams)
        return weights | layers("down", (config.code, *config.hidden[::-1], self._n), "relu", streams)

    def guess(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [S, B, H] of the code."""
        mean, log_variance = through(weights, "up", x, "relu").chunk(2, -1)
        return mean, log_variance

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Mean of the code [S, B, H]."""
        return self.guess(weights, x)[0]

    def loss(self, weights: Weights, seen: Tensor, rows: Tensor, noise: Tensor, beta: float) -> Tensor:
        """-ELBO [S, B] of rows by one draw of the code each, guessed from what was seen of them.

        Args:
            weights: of the layers.
            seen: what goes in, [S, B, N].
            rows: what is to come out, [S, B, N].
            noise: standard normal draws [S, B, H].
            beta: weight of the divergence.
        """
        mean, log_variance = self.guess(weights, seen)
        code = mean + (0.5 * log_variance).exp() * noise
        out = through(weights, "down", code, "relu")
        return cross_entropy(out, rows) + beta * gaussian_divergence(mean, log_variance)

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn patterns [S, P, N]."""
        config, done = self._config, 0

        def loss() -> Tensor:
            nonlocal done
            rows = draw_rows(patterns, config.batch, streams)
            seen = corrupted(rows, config.noise, (config.noise_least, config.noise_most), streams)
            noise = normals((config.batch, config.code), streams)
            beta = config.beta * min(1.0, 10.0 * done / config.updates)
            done += 1
            return self.loss(weights, torch.from_numpy(seen), torch.from_numpy(rows), noise, beta).mean(-1)

        train(weights, loss, Pace(config.updates, config.learning_rate))

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """-ELBO [S, Q], the mean over the same few draws for every pattern."""
        noise = normals((N_DRAWS, 1, self._config.code), streams)
        return self._energy(weights, patterns, noise)

    def _energy(self, weights: Weights, patterns: Tensor, noise: Tensor) -> Tensor:
        drawn = [self.loss(weights, patterns, patterns, noise[:, i], self._config.beta) for i in range(N_DRAWS)]
        return torch.stack(drawn, -1).mean(-1)

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """Pass after pass through the mean of the code."""
        noise = normals((N_DRAWS, 1, self._config.code), streams)
        says = 0.0 if asked.evidence is None else asked.evidence

        def once(x: Tensor) -> Tensor:
            return torch.tanh(0.5 * through(weights, "down", self.codes(weights, x), "relu") + says)

        most = 1 if self._config.recall_mode == "single_pass" else self._config.passes
        return by_passes(once, lambda x: self._energy(weights, x, noise), asked, most)

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Means of new patterns [S, n, N], from normal codes."""
        return torch.tanh(0.5 * through(weights, "down", normals((n, self._config.code), streams), "relu"))
