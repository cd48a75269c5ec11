"""Planning from a table inside one compiled rollout, beside plain Python: planned updates per CPU-second of one thread.

Only updates that were made count: prioritized sweeping stops where no error is left to carry back. The CPU time is that
of everything, of the environment's steps and of learning from these too. One seed; the table is learned as it goes on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from simulator.config.run import build
from simulator.core.jit import set_threads
from simulator.training.loop import Session
from tests.benchmarks._clock import ROUNDS, cpu_seconds, ratio, show

PLANNING_STEPS, ROLLOUT_STEPS, PEER_STEPS, WARM_STEPS = 50, 8_192, 400, 100_000
GAMMA, STEP_SIZE, EPSILON, MIN_PRIORITY = 0.95, 0.5, 0.1, 1e-9
TABLES = {
    "Dyna-Q": {},
    "Dyna-Q, sample updates": {"updates": "sample"},
    "prioritized sweeping": {"planning": "prioritized", "min_priority": MIN_PRIORITY},
    "prioritized sweeping, sample updates": {
        "planning": "prioritized",
        "updates": "sample",
        "min_priority": MIN_PRIORITY,
    },
}
ENVS = {
    "Dyna maze, slip .2": ({"name": "rooms", "layout": "dyna-maze", "slip": 0.2}, None),
    "maze 51 x 51, slip .2": (
        {"name": "rooms", "layout": "maze", "size": 51, "extra_openings": 0.3, "slip": 0.2},
        None,
    ),
    "FrozenLake 8x8": ({"name": "FrozenLake8x8-v1"}, "FrozenLake8x8-v1"),
}
Work = Callable[[], int]  # plans, and tells how many updates that were


def main(json: bool) -> dict[str, Any]:
    """Planned updates per CPU-second of the compiled agent, and of a plain loop over a Gymnasium environment."""
    import envs  # noqa: F401 - registers our environments with Gymnasium

    found: dict[str, Any] = {}
    for name, (env, peer) in ENVS.items():
        works = {f"engram {table}": _rollouts(env, settings) for table, settings in TABLES.items()}
        if peer:
            works |= {"Python Dyna-Q": _PlainLoop(peer, sweeps=False), "Python sweeping": _PlainLoop(peer, sweeps=True)}
        rates = _alternate(works)
        found[name] = {"planned_updates_per_cpu_second": rates}
        if peer:
            found[name]["times_plain_python"] = {
                "Dyna-Q": ratio(rates, "engram Dyna-Q", "Python Dyna-Q"),
                "prioritized sweeping": ratio(rates, "engram prioritized sweeping", "Python sweeping"),
            }
    return show(__doc__, found, json)


def _alternate(works: dict[str, Work]) -> dict[str, dict[str, float]]:
    """Return updates per CPU-second of each, one after the other in every round, after a call that is not timed."""
    for work in works.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            done = []
            seconds = cpu_seconds(lambda work=work, done=done: done.append(work()))
            rates[name].append(done[0] / max(seconds, 1e-9))
    return {
        name: {"median": float(np.median(each)), "low": min(each), "high": max(each)} for name, each in rates.items()
    }


def _rollouts(env: dict[str, Any], table: dict[str, Any]) -> Work:
    agent = {"name": "q_learning", "gamma": GAMMA, "step_size": STEP_SIZE, "planning_steps": PLANNING_STEPS}
    run = {"seeds": 1, "steps": 10**12, "threads": 1, "agent": {**agent, "model": {"name": "table", **table}}}
    session = Session(build({**run, "env": env}))
    set_threads(1)
    while not session.agent.rollout(session.env.env_batch, WARM_STEPS).reward.any():
        pass  # before the goal is met sweeping has nothing to carry back

    def n_updates() -> int:
        return int(session.agent.state()["transitions"]["n_updates"][0])

    def work() -> int:
        before = n_updates()
        session.agent.rollout(session.env.env_batch, ROLLOUT_STEPS)
        return n_updates() - before

    return work


class _PlainLoop:
    """The loop that one writes first: dictionaries, numpy rows, and ``heapq`` for the queue."""

    def __init__(self, env_id: str, *, sweeps: bool) -> None:
        self.env = gymnasium.make(env_id)
        self.sweeps = sweeps
        self.generator = np.random.default_rng(0)
        self.q = np.zeros((self.env.observation_space.n, self.env.action_space.n))
        self.counts: dict[tuple[int, int], dict[tuple[float, int, bool], int]] = {}
        self.pairs: list[tuple[int, int]] = []
        self.leads: dict[int, set[tuple[int, int]]] = {}
        self.queue: list[tuple[float, tuple[int, int]]] = []
        self.obs = self.env.reset(seed=0)[0]
        while not self._step():
            pass  # as above

    def __call__(self) -> int:
        n_updates = 0
        for _ in range(PEER_STEPS):
            self._step()
            for _ in range(PLANNING_STEPS):
                if self.sweeps and not self.queue:
                    break
                self._plan()
                n_updates += 1
        return n_updates

    def _step(self) -> float:
        greedy = self.generator.random() >= EPSILON and self.q[self.obs].any()
        action = int(np.argmax(self.q[self.obs]) if greedy else self.generator.integers(self.q.shape[1]))
        then, reward, terminated, truncated, _ = self.env.step(action)
        pair = (int(self.obs), action)
        if pair not in self.counts:
            self.counts[pair] = {}
            self.pairs.append(pair)
        outcomes = self.counts[pair]
        key = (float(reward), int(then), bool(terminated))
        outcomes[key] = outcomes.get(key, 0) + 1
        self.leads.setdefault(int(then), set()).add(pair)
        self._queue(pair)
        self.obs = self.env.reset()[0] if terminated or truncated else then
        return float(reward)

    def _plan(self) -> None:
        if self.sweeps:
            pair = heapq.heappop(self.queue)[1]
            self.q[pair] = self._target(pair)
            for before in self.leads.get(pair[0], ()):
                self._queue(before)
        else:
            pair = self.pairs[self.generator.integers(len(self.pairs))]
            self.q[pair] += STEP_SIZE * (self._target(pair) - self.q[pair])

    def _target(self, pair: tuple[int, int]) -> float:
        outcomes = self.counts[pair]
        total = sum(
            n * (reward + GAMMA * (not end) * self.q[then].max()) for (reward, then, end), n in outcomes.items()
        )
        return float(total / sum(outcomes.values()))

    def _queue(self, pair: tuple[int, int]) -> None:
        error = abs(self._target(pair) - self.q[pair])
        if self.sweeps and error > MIN_PRIORITY:
            heapq.heappush(self.queue, (-error, pair))
