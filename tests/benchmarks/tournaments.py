"""Tournaments: what the host, a store of 100,000 cells and Ray cost, and what stable-baselines3 takes for one cell."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from typing import Any

import numpy as np

from simulator.config.codec import assemble, settings_hash, to_toml
from simulator.config.run import build as build_run
from simulator.config.tournament import TournamentConfig, build, preset
from simulator.core.jit import compile_cpu_seconds
from simulator.core.rng import generators
from simulator.store.cell_store import CellStore, JobRecord
from simulator.store.run_records import installed
from simulator.tournaments import loop, summary
from simulator.tournaments.plan import pairs_of, plan_of
from simulator.tournaments.workers.base import Workers
from simulator.tournaments.workers.local import Here, Processes
from tests.benchmarks._clock import show

CONTESTANTS, CHALLENGES, BLOCKS, EVALUATIONS = 20, 25, 200, 20  # 100,000 cells of one seed
RAY_CELLS = 100
STEPS = 50_000


def main(json: bool) -> dict[str, Any]:
    """Seconds of the clock unless it says CPU; shares in per cent."""
    found: dict[str, Any] = {"100,000 cells": _store(), "host": _host()}
    if find_spec("ray"):
        found["Ray"] = _ray()
    if find_spec("stable_baselines3"):
        found["stable-baselines3"] = _peer()
    return show(__doc__, found, json)


def _store() -> dict[str, float]:
    """Seconds to list and to show a tournament of 100,000 cells, each as a command of its own."""
    with tempfile.TemporaryDirectory() as lab:
        _fill(lab)
        began = time.perf_counter()
        with CellStore(lab) as store:
            summary.keep(store, "t1")
        found = {"judging them once": time.perf_counter() - began}
        for words in (["list", "tournaments"], ["show", "t1"], ["report", "t1", "--csv"]):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "simulator", *words, "--lab", lab], check=True, stdout=subprocess.DEVNULL
            )
            found[f"engram {' '.join(words)}"] = time.perf_counter() - began
    return found


def _fill(lab: str) -> None:
    agents = {f"a{i}": {"name": "q_learning", "step_size": (i + 1) / 100} for i in range(CONTESTANTS)}
    envs = {f"w{m}": {"name": "rooms", "slip": m / 100} for m in range(CHALLENGES)}
    config = build({"agent": agents, "env": envs, "seeds": BLOCKS, "seeds_per_cell": 1})
    pairs, (rng,) = pairs_of(config), generators([0], "bootstrap")
    plan, steps = plan_of(config, pairs, {}), np.arange(1, EVALUATIONS + 1) * 1_000
    known = installed()
    facts = {"floor": 0.0, "ceiling": 1.0, "threshold": 0.9, "failed": []}
    with CellStore(lab) as store:
        name = store.begin(to_toml(config), settings_hash(config), plan, "", installed())
        for pair in pairs:
            curves = 0.3 + 0.02 * pair.contestant + 0.1 * rng.normal(size=(BLOCKS, EVALUATIONS))
            store.add_all(
                JobRecord(
                    pair.key,
                    (seed, 1),
                    "done",
                    "",
                    own[-1:],
                    np.zeros(0),
                    steps,
                    own[None],
                    facts,
                    known,
                    1.0,
                    1.0,
                    True,
                )
                for seed, own in enumerate(curves)
            )
        store.mark(name, "done")


def _host() -> dict[str, float]:
    """The host's share of the CPU time of a tournament of some minutes, in per cent; compiling is left out."""
    settings = {"seeds": 16, "steps": STEPS, "agent": {"dqn": {}, "q_learning": {}}, "env": {"CartPole-v1": {}}}
    spent = [_cpu(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    compiled = compile_cpu_seconds()
    with tempfile.TemporaryDirectory() as lab, CellStore(lab) as store:
        for _ in loop.play(build({**settings, "seeds_per_cell": 4}), store, lambda n: Processes(2)):
            pass
    own, theirs = (
        _cpu(kind) - before
        for kind, before in zip((resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN), spent, strict=True)
    )
    own -= compile_cpu_seconds() - compiled
    return {"CPU seconds": own, "its workers' CPU seconds": theirs, "its share": 100.0 * own / (own + theirs)}


def _cpu(kind: int) -> float:
    used = resource.getrusage(kind)
    return used.ru_utime + used.ru_stime


def _ray() -> dict[str, float]:
    """Seconds of a cell on Ray beyond those in this process, with as many processors as this machine has."""
    from simulator.tournaments.workers.ray import RayWorkers

    began = time.perf_counter()
    place: Workers = RayWorkers()
    started = time.perf_counter() - began
    took = {"here": _per_cell(Here()), "there": _per_cell(place) * place.n}
    place.close()
    beyond = took["there"] - took["here"]
    return {"start": started, **took, "per cell, beyond what it takes here": beyond}


def _per_cell(place: Workers) -> float:
    """Seconds of the clock for each of many small cells."""
    settings = {"steps": 50, "eval_every": 50, "eval_episodes": 1, "seeds_per_cell": 1}
    players = {"agent": {"walk": {"name": "random_walk"}}, "env": {"rooms": {"layout": "four"}}}
    took = 0.0
    with tempfile.TemporaryDirectory() as lab, CellStore(lab) as store:
        for first, seeds in ((0, 4 * place.n), (1_000, RAY_CELLS)):  # the first ones load what a worker needs
            config = build({**settings, **players, "seeds": seeds, "first_seed": first})
            began = time.perf_counter()
            for _ in loop.play(config, store, lambda n: _Shared(place)):
                pass
            took = time.perf_counter() - began
    return took / RAY_CELLS


class _Shared:
    """A place that several tournaments use one after the other."""

    def __init__(self, place: Workers) -> None:
        self._place, self.n = place, place.n
        self.start, self.wait, self.kill = place.start, place.wait, place.kill

    def close(self) -> None:
        """Somebody else does."""


def _peer() -> dict[str, float]:
    """CPU seconds of one seed of stable-baselines3's DQN in CartPole, and of as many as the preset would take."""
    from simulator.external.contestants import external, play_external

    run = build_run({"seeds": 1, "steps": STEPS, "agent": {"name": "random_walk"}, "env": {"name": "CartPole-v1"}})
    own = {"learning_rate": 2.3e-3, "batch_size": 64, "train_freq": 256, "gradient_steps": 128}
    own |= {"policy_kwargs": {"net_arch": [256, 256]}, "learning_starts": 1_000, "target_update_interval": 10}
    found = play_external(external("sb3:DQN", own, run), lambda: None)
    config = assemble(TournamentConfig, [preset("classic-control")])
    n = len(config.contestants) * len(config.challenges) * config.seeds
    return {
        "CPU seconds of one seed": found["cpu_seconds"],
        "hours for all cells of classic-control, at its rate": found["cpu_seconds"] * n / 3600.0,
        "processors": float(os.cpu_count() or 1),
    }
