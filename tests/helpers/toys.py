"""A player with every kind of setting; by its dotted path it is an agent and an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.core.field_types import Count, CountOrZero, Positive, PositiveShare, Share

PATH = "tests.helpers.toys"


@dataclass(frozen=True)
class Inner:
    """Settings within settings."""

    level: Share = 0.25
    """a share"""
    kind: Literal["linear", "exponential"] = "linear"
    """a choice"""


@dataclass(frozen=True)
class Config:
    """Every kind of setting."""

    step_size: PositiveShare = 0.5
    """a share above 0"""
    rate: Positive = 1.0
    """a number above 0"""
    shift: float = 0.0
    """any number"""
    count: Count = 3
    """how many"""
    limit: CountOrZero | None = None
    """a count, or none"""
    double: bool = False
    """yes or no"""
    title: str = "plain"
    """any text"""
    hidden: tuple[Count, ...] = (64, 64)
    """units of the layers"""
    kwargs: dict[str, bool | int | float | str] = field(default_factory=dict)
    """whatever"""
    inner: Inner = field(default_factory=lambda: Inner(level=0.75))
    """a table"""


def make(*args: Any) -> None:
    """Do nothing: tests of settings train nothing."""


PRESETS = {
    "tuned": {
        "description": "all of it",
        "env": PATH,
        "steps": 77,
        "agent": {"rate": 2.0, "inner": {"level": 0.5}},
        "env_settings": {"count": 9},
    },
    "plain": {"env": PATH},
}
