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
    """steps T over which it should remember: update biases -log(u), u uniform in 1 to T - 1; 0: off (Tallec and
    Ollivier 2018)"""


class Gru(NamedTuple):
    """The cell."""

    units: int


@jit_implementation(cell_forward, inline=True, of=Gru)
def _forward(cell, z, u, before, after, saved):
    n = cell.units
    for k in range(2 * n):
        z[k] = sigmoid(z[k] + u[k])
    reset = z[:n]
    update = z[n : 2 * n]
    candidate = z[2 * n : 3 * n]
    from_hidden = u[2 * n : 3 * n]
    for k in range(n):
        saved[k] = from_hidden[k]
    for k in range(n):
        candidate[k] = tanh(candidate[k] + reset[k] * saved[k])
    for k in range(n):
        after[k] = (_ONE - update[k]) * before[k] + update[k] * candidate[k]


@jit_implementation(cell_backward, inline=True, of=Gru)
def _backward(cell, z, saved, before, after_grad, z_grad, u_grad, before_grad):
    n = cell.units
    reset = z[:n]
    update = z[n : 2 * n]
    candidate = z[2 * n : 3 * n]
    reset_grad = z_grad[:n]
    update_grad = z_grad[n : 2 * n]
    candidate_grad = z_grad[2 * n : 3 * n]
    from_hidden_grad = u_grad[2 * n : 3 * n]
    for k in range(n):
        candidate_grad[k] = after_grad[k] * update[k] * (_ONE - candidate[k] * candidate[k])
    for k in range(n):
        from_hidden_grad[k] = candidate_grad[k] * reset[k]
    for k in range(n):
        reset_grad[k] = candidate_grad[k] * saved[k] * reset[k] * (_ONE - reset[k])
    for k in range(n):
        update_grad[k] = after_grad[k] * (candidate[k] - before[k]) * update[k] * (_ONE - update[k])
    for k in range(n):
        before_grad[k] = after_grad[k] * (_ONE - update[k])
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

    return Recurrence(Gru(n), SHAPE, config, biases, step, gates=("reset gate", "update gate", "candidate"))
