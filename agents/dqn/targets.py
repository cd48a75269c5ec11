"""The variant of deep Q-learning, and the action values that a network's outputs stand for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.protocols import Array


class Rule(NamedTuple):
    """The variant of the update."""

    double: bool
    dueling: bool
    huber: bool
    n_classes: int  # of a discrete observation, which is seen as one-hot; 0: a vector
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], actions that exist: their number, then they


@jit_inline
def action_values(outputs, dueling, q):
    """Action values q [A] from a network's outputs: themselves, or V + A - mean A from [V, A ...]."""
    n = len(q)
    if dueling:
        mean = np.float32(0.0)
        for a in range(n):
            mean += outputs[1 + a]
        shift = outputs[0] - mean / np.float32(n)
        for a in range(n):
            q[a] = outputs[1 + a] + shift
    else:
        for a in range(n):
            q[a] = outputs[a]


@jit_inline
def row_at(rule, stored):
    """Which row of ``rule.legal_actions`` counts at a stored observation."""
    return np.int64(stored[0]) if rule.legal_actions.shape[0] > 1 else 0
