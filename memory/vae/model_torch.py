"""Variational autoencoders of S seeds: model, loss, training, recall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import Optimizer
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, mlp, normals, tensor
from memory.common.networks.memory_torch import (
    CueBatch,
    Iteration,
    Restoration,
    mean_pattern,
    reconstructions,
    restoration_of,
)
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, training
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.vae import Config

N_ENERGY_SAMPLES = 8  # of the code


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, exp(log_variance)) | N(0, I)), summed over the last axis.

    -(1/2) sum(1 + log_variance - mean^2 - exp(log_variance)) (Kingma and Welling 2014, appendix B).
    """
    return -0.5 * (1.0 + log_variance - mean * mean - log_variance.exp()).sum(-1)


class CodeDistribution(NamedTuple):
    """Normal distribution q(z | x) of the codes of B patterns."""

    mean: Tensor  # [S, B, H]
    log_variance: Tensor  # [S, B, H]


class VAE:
    """Variational autoencoders; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape and domain of a pattern.
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        self._n = spec.n

    def init_weights(self, streams: Streams) -> Weights:
        """Sample ``encoder`` layers to mean and log variance of the code, and ``decoder`` layers to logits."""
        config = self._config
        encoder = init_mlp("encoder", (self._n, *config.hidden, 2 * config.latent_dim), "relu", streams)
        decoder = init_mlp("decoder", (config.latent_dim, *config.hidden[::-1], self._n), "relu", streams)
        return encoder | decoder

    def encode(self, weights: Weights, x: Tensor) -> CodeDistribution:
        """Infer the distribution of the codes of x [S, B, N]."""
        return CodeDistribution(*mlp(weights, "encoder", x).chunk(2, -1))

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Infer the mean codes [S, B, H]."""
        return self.encode(weights, x).mean

    @property
    def code_size(self) -> int:
        """Number of values of a code."""
        return self._config.latent_dim

    def decoded(self, weights: Weights, codes: Tensor) -> Tensor:
        """Decode codes [S, B, H] to mean patterns [S, B, N]."""
        return mean_pattern(mlp(weights, "decoder", codes))

    def loss(self, weights: Weights, x: Tensor, noisy: Tensor, epsilon: Tensor, beta: float) -> Tensor:
        """Compute -ELBO [S, B] by one sample of the code per row.

        Args:
            weights: of both networks.
            x: patterns [S, B, N].
            noisy: inputs of the encoder [S, B, N].
            epsilon: standard normal samples [S, B, H].
            beta: weight of the KL divergence.
        """
        mean, log_variance = self.encode(weights, noisy)
        code = mean + (0.5 * log_variance).exp() * epsilon
        logits = mlp(weights, "decoder", code)
        return cross_entropy(logits, x) + beta * gaussian_kl(mean, log_variance)

    def first_weights(self, weights: Weights) -> Tensor:
        """Return the weights [S, N, H] from a pattern to the first hidden layer."""
        return weights["encoder.0.weight"]

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train on patterns [S, P, N]. Yields the share of the updates that is over."""
        config = self._config
        optimizers = self.make_optimizers(weights)

        def update(step: int, learning_rate: float) -> None:
            self.update(weights, optimizers, patterns, streams, learning_rate, step / config.updates)

        yield from training(weights, update, config.updates, config.learning_rate)

    def make_optimizers(self, weights: Weights) -> dict[str, Optimizer]:
        """Make the optimizers that :meth:`update` steps."""
        return {"all": Optimizer(weights, self._config.optimizer)}

    def update(
        self,
        weights: Weights,
        optimizers: dict[str, Optimizer],
        patterns: Array,
        streams: Streams,
        learning_rate: float,
        progress: float,
    ) -> Tensor:
        """Take one step of training on a batch of patterns [S, P, N]; the loss [S] before it.

        ``progress`` is the share of the training that is over: beta rises in its first tenth.
        """
        config = self._config
        x = sample_rows(patterns, config.batch_size, streams)
        noisy = add_noise(x, config.noise, config.noise_min, config.noise_max, streams)
        epsilon = normals((config.batch_size, config.latent_dim), streams)
        beta = config.beta * min(1.0, 10.0 * progress)
        loss = self.loss(weights, tensor(x), tensor(noisy), epsilon, beta).mean(-1)
        optimizers["all"].minimize(loss, learning_rate)
        return loss.detach()

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute -ELBO [S, Q], averaged over the same samples of epsilon for every pattern."""
        return self._energy(weights, patterns, self._energy_samples(streams))

    def _energy_samples(self, streams: Streams) -> Tensor:
        return normals((N_ENERGY_SAMPLES, 1, self._config.latent_dim), streams)

    def _energy(self, weights: Weights, patterns: Tensor, epsilon: Tensor) -> Tensor:
        losses = [
            self.loss(weights, patterns, patterns, epsilon[:, i], self._config.beta) for i in range(N_ENERGY_SAMPLES)
        ]
        return torch.stack(losses, -1).mean(-1)

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Reconstruct cues."""
        return restoration_of(self.iterations(weights, cues, streams))

    def iterations(self, weights: Weights, cues: CueBatch, streams: Streams) -> Iterator[Iteration]:
        """Reconstruct cues through their mean codes."""
        epsilon = self._energy_samples(streams)

        def reconstruct(x: Tensor) -> Tensor:
            return mean_pattern(mlp(weights, "decoder", self.codes(weights, x)), cues.evidence)

        return reconstructions(reconstruct, lambda x: self._energy(weights, x, epsilon), cues, self._config)

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Generate mean patterns [S, n, N] from normal codes."""
        return mean_pattern(mlp(weights, "decoder", normals((n, self._config.latent_dim), streams)))
