"""Settings that follow the size of the task: the number of patterns K and of units N.

What suits a hundred patterns of 64 units is too small for a thousand of 784. A memory lists the settings that follow
the size in ``RULES``, by their names; in its ``Config`` they are 0 or (), which stands for the rule. A value given by
the user is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

REFERENCE_UNITS = 64
REFERENCE_PATTERNS = 100
WIDTH_STEP = 16  # widths are multiples of it

ConfigT = TypeVar("ConfigT")


class Rule(Protocol):
    """A setting that follows the size of the task."""

    def value(self, n_units: int, n_patterns: int) -> Any:
        """Return the setting for so many units and patterns."""


class SizeRule(NamedTuple):
    """A setting for up to 100 patterns of up to 64 units, and the powers of K / 100 and N / 64 it grows by beyond.

    With ``from_patterns`` it grows from that number of patterns on instead of 100.
    """

    base: int | float | tuple[int, ...]
    by_patterns: float = 0.0
    by_units: float = 0.0
    from_patterns: int = REFERENCE_PATTERNS

    def value(self, n_units: int, n_patterns: int) -> Any:
        """Return the setting: a float as it is, a count rounded, widths rounded to multiples of 16 where they grow."""
        factor = max(1.0, n_patterns / self.from_patterns) ** self.by_patterns
        factor *= max(1.0, n_units / REFERENCE_UNITS) ** self.by_units
        if isinstance(self.base, float):
            return self.base * factor
        if isinstance(self.base, int):
            return round(self.base * factor)
        return tuple(width if factor == 1.0 else WIDTH_STEP * round(width * factor / WIDTH_STEP) for width in self.base)


def grown(widths: tuple[int, ...], by_units: float, n_units: int) -> tuple[int, ...]:
    """Return widths of layers that grow by this power of N / 64 beyond 64 units."""
    found: tuple[int, ...] = SizeRule(widths, by_units=by_units).value(n_units, 1)
    return found


def sized(config: ConfigT, rules: Mapping[str, Rule], n_units: int, n_patterns: int = 1) -> ConfigT:
    """Return settings with those that are 0 or () replaced by their rules.

    Args:
        config: a dataclass.
        rules: by the names of its fields.
        n_units: units N of a pattern.
        n_patterns: stored patterns K.
    """
    left = {name: rule.value(n_units, n_patterns) for name, rule in rules.items() if not getattr(config, name)}
    return replace(config, **left) if left else config  # type: ignore[type-var]
