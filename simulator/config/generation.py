"""Settings of ``engram generate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from simulator.core.field_types import CountOrZero

MAX_SAMPLES = 100_000
_Place = Annotated[int, Meta(ge=1, le=10**7)]


@dataclass(frozen=True)
class GenerationConfig:
    """Memories that generate patterns."""

    seeds: Annotated[int, Meta(ge=1, le=10**5)] = 8
    """number of seeds, each with patterns and memories of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it, and it is the one whose pictures are drawn"""
    patterns: Annotated[int, Meta(ge=1, le=10**7)] = 20
    """number of stored patterns"""
    novel: CountOrZero = 100
    """held-out patterns, whose distance to the stored ones is the yardstick of new samples; fewer where the challenge
    has no more"""
    samples: Annotated[int, Meta(ge=1, le=MAX_SAMPLES)] = 500
    """samples per seed and moment, of which the measures are made"""
    moments: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """moments of the training at which samples are drawn; the last one is its end"""
    walk: Annotated[tuple[_Place, ...], Meta(min_length=2, max_length=2)] = (1, 2)
    """stored patterns, counted from 1, between whose codes the walk goes"""
