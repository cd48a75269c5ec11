"""Tabular Q-learning inside one compiled rollout, beside a plain gymnasium + numpy loop: updates per CPU-second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from simulator.config.run import build
from simulator.core.jit import set_threads
from simulator.training.loop import Session
from tests.benchmarks._clock import alternate, ratio, show

SEEDS, ROLLOUT_STEPS, REPEATS, PEER_STEPS = 16, 8_192, 10, 20_000
ENVS = {
    "six rooms": ({"name": "rooms", "layout": "six"}, "engram/SixRooms-v0"),
    "FrozenLake 8x8": ({"name": "FrozenLake8x8-v1"}, "FrozenLake8x8-v1"),
}


def main(json: bool) -> dict[str, Any]:
    """Updates per CPU-second of one thread, 16 seeds at once, and of the plain loop with one."""
    import envs  # noqa: F401 - registers our environments with Gymnasium

    found: dict[str, Any] = {}
    for name, (env, peer) in ENVS.items():
        ours = _rollout({"name": "q_learning", "step_size": 0.1}, env)
        sarsa = _rollout({"name": "q_learning", "step_size": 0.1, "target": "sarsa"}, env)
        td = _rollout({"name": "td", "step_size": 0.1}, env)
        units = SEEDS * ROLLOUT_STEPS * REPEATS
        works = {
            "engram q_learning": (ours, units),
            "engram sarsa": (sarsa, units),
            "engram td": (td, units),
            "gymnasium + numpy": (lambda peer=peer: plain_loop(peer), PEER_STEPS),
        }
        rates = alternate(works)
        found[name] = {"updates_per_cpu_second": rates, "times_the_peer": ratio(rates, *_PAIR)}
    return show(__doc__, found, json)


_PAIR = ("engram q_learning", "gymnasium + numpy")


def _rollout(agent: dict[str, Any], env: dict[str, Any]) -> Callable[[], None]:
    session = Session(build({"seeds": SEEDS, "steps": 10**12, "threads": 1, "agent": agent, "env": env}))
    set_threads(1)

    def work() -> None:
        for _ in range(REPEATS):
            session.agent.rollout(session.env.env_batch, ROLLOUT_STEPS)

    return work


def plain_loop(env_id: str) -> None:
    """The loop that one writes first: a numpy table, epsilon-greedy, one environment."""
    env = gymnasium.make(env_id)
    generator = np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    obs, _ = env.reset(seed=0)
    for _ in range(PEER_STEPS):
        if generator.random() < 0.1:
            action = int(generator.integers(env.action_space.n))
        else:
            action = int(np.argmax(q[obs]))
        then, reward, terminated, truncated, _ = env.step(action)
        target = reward + 0.99 * (not terminated) * np.max(q[then])
        q[obs, action] += 0.1 * (target - q[obs, action])
        obs = env.reset()[0] if terminated or truncated else then
    env.close()
