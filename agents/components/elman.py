"""Elman's simple recurrent network (Elman 1990): h = tanh(x Wx + h' Wh + b), with h' the output of the step before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.common.networks.activations import tanh
from agents.common.networks.recurrent import CellShape, Recurrence, RecurrenceConfig, cell_backward, cell_forward
from simulator.core.jit import jit_implementation

SOCKETS = ("recurrence",)
SHAPE = CellShape(columns=1, carried=1, saved=0, hidden_biases=0, sums=True)


@dataclass(frozen=True)
class Config(RecurrenceConfig):
    """Settings of Elman's cell."""


class Elman(NamedTuple):
    """The cell."""

    units: int


@jit_implementation(cell_forward, inline=True, of=Elman)
def _forward(cell, z, u, before, after, saved):
    for k in range(cell.units):
        z[k] = tanh(z[k] + u[k])
    for k in range(cell.units):
        after[k] = z[k]


@jit_implementation(cell_backward, inline=True, of=Elman)
def _backward(cell, z, saved, before, after_grad, z_grad, u_grad, before_grad):
    for k in range(cell.units):
        z_grad[k] = after_grad[k] * (np.float32(1.0) - z[k] * z[k])
    for k in range(cell.units):
        u_grad[k] = z_grad[k]
        before_grad[k] = np.float32(0.0)


def step(cell: Elman, z: Any, u: Any, before: Any) -> Any:
    """Step the cell on tensors; see :class:`agents.common.networks.recurrent.Recurrence`."""
    return ((z + u).tanh(),)


def make(config: Config) -> Recurrence:
    """Make the cell for the networks of an agent."""
    return Recurrence(Elman(config.units), SHAPE, config, lambda generator: np.zeros(config.units), step)
