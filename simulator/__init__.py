"""Engram hosts contests between learning agents and between associative memories, over many seeds at once.

The door for notebooks: ``simulator.run("q_learning", "rooms", seeds=16, steps=20_000)`` and ``simulator.Trainer``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.notebook import Result, Trainer, load, run

__all__ = ["Result", "Trainer", "load", "run"]


def __getattr__(name: str) -> Any:
    """Load the notebook's names when they are asked for, so that the command line starts without them."""
    if name not in __all__:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    from simulator import notebook

    return getattr(notebook, name)
