"""Occupancy of the states over an episode, compiled: what a chain does with the start distribution, step by step."""

from __future__ import annotations

import numpy as np

from simulator.core.jit import jit


@jit
def follow_chain(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    gamma: float,
    occupancy: np.ndarray,
    steps: np.ndarray,
) -> int:
    """Follow a distribution through a chain, in the sums of SciPy's sparse product, to the bit.

    Args:
        indptr: of the chain backwards in rows (CSR), [N + 1].
        indices: likewise.
        data: likewise.
        gamma: discount.
        occupancy: discounted probability of every state now, [N]; afterwards that after the last step.
        steps: [T, N], takes the occupancy before each step.

    Returns:
        The steps that were made: T, or those until no episode goes on.
    """
    for t in range(len(steps)):
        for i in range(len(occupancy)):
            steps[t, i] = occupancy[i]
        goes_on = False
        for i in range(len(occupancy)):
            total = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                total += data[k] * steps[t, indices[k]]
            occupancy[i] = gamma * total
            goes_on |= occupancy[i] != 0.0
        if not goes_on:
            return t + 1
    return len(steps)
