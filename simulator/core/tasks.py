"""Contracts of prediction: tasks, what contestants predict, and how it is scored.

Arrays lead with the seed axis ``[S]``. A condition is a number that the contestants are compared at, such as how many
labels they learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from simulator.core.memories import Memory, PatternSpec
from simulator.core.protocols import Array


class ScoreSpec(NamedTuple):
    """A score of a prediction."""

    name: str
    heading: str  # of its column
    low: float | None = None  # bounds
    high: float | None = None
    is_drawn: bool = False  # beside the first one, in the picture of scores


class TaskSpec(NamedTuple):
    """Conditions and scores of a task, in words for tables and pictures."""

    condition: str  # what a condition is a number of
    scores: tuple[ScoreSpec, ...]  # the first one decides who is better
    higher_is_better: bool
    ceiling: str = ""  # the score that is no contestant's: the best possible of the first one; empty: none
    note: str = ""  # below the table
    test_ratios: tuple[float, ...] = ()  # of each condition, test rows by training rows where seeds share one data set


class Prediction(NamedTuple):
    """Result of one contestant under one condition."""

    scores: dict[str, Array]  # name -> float64 [S], NaN where it was not measured
    facts: dict[str, Any]  # plain values


class Predictor(NamedTuple):
    """One that predicts: a method of the task's own, or a memory."""

    name: str
    make: Callable[[PatternSpec, Sequence[int]], Memory] | None = None  # of a memory


class Task(Protocol):
    """Something to be predicted.

    A task's file offers ``Config``, ``make(seeds, config)``, ``METHODS`` (name -> one line, its own contestants) and
    ``DEFAULT`` (the contestants where none are named). One that reads files offers ``files(config) -> paths``.
    """

    spec: TaskSpec
    conditions: tuple[float, ...]

    def check(self, contestant: Predictor) -> None:
        """Refuse a contestant that cannot predict here.

        Raises:
            ValueError: it cannot; one line.
        """

    def play(self, contestant: Predictor, condition: float) -> Prediction:
        """Let a contestant learn and predict, for every seed by its own streams."""
