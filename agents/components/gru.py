"""Gated recurrent unit (Cho et al. 2014).

    r = sigmoid(x Wxr + h' Whr + br)              reset gate
    z = sigmoid(x Wxz + h' Whz + bz)              update gate
    n = tanh(x Wxn + bn + r (h' Whn + b))         candidate
    h = (1 - z) h' + z n                          output

The gates lie in the order r, z, n. The reset gate multiplies after the product with Whn, as in torch's cell; the update
gate of that one is 1 - z, so its weights are the negative of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.common.networks.activations import sigmoid, tanh
from agents.common.networks.recurrent import CellShape, Recurrence, RecurrenceConfig, cell_backward, cell_forward
from simulator.core.field_types import CountOrZero
from simulator.core.jit import jit_implementation
from simulator.core.protocols import Array

SOCKETS = ("recurrence",)
SHAPE = CellShape(columns=3, carried=1, saved=1, hidden_biases=1)
_ONE = np.float32(1.0)


@dataclass(frozen=True)
class Config(RecurrenceConfig):
    """Settings of the GRU."""

    update_bias: float = 0.0
    """bias of the update gate at first; below 0 the cell holds what it has for longer"""
    chrono: CountOrZero = 0
    """steps over which it should remember: update biases -log(u), u uniform in 1 to these steps; 0: off (Tallec and
    Ollivier 2018)"""


class Gru(NamedTuple):
    """The cell."""

    units: int


@jit_implementation(cell_forward, inline=True, of=Gru)
def _forward(cell, z, u, before, after, saved):
    n = cell.units
    for k in range(2 * n):
        z[k] = sigmoid(z[k] + u[k])
    for k in range(n):
        saved[k] = u[2 * n + k]
    for k in range(n):
        z[2 * n + k] = tanh(z[2 * n + k] + z[k] * saved[k])
    for k in range(n):
        after[k] = (_ONE - z[n + k]) * before[k] + z[n + k] * z[2 * n + k]


@jit_implementation(cell_backward, inline=True, of=Gru)
def _backward(cell, z, saved, before, after_grad, z_grad, u_grad, before_grad):
    n = cell.units
    for k in range(n):
        reset, update, candidate = z[k], z[n + k], z[2 * n + k]
        candidate_grad = after_grad[k] * update * (_ONE - candidate * candidate)
        z_grad[2 * n + k] = candidate_grad
        u_grad[2 * n + k] = candidate_grad * reset
        z_grad[k] = candidate_grad * saved[k] * reset * (_ONE - reset)
        z_grad[n + k] = after_grad[k] * (candidate - before[k]) * update * (_ONE - update)
        before_grad[k] = after_grad[k] * (_ONE - update)
    for k in range(2 * n):
        u_grad[k] = z_grad[k]


def step(cell: Gru, z: Any, u: Any, before: Any) -> Any:
    """Step the cell on tensors; see :class:`agents.common.networks.recurrent.Recurrence`."""
    n = cell.units
    gates = (z[..., : 2 * n] + u[..., : 2 * n]).sigmoid()
    candidate = (z[..., 2 * n :] + gates[..., :n] * u[..., 2 * n :]).tanh()
    return (before[0] + gates[..., n:] * (candidate - before[0]),)


def make(config: Config) -> Recurrence:
    """Make the cell for the networks of an agent."""
    n = config.units

    def biases(generator: np.random.Generator) -> Array:
        values = np.zeros(4 * n)
        values[n : 2 * n] = config.update_bias
        if config.chrono:
            values[n : 2 * n] = -np.log(generator.uniform(1.0, max(config.chrono - 1.0, 1.0 + 1e-9), n))
        return values

    return Recurrence(Gru(n), SHAPE, config, biases, step)
