"""Shapes and settings that the host hands to a component that learns sequences."""

from __future__ import annotations

from typing import NamedTuple


class SequenceShape(NamedTuple):
    """Sizes of a learner's input, output and batches."""

    n_in: int  # numbers in a row
    n_outputs: int  # classes; 1: a number
    max_rows: int  # of all sequences of a batch
    max_sequences: int


class LearnerSettings(NamedTuple):
    """Settings of the gradient steps."""

    learning_rate: float
    max_grad_norm: float = 1.0
