"""Small tunings, run to their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulator.config.tune import build
from simulator.console import as_json
from simulator.core.snapshots import TuneSnapshot
from simulator.store.cell_store import CellStore
from simulator.tournaments.workers.local import Here
from simulator.tuning import loop, summary

SMALL: dict[str, Any] = {
    "trials": 6,
    "batch": 3,
    "seeds": 4,
    "judge_seeds": 3,
    "steps": 600,
    "eval_episodes": 5,
    "agent": {"name": "q_learning"},
    "env": {"name": "FrozenLake-v1"},
    "space": {"agent": {"step_size": {"low": 0.01, "high": 1.0, "log": True}, "gamma": [0.5, 0.9, 0.99]}},
}
MEMORY: dict[str, Any] = {
    "trials": 4,
    "batch": 4,
    "seeds": 4,
    "judge_seeds": 3,
    "patterns": 6,
    "memory": {"name": "hopfield"},
    "challenge": {"name": "random_bits", "n_units": 40},
    "space": {"memory": {"rule": ["hebb", "storkey"], "bias": [False, True]}},
}
TIMES = ("seconds", "cpu_seconds", "created", "machines")


def tuned(lab: Path, values: dict[str, Any], *, workers: Any = Here, **more: Any) -> TuneSnapshot:
    """Tune to the end and return the last snapshot."""
    with CellStore(lab) as store:
        for last in loop.tune(build(values), store, lambda n: workers(), **more):  # noqa: B007
            pass
    return last


def summary_of(lab: Path, name: str = "t1") -> dict[str, Any]:
    """Return the summary of a tuning without times and machines."""
    with CellStore(lab) as store:
        found = summary.summary(store, name)
    return {key: value for key, value in json.loads(as_json(found)).items() if key not in TIMES}
