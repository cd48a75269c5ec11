"""Dense autoencoders of S seeds: model, losses of all variants, training, recall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from memory.autoencoder.pretraining_torch import pretrain
from memory.common.networks.arithmetic_torch import Optimizer, atanh, product
from memory.common.networks.layers_torch import ACTIVATIONS, Streams, Weights, init_mlp, tensor, uniforms
from memory.common.networks.memory_torch import (
    CueBatch,
    Iteration,
    Restoration,
    mean_pattern,
    reconstructions,
    restoration_of,
)
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, training
from memory.common.sizing import REFERENCE_UNITS
from simulator.core.memories import DenseLayer, PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.autoencoder import Config

MAX_MEAN = 0.999  # a linear output is clamped to it where log odds are needed
ACTIVATION_DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {  # as functions of the activation itself
    "sigmoid": lambda h: h * (1.0 - h),
    "tanh": lambda h: 1.0 - h * h,
    "linear": torch.ones_like,
}


def contraction(derivatives: Tensor, weight: Tensor) -> Tensor:
    """Compute the squared Frobenius norm of the Jacobian of one layer (Rifai et al. 2011, equation 7).

    Args:
        derivatives: [S, B, H], of every hidden unit by its input: h (1 - h) for the logistic function.
        weight: [S, N, H].

    Returns:
        [S, B]: sum_j derivative_j^2 |W_j|^2.
    """
    return (derivatives.square() * weight.square().sum(1, keepdim=True)).sum(-1)


class Decoded(NamedTuple):
    """Activations of the layers from the code back to the pattern."""

    hidden: list[Tensor]  # [S, B, H_i] each
    output: Tensor  # [S, B, N], logits or values


class Autoencoder:
    """Autoencoders; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape and domain of a pattern.
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        self._sizes = (spec.n, *config.hidden)
        self._activate = ACTIVATIONS[config.activation]

    def init_weights(self, streams: Streams) -> Weights:
        """Sample ``encoder`` layers from the pattern to the code, and ``decoder`` layers back."""
        encoder = init_mlp("encoder", self._sizes, self._config.activation, streams)
        decoder = init_mlp("decoder", self._sizes[::-1], self._config.activation, streams)
        if self._config.tied:
            decoder = {name: bias for name, bias in decoder.items() if name.endswith("bias")}
        return encoder | decoder

    def encode(self, weights: Weights, x: Tensor, dropout_masks: list[Tensor] | None = None) -> list[Tensor]:
        """Compute the activations [S, B, H_i] of all layers to the code, which is the last."""
        activations = []
        for i in range(len(self._config.hidden)):
            x = product(x, weights[f"encoder.{i}.weight"], weights[f"encoder.{i}.bias"])
            is_code = i == len(self._config.hidden) - 1
            if not (is_code and self._config.linear_code):
                x = self._activate(x)
            if dropout_masks is not None:
                x = x * dropout_masks[i]
            activations.append(x)
        return activations

    def decode(self, weights: Weights, code: Tensor, dropout_masks: list[Tensor] | None = None) -> Decoded:
        """Compute the activations of all layers from the code [S, B, H] to the pattern."""
        n_layers = len(self._config.hidden)
        hidden = []
        h = code
        for i in range(n_layers):
            if self._config.tied:
                weight = weights[f"encoder.{n_layers - 1 - i}.weight"].transpose(1, 2)
            else:
                weight = weights[f"decoder.{i}.weight"]
            h = product(h, weight, weights[f"decoder.{i}.bias"])
            if i < n_layers - 1:
                h = self._activate(h)
                if dropout_masks is not None:
                    h = h * dropout_masks[n_layers + i]
                hidden.append(h)
        return Decoded(hidden, h)

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Encode x [S, B, N] as codes [S, B, H]."""
        return self.encode(weights, x)[-1]

    @property
    def code_size(self) -> int:
        """Number of values of a code."""
        return self._config.hidden[-1]

    def decoded(self, weights: Weights, codes: Tensor) -> Tensor:
        """Decode codes [S, B, H] to mean patterns [S, B, N]."""
        return self.mean_pattern(self.decode(weights, codes).output)

    def reconstruct(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the outputs [S, B, N], logits or values."""
        return self.decode(weights, self.codes(weights, x)).output

    def reconstruction_loss(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the cross entropy or squared error [S, B] of outputs for patterns x [S, B, N]."""
        if self._config.output == "logistic":
            return cross_entropy(output, x)
        return (output - x).square().sum(-1)

    def mean_pattern(self, output: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Compute the mean pattern of outputs [S, B, N], with evidence added to half the log odds."""
        if self._config.output == "logistic":
            return mean_pattern(output, evidence)
        if evidence is None:
            return output.clamp(-1.0, 1.0)
        return torch.tanh(atanh(output.clamp(-MAX_MEAN, MAX_MEAN)) + evidence)

    def loss(self, weights: Weights, x: Tensor, noisy: Tensor, dropout_masks: list[Tensor] | None = None) -> Tensor:
        """Compute the loss [S]: reconstruction of x [S, B, N] from noisy inputs, plus the penalties of the variants.

        Args:
            weights: of the layers.
            x: clean patterns.
            noisy: inputs.
            dropout_masks: factors of the units of every hidden layer; None: no dropout.
        """
        config = self._config
        encoded = self.encode(weights, noisy, dropout_masks)
        code = encoded[-1]
        decoded = self.decode(weights, code, dropout_masks)
        loss = self.reconstruction_loss(decoded.output, x)
        if config.sparsity_weight:
            loss = loss + config.sparsity_weight * sum(h.abs().sum(-1) for h in (*encoded, *decoded.hidden))
        if config.latent_l2_weight:
            loss = loss + config.latent_l2_weight * code.square().sum(-1)
        if config.contractive_weight:
            derivatives = ACTIVATION_DERIVATIVES[config.activation](code)
            weight = config.contractive_weight * min(1.0, REFERENCE_UNITS / self._sizes[0])
            loss = loss + weight * contraction(derivatives, weights["encoder.0.weight"])
        return loss.mean(-1)

    def dropout_masks(self, n_rows: int, streams: Streams) -> list[Tensor] | None:
        """Sample a factor for every hidden unit: 0 if it is dropped, otherwise 1 / (1 - dropout); None: no dropout."""
        if not self._config.dropout:
            return None
        keep_prob = 1.0 - self._config.dropout
        widths = (*self._config.hidden, *self._config.hidden[-2::-1])
        return [(uniforms((n_rows, width), streams) < keep_prob) / keep_prob for width in widths]

    def first_weights(self, weights: Weights) -> Tensor:
        """Return the weights [S, N, H] from a pattern to the first hidden layer."""
        return weights["encoder.0.weight"]

    def encoder_layers(self, weights: Weights, index: int) -> list[DenseLayer]:
        """Return the layers to the code, of seed number ``index``."""
        layers = []
        for i in range(len(self._config.hidden)):
            weight, bias = (weights[f"encoder.{i}.{name}"][index].detach().cpu().numpy() for name in ("weight", "bias"))
            is_linear = self._config.linear_code and i == len(self._config.hidden) - 1
            layers.append(DenseLayer(weight, bias[0], "linear" if is_linear else self._config.activation))
        return layers

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train on patterns [S, P, N], after pretraining if that is set. Yields the share of updates that is over."""
        config = self._config
        if config.pretrain != "none":
            pretrain(weights, patterns, config, streams)
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
        """Take one step of training on a batch of patterns [S, P, N]; the loss [S] before it."""
        config = self._config
        x = sample_rows(patterns, config.batch_size, streams)
        noisy = add_noise(x, config.noise, config.noise_min, config.noise_max, streams)
        masks = self.dropout_masks(config.batch_size, streams)
        loss = self.loss(weights, tensor(x), tensor(noisy), masks)
        optimizers["all"].minimize(loss, learning_rate)
        return loss.detach()

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute the reconstruction error [S, Q]."""
        return self.reconstruction_loss(self.reconstruct(weights, patterns), patterns)

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Reconstruct cues."""
        return restoration_of(self.iterations(weights, cues, streams))

    def iterations(self, weights: Weights, cues: CueBatch, streams: Streams) -> Iterator[Iteration]:
        """Reconstruct cues."""
        return reconstructions(
            lambda x: self.mean_pattern(self.reconstruct(weights, x), cues.evidence),
            lambda x: self.energy(weights, x, streams),
            cues,
            self._config,
        )
