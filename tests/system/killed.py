"""Processes of the kill tests of training runs. Importing this module compiles everything, for a fast start."""

from __future__ import annotations

import os
from pathlib import Path

from simulator.config.run import RunConfig, build
from simulator.core.snapshots import RunSnapshot
from simulator.store.run_store import Store
from simulator.training import loop

EVERY = 0.01  # seconds between checkpoints
STEPS = {"rooms": 300_000, "FrozenLake-v1": 300_000}


def settings(env: str, steps: int) -> RunConfig:
    """Return the settings of a run of 16 seeds."""
    tables = {"agent": {"name": "q_learning", "step_size": 0.1}, "env": {"name": env}}
    return build({"seeds": 16, "steps": steps, "eval_episodes": 5, "threads": 1, **tables})


def play(lab: Path, config: RunConfig) -> RunSnapshot:
    """Begin or resume the lab's only run, and finish it."""
    with Store(lab) as store:
        known = store.runs()
        *_, last = loop.run(config, store, known[0].run if known else None, checkpoint_every=EVERY)
    return last


def child(lab: Path, config: RunConfig) -> None:
    """Do the same in a process that will be killed."""
    os.setpgid(0, 0)
    play(lab, config)


for _env in STEPS:
    _session = loop.Session(settings(_env, 20))
    _session.play(20)
    _session.evaluator().evaluate(_session.agent, 20)
