"""What the host asks of a component that learns sequences."""

from __future__ import annotations

from typing import NamedTuple


class SequenceShape(NamedTuple):
    """What a learner reads and answers."""

    n_in: int  # numbers in a row
    n_outputs: int  # classes; 1: a number
    max_rows: int  # of all sequences of a batch
    max_sequences: int


class LearnerSettings(NamedTuple):
    """How a learner follows its gradient."""

    learning_rate: float
    max_grad_norm: float = 1.0
