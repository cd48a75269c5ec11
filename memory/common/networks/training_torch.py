"""Training of stacked networks: minibatches, input noise, losses, and the loop that all memories by networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from memory.common.networks.arithmetic_torch import softplus
from memory.common.networks.config import Noise
from memory.common.networks.layers_torch import Streams, Weights
from simulator.core.protocols import Array


def train(weights: Weights, update: Callable[[int, float], None], n_updates: int, learning_rate: float) -> None:
    """Call ``update(step, learning_rate)`` for every step; see :func:`training`."""
    for _ in training(weights, update, n_updates, learning_rate):
        pass


def training(
    weights: Weights, update: Callable[[int, float], None], n_updates: int, learning_rate: float
) -> Iterator[float]:
    """Call ``update(step, learning_rate)`` for every step; gradients are off afterwards.

    The learning rate rises over the first twentieth of the steps and decays to 0, both linearly.

    Args:
        weights: tensors that the updates change in place.
        update: samples a batch, computes a loss and takes one step of its optimizers.
        n_updates: number of steps.
        learning_rate: its peak.

    Yields:
        The share of the steps that is over.
    """
    n_warmup = max(1, n_updates // 20)
    for step in range(n_updates):
        update(step, learning_rate * min(1.0, (step + 1) / n_warmup) * (1.0 - step / n_updates))
        yield (step + 1) / n_updates
    for weight in weights.values():
        weight.requires_grad_(False)


def sample_rows(patterns: Array, n_rows: int, streams: Streams) -> Array:
    """Sample a batch [S, B, N] from patterns [S, P, N], uniformly with replacement."""
    batch = np.empty((len(patterns), n_rows, patterns.shape[2]), np.float32)
    for rows, stored, stream in zip(batch, patterns, streams, strict=True):
        np.take(stored, stream.integers(0, len(stored), n_rows), axis=0, out=rows)
    return batch


def add_noise(batch: Array, noise: Noise, noise_min: float, noise_max: float, streams: Streams) -> Array:
    """Corrupt a copy of a batch [S, B, N] (Vincent et al. 2008; Bengio et al. 2013 for the range of levels).

    Args:
        batch: clean rows.
        noise: flip the sign of a unit, erase it (set it to 0), or add a normal sample; "none" returns the batch.
        noise_min: lowest level: fraction of the units, or standard deviation.
        noise_max: highest level; the level of each row is uniform between both.
        streams: one for each seed.
    """
    if noise == "none":
        return batch
    noisy = np.empty_like(batch)
    for out, rows, stream in zip(noisy, batch, streams, strict=True):
        level = stream.uniform(noise_min, noise_max, (len(rows), 1)).astype(np.float32)
        if noise == "gaussian":
            np.add(rows, level * stream.standard_normal(rows.shape, np.float32), out=out)
        else:
            is_hit = stream.random(rows.shape, np.float32) < level
            np.multiply(rows, 1.0 - is_hit * np.float32(2.0 if noise == "flip" else 1.0), out=out)
    return noisy


def cross_entropy(logits: Tensor, patterns: Tensor) -> Tensor:
    """Compute -log p(patterns) under independent units with the logits of +1, summed over units: [S, B].

    A value x from -1 to 1 counts as +1 with weight (1 + x) / 2.
    """
    return (softplus(logits) - 0.5 * (1.0 + patterns) * logits).sum(-1)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute -mean log D(real) - mean log(1 - D(fake)) from logits [S, B]: [S] (Goodfellow et al. 2014, equation 1).

    It is log 4 - 2 JS(real, fake) for the best discriminator.
    """
    return softplus(-real_logits).mean(-1) + softplus(fake_logits).mean(-1)


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Compute the non-saturating loss -mean log D(fake): [S] (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake_logits).mean(-1)
