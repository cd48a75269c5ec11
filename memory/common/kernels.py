"""Compiled kernels that several energy-based memories share."""

from __future__ import annotations

import numpy as np

from simulator.core.jit import jit_blas, jit_inline
from simulator.core.rng_compiled import below


@jit_blas
def matmul(a, b, out):
    """Write the matrix product a b to ``out``, by BLAS."""
    np.dot(a, b, out)


@jit_inline
def copy_row(source, out):
    """Copy ``source`` [N] to ``out`` [N]; assigning slices would allocate a temporary."""
    for c in range(len(out)):
        out[c] = source[c]


@jit_inline
def shuffle(streams, i, order):
    """Permute ``order`` [N] at random, in place, by stream i (Fisher and Yates)."""
    for k in range(len(order) - 1, 0, -1):
        other = below(streams, i, k + 1)
        order[k], order[other] = order[other], order[k]
