"""A component for tests that fits two sockets.

Its settings have one that lasts as long as the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.core.field_types import StepsOfRun

SOCKETS = ("encoder", "intrinsic")


@dataclass(frozen=True)
class Config:
    """Settings of the component."""

    size: int = 3
    """its size"""
    decay_steps: StepsOfRun = None
    """steps of its decay"""


def make(config):
    """Return the settings."""
    return config
