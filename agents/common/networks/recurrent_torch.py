"""Recurrent networks of torch, for images, and for every environment on a device other than the CPU.

They are the networks of :mod:`agents.common.networks.recurrent`, from the same weights: layers of a cell unrolled over
sequences, and dense layers on top of their states. Images pass through convolutions first. Sequences are padded to the
longest; neither state nor gradient passes from one to another.

Every operation is written over leading axes, so weights may have an axis of seeds, [S, in, out] beside inputs
[S, B, in], or none: S networks are one program, with one product for all seeds at each step of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import pad

from agents.common.networks.compiled import n_extra_inputs
from agents.common.networks.conv import encoder_builder, make_body
from agents.common.networks.modules_torch import dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.networks.recurrent import Recurrence
from agents.common.replay.frames import frame_shape
from agents.common.spaces import is_image
from simulator.core.protocols import Array, EnvSpec


class SequenceInputs(NamedTuple):
    """B sequences of every seed, padded to T steps; what is behind a sequence's end changes nothing before it."""

    obs: Array  # [S, B, T, *in]: vectors float32, or images as bytes
    extras: Array  # float32 [S, B, T, E], the last action and the last reward
    carry: Array  # float32 [S, B, C], before each sequence's first step
    burn_in: Array  # int64 [S, B], first steps that get no gradient


class RecurrentShape(NamedTuple):
    """The sizes of a recurrent network."""

    n_features: int  # of an observation, which the encoder makes of an image
    n_extras: int
    hidden: tuple[int, ...]  # units of the dense layers before the outputs
    n_outputs: int
    tanh: bool  # activation of the dense layers; otherwise rectified
    max_burn_in: int  # no sequence has more


class RecurrentModule(nn.Module):
    """The network of one seed, or with an axis of seeds in its weights of all of them.

    Args:
        recurrence: the cell.
        shape: the sizes.
        encoder: makes features [B, F] of images [B, *in]; None: observations are features.
    """

    takes_seed_axis = True

    def __init__(self, recurrence: Recurrence, shape: RecurrentShape, encoder: nn.Module | None = None) -> None:
        super().__init__()
        settings = recurrence.settings
        units, columns = settings.units, recurrence.shape.columns * settings.units
        self.n_inputs = shape.n_features + shape.n_extras
        self._cell = recurrence
        self._shape = shape
        self.encoder = encoder
        self.recurrence = nn.ModuleList()
        for layer in recurrence.layout(self.n_inputs):
            parts = {"weight_x": (layer.n_in, columns), "weight_h": (units, columns), "bias": (columns,)}
            if recurrence.shape.hidden_biases:
                parts["bias_h"] = (recurrence.shape.hidden_biases * units,)
            weights = nn.ParameterDict()
            for name, size in parts.items():  # in the order of the compiled network
                weights[name] = torch.empty(size)
            self.recurrence.append(weights)
        n_top = units + (self.n_inputs if settings.skip else 0)
        self._layers: list[str] = []
        for at, part in enumerate(dense((n_top, *shape.hidden, shape.n_outputs))):
            if isinstance(part, nn.Linear):
                self.add_module(str(at), part)
                self._layers.append(str(at))
        self.activation = nn.Tanh() if shape.tanh else nn.ReLU()

    def forward(self, obs: Tensor, extras: Tensor, carry: Tensor, burn_in: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [..., B, T, out], and what is carried after the last step, [..., B, C]."""
        x = torch.cat([self._features(obs), extras], -1)
        hidden = x
        after = []
        for layer, weights in zip(self._cell.layout(self.n_inputs), self.recurrence, strict=True):
            before = carry[..., layer.carry : layer.carry + self._cell.n_carried]
            hidden, end = self._unroll(weights, hidden, before, burn_in)
            after.append(end)
        top = torch.cat([hidden, x], -1) if self._cell.settings.skip else hidden
        return self._outputs(top), torch.cat(after, -1)

    def _features(self, obs: Tensor) -> Tensor:
        encoder = self.encoder
        if encoder is None:
            return obs

        def encode(weights: dict[str, Tensor], images: Tensor) -> Tensor:
            features: Tensor = functional_call(encoder, weights, (images.flatten(0, 1),))
            return features.unflatten(0, images.shape[:2])

        weights: dict[str, Tensor] = dict(encoder.named_parameters())
        has_seed_axis = obs.dim() > 5
        features: Tensor = vmap(encode)(weights, obs) if has_seed_axis else encode(weights, obs)
        return features

    def _unroll(self, weights: Any, x: Tensor, carry: Tensor, burn_in: Tensor) -> tuple[Tensor, Tensor]:
        """Unroll one layer over x [..., B, T, in]; its outputs [..., B, T, H], and what it carries after them."""
        settings = self._cell.settings
        held = {name: weight if settings.trainable else weight.detach() for name, weight in weights.items()}
        n_rows, n_steps = x.shape[-3:-1]
        z = x.flatten(-3, -2) @ held["weight_x"] + held["bias"].unsqueeze(-2)
        hidden_bias: Tensor | None = None
        if "bias_h" in held:
            n_columns = z.shape[-1]
            hidden_bias = pad(held["bias_h"], (n_columns - held["bias_h"].shape[-1], 0)).unsqueeze(-2)
        parts = carry.split(settings.units, -1)
        step: Any = self._cell.step
        outputs = []
        for t, z_t in enumerate(z.unflatten(-2, (n_rows, n_steps)).unbind(-2)):
            if t and torch.is_grad_enabled():
                parts = self._cut(parts, t, burn_in)
            u = parts[0] @ held["weight_h"]
            if hidden_bias is not None:
                u = u + hidden_bias
            parts = step(self._cell.cell, z_t, u, parts)
            outputs.append(parts[0])
        return torch.stack(outputs, -2), torch.cat(parts, -1)

    def _cut(self, parts: tuple[Tensor, ...], t: int, burn_in: Tensor) -> tuple[Tensor, ...]:
        """Let no gradient through to the step before time t where it is cut, or where that step is burn-in."""
        truncate = self._cell.settings.truncate
        if truncate and t % truncate == 0:
            return tuple(part.detach() for part in parts)
        if t > self._shape.max_burn_in:
            return parts
        is_burnt = (burn_in >= t).unsqueeze(-1)
        return tuple(torch.where(is_burnt, part.detach(), part) for part in parts)

    def _outputs(self, top: Tensor) -> Tensor:
        rows = top.flatten(-3, -2)
        for at, name in enumerate(self._layers):
            layer: Any = getattr(self, name)
            rows = (self.activation(rows) if at else rows) @ layer.weight.mT + layer.bias.unsqueeze(-2)
        return rows.unflatten(-2, top.shape[-3:-1])

    def first_weights(self, seed_list: Sequence[int]) -> dict[str, Array]:
        """Sample the first weights of the cell by name, [S, ...], as for a compiled network."""
        flat = self._cell.initial_params(self.n_inputs, seed_list)
        named = {}
        start = 0
        for name, value in self.recurrence.named_parameters(prefix="recurrence"):
            named[name] = flat[:, start : start + value.numel()].reshape(-1, *value.shape)
            start += value.numel()
        return named


def recurrent_builder(
    recurrence: Recurrence, spec: EnvSpec, config: Any, n_inputs: int, n_actions: int, n_outputs: int, max_burn_in: int
) -> Callable[[], RecurrentModule]:
    """Return the function that builds an agent's module, for vectors [n_inputs], or for images of its environment.

    Images pass through the convolutions and the dense layers of ``config.conv``; outputs are linear in what follows.

    Raises:
        ValueError: a cell that is compiled alone, or convolutions that do not go together with the images.
    """
    if recurrence.step is None:
        raise ValueError(
            f"agent.recurrence on {spec.id}: this cell has no step on tensors, expected one on images and on a GPU; "
            "give Recurrence(step=...), as agents/components/elman.py does"
        )
    n_extras = n_extra_inputs(recurrence, n_actions)
    if is_image(spec):
        build_encoder = encoder_builder(config.conv, frame_shape(spec))
        n_features = make_body(config.conv, frame_shape(spec)).hidden[-1]
        shape = RecurrentShape(n_features, n_extras, (), n_outputs, False, max_burn_in)
        return lambda: RecurrentModule(recurrence, shape, build_encoder())
    tanh = config.network.activation == "tanh"
    shape = RecurrentShape(n_inputs, n_extras, config.network.hidden, n_outputs, tanh, max_burn_in)
    return lambda: RecurrentModule(recurrence, shape)


def pass_bytes(recurrence: Recurrence) -> int:
    """Return the memory that one step of a sequence takes in the layers of a cell until its gradient, in bytes."""
    settings = recurrence.settings
    n_kept = recurrence.shape.columns + recurrence.shape.carried + 2
    return 8 * settings.layers * settings.units * n_kept


class Stepped(NamedTuple):
    """Outputs and next states of S networks at one observation each."""

    outputs: Array  # float32 [S, out]
    state: Array  # float32 [S, C], carried on to the next step


class RecurrentTorchNetwork(TorchNetwork):
    """S recurrent networks of one shape; see :class:`agents.common.networks.network_torch.TorchNetwork`.

    Args:
        build: makes the module.
        seed_list: the run's seeds.
        settings: the optimiser; None for a network that is not trained.
        stacked: seeds as a tensor axis; None: everywhere but on the CPU.
    """

    is_recurrent = True

    def __init__(
        self,
        build: Callable[[], RecurrentModule],
        seed_list: Sequence[int],
        settings: OptimizerSettings | None = None,
        *,
        stacked: bool | None = None,
    ) -> None:
        super().__init__(build, seed_list, settings, stacked=stacked, first_weights=RecurrentModule.first_weights)
        self._latest: tuple[Array, Array] | None = None  # inputs of the latest single step

    def unroll(self, inputs: SequenceInputs, keep: bool = True) -> Array:
        """Return outputs float32 [S, B, T, out]; with ``keep`` the gradient can be taken at them."""
        return self._run(inputs, keep)[0]

    def step(self, obs: Array, extras: Array, state: Array) -> Stepped:
        """Step every seed at one observation [S, *in], from what it carries, [S, C]."""
        self._latest = (obs, extras)
        burn_in = np.zeros((len(obs), 1), np.int64)
        inputs = SequenceInputs(obs[:, None, None], extras[:, None, None], state[:, None], burn_in)
        outputs, after = self._run(inputs, False)
        return Stepped(outputs[:, 0, 0], after[:, 0])

    def latest_inputs(self, index: int) -> Array | None:
        """Return what the first layer of one seed saw in the latest single step, [in]; None before the first."""
        if self._latest is None:
            return None
        obs, extras = (part[index] for part in self._latest)
        encoder = self._module.encoder
        if isinstance(encoder, nn.Module):
            named = self.seed_parameters(index)
            first = "encoder."
            weights = {name[len(first) :]: torch.tensor(part) for name, part in named.items() if name.startswith(first)}
            with torch.no_grad():
                obs = functional_call(encoder, weights, (torch.tensor(obs[None]),))[0].numpy()
        return np.concatenate([obs, extras])
