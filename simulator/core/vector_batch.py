"""A batch of a compiled environment with vector observations, in the form that compiled rollouts take."""

from __future__ import annotations

from typing import Any, NamedTuple

from simulator.core.protocols import Step


class VectorBatch(NamedTuple):
    """S copies of an environment, updated in place.

    Environments whose copies have the same types share the machine code of every agent that takes them.
    """

    move: Any  # (copies, i, action, step) -> whether an episode ended; see :func:`simulator.core.jit.function_pointer`
    copies: Any  # the environment's own
    step: Step  # float32 observations [S, F]; row i of ``step.obs`` is the current observation of seed i
