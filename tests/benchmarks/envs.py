"""Environments stepped one call at a time, random actions: steps per CPU-second of one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from simulator.core import registry
from tests.benchmarks._clock import alternate, ratio, show

SIZES = {1: 200_000, 16: 200_000, 64: 100_000, 1_024: 20_000}
NATIVE = ("cartpole", "mountain_car", "acrobot", "blackjack", "frozen_lake", "cliff_walking", "taxi")
SIDE_BY_SIDE = 64
Work = tuple[Callable[[], None], int]


def main(json: bool) -> dict[str, Any]:
    """Four rooms and CartPole at several numbers of seeds, every native environment at 64, Gymnasium beside them."""
    works: dict[str, Work] = {f"rooms N={n:,}": _env("rooms", n, layout="four", size=19) for n in SIZES}
    works |= {f"cartpole N={n:,}": _env("cartpole", n) for n in SIZES}
    works |= {f"{name} N=64": _env(name, SIDE_BY_SIDE) for name in NATIVE if name != "cartpole"}
    peer = f"gymnasium's vector CartPole-v1 N={SIDE_BY_SIDE}"
    works[peer] = _vector("CartPole-v1", SIDE_BY_SIDE, 6_400)
    works["gymnasium CartPole-v1 N=1"] = _gymnasium("CartPole-v1", 20_000)
    works["gymnasium FrozenLake-v1 N=1"] = _gymnasium("FrozenLake-v1", 20_000)
    works["CartPole-v1 in Python, as an environment N=1"] = _foreign("CartPole-v1", 1, 20_000)
    rates = alternate(works)
    times = ratio(rates, f"cartpole N={SIDE_BY_SIDE}", peer)
    return show(__doc__, {"steps_per_cpu_second": rates, "cartpole_times_the_vector": times}, json)


def _env(name: str, n: int, **settings: Any) -> Work:
    player = registry.load("envs", name)
    return _stepped(player.make(list(range(n)), player.Config(**settings)), n, SIZES[n])


def _foreign(env_id: str, n: int, rounds: int) -> Work:
    player = registry.load("envs", env_id)
    return _stepped(player.make(list(range(n)), player.Config(native=False)), n, rounds)


def _stepped(env: Any, n: int, rounds: int) -> Work:
    env.reset()
    actions = np.random.Generator(np.random.PCG64(0)).integers(0, env.spec.action.n, (64, n))

    def work() -> None:
        step = env.step
        for _ in range(rounds // 64):
            for row in actions:
                step(row)

    return work, rounds // 64 * 64 * n


def _vector(env_id: str, n: int, rounds: int) -> Work:
    """Gymnasium's own vector environment, whichever ``make_vec`` takes."""
    envs = gymnasium.make_vec(env_id, num_envs=n)
    envs.reset(seed=0)
    actions = np.random.Generator(np.random.PCG64(0)).integers(0, 2, (64, n))

    def work() -> None:
        for _ in range(rounds // 64):
            for row in actions:
                envs.step(row)

    return work, rounds // 64 * 64 * n


def _gymnasium(env_id: str, steps: int) -> Work:
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    actions = np.random.Generator(np.random.PCG64(0)).integers(0, env.action_space.n, steps)

    def work() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(int(action))
            if terminated or truncated:
                env.reset()

    return work, steps
