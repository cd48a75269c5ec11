"""Rooms stepped one call at a time, random actions: steps per CPU-second of one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from simulator.core import plugins
from tests.benchmarks._clock import alternate, show

SIZES = {1: 200_000, 16: 200_000, 64: 100_000, 1_024: 20_000}


def main(json: bool) -> dict[str, Any]:
    """The 19x19 four rooms at several numbers of seeds, and Gymnasium's FrozenLake beside them."""
    works: dict[str, tuple[Callable[[], None], int]] = {f"rooms N={n:,}": _rooms(n) for n in SIZES}
    works["gymnasium FrozenLake-v1 N=1"] = _gymnasium("FrozenLake-v1", 20_000)
    return show(__doc__, {"steps_per_cpu_second": alternate(works)}, json)


def _rooms(n: int) -> tuple[Callable[[], None], int]:
    player = plugins.load("worlds", "rooms")
    world = player.make(list(range(n)), player.Config(layout="four", size=19))
    world.reset()
    actions = np.random.Generator(np.random.PCG64(0)).integers(0, 4, (64, n))
    rounds = SIZES[n] // 64

    def work() -> None:
        step = world.step
        for _ in range(rounds):
            for row in actions:
                step(row)

    return work, rounds * 64 * n


def _gymnasium(env_id: str, steps: int) -> tuple[Callable[[], None], int]:
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    actions = np.random.Generator(np.random.PCG64(0)).integers(0, 4, steps)

    def work() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(int(action))
            if terminated or truncated:
                env.reset()

    return work, steps
