"""Cloning of recorded play: demonstrations in the lab, and the run of clones that are fitted to them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.config import run as run_config
from simulator.config.codec import plain, table_of
from simulator.config.play import PlayConfig
from simulator.config.run import RunConfig
from simulator.core.demonstrations import KIND, Demonstrations, write_demonstrations
from simulator.play.log import CLONE, demonstrations_of, episodes_in, place_of
from simulator.store.run_store import Store
from simulator.training.summary import last_evaluation

FOLDER = "demonstrations"  # in a lab
SEEDS = 8


class CloningRun(NamedTuple):
    """A run of clones that is to be made."""

    config: RunConfig
    label: str
    episodes: int  # that were shown
    steps: int
    most_frequent: float | None  # fraction of the steps that have the most frequent action; None for numbers


def cloning_of(store: Store, config: PlayConfig) -> CloningRun:
    """Write what a person has played in an environment as demonstrations, and describe the run of clones.

    Raises:
        ValueError: it is a game, or nothing was played; one line.
    """
    if config.game:
        raise ValueError(f"--teach: {config.game} is a game, expected an environment, in which clones are evaluated")
    episodes = episodes_in(store, config.name, place_of(config))
    if not episodes:
        raise ValueError(f"--teach: human:{config.name} has no whole episode in {config.env}, expected at least one")
    shown = demonstrations_of(episodes)
    path = _path(store.lab, config, shown)
    path.parent.mkdir(exist_ok=True)
    write_demonstrations(path, shown, in_lab=True)
    env = plain(table_of(config.env, config.env_settings))
    agent = {"name": CLONE, "demonstrations": str(path)}
    cloned = run_config.build({"agent": agent, "env": env, "seeds": SEEDS, "steps": 1, "eval_every": 1})
    frequent = np.unique(shown.actions, return_counts=True)[1].max() / len(shown.actions)
    discrete = shown.actions.ndim == 1
    return CloningRun(
        cloned, f"cloned:{config.name}", len(episodes), len(shown.actions), frequent if discrete else None
    )


def _path(lab: Path, config: PlayConfig, shown: Demonstrations) -> Path:
    """Return a file for demonstrations, whose name says what is in it: a run of clones is of one content for ever."""
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in shown)).hexdigest()[:12]
    env = re.sub(r"[^\w.-]+", "_", config.env)[-40:]
    return (lab / FOLDER / f"{config.name}-{env}-{digest}{KIND}").resolve()


def taught(store: Store, run: str, cloning: CloningRun) -> dict[str, Any]:
    """Return the facts of a run of clones that is over.

    ``held_out``: ``accuracy``, or ``error`` for actions that are numbers, the mean over seeds on held-out steps, None
    where a single step was shown; ``most_frequent``: the accuracy of always taking the most frequent action;
    ``evaluation``: as of any run.
    """
    saved = store.newest(run)
    scores = saved.state["agent"]["held_out"] if saved else np.zeros(0)
    held_out: dict[str, float | None] = {"accuracy": None, "error": None}
    if len(scores) and (scores >= 0.0).all():  # negative where there was nothing to hold out
        held_out["error" if cloning.most_frequent is None else "accuracy"] = float(scores.mean())
    return {
        "run": run,
        "contestant": cloning.label,
        "episodes": cloning.episodes,
        "steps": cloning.steps,
        "held_out": held_out,
        "most_frequent": cloning.most_frequent,
        "evaluation": last_evaluation(store, store.find(run)),
    }
