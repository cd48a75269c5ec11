"""Adversarial autoencoders of S seeds: model, losses, training, recall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from memory.common.networks.arithmetic_torch import Optimizer
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, mlp, normals, subset, tensor
from memory.common.networks.memory_torch import (
    CueBatch,
    Iteration,
    Restoration,
    mean_pattern,
    reconstructions,
    restoration_of,
)
from memory.common.networks.training_torch import (
    add_noise,
    cross_entropy,
    discriminator_loss,
    generator_loss,
    sample_rows,
    training,
)
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.adversarial_autoencoder import Config


class AdversarialAutoencoder:
    """Adversarial autoencoders; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape and domain of a pattern.
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        self._n = spec.n

    def init_weights(self, streams: Streams) -> Weights:
        """Sample ``encoder`` layers to the code, ``decoder`` layers to logits, and a ``discriminator`` of codes."""
        config = self._config
        encoder = init_mlp("encoder", (self._n, *config.hidden, config.latent_dim), "relu", streams)
        decoder = init_mlp("decoder", (config.latent_dim, *config.hidden[::-1], self._n), "relu", streams)
        discriminator = init_mlp("discriminator", (config.latent_dim, *config.discriminator_hidden, 1), "relu", streams)
        return encoder | decoder | discriminator

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Encode x [S, B, N] as codes [S, B, H]."""
        return mlp(weights, "encoder", x)

    @property
    def code_size(self) -> int:
        """Number of values of a code."""
        return self._config.latent_dim

    def decoded(self, weights: Weights, codes: Tensor) -> Tensor:
        """Decode codes [S, B, H] to mean patterns [S, B, N]."""
        return mean_pattern(mlp(weights, "decoder", codes))

    def reconstruct(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the logits [S, B, N] of +1 at every unit."""
        return mlp(weights, "decoder", self.codes(weights, x))

    def discriminate(self, weights: Weights, codes: Tensor) -> Tensor:
        """Compute the logits [S, B] of codes [S, B, H] being samples of the normal distribution."""
        return mlp(weights, "discriminator", codes)[..., 0]

    def first_weights(self, weights: Weights) -> Tensor:
        """Return the weights [S, N, H] from a pattern to the first hidden layer."""
        return weights["encoder.0.weight"]

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train on patterns [S, P, N]. Yields the share of the updates that is over."""
        config = self._config
        autoencoder_optimizer = Optimizer(subset(weights, "encoder", "decoder"), config.optimizer)
        discriminator_optimizer = Optimizer(subset(weights, "discriminator"), config.optimizer)

        def update(_: int, learning_rate: float) -> None:
            x = sample_rows(patterns, config.batch_size, streams)
            noisy = add_noise(x, config.noise, config.noise_min, config.noise_max, streams)
            prior_codes = normals((config.batch_size, config.latent_dim), streams)
            codes = self.codes(weights, tensor(noisy))
            real_logits = self.discriminate(weights, prior_codes)
            fake_logits = self.discriminate(weights, codes.detach())
            discriminator_optimizer.minimize(discriminator_loss(real_logits, fake_logits), learning_rate)
            reconstruction_loss = cross_entropy(mlp(weights, "decoder", codes), tensor(x)).mean(-1)
            adversarial_loss = generator_loss(self.discriminate(weights, codes))
            autoencoder_optimizer.minimize(
                reconstruction_loss + config.adversarial_weight * adversarial_loss, learning_rate
            )

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

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Generate mean patterns [S, n, N] from normal codes."""
        return mean_pattern(mlp(weights, "decoder", normals((n, self._config.latent_dim), streams)))
