"""Codes by networks: the dense networks of the memories, and convolutions around a linear or a normal code."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import memory.autoencoder
import memory.conv_autoencoder
import memory.vae
from agents.common.networks.modules_torch import PresetModule
from memory.autoencoder.model_torch import Autoencoder
from memory.common.networks.arithmetic_torch import Optimizer, product
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, mlp, normals, subset, tensor
from memory.common.networks.memory_torch import mean_pattern
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows, train
from memory.conv_autoencoder.model_torch import ConvAutoencoder, Encoded
from memory.vae.model_torch import VAE, gaussian_kl
from simulator.core import rng
from simulator.core.devices import device, hold_torch
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array, State

CODE_LAYERS = ("encoder.", "code.0.")  # between a pattern and its code


def make_network(shape: tuple[int, ...], config: Any, *, variational: bool, convolutional: bool) -> Any:
    """Make the network of patterns of a shape by the settings of a component.

    It has ``init_weights``, ``codes``, ``make_optimizers`` and ``update``, as the networks of the memories have them.
    """
    noise = getattr(config, "noise", "none")
    noise_max = getattr(config, "noise_max", 0.0)
    training = {"batch_size": config.batch_size, "noise": noise, "noise_max": noise_max}
    spec = PatternSpec(shape, is_bipolar=False)
    if convolutional:
        pictures = memory.conv_autoencoder.Config(
            channels=config.channels, pool="mean", latent_dim=config.latent_dim, **training
        )
        return PictureCode(spec, pictures, config.beta if variational else None)
    if variational:
        return VAE(
            spec,
            memory.vae.Config(hidden=config.hidden, latent_dim=config.latent_dim, beta=config.beta, **training),
        )
    hidden = (*config.hidden, config.latent_dim)
    return Autoencoder(spec, memory.autoencoder.Config(hidden=hidden, activation="tanh", **training))


class PictureCode:
    """Convolutional networks of S seeds around a code that is linear, or normal with a Kullback-Leibler penalty.

    Args:
        spec: [colours, height, width] of a picture.
        config: of the convolutions.
        beta: weight of the divergence of a normal code; None: a linear code.
    """

    def __init__(self, spec: PatternSpec, config: memory.conv_autoencoder.Config, beta: float | None) -> None:
        self._config = config
        self._beta = beta
        self._layers = ConvAutoencoder(spec, config)

    def init_weights(self, streams: Streams) -> Weights:
        """Sample the layers of the convolutional autoencoder, with a ``code`` layer of its own."""
        config = self._config
        weights = self._layers.init_weights(streams)
        n_code = config.latent_dim * (1 if self._beta is None else 2)
        code = init_mlp("code", (self._layers.n_flat, n_code), "linear", streams)
        return weights | code

    def _outputs(self, weights: Weights, x: Tensor) -> Tensor:
        flat, _ = self._layers.smallest_maps(weights, x)
        return product(flat, weights["code.0.weight"], weights["code.0.bias"])

    def codes(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the codes [S, B, H] of pictures x [S, B, N], or the means of their distributions."""
        return self._outputs(weights, x)[..., : self._config.latent_dim]

    def decode(self, weights: Weights, code: Tensor) -> Tensor:
        """Compute the logits [S, B, N] of codes [S, B, H]."""
        return self._layers.decode(weights, Encoded(code, []))

    def loss(self, weights: Weights, x: Tensor, noisy: Tensor, epsilon: Tensor | None, beta: float) -> Tensor:
        """Compute the cross entropy of pictures [S, B, N] given noisy ones, plus beta times the divergence: [S]."""
        outputs = self._outputs(weights, noisy)
        if epsilon is None:
            logits = self._layers.decode(weights, Encoded(outputs, []))
            return cross_entropy(logits, x).mean(-1)
        mean, log_variance = outputs.chunk(2, -1)
        logits = self._layers.decode(weights, Encoded(mean + (0.5 * log_variance).exp() * epsilon, []))
        return (cross_entropy(logits, x) + beta * gaussian_kl(mean, log_variance)).mean(-1)

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
        epsilon = None if self._beta is None else normals((config.batch_size, config.latent_dim), streams)
        beta = (self._beta or 0.0) * min(1.0, 10.0 * progress)
        loss = self.loss(weights, tensor(x), tensor(noisy), epsilon, beta)
        optimizers["all"].minimize(loss, learning_rate)
        return loss.detach()


class CodeLayers(PresetModule):
    """The way from patterns to standardized codes of one seed, as the first layers of an agent's network.

    It computes what :meth:`NetworkCode.codes` does. Mean and scale are parameters, so that every seed has its own and
    copies of a network have them too, but no gradient reaches them.

    Args:
        network: as :func:`make_network` makes it.
        shapes: of the weights between a pattern and its code.
        n_features: numbers of the code.
    """

    def __init__(self, network: Any, shapes: dict[str, tuple[int, ...]], n_features: int) -> None:
        super().__init__()
        self._network = network
        self._names = {name: parameter_name(name) for name in shapes}
        for name, shape in shapes.items():
            self.register_parameter(self._names[name], nn.Parameter(torch.zeros(shape)))
        self.mean = nn.Parameter(torch.zeros(n_features))
        self.scale = nn.Parameter(torch.ones(n_features))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features [B, F] of patterns [B, N]."""
        weights = {name: getattr(self, own).unsqueeze(0) for name, own in self._names.items()}
        code: Tensor = self._network.codes(weights, x.unsqueeze(0)).squeeze(0)
        return (code - self.mean.detach()) * self.scale.detach()


def parameter_name(name: str) -> str:
    """Return the name of a weight as a parameter of a module, which has no dots."""
    return name.replace(".", "_")


class NetworkCode:
    """S networks whose code is the feature; see :class:`agents.common.encoders.codes.PatternCode`.

    Args:
        network: as :func:`make_network` makes it.
        seed_list: the run's seeds.
        config: of the component.
    """

    def __init__(self, network: Any, seed_list: Sequence[int], config: Any) -> None:
        torch.set_num_threads(1)
        self.n_seeds = len(seed_list)
        self.n_features = config.latent_dim
        self.learns_beforehand = config.learn != "beside" and not config.untrained
        self.update_every = config.train_frequency if config.learn != "beforehand" and not config.untrained else 0
        self.n_kept = config.buffer_size
        self._network = network
        self._config = config
        streams = rng.generators(seed_list, "encoder")
        self._weights: Weights = network.init_weights(streams)
        self._stream = packed(streams)
        self._optimizers: dict[str, Optimizer] = network.make_optimizers(self._weights) if self.update_every else {}

    def codes(self, patterns: Array) -> Array:
        """Compute codes float32 [S, B, F] of patterns [S, B, N]."""
        hold_torch(1)  # threads for every operation wait for one another longer than these take
        with torch.no_grad():
            codes: Array = self._network.codes(self._weights, tensor(np.ascontiguousarray(patterns))).cpu().numpy()
        return codes

    def codes_of_seed(self, patterns: Array, named: dict[str, Array]) -> Array:
        """Compute codes float32 [B, F] of patterns [B, N] by given weights of one seed between pattern and code."""
        weights = {name: tensor(np.ascontiguousarray(values[None])) for name, values in named.items()}
        with torch.no_grad():
            codes: Array = self._network.codes(weights, tensor(np.ascontiguousarray(patterns[None])))[0].cpu().numpy()
        return codes

    def restored(self, code: Array, index: int) -> Array:
        """Turn codes [B, F] of one seed back into patterns, float32 [B, N]."""
        hold_torch(1)
        weights = {name: weight.detach()[index : index + 1] for name, weight in self._weights.items()}
        with torch.no_grad():
            patterns: Array = (
                _restore(self._network, weights, tensor(np.ascontiguousarray(code[None])))[0].cpu().numpy()
            )
        return patterns

    def first_weights(self, index: int) -> Array | None:
        """Return the weights [U, N] of one seed's first layer; None of a convolution."""
        weights = self._weights["encoder.0.weight"][index].detach()
        return weights.cpu().numpy().T if weights.dim() == 2 else None

    def fit(self, patterns: Array) -> None:
        """Train on all patterns collected, [S, P, N]."""
        config = self._config
        streams = unpacked(self._stream)
        trained: dict[int, Weights] = {}

        def train_block(first: int, last: int) -> None:
            torch.set_num_threads(1)  # torch counts threads for each thread that calls it
            weights = {name: weight.detach()[first:last].clone() for name, weight in self._weights.items()}
            optimizers = self._network.make_optimizers(weights)

            def update(step: int, learning_rate: float) -> None:
                progress = step / config.updates
                rows, own = patterns[first:last], streams[first:last]
                self._network.update(weights, optimizers, rows, own, learning_rate, progress)

            train(weights, update, config.updates, config.learning_rate)
            trained[first] = weights

        parallel_for(train_block, len(streams))
        blocks = [trained[first] for first in sorted(trained)]
        self._weights = {name: torch.cat([block[name].detach() for block in blocks]) for name in self._weights}
        self._stream = packed(streams)
        if self.update_every:
            self._optimizers = self._network.make_optimizers(self._weights)

    def update(self, patterns: Array) -> None:
        """Take one step of training on some of the latest patterns [S, P, N]."""
        hold_torch(1)
        streams = unpacked(self._stream)
        self._network.update(self._weights, self._optimizers, patterns, streams, self._config.learning_rate, 1.0)
        self._stream = packed(streams)

    def code_weights(self) -> dict[str, Array]:
        """Return copies of the weights between a pattern and its code, [S, ...]; those behind the code are left out."""
        named = subset(self._weights, *CODE_LAYERS)
        return {name: weight.detach().cpu().numpy().copy() for name, weight in named.items()}

    def set_code_weights(self, named: dict[str, Array]) -> None:
        """Set weights between a pattern and its code, [S, ...], in place."""
        with torch.no_grad():
            for name, values in named.items():
                self._weights[name].copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def build_layers(self) -> CodeLayers:
        """Build the way from patterns to features of one seed as a module, with weights of zeros."""
        named = subset(self._weights, *CODE_LAYERS)
        shapes = {name: tuple(weight.shape[1:]) for name, weight in named.items()}
        return CodeLayers(self._network, shapes, self.n_features)

    def frozen(self) -> NetworkCode:
        """Return a copy that cannot learn."""
        frozen = copy(self)
        frozen._weights = {name: weight.detach().clone() for name, weight in self._weights.items()}
        frozen._optimizers = {}
        return frozen

    def state(self) -> State:
        """Return weights, optimizers and streams."""
        return {
            "weights": {name: weight.detach().cpu().numpy().copy() for name, weight in self._weights.items()},
            "optimizers": {name: optimizer.state() for name, optimizer in self._optimizers.items()},
            "stream": self._stream.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._weights = {name: torch.tensor(state["weights"][name], device=device()) for name in self._weights}
        self._stream = np.array(state["stream"], np.uint64)
        if self._optimizers:
            self._optimizers = self._network.make_optimizers(self._weights)
            for name, optimizer in self._optimizers.items():
                optimizer.restore(state["optimizers"][name])


def _restore(network: Any, weights: Weights, code: Tensor) -> Tensor:
    """Compute the mean patterns [S, B, N] of codes [S, B, F]."""
    if isinstance(network, PictureCode):
        return mean_pattern(network.decode(weights, code))
    if isinstance(network, VAE):
        return mean_pattern(mlp(weights, "decoder", code))
    output: Tensor = network.mean_pattern(network.decode(weights, code).output)
    return output


def packed(streams: Streams) -> Array:
    """Pack the states of streams, uint64 [S, 4]; the rest of a number half used is dropped."""
    states = [rng.pack_state(stream.bit_generator, drop_half=True) for stream in streams]
    return np.array(states, np.uint64)


def unpacked(states: Array) -> list[np.random.Generator]:
    """Make streams that go on from packed states [S, 4]."""
    return [np.random.Generator(rng.unpack_state(state)) for state in states]
