"""Any torch module as S networks: one module per seed on the CPU, seeds as a tensor axis on other devices.

A seed's parameters are flat, in the order of ``named_parameters``, [S, P]; checkpoints of these
networks are the same on all devices.

* On the CPU a seed's numbers are the same bits whichever seeds are beside it and however many threads there are: every
  torch operation has one thread, seeds are distributed over threads, and every seed's arrays are aligned to 64 bytes,
  since BLAS rounds by alignment.
* On other devices one module is mapped over S times its parameters, and the optimisers are the rules of
  :mod:`simulator.core.optimizers` over tensors [S, P]. Seeds agree within rounding; TF32 is off.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from agents.common.networks.dense import NamedWeights
from agents.common.networks.modules_torch import build_quietly, init_weights
from agents.common.networks.optimizers import (
    OptimizerSettings,
    OptimizerState,
    clip_and_update,
    make_optimizer,
    polyak_update,
)
from simulator.core import devices, rng
from simulator.core.jit import jit, parallel_for
from simulator.core.optimizers import coefficients, update
from simulator.core.protocols import Array, State

_CACHE_LINE = 16  # float32 in 64 bytes


class TorchNetwork:
    """S networks of one shape; see :class:`simulator.core.protocols.Network`.

    Inputs of bytes reach the module as they are (see :class:`agents.common.networks.modules_torch.Pixels`), others as
    float32.

    Args:
        build: makes the module, without random buffers; called once.
        seed_list: the run's seeds.
        settings: the optimiser; None for a network that is not trained.
        device: of the weights; None: the run's.
        stacked: seeds as a tensor axis; None: everywhere but on the CPU.
        first_weights: gives weights of the module by name, [S, ...], that are not sampled here; None: all of them are.
    """

    is_recurrent = False

    def __init__(
        self,
        build: Callable[[], nn.Module],
        seed_list: Sequence[int],
        settings: OptimizerSettings | None = None,
        *,
        device: str | None = None,
        stacked: bool | None = None,
        first_weights: Callable[[Any, Sequence[int]], dict[str, Array]] | None = None,
    ) -> None:
        module = build_quietly(build)
        self._shapes = [(name, tuple(value.shape)) for name, value in module.named_parameters()]
        self.n_params = sum(value.numel() for value in module.parameters())
        weights = np.empty((len(seed_list), self.n_params), np.float32)
        given = first_weights(module, seed_list) if first_weights else {}
        for i, generator in enumerate(rng.generators(seed_list, "weights")):
            named = init_weights(module, generator, given) | {name: values[i] for name, values in given.items()}
            weights[i] = np.concatenate([named[name].ravel() for name, _ in self._shapes])
        device = devices.device() if device is None else device
        self._backend = _StackedModule if (device != "cpu" if stacked is None else stacked) else _SeedModules
        self._module = module
        self._device = device
        self._trains = settings is not None
        self._inner: _SeedModules | _StackedModule = self._backend(module, weights, settings, device)

    def forward(self, x: Array, keep: bool = True) -> Array:
        """Return outputs float32 [S, B, out] at x [S, B, *in].

        Without ``keep`` nothing is held for ``apply_gradient``, and what an earlier call held stays.
        """
        return self._run((x,), keep)[0]

    def _run(self, inputs: tuple[Array, ...], keep: bool) -> tuple[Array, ...]:
        """Return all that the modules return at their inputs, [S, ...] each; the first one is held."""
        parts = tuple(x if x.dtype.kind in "iu" else np.ascontiguousarray(x, np.float32) for x in inputs)
        return self._inner.forward(parts, keep and self._trains)

    def apply_gradient(self, dy: Array, mask: Array, lr_scale: float = 1.0) -> Array:
        """Step the optimiser in the seeds of ``mask``, from dL/d(outputs) at the latest kept forward.

        Norms of the gradients before clipping, float64 [S], 0 elsewhere; the outputs held are released.

        Raises:
            RuntimeError: no outputs are held, or this network has no optimiser.
        """
        if self._inner.held_outputs is None:
            raise RuntimeError("apply_gradient: expected a network with an optimiser, and a forward that was kept")
        return self._inner.apply_gradient(np.asarray(dy, np.float32), np.asarray(mask, np.bool_), float(lr_scale))

    def polyak_update(self, other: TorchNetwork, tau: float = 1.0) -> None:
        """Update every weight towards the other network's by Polyak averaging with coefficient ``tau``."""
        self._inner.polyak_update(other._inner, float(tau))

    def clone(self) -> TorchNetwork:
        """Return a network of the same weights that is not trained."""
        other = copy.copy(self)
        other._trains = False
        other._inner = self._backend(self._module, self._inner.state()["params"], None, self._device)
        return other

    def state(self) -> State:
        """Return weights [S, P], and the optimiser's moments [S, 2, P] and counters [S]."""
        return self._inner.state()

    def restore(self, state: State) -> None:
        """Continue from ``state``, whatever device it is from."""
        self._inner.restore(state)

    def parameters(self) -> dict[str, Array]:
        """Return copies of the weights by name, [S, *shape]."""
        flat = self._inner.state()["params"]
        named = {}
        start = 0
        for name, shape in self._shapes:
            size = int(np.prod(shape))
            named[name] = flat[:, start : start + size].reshape(-1, *shape)
            start += size
        return named

    def seed_parameters(self, index: int) -> dict[str, Array]:
        """Return the weights of one seed by name, float32 [*shape]; to be read alone."""
        flat = self._inner.seed_params(index)
        named = {}
        start = 0
        for name, shape in self._shapes:
            size = int(np.prod(shape))
            named[name] = flat[start : start + size].reshape(shape)
            start += size
        return named

    def set_parameters(self, named: dict[str, Array]) -> None:
        """Set weights by name, [S, *shape]; those that are not named and the optimiser's moments stay."""
        state = self._inner.state()
        start = 0
        for name, shape in self._shapes:
            size = int(np.prod(shape))
            if name in named:
                state["params"][:, start : start + size] = named[name].reshape(-1, size)
            start += size
        self._inner.restore(state)

    def named_weights(self) -> NamedWeights:
        """Return copies of the weights by name, and the activation function."""
        tanh = any(isinstance(part, nn.Tanh) for part in self._module.modules())
        return NamedWeights(self.parameters(), "tanh" if tanh else "relu")


class _SeedModules:
    """The CPU backend: S modules whose parameters are views of the rows of one array."""

    def __init__(self, module: nn.Module, weights: Array, settings: OptimizerSettings | None, device: str) -> None:
        n_seeds, self._size = weights.shape
        width = -(-self._size // _CACHE_LINE) * _CACHE_LINE
        self.params = torch.zeros(n_seeds, width).numpy()
        self.params[:, : self._size] = weights
        self._optimizer: OptimizerState | None = make_optimizer(settings, n_seeds, width) if settings else None
        self._modules = [copy.deepcopy(module) for _ in range(n_seeds)]
        self._leaves = [_attach(module, row) for module, row in zip(self._modules, self.params, strict=True)]
        self.held_outputs: list[Tensor] | None = None

    def forward(self, inputs: tuple[Array, ...], keep: bool) -> tuple[Array, ...]:
        n_seeds = len(inputs[0])
        results: list[tuple[Tensor, ...]] = [()] * n_seeds

        def work(first: int, last: int) -> None:
            _one_thread()
            with torch.set_grad_enabled(keep):
                for i in range(first, last):
                    y = self._modules[i](*(torch.tensor(x[i]) for x in inputs))  # copies, on a boundary
                    results[i] = y if isinstance(y, tuple) else (y,)

        parallel_for(work, n_seeds)
        if keep:
            self.held_outputs = [result[0] for result in results]
        return tuple(torch.stack([part.detach() for part in parts]).numpy() for parts in zip(*results, strict=True))

    def _gradient(self, i: int, y: Tensor, dy: Array, out: Tensor) -> None:
        """Write the gradient of seed i to ``out`` [P], from dL/d(outputs) dy [B, out] at its outputs."""
        parts = torch.autograd.grad(y, self._leaves[i], torch.tensor(dy), allow_unused=True, materialize_grads=True)
        torch.cat([part.reshape(-1) for part in parts], out=out)

    def apply_gradient(self, dy: Array, mask: Array, lr_scale: float) -> Array:
        norms = np.zeros(len(mask))
        outputs = self.held_outputs or []
        self.held_outputs = None

        def work(first: int, last: int) -> None:
            _one_thread()
            row = torch.zeros(self.params.shape[1])
            for i in range(first, last):
                if mask[i]:
                    self._gradient(i, outputs[i], dy[i], row[: self._size])
                    norms[i] = clip_and_update(self._optimizer, i, self.params[i], row.numpy(), lr_scale)

        parallel_for(work, len(mask))
        return norms

    def polyak_update(self, other: Any, tau: float) -> None:
        parallel_for(lambda first, last: _polyak_block(first, last, self.params, other.params, tau), len(self.params))

    def seed_params(self, index: int) -> Array:
        row: Array = self.params[index, : self._size]
        return row

    def state(self) -> State:
        saved: State = {"params": self.params[:, : self._size].copy()}
        if self._optimizer is None:
            return saved
        moments = self._optimizer.moments[:, :, : self._size].copy()
        return saved | {"moments": moments, "step_count": self._optimizer.step_count.copy()}

    def restore(self, state: State) -> None:
        self.params[:, : self._size] = state["params"]
        if self._optimizer is not None:
            self._optimizer.moments[:, :, : self._size] = state["moments"]
            self._optimizer.step_count[:] = state["step_count"]


def _attach(module: nn.Module, row: Array) -> list[nn.Parameter]:
    """Make the parameters of a module views of a flat row."""
    leaves = list(module.parameters())
    start = 0
    for leaf in leaves:
        leaf.data = torch.from_numpy(row[start : start + leaf.numel()]).view(leaf.shape)
        start += leaf.numel()
    return leaves


def _one_thread() -> None:
    """Set torch to one thread per operation: seeds use the others. The setting is per calling thread."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@jit
def _polyak_block(first, last, params, others, tau):
    for i in range(first, last):
        polyak_update(params, others, i, tau)


class _StackedModule:
    """The backend of other devices: one module mapped over tensors of S times its parameters."""

    def __init__(self, module: nn.Module, weights: Array, settings: OptimizerSettings | None, device: str) -> None:
        self._module = module.to(device)
        self.params = torch.tensor(weights, device=device)
        self._shapes = [(name, tuple(value.shape)) for name, value in module.named_parameters()]
        self._optimizer: Any = None  # OptimizerState whose moments are a tensor; None: it is not trained
        if settings:
            empty = make_optimizer(settings, len(weights), 0)
            moments: Any = torch.zeros(len(weights), 2, weights.shape[1], device=device)
            self._optimizer = empty._replace(moments=moments)
        self._leaves: list[Tensor] = []
        self.held_outputs: Any = None  # a tensor between a forward pass and its gradient

    def _call(self, weights: dict[str, Tensor], *inputs: Tensor) -> Any:
        return functional_call(self._module, weights, inputs)

    def forward(self, inputs: tuple[Array, ...], keep: bool) -> tuple[Array, ...]:
        """Return what the modules return, [S, ...]; see :class:`TorchNetwork` for this and the other methods."""
        weights = {}
        start = 0
        for name, shape in self._shapes:
            size = int(np.prod(shape))
            weights[name] = self.params[:, start : start + size].view(-1, *shape).detach().requires_grad_(keep)
            start += size
        call = self._call if getattr(self._module, "takes_seed_axis", False) else vmap(self._call)
        with torch.set_grad_enabled(keep), _exact():
            y = call(weights, *(torch.tensor(x, device=self.params.device) for x in inputs))
        results = y if isinstance(y, tuple) else (y,)
        if keep:
            self._leaves = list(weights.values())
            self.held_outputs = results[0]
        return tuple(part.detach().cpu().numpy() for part in results)

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
        finite = np.isfinite(dy).reshape(len(dy), -1).all(axis=1)  # a failed seed must not affect the others
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
        """Update towards another's weights."""
        if tau == 1.0:
            self.params.copy_(other.params)
        else:
            self.params += tau * (other.params - self.params)

    def seed_params(self, index: int) -> Array:
        """Return the weights [P] of one seed."""
        row: Array = self.params[index].cpu().numpy()
        return row

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
        """Continue from ``state``."""
        self.params.copy_(torch.tensor(state["params"]))
        if self._optimizer is not None:
            self._optimizer.moments.copy_(torch.tensor(state["moments"]))
            self._optimizer.step_count[:] = state["step_count"]


def _exact() -> AbstractContextManager[Any]:
    """Run convolutions in float32, not TF32, by deterministic algorithms."""
    flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    return flags


def _apply_update(
    optimizer: OptimizerState, weights: Tensor, gradient: Tensor, updated: Array, lr_scale: float
) -> None:
    """Step the seeds of ``updated`` bool [S]; the others keep their weights, moments and counters as they were.

    Args:
        optimizer: the rule; its ``moments`` are a tensor [S, 2, P] beside the weights, its counters numpy int64 [S].
        weights: float32 [S, P], changed in place.
        gradient: float32 [S, P].
        updated: bool [S].
        lr_scale: scales the learning rate.
    """
    optimizer.step_count[updated] += 1
    count = np.maximum(optimizer.step_count, 1)  # a seed that never moved has no correction to divide by
    c = coefficients(optimizer.rule, optimizer.learning_rate * lr_scale, count)
    per_seed = {name: _column(value, weights) for name, value in c._asdict().items() if isinstance(value, np.ndarray)}
    first = optimizer.moments[:, 0]
    second = optimizer.moments[:, 1]
    moved = update(optimizer.rule, gradient, first, second, c._replace(**per_seed))
    chosen = _column(updated, weights)
    pairs: Any = zip((weights, first, second), (weights - moved.step, moved.first, moved.second), strict=True)
    for held, new in pairs:
        if new is not held:
            held.copy_(torch.where(chosen, new, held))


def _column(values: Array, like: Tensor) -> Tensor:
    """Reshape one value per seed, [S], to a column [S, 1]; float64 becomes float32."""
    values = values.astype(np.float32) if values.dtype == np.float64 else values
    return torch.as_tensor(values[:, None], device=like.device)
