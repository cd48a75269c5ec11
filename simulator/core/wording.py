"""Words of lines for people, which every package may need."""

from __future__ import annotations


def plural(n: int, noun: str) -> str:
    """Format a count: ``1 seed``, ``2 seeds``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
