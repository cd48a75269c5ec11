"""Long short-term memory (Hochreiter and Schmidhuber 1997), with a forget gate (Gers, Schmidhuber and Cummins 2000).

    i = sigmoid(x Wxi + h' Whi + bi)        input gate
    f = sigmoid(x Wxf + h' Whf + bf)        forget gate
    g = tanh(x Wxg + h' Whg + bg)           candidate
    o = sigmoid(x Wxo + h' Who + bo)        output gate
    c = f c' + i g                          cell
    h = o tanh(c)                           output

The gates lie in the order i, f, g, o, as in torch's cell.
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
SHAPE = CellShape(columns=4, carried=2, saved=1, hidden_biases=0, sums=True)
_ONE = np.float32(1.0)


@dataclass(frozen=True)
class Config(RecurrenceConfig):
    """Settings of the LSTM."""

    forget_bias: float = 1.0
    """bias of the forget gate at first: what a cell holds falls to half in a step at 0, to 0.73 at 1"""
    chrono: CountOrZero = 0
    """steps T over which it should remember: forget biases log(u), u uniform in 1 to T - 1, input biases the negative;
    0: off (Tallec and Ollivier 2018)"""


class Lstm(NamedTuple):
    """The cell."""

    units: int


@jit_implementation(cell_forward, inline=True, of=Lstm)
def _forward(cell, z, u, before, after, saved):
    n = cell.units
    for k in range(4 * n):
        z[k] += u[k]
    input_and_forget = z[: 2 * n]
    for k in range(2 * n):
        input_and_forget[k] = sigmoid(input_and_forget[k])
    g = z[2 * n : 3 * n]
    for k in range(n):
        g[k] = tanh(g[k])
    o = z[3 * n : 4 * n]
    for k in range(n):
        o[k] = sigmoid(o[k])
    i = z[:n]
    f = z[n : 2 * n]
    c_before = before[n : 2 * n]
    c = after[n : 2 * n]
    for k in range(n):
        c[k] = f[k] * c_before[k] + i[k] * g[k]
    for k in range(n):
        saved[k] = tanh(c[k])
    for k in range(n):
        after[k] = o[k] * saved[k]


@jit_implementation(cell_backward, inline=True, of=Lstm)
def _backward(cell, z, saved, before, after_grad, z_grad, u_grad, before_grad):
    n = cell.units
    i = z[:n]
    f = z[n : 2 * n]
    g = z[2 * n : 3 * n]
    o = z[3 * n : 4 * n]
    c_before = before[n : 2 * n]
    i_grad = z_grad[:n]
    f_grad = z_grad[n : 2 * n]
    g_grad = z_grad[2 * n : 3 * n]
    o_grad = z_grad[3 * n : 4 * n]
    c_after_grad = after_grad[n : 2 * n]
    c_grad = before_grad[n : 2 * n]  # at c; the last loop makes it that at c'
    for k in range(n):
        c_grad[k] = c_after_grad[k] + after_grad[k] * o[k] * (_ONE - saved[k] * saved[k])
    for k in range(n):
        i_grad[k] = c_grad[k] * g[k] * i[k] * (_ONE - i[k])
    for k in range(n):
        f_grad[k] = c_grad[k] * c_before[k] * f[k] * (_ONE - f[k])
    for k in range(n):
        g_grad[k] = c_grad[k] * i[k] * (_ONE - g[k] * g[k])
    for k in range(n):
        o_grad[k] = after_grad[k] * saved[k] * o[k] * (_ONE - o[k])
    for k in range(n):
        c_grad[k] *= f[k]
        before_grad[k] = np.float32(0.0)
    for k in range(4 * n):
        u_grad[k] = z_grad[k]


def step(cell: Lstm, z: Any, u: Any, before: Any) -> Any:
    """Step the cell on tensors; see :class:`agents.common.networks.recurrent.Recurrence`."""
    n = cell.units
    i, f, g, o = (z + u).split(n, -1)
    c = f.sigmoid() * before[1] + i.sigmoid() * g.tanh()
    return (o.sigmoid() * c.tanh(), c)


def make(config: Config) -> Recurrence:
    """Make the cell for the networks of an agent."""
    n = config.units

    def biases(generator: np.random.Generator) -> Array:
        values = np.zeros(4 * n)
        values[n : 2 * n] = config.forget_bias
        if config.chrono:
            values[n : 2 * n] = np.log(generator.uniform(1.0, max(config.chrono - 1.0, 1.0 + 1e-9), n))
            values[:n] = -values[n : 2 * n]
        return values

    gates = ("input gate", "forget gate", "candidate", "output gate")
    return Recurrence(Lstm(n), SHAPE, config, biases, step, gates, ("hidden", "cell"))
