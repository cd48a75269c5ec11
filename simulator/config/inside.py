"""Settings of ``engram show MEMORY CHALLENGE`` and ``engram show RUN --inside`` of a recall benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from simulator.core.field_types import CountOrZero, NonNegative


@dataclass(frozen=True)
class InsideConfig:
    """Settings of a look into a memory that has stored patterns."""

    patterns: Annotated[int, Meta(ge=0, le=10**7)] = 0
    """stored patterns of the memory that is shown; 0: 20, or of a benchmark the first number of its patterns"""
    novel: CountOrZero = 100
    """held-out patterns of the memory that is shown, for recognition and reconstruction; fewer where the challenge has
    no more"""
    threshold: float | None = None
    """energy up to which a pattern counts as stored, in the confusion table; none: that of the lowest cost"""
    cost_miss: NonNegative = 1.0
    """cost of a stored pattern that is taken for a new one"""
    cost_false_alarm: NonNegative = 1.0
    """cost of a new pattern that is taken for a stored one"""
