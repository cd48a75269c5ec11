"""Settings of ``engram race``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import PartShare, Positive

_Count = Annotated[int, Meta(ge=1, le=100_000)]
_Seed = Annotated[int, Meta(ge=0, le=10**15)]
STEP_SIZES = tuple(float(f"{m}e{exponent}") for exponent in range(-5, 3) for m in (1, 2, 5))[:-2]  # 1e-5 to 100


@dataclass(frozen=True)
class RaceConfig:
    """Update rules from the same starting points of functions with known minima."""

    objectives: Annotated[tuple[Literal["ravine", "saddle", "beale", "rosenbrock"], ...], Meta(min_length=1)] = (
        "ravine",
        "saddle",
        "beale",
        "rosenbrock",
    )
    """functions to descend"""
    steps: Annotated[int, Meta(ge=1, le=10**6)] = 10_000
    """steps of each path at most"""
    tolerance: Positive = 1e-6
    """a path is over where the loss is within this of its minimum"""
    step_sizes: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=1_000)] = STEP_SIZES
    """step sizes among which the best is chosen, for each rule and function"""
    seeds: _Count = 64
    """starting points of the result, one for each seed"""
    first_seed: _Seed = 0
    """first seed of the result; the others follow it"""
    chosen_on: _Count = 32
    """starting points that the step size is chosen on"""
    chosen_first_seed: _Seed = 1_000
    """first seed of the starting points that the step size is chosen on"""
    beta1: PartShare = 0.9
    """decay of the running mean of gradients: momentum, nesterov and adam"""
    beta2: PartShare | None = None
    """decay of the running mean of squared gradients; none: adadelta 0.9, rmsprop 0.99, adam 0.999"""
    eps: Positive | None = None
    """added to the root of the running squares, with adadelta below it; none: 1e-8, adagrad 1e-10, adadelta 1e-6"""
