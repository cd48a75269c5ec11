"""Ranges of settings, with which a player's ``Config`` annotates its fields; the host checks them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

ENDLESS = 10**12  # environment steps of a run of unknown length

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
"""A probability or a fraction, 0 to 1."""
PositiveShare = Annotated[float, Meta(gt=0.0, le=1.0)]
"""A fraction above 0, at most 1."""
PartShare = Annotated[float, Meta(ge=0.0, lt=1.0)]
"""A fraction of at least 0, below 1."""
Positive = Annotated[float, Meta(gt=0.0)]
"""A number above 0."""
NonNegative = Annotated[float, Meta(ge=0.0)]
"""A number of at least 0."""
Count = Annotated[int, Meta(ge=1)]
"""A whole number of at least 1."""
CountOrZero = Annotated[int, Meta(ge=0)]
"""A whole number of at least 0."""


class OfSize:
    """Marks a setting whose 0 stands for a rule: it follows the size of the task."""


CountOfSize = Annotated[int, Meta(ge=0), OfSize()]
"""A whole number of at least 1; 0: it follows the size of the task."""
RateOfSize = Annotated[float, Meta(ge=0.0), OfSize()]
"""A number above 0; 0: it follows the size of the task."""


class OfRun:
    """Marks a setting whose None stands for the environment steps of the run; the host replaces it."""


StepsOfRun = Annotated[Annotated[int, Meta(ge=0)] | None, OfRun()]
"""Environment steps: a whole number of at least 0, or none, as many as the run has."""


def steps_of_run(steps: int | None) -> int:
    """Return the steps of the run, or infinity for an agent that was made outside of a run."""
    return ENDLESS if steps is None else steps
