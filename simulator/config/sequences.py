"""Settings of ``engram recall --sequence``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from simulator.core.field_types import Positive

_Length = Annotated[int, Meta(ge=1, le=10_000)]


@dataclass(frozen=True)
class SequenceConfig:
    """Cells that learn sequences without an agent; see ``--sequence``."""

    lengths: Annotated[tuple[_Length, ...], Meta(min_length=1)] = (5, 10, 20)
    """with --sequence: rows from a symbol to its answer, each a condition of its own; of gradient the longest counts"""
    symbols: Annotated[int, Meta(ge=2, le=1_000)] = 4
    """with --sequence: kinds of symbols"""
    copied: Annotated[int, Meta(ge=1, le=1_000)] = 3
    """with --sequence copy: symbols to copy"""
    units: Annotated[int, Meta(ge=1, le=4_096)] = 32
    """with --sequence: units of every cell"""
    updates: Annotated[int, Meta(ge=0, le=10**7)] = 0
    """with --sequence: gradient steps; 0: 1,000 of symbols, 150 of a series, as more of them learn its noise"""
    batch: Annotated[int, Meta(ge=1, le=4_096)] = 32
    """with --sequence: sequences in a gradient step"""
    learning_rate: Positive = 0.003
    """with --sequence: step size of Adam"""
    series: str = ""
    """with --sequence forecast: random-walk, ar2, noisy-ar1 or tent, whose best forecast is known; by default ar2"""
    n_values: Annotated[int, Meta(ge=24, le=10**6)] = 1_000
    """with --sequence forecast: values of the series"""
    csv: str = ""
    """with --sequence forecast: read the series from this CSV file, the oldest value first"""
    column: str = ""
    """with --sequence forecast: column of the CSV file"""
    splits: Annotated[int, Meta(ge=1, le=100)] = 2
    """with --sequence forecast: test parts, one after the other, each after all that is learned from for it"""
    unroll: Annotated[int, Meta(ge=2, le=10_000)] = 32
    """with --sequence forecast: rows of a training sequence"""
    order: Annotated[int, Meta(ge=1, le=1_000)] = 8
    """with --sequence forecast: largest order of AR(p), which is chosen on the training part"""
