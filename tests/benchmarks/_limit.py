"""The arithmetic limit of training a network: its matrix products and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from agents.common.networks.dense import product
from simulator.core.jit import jit


def products(n: int, batch: int, width: tuple[int, int, int, int]) -> None:
    """The products of n updates of a network of this shape: two passes forward and one back."""
    rows = [np.zeros((batch, units), np.float32) for units in width]
    _multiply(n, tuple(rows), tuple(np.zeros(pair, np.float32) for pair in pairwise(width)))


@jit
def _multiply(n, rows, weights):
    (x, h, g, y), (u, v, w) = rows, weights
    for _ in range(n):
        for _ in range(2):
            product(x, u, h)
            product(h, v, g)
            product(g, w, y)
        product(g.T, y, w)
        product(y, w.T, g)
        product(h.T, g, v)
        product(g, v.T, h)
        product(x.T, h, u)
