"""Settings that can be changed while an agent learns; see :class:`simulator.core.protocols.Changeable`."""

from __future__ import annotations

from collections.abc import Iterable

from agents.common.exploration import Explore, scheduled


def checked(agent: str, names: Iterable[str], name: str, value: float, low: float, high: float) -> float:
    """Return the new value of a setting, which must be one of ``names`` and lie between the bounds.

    Raises:
        ValueError: it does not; one line.
    """
    if name not in names:
        raise ValueError(f"{agent} cannot change {name!r} while it learns, expected {', '.join(names) or 'nothing'}")
    if not low <= value <= high:
        raise ValueError(f"{agent}: {name} {value:g}: expected a number from {low:g} to {high:g}")
    return float(value)


def exploration_name(explore: Explore) -> str:
    """Return what the exploration's number is called: epsilon or temperature."""
    return "temperature" if explore.softmax else "epsilon"


def exploration_now(explore: Explore, clock: int) -> float:
    """Return epsilon or the temperature after ``clock`` environment steps."""
    return float(getattr(scheduled, "py_func", scheduled)(explore, clock))


def constant_exploration(explore: Explore, value: float) -> Explore:
    """Return the exploration with a constant number in place of its schedule."""
    return explore._replace(start=float(value), end=float(value), decay_steps=0)


def exploration_bounds(explore: Explore) -> tuple[float, float]:
    """Return the smallest and the largest number that the exploration can have."""
    return (1e-9, 1e9) if explore.softmax else (0.0, 1.0)
