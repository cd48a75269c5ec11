"""Generative adversarial networks of S seeds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import product
from memory.common.networks.input_noise import Streams, draw_rows
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
from memory.common.networks.losses_torch import closeness
from memory.common.networks.memory_torch import Asked, Found
from memory.gan.latent_search_torch import Search, search
from simulator.core.memories import CERTAIN, PatternSpec
from simulator.core.protocols import Array

_SURE = 4.0  # half log odds by which the energy's search follows a pattern


class GAN:
    """See :class:`memory.common.networks.memory_torch.Model`.

    Args:
        units: what a pattern is.
        config: settings, as the player of this name has them.
    """

    def __init__(self, units: PatternSpec, config: Any) -> None:
        self._config, self._n = config, units.n
        self._plan = Search(config.drawn, config.starts, config.steps, config.search_rate)

    def draw(self, streams: Streams) -> Weights:
        """Layers ``make`` from the code to log odds, and ``judge`` from the pattern to the log odds of being stored."""
        config, last = self._config, self._config.discriminator[-1]
        weights = layers("make", (config.code, *config.generator, self._n), "relu", streams)
        weights |= layers("judge_in", (self._n, *config.discriminator), "relu", streams)
        compared = config.minibatch_features
        if compared:
            near = layers("judge_near", (last, compared * config.feature_numbers), "linear", streams)
            weights["judge_near"] = near["judge_near0.w"]  # differences know no bias
        return weights | layers("judge_out", (last + compared, 1), "linear", streams)

    def log_odds(self, weights: Weights, code: Tensor) -> Tensor:
        """Of +1 at every unit, [S, B, N], for codes [S, B, H]."""
        return through(weights, "make", code, "relu")

    def judge(self, weights: Weights, x: Tensor) -> Tensor:
        """Log odds [S, B] of the rows of one batch [S, B, N] being stored patterns."""
        features, config = torch.relu(through(weights, "judge_in", x, "relu")), self._config
        if config.minibatch_features:
            near = product(features, weights["judge_near"])
            near = closeness(torch.unflatten(near, -1, (config.minibatch_features, config.feature_numbers)))
            features = torch.cat([features, near / max(1, x.shape[1] - 1)], -1)  # a mean: a sum would outweigh the rest
        return through(weights, "judge_out", features, "linear")[..., 0]

    def judging(self, weights: Weights, rows: Tensor, made: Tensor) -> Tensor:
        """Loss [S] of the discriminator: less by as much as the game is worth more to it."""
        return judged(True, self.judge(weights, rows)) + judged(False, self.judge(weights, made))

    def making(self, weights: Weights, rows: Tensor, made: Tensor) -> Tensor:
        """Loss [S] of the generator, against the discriminator as it will be some steps later."""
        ahead = named(weights, "judge")
        for _ in range(self._config.unrolled):
            loss = self.judging(ahead, rows, made).sum()
            slopes = torch.autograd.grad(loss, list(ahead.values()), create_graph=True)
            moved = zip(ahead.items(), slopes, strict=True)
            ahead = {name: part - self._config.unrolled_rate * slope for (name, part), slope in moved}
        return judged(True, self.judge(ahead, made))

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Let both networks play against each other over patterns [S, P, N]."""
        config = self._config
        maker, critic = (Adam(named(weights, name), config.momentum) for name in ("make", "judge"))
        for update in range(config.updates):
            rows = torch.from_numpy(draw_rows(patterns, config.batch, streams))
            step = rate(Pace(config.updates, config.learning_rate), update)
            made = torch.tanh(0.5 * self.log_odds(weights, normals((config.batch, config.code), streams)))
            critic.step(self.judging(weights, rows, made.detach()), step)
            maker.step(self.making(weights, rows, made), step)
        for part in weights.values():
            part.requires_grad_(False)

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """[S, Q]: the least found, over codes z, of -log p(x | z) + |z|^2 / 2."""
        return self._energy(weights, patterns, self._pool(streams))

    def _pool(self, streams: Streams) -> Tensor:
        return normals((self._config.drawn, self._config.code), streams)

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """One search; the energy is that of the cue and that of what was found."""
        pool = self._pool(streams)
        doubt = torch.tensor((1.0 - self._config.doubt) / self._config.doubt).log()
        says = 0.5 * doubt * asked.cues if asked.evidence is None else asked.evidence
        says = torch.where(asked.known, CERTAIN * asked.cues, says)
        odds = self.log_odds(weights, search(lambda z: self.log_odds(weights, z), says, pool, self._plan))
        restored = torch.tanh(0.5 * odds + (0.0 if asked.evidence is None else asked.evidence))
        restored = torch.where(asked.known, asked.cues, restored)
        trace = [self._energy(weights, x, pool) for x in (asked.cues, restored)]
        return Found(restored, torch.stack(trace, -1), torch.ones(restored.shape[:2], dtype=torch.int64))

    def _energy(self, weights: Weights, patterns: Tensor, pool: Tensor) -> Tensor:
        code = search(lambda z: self.log_odds(weights, z), _SURE * patterns, pool, self._plan)
        return cross_entropy(self.log_odds(weights, code), patterns) + 0.5 * code.square().sum(-1)

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Means of new patterns [S, n, N], from normal codes."""
        return torch.tanh(0.5 * self.log_odds(weights, normals((n, self._config.code), streams)))
