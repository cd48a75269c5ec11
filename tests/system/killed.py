"""Processes of the kill tests of training runs."""

from __future__ import annotations

import os
from pathlib import Path

from simulator.config.run import RunConfig, build
from simulator.core.snapshots import RunSnapshot
from simulator.store.run_store import Store
from simulator.training import loop

EVERY = 0.01  # seconds between checkpoints
STEPS = {"rooms": 300_000, "FrozenLake-v1": 300_000, "recurrent": 4_000}
RECURRENT = {  # episodes of CartPole are longer than the time between checkpoints: what is carried has to be in them
    "name": "dqn",
    "learning_starts": 100,
    "batch_size": 4,
    "buffer_size": 1_000,
    "sequence": {"length": 8, "overlap": 4, "burn_in": 2},
    "network": {"hidden": [8]},
    "recurrence": {"name": "elman", "units": 8, "last_reward": True},
}


def settings(kind: str, steps: int) -> RunConfig:
    """Return the settings of a run: tabular in an environment, or recurrent."""
    if kind == "recurrent":
        players = {"seeds": 3, "agent": RECURRENT, "env": {"name": "CartPole-v1"}}
    else:
        players = {"seeds": 16, "agent": {"name": "q_learning", "step_size": 0.1}, "env": {"name": kind}}
    return build({"steps": steps, "eval_episodes": 5, "threads": 1, **players})


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


def warm_up() -> None:
    """Play a little of everything, so that it is compiled."""
    for kind in STEPS:
        session = loop.Session(settings(kind, 200))
        session.play(200)
        session.evaluator().evaluate(session.agent, 200)
