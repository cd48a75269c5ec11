"""Dense networks behind the contract :class:`simulator.core.protocols.Network`: compiled, seeds as the outer loop."""

from __future__ import annotations

import numpy as np

from agents.common.networks.dense import (
    Net,
    NetworkSettings,
    backward,
    clone,
    forward,
    forward_row,
    make_net,
    n_params,
    outputs_at,
    polyak_update,
)
from agents.common.networks.optimizers import Optimizer, OptimizerSettings, clip_and_update, make_optimizer
from simulator.core.jit import jit, parallel_for
from simulator.core.protocols import Array, State

__all__ = [
    "CompiledNetwork",
    "Net",
    "NetworkSettings",
    "backward",
    "clone",
    "forward",
    "forward_row",
    "make_net",
    "n_params",
    "outputs_at",
    "polyak_update",
]


@jit
def _forward_block(block, net, x, y):
    for i in range(block[0], block[1]):
        forward(net, i, i, x[i])
        n_rows, m = y.shape[1], y.shape[2]
        start = outputs_at(net, n_rows)
        for r in range(n_rows):
            for c in range(m):
                y[i, r, c] = net.outputs[i, start + r * m + c]


@jit
def _improve_block(block, net, optimizer, x, dy, how):
    mask, lr_scale, norm = how
    for i in range(block[0], block[1]):
        if mask[i]:
            backward(net, i, i, x[i], dy[i])
            norm[i] = clip_and_update(optimizer, i, net.params[i], net.gradient[i], lr_scale)


@jit
def _polyak_block(block, weights, others, tau):
    for i in range(block[0], block[1]):
        polyak_update(weights, others, i, tau)


class CompiledNetwork:
    """S dense networks; see :class:`simulator.core.protocols.Network`.

    Args:
        net: shape, weights and room.
        settings: the optimiser; None for a network that only follows another.
    """

    def __init__(self, net: Net, settings: OptimizerSettings | None = None) -> None:
        self.net = net
        self.optimizer: Optimizer | None = make_optimizer(settings, *net.params.shape) if settings else None
        self._x = np.zeros((len(net.params), 1, int(net.sizes[0])), np.float32)

    def forward(self, x: Array) -> Array:
        """Outputs float32 [S, B, out] at x [S, B, in]."""
        self._x = np.ascontiguousarray(x, np.float32)
        y = np.empty((*x.shape[:2], int(self.net.sizes[-1])), np.float32)
        parallel_for(lambda first, last: _forward_block((first, last), self.net, self._x, y), len(x))
        return y

    def apply_gradient(self, dy: Array, mask: Array, lr_scale: float = 1.0) -> Array:
        """One step of the optimiser in the seeds of ``mask``; norms of the gradients, float64 [S], 0 elsewhere."""
        norm, given = np.zeros(len(mask)), np.ascontiguousarray(dy, np.float32)
        net, optimizer, how = self.net, self.optimizer, (mask, float(lr_scale), norm)
        parallel_for(lambda first, last: _improve_block((first, last), net, optimizer, self._x, given, how), len(mask))
        return norm

    def polyak_update(self, other: CompiledNetwork, tau: float = 1.0) -> None:
        """Move every weight towards the other network's by ``tau``."""
        mine, theirs = self.net.params, other.net.params
        parallel_for(lambda first, last: _polyak_block((first, last), mine, theirs, float(tau)), len(mine))

    def state(self) -> State:
        """Weights, and the optimiser's memory and counters."""
        kept = {"params": self.net.params.copy()}
        if self.optimizer is None:
            return kept
        return kept | {"moments": self.optimizer.moments.copy(), "step_count": self.optimizer.step_count.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.net.params[...] = state["params"]
        if self.optimizer is not None:
            self.optimizer.moments[...], self.optimizer.step_count[...] = state["moments"], state["step_count"]
