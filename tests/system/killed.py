"""Processes of the kill tests of training runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from simulator.config.run import RunConfig, build
from simulator.core.snapshots import LiveChanges, RunSnapshot, Stride
from simulator.store.run_store import Store
from simulator.training import loop

EVERY = 0.005  # seconds between checkpoints
STEPS = {"rooms": 300_000, "FrozenLake-v1": 300_000, "recurrent": 4_000, "changing": 300_000}
CHANGES = (
    "20000 wall 3 6",
    "60000 goal 2 2",
    "60001 reward 5 5 -0.5",
    "110000 epsilon 0.3",
    "150000 ice 8 8",
    "190000 gamma 0.9",
    "230000 free 3 6",
    "270000 step_size 0.05",
)
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
    """Return the settings of a run: tabular in an environment, recurrent, or in rooms that change."""
    if kind == "recurrent":
        players = {"seeds": 3, "agent": RECURRENT, "env": {"name": "CartPole-v1"}}
    elif kind == "changing":
        changes = [text for text in CHANGES if int(text.split()[0]) < steps]
        env = {"name": "rooms", "layout": "four", "editable": True}
        players = {"seeds": 4, "agent": {"name": "q_learning", "step_size": 0.1}, "env": env, "changes": changes}
    else:
        players = {"seeds": 6, "agent": {"name": "q_learning", "step_size": 0.1}, "env": {"name": kind}}
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


def live_child(lab: Path, config: RunConfig, asked: dict[int, str], moment: str, checkpoint_every: float) -> None:
    """Begin a run, change it where it stands at the steps ``asked``, and kill this process.

    ``moment``: "before" or "after" the first change is recorded, or "later", a hundred steps after the last.
    """
    live, stride = LiveChanges(), Stride()
    stride.steps = 1
    record = Store.change

    def change(self: Store, *words: str) -> None:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        record(self, *words)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Store.change = change
    with Store(lab) as store:
        snapshots = loop.run(config, store, checkpoint_every=checkpoint_every, live=live, stride=stride)
        for snapshot in snapshots:
            if snapshot.phase == "training" and snapshot.step in asked:
                live.make(asked.pop(snapshot.step))
            if not asked and snapshot.step >= 700:
                os.kill(os.getpid(), signal.SIGKILL)


def warm_up() -> None:
    """Play a little of everything, so that it is compiled."""
    for kind in STEPS:
        session = loop.Session(settings(kind, 200))
        session.play(200)
        session.evaluator().evaluate(session.agent, 200)
