"""Networks of torch over all seeds at once, the seeds as a tensor axis: for devices other than the CPU.

The forward pass is one module mapped over S times its parameters; the optimisers are the rules of
:mod:`agents.common.networks.optimizers` over tensors [S, P].
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from agents.common.networks.optimizers import KINDS, Optimizer, OptimizerSettings, make_optimizer
from simulator.core.protocols import Array, State


class Moved(NamedTuple):
    """Weights and moments after a step, [S, P] each."""

    weights: Tensor
    first: Tensor
    second: Tensor


class StackedModule:
    """On a device: one module called over tensors of S times its parameters."""

    def __init__(self, module: nn.Module, weights: Array, settings: OptimizerSettings | None, device: str) -> None:
        self._module = module.to(device)
        self.params = torch.tensor(weights, device=device)
        self._shapes = [(name, tuple(value.shape)) for name, value in module.named_parameters()]
        self._optimizer: Optimizer | None = None
        if settings:
            empty = make_optimizer(settings, len(weights), 0)
            moments: Any = torch.zeros(len(weights), 2, weights.shape[1], device=device)
            self._optimizer = empty._replace(moments=moments)
        self._leaves: list[Tensor] = []
        self.held_outputs: Tensor | None = None

    def _call(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = functional_call(self._module, weights, (x,))
        return y

    def forward(self, x: Array, keep: bool) -> Array:
        """Return outputs [S, B, out]; see ``TorchNetwork`` for this and the other methods."""
        weights = {}
        start = 0
        for name, shape in self._shapes:
            size = int(np.prod(shape))
            weights[name] = self.params[:, start : start + size].view(-1, *shape).detach().requires_grad_(keep)
            start += size
        with torch.set_grad_enabled(keep), _exact():
            y = vmap(self._call)(weights, torch.tensor(x, device=self.params.device))
        if keep:
            self._leaves = list(weights.values())
            self.held_outputs = y
        outputs: Array = y.detach().cpu().numpy()
        return outputs

    def _gradient(self, dy: Array) -> Tensor:
        """Compute the gradient of every seed, [S, P]."""
        output_grad = torch.tensor(dy, device=self.params.device)
        with _exact():
            parts = torch.autograd.grad(
                self.held_outputs, self._leaves, output_grad, allow_unused=True, materialize_grads=True
            )
        self._leaves = []
        self.held_outputs = None
        return torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)

    def apply_gradient(self, dy: Array, mask: Array, lr_scale: float) -> Array:
        """Step the seeds of ``mask`` and return the norms of the gradients."""
        finite = np.isfinite(dy).reshape(len(dy), -1).all(axis=1)  # nothing of a failed seed comes near the others
        used = (finite & mask).reshape(-1, *[1] * (dy.ndim - 1))
        gradient = self._gradient(np.where(used, dy, np.float32(0.0)))
        norms = torch.linalg.vector_norm(gradient, dim=1).cpu().numpy().astype(np.float64)
        norms = np.where(mask, np.where(finite, norms, np.nan), 0.0)
        updated = mask & np.isfinite(norms)
        max_norm = self._optimizer.max_grad_norm
        if max_norm > 0.0 and (norms[updated] > max_norm).any():
            gradient *= _column(max_norm / np.maximum(np.where(updated, norms, max_norm), max_norm), gradient)
        if updated.any():
            _apply_update(self._optimizer, self.params, gradient, updated, lr_scale)
        return norms

    def polyak_update(self, other: Any, tau: float) -> None:
        """Move towards another's weights."""
        if tau == 1.0:
            self.params.copy_(other.params)
        else:
            self.params += tau * (other.params - self.params)

    def state(self) -> State:
        """Return weights, moments and counters as numpy arrays."""
        saved: State = {"params": self.params.cpu().numpy().copy()}
        if self._optimizer is None:
            return saved
        return saved | {
            "moments": self._optimizer.moments.cpu().numpy().copy(),
            "step_count": self._optimizer.step_count.copy(),
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.params.copy_(torch.tensor(state["params"]))
        if self._optimizer is not None:
            self._optimizer.moments.copy_(torch.tensor(state["moments"]))
            self._optimizer.step_count[:] = state["step_count"]


def _exact() -> AbstractContextManager[Any]:
    """Run convolutions in float32, not TF32, by deterministic algorithms."""
    flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    return flags


def _apply_update(optimizer: Optimizer, weights: Tensor, gradient: Tensor, updated: Array, lr_scale: float) -> None:
    """Step the seeds of ``updated`` bool [S]; the others keep their weights, moments and counters as they were.

    Args:
        optimizer: the rule; its ``moments`` are a tensor [S, 2, P] beside the weights, its counters numpy int64 [S].
        weights: float32 [S, P], changed in place.
        gradient: float32 [S, P].
        updated: bool [S].
        lr_scale: scales the learning rate.
    """
    optimizer.step_count[updated] += 1
    rate = optimizer.learning_rate * lr_scale
    kind = KINDS[optimizer.kind]
    first = optimizer.moments[:, 0]
    second = optimizer.moments[:, 1]
    if kind == "adam":
        moved = _adam(optimizer, weights, gradient, rate)
    elif kind in ("sgd", "momentum", "nesterov"):
        moved = _momentum(optimizer, weights, gradient, rate)
    else:
        moved = _adaptive(optimizer, weights, gradient, rate)
    chosen = _column(updated, weights)
    for held, new in zip((weights, first, second), moved, strict=True):
        if new is not held:
            held.copy_(torch.where(chosen, new, held))


def _column(values: Array, like: Tensor) -> Tensor:
    """Reshape one value per seed, [S], to a column [S, 1]; float64 becomes float32."""
    values = values.astype(np.float32) if values.dtype == np.float64 else values
    return torch.as_tensor(values[:, None], device=like.device)


def _momentum(optimizer: Optimizer, weights: Tensor, gradient: Tensor, rate: float) -> Moved:
    kind = KINDS[optimizer.kind]
    velocity = optimizer.moments[:, 0]
    unused = optimizer.moments[:, 1]
    if kind == "sgd":
        return Moved(weights - rate * gradient, velocity, unused)
    velocity = optimizer.beta1 * velocity + gradient
    step = gradient + optimizer.beta1 * velocity if kind == "nesterov" else velocity
    return Moved(weights - rate * step, velocity, unused)


def _adaptive(optimizer: Optimizer, weights: Tensor, gradient: Tensor, rate: float) -> Moved:
    kind = KINDS[optimizer.kind]
    beta2 = optimizer.beta2
    eps = optimizer.eps
    squares = optimizer.moments[:, 0]
    step_squares = optimizer.moments[:, 1]
    if kind == "adagrad":
        squares = squares + gradient * gradient
        return Moved(weights - rate * gradient / (squares.sqrt() + eps), squares, step_squares)
    squares = beta2 * squares + (1.0 - beta2) * gradient * gradient
    if kind == "rmsprop":
        return Moved(weights - rate * gradient / (squares.sqrt() + eps), squares, step_squares)
    step = (step_squares + eps).sqrt() / (squares + eps).sqrt() * gradient
    return Moved(weights - rate * step, squares, beta2 * step_squares + (1.0 - beta2) * step * step)


def _adam(optimizer: Optimizer, weights: Tensor, gradient: Tensor, rate: float) -> Moved:
    count = np.maximum(optimizer.step_count, 1)  # a seed that never moved has no correction to divide by
    step_size = _column(rate / (1.0 - optimizer.beta1**count), weights)
    root_scale = _column(1.0 / np.sqrt(1.0 - optimizer.beta2**count), weights)
    mean = optimizer.beta1 * optimizer.moments[:, 0] + (1.0 - optimizer.beta1) * gradient
    squares = optimizer.beta2 * optimizer.moments[:, 1] + (1.0 - optimizer.beta2) * gradient * gradient
    return Moved(weights - step_size * mean / (squares.sqrt() * root_scale + optimizer.eps), mean, squares)
