"""The clock of benchmarks: CPU time of one thread, alternately with the peer, the median of several rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ROUNDS = 7


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def alternate(works: Mapping[str, tuple[Callable[[], Any], int]], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Work per CPU-second of several pieces of code, one after the other in every round.

    Args:
        works: name -> (what to do, how many units of work that is). Each is called once before the clock starts.
        rounds: how often.

    Returns:
        name -> median, lowest and highest units per CPU-second.
    """
    for work, _ in works.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, units) in works.items():
            rates[name].append(units / max(cpu_seconds(work), 1e-9))
    return {
        name: {"median": statistics.median(found), "low": min(found), "high": max(found)}
        for name, found in rates.items()
    }


def ratio(rates: Mapping[str, Mapping[str, float]], ours: str, peer: str) -> float:
    """Our median as a multiple of the peer's."""
    return rates[ours]["median"] / rates[peer]["median"]


def show(title: str, found: dict[str, Any], json: bool) -> dict[str, Any]:
    """Print what was measured, unless it is wanted as JSON, and give it back."""
    if not json:
        print(title.splitlines()[0])
        for name, value in _flat(found):
            print(f"  {name:<58} {value if isinstance(value, str) else _number(value):>16}")
    return found


def _number(value: float) -> str:
    return f"{value:.3g}" if 0.0 < abs(value) < 0.01 else f"{value:,.2f}"


def _flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float | str]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} / ")
        else:
            yield before + name, value
