"""Any torch module as S networks: on the CPU one seed after the other, on other devices seeds as a tensor axis.

The parameters of a seed lie flat, in the order of ``named_parameters``, [S, P]; a checkpoint is the same on
every device. On the CPU a seed's numbers are the same bits whichever seeds are beside it and however many threads
share them: every operation of torch is left one thread, seeds are spread over threads, and every seed's arrays begin on
a boundary of 64 bytes, since BLAS rounds by alignment. Elsewhere they agree within rounding; TF32 is off.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.common.networks.modules_torch import build_quietly, init_weights
from agents.common.networks.optimizers import (
    Optimizer,
    OptimizerSettings,
    clip_and_update,
    make_optimizer,
    polyak_update,
)
from agents.common.networks.stacked_torch import StackedModule
from simulator.core import devices, rng
from simulator.core.jit import jit, parallel_for
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
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        seed_list: Sequence[int],
        settings: OptimizerSettings | None = None,
        *,
        device: str | None = None,
        stacked: bool | None = None,
    ) -> None:
        module = build_quietly(build)
        self._shapes = [(name, tuple(value.shape)) for name, value in module.named_parameters()]
        self.n_params = sum(value.numel() for value in module.parameters())
        weights = np.empty((len(seed_list), self.n_params), np.float32)
        for row, generator in zip(weights, rng.generators(seed_list, "weights"), strict=True):
            named = init_weights(module, generator)
            row[:] = np.concatenate([named[name].ravel() for name, _ in self._shapes])
        device = devices.device() if device is None else device
        self._backend = StackedModule if (device != "cpu" if stacked is None else stacked) else _Rows
        self._module = module
        self._device = device
        self._trains = settings is not None
        self._inner: _Rows | StackedModule = self._backend(module, weights, settings, device)

    def forward(self, x: Array, keep: bool = True) -> Array:
        """Return outputs float32 [S, B, out] at x [S, B, *in].

        Without ``keep`` nothing is held for ``apply_gradient``, and what an earlier call held stays.
        """
        x = np.ascontiguousarray(x, None if x.dtype == np.uint8 else np.float32)
        return self._inner.forward(x, keep and self._trains)

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
        """Move every weight towards the other network's by the fraction ``tau``."""
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
        """Go on from ``state``, whatever device it is from."""
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


class _Rows:
    """On the CPU: S modules whose parameters are views of the rows of one array."""

    def __init__(self, module: nn.Module, weights: Array, settings: OptimizerSettings | None, device: str) -> None:
        n_seeds, self._size = weights.shape
        width = -(-self._size // _CACHE_LINE) * _CACHE_LINE
        self.params = torch.zeros(n_seeds, width).numpy()
        self.params[:, : self._size] = weights
        self._optimizer: Optimizer | None = make_optimizer(settings, n_seeds, width) if settings else None
        self._modules = [copy.deepcopy(module) for _ in range(n_seeds)]
        self._leaves = [_attach(each, row) for each, row in zip(self._modules, self.params, strict=True)]
        self.held_outputs: list[Tensor] | None = None

    def forward(self, x: Array, keep: bool) -> Array:
        outputs: list[Tensor] = [torch.empty(0)] * len(x)

        def work(first: int, last: int) -> None:
            _one_thread()
            with torch.set_grad_enabled(keep):
                for i in range(first, last):
                    outputs[i] = self._modules[i](torch.tensor(x[i]))  # a copy, on a boundary

        parallel_for(work, len(x))
        if keep:
            self.held_outputs = outputs
        return torch.stack([each.detach() for each in outputs]).numpy()

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
    """Leave an operation one thread: seeds share the others. Torch counts per thread that calls it."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@jit
def _polyak_block(first, last, params, others, tau):
    for i in range(first, last):
        polyak_update(params, others, i, tau)
