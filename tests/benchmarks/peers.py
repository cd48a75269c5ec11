"""Agents with networks beside their peers on CartPole: environment steps per CPU-second, learning included.

The same environment, the same settings (4-120-84-2, batch 128, an update every 10 steps, 200 steps before the first,
epsilon .05, gradients of at most 10), one thread each, one after the other in every round. The peers come with the
extra
``bench``; those missing are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from simulator.config.run import build
from simulator.core.jit import parallel_for, set_threads
from simulator.core.registry import ROOT
from simulator.training.session import Session
from tests.benchmarks import _scripts as peers
from tests.benchmarks._clock import alternate, ratio, show
from tests.benchmarks._limit import products

ROUNDS, STEPS, PEER_STEPS, PRODUCTS = 5, 6_000, 4_000, 300
PLAIN = {
    "name": "dqn",
    "double": False,
    "prioritized": False,
    "n_step": 1,
    "eval_ema": 0.0,
    "train_frequency": peers.PERIOD,
    "batch_size": peers.BATCH,
    "buffer_size": peers.CAPACITY,
    "learning_starts": peers.START,
    "target_update_interval": peers.COPY,
    "network": {"hidden": list(peers.SHAPE)},
    "optimizer": {"learning_rate": peers.RATE, "max_grad_norm": peers.NORM},
    "explore": {"epsilon_start": peers.EPSILON},
}
FULL = PLAIN | {"double": True, "prioritized": True}
Work = tuple[Callable[[], Any], int]


def main(json: bool) -> dict[str, Any]:
    """Speed of DQN, REINFORCE and hill climbing, their limits, two cores, memory, and a GPU where there is one."""
    import torch

    torch.set_num_threads(1)
    libraries = _libraries()
    works: dict[str, Work] = {f"dqn S={n}": _ours(PLAIN, n) for n in (1, 16)}
    works |= {f"dqn prioritized double S={n}": _ours(FULL, n) for n in (1, 16)}
    works["limit: products only"] = (
        partial(products, PRODUCTS, peers.BATCH, (4, *peers.SHAPE, 2)),
        PRODUCTS * peers.PERIOD,
    )
    works |= {name: (partial(work, PEER_STEPS), PEER_STEPS) for name, work in libraries.items()}
    works["reinforce S=16"] = _ours({"name": "reinforce"}, 16)
    works["reinforce, a torch script"] = (partial(peers.torch_reinforce, PEER_STEPS), PEER_STEPS)
    works["hill climbing S=16"] = _ours({"name": "hill_climbing"}, 16)
    works["hill climbing, a torch script"] = (partial(peers.torch_hill_climbing, PEER_STEPS), PEER_STEPS)
    rates = alternate(works, ROUNDS)
    found = {"steps_per_cpu_second": rates, "times": _times(rates, libraries), "foreign_step": _foreign()}
    found["two_cores"] = _two_cores()
    memory = [_memory() for _ in range(2)]  # the first may have to compile
    found["memory_16_seeds_100k_transitions"] = {"megabytes": memory[1], "megabytes, compiling": memory[0]}
    found["device"] = _device() if torch.cuda.is_available() else {}
    return show(__doc__, found, json)


def _libraries() -> dict[str, Callable[[int], Any]]:
    """Something that trains on by so many steps; the models of libraries are made here, outside the clock."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"  # as ours: one thread
    known = {"stable-baselines3": ("stable_baselines3", peers.stable_baselines3), "sbx": ("sbx", peers.sbx)}
    there = {name: make() for name, (module, make) in known.items() if find_spec(module)}
    return there | {"a single-file torch DQN": peers.torch_dqn}


def _ours(agent: dict[str, Any], n_seeds: int, **run: Any) -> Work:
    """Training that goes on from round to round, past its first update."""
    given = {"seeds": n_seeds, "steps": 10**7, "threads": 1, "agent": agent, "env": {"name": peers.ENV}}
    session = Session(build({**given, **run}))
    set_threads(1)
    session.play(peers.START + 200)
    steps = max(STEPS // n_seeds, 1_000)
    return lambda: session.play(steps), steps * n_seeds


def _times(rates: dict[str, dict[str, float]], libraries: Iterable[str]) -> dict[str, float]:
    pairs = {f"dqn S={n} / {peer}": (f"dqn S={n}", peer) for n in (1, 16) for peer in libraries}
    pairs |= {f"dqn S={n} / the limit": (f"dqn S={n}", "limit: products only") for n in (1, 16)}
    pairs |= {f"prioritized double / plain S={n}": (f"dqn prioritized double S={n}", f"dqn S={n}") for n in (1, 16)}
    pairs |= {f"{name} / its script": (f"{name} S=16", f"{name}, a torch script") for name in _SCRIPTED}
    return {name: ratio(rates, *pair) for name, pair in pairs.items()}


_SCRIPTED = ("reinforce", "hill climbing")


def _two_cores() -> dict[str, dict[str, float]]:
    """Wall clock of 16 seeds on one thread and on two, in alternation; it means something on an idle machine.

    The limit is what two threads of products alone gain there: cores share memory and, in a rented machine, more.
    """
    session = Session(build({"seeds": 16, "steps": 10**7, "agent": PLAIN, "env": {"name": peers.ENV}}))
    session.play(peers.START + 200)
    work = partial(products, 16 * PRODUCTS // 2, peers.BATCH, (4, *peers.SHAPE, 2))
    limit = partial(parallel_for, lambda first, last: [work() for _ in range(first, last)], 2)
    return {"dqn S=16": _gain(lambda: session.play(2_000)), "limit: products only": _gain(limit)}


def _gain(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds of some work on one thread and on two."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS + 2):
        for threads, taken in seconds.items():
            set_threads(threads)
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    set_threads(1)
    one, two = (float(np.median(taken)) for taken in seconds.values())
    return {"seconds on one": one, "seconds on two": two, "times": one / two}


def _foreign() -> dict[str, float]:
    """CPU microseconds of a step of Gymnasium's own CartPole in Python with one seed, and the agent's share of them."""
    env = {"name": peers.ENV, "native": False}
    session = Session(build({"seeds": 1, "steps": 10**7, "threads": 1, "agent": PLAIN, "env": env}))
    session.play(peers.START)
    agent, obs = session.agent, session.env.observe()
    step = session.env.step(agent.act(obs))
    rounds = 2_000

    def micros(work: Callable[[], Any]) -> float:
        began = time.process_time()
        for _ in range(rounds):
            work()
        return (time.process_time() - began) / rounds * 1e6

    def turn() -> None:
        agent.learn(obs, agent.act(obs), step)

    def choose_and_store() -> None:
        store = agent._learner.store
        agent._learner.store_steps(store.current(obs), agent.act(obs), step, store.add_step(step))

    return {
        "all": micros(lambda: session.play(1)),
        "agent, an update in every tenth": micros(turn),
        "agent without updates": micros(choose_and_store),
    }


def _memory() -> float:
    """Peak memory of a process in which 16 seeds hold 100,000 transitions each, in megabytes."""
    words = [sys.executable, "-m", "tests.benchmarks._fill"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **threads}, cwd=ROOT)
    return float(done.stdout)


def _device() -> dict[str, float]:
    """Environment steps per second of wall clock with the networks on a GPU."""
    found = {}
    for n in (1, 64, 1_024):
        play, units = _ours(PLAIN, n, device="cuda")
        began = time.perf_counter()
        play()
        found[f"cuda S={n:,}"] = units / (time.perf_counter() - began)
    return found
