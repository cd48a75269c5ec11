"""Greedy layerwise pretraining of an autoencoder: each layer learns from the activations of the layer before it.

By autoencoders of one hidden layer: Bengio et al. 2007. By restricted Boltzmann machines: Hinton and Salakhutdinov
2006, with one step of contrastive divergence (Hinton 2002) and probabilities in place of visible samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from memory.common.networks.arithmetic_torch import Optimizer, product, sigmoid, softplus
from memory.common.networks.layers_torch import ACTIVATIONS, Streams, Weights, init_mlp, tensor, uniforms
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, train
from simulator.core.devices import device
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.autoencoder import Config


class PretrainedLayer(NamedTuple):
    """Initial weights of one layer of the encoder and of its mirror in the decoder."""

    encoder_weight: Tensor  # [S, in, out]
    encoder_bias: Tensor  # [S, 1, out]
    decoder_weight: Tensor  # [S, out, in]
    decoder_bias: Tensor  # [S, 1, in]


def pretrain(weights: Weights, patterns: Array, config: Config, streams: Streams) -> None:
    """Pretrain all layers, one after the other, on patterns [S, P, N]; the weights change in place."""
    pretrain_layer = rbm_layer if config.pretrain == "rbms" else autoencoder_layer
    inputs = tensor(patterns)
    for i, width in enumerate(config.hidden):
        layer = pretrain_layer(inputs.cpu().numpy(), width, i == 0, config, streams)
        mirror = len(config.hidden) - 1 - i
        weights[f"encoder.{i}.weight"].copy_(layer.encoder_weight)
        weights[f"encoder.{i}.bias"].copy_(layer.encoder_bias)
        weights[f"decoder.{mirror}.bias"].copy_(layer.decoder_bias)
        if not config.tied:
            weights[f"decoder.{mirror}.weight"].copy_(layer.decoder_weight)
        inputs = product(inputs, weights[f"encoder.{i}.weight"], weights[f"encoder.{i}.bias"])
        inputs = ACTIVATIONS[config.activation](inputs)


def autoencoder_layer(inputs: Array, width: int, is_first: bool, config: Config, streams: Streams) -> PretrainedLayer:
    """Pretrain a layer as an autoencoder of its inputs [S, P, in].

    Args:
        inputs: patterns or activations.
        width: units of the layer.
        is_first: the inputs are patterns: noise and loss are those of the whole autoencoder.
        config: settings of the whole autoencoder.
        streams: one for each seed.
    """
    activate = ACTIVATIONS[config.activation]
    sizes = (inputs.shape[2], width)
    weights = init_mlp("encoder", sizes, config.activation, streams)
    weights |= init_mlp("decoder", sizes[::-1], config.activation, streams)
    trained = {name: weight for name, weight in weights.items() if not config.tied or name != "decoder.0.weight"}
    optimizer = Optimizer(trained, config.optimizer)

    def update(_: int, learning_rate: float) -> None:
        x = sample_rows(inputs, config.batch_size, streams)
        noise = config.noise if is_first else "none"
        noisy = tensor(add_noise(x, noise, config.noise_min, config.noise_max, streams))
        code = activate(product(noisy, weights["encoder.0.weight"], weights["encoder.0.bias"]))
        tied_weight = weights["encoder.0.weight"].transpose(1, 2)
        decoder_weight = tied_weight if config.tied else weights["decoder.0.weight"]
        output = product(code, decoder_weight, weights["decoder.0.bias"])
        if is_first and config.output == "logistic":
            loss = cross_entropy(output, tensor(x))
        else:
            loss = ((output if is_first else activate(output)) - tensor(x)).square().sum(-1)
        optimizer.minimize(loss.mean(-1), learning_rate)

    train(trained, update, config.pretrain_updates, config.learning_rate)
    return PretrainedLayer(
        weights["encoder.0.weight"],
        weights["encoder.0.bias"],
        weights["decoder.0.weight"],
        weights["decoder.0.bias"],
    )


def rbm_layer(inputs: Array, width: int, is_first: bool, config: Config, streams: Streams) -> PretrainedLayer:
    """Pretrain a layer as a restricted Boltzmann machine; see :func:`autoencoder_layer` for the arguments.

    Patterns x from -1 to 1 count as probabilities (1 + x) / 2; the layer that is returned takes x.
    """
    weights = init_mlp("rbm", (inputs.shape[2], width), "sigmoid", streams)
    weights["visible_bias"] = torch.zeros(len(streams), 1, inputs.shape[2], device=device())
    optimizer = Optimizer(weights, config.optimizer)

    def update(_: int, learning_rate: float) -> None:
        x = tensor(sample_rows(inputs, config.batch_size, streams))
        visible = 0.5 * (1.0 + x) if is_first else x
        optimizer.minimize(contrastive_divergence_loss(weights, visible, streams), learning_rate)

    train(weights, update, config.pretrain_updates, config.learning_rate)
    weight = weights["rbm.0.weight"]
    bias = weights["rbm.0.bias"]
    if is_first:  # v W + b with v = (1 + x) / 2
        encoder_bias = bias + 0.5 * weight.sum(1, keepdim=True)
        return PretrainedLayer(0.5 * weight, encoder_bias, weight.transpose(1, 2), weights["visible_bias"])
    return PretrainedLayer(weight, bias, weight.transpose(1, 2), weights["visible_bias"])


def contrastive_divergence_loss(weights: Weights, visible: Tensor, streams: Streams) -> Tensor:
    """Compute a loss [S] with the gradient of CD-1: free energy of the data minus that of their reconstruction."""
    with torch.no_grad():
        hidden_probs = sigmoid(product(visible, weights["rbm.0.weight"], weights["rbm.0.bias"]))
        hidden = (uniforms(tuple(hidden_probs.shape[1:]), streams) < hidden_probs).float()
        reconstruction = sigmoid(product(hidden, weights["rbm.0.weight"].transpose(1, 2), weights["visible_bias"]))
    return (free_energy(weights, visible) - free_energy(weights, reconstruction)).mean(-1)


def free_energy(weights: Weights, visible: Tensor) -> Tensor:
    """Compute -v a - sum_j softplus(b_j + v W_j) [S, B] of visible units [S, B, N] from 0 to 1."""
    inputs = product(visible, weights["rbm.0.weight"], weights["rbm.0.bias"])
    return -(visible * weights["visible_bias"]).sum(-1) - softplus(inputs).sum(-1)
