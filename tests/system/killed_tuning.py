"""Processes of the kill tests of tunings."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from simulator.tournaments.workers.local import Here, Processes
from tests.helpers.tunings import SMALL, tuned

CONFIG: dict[str, Any] = {
    **SMALL,
    "search": "tpe",
    "trials": 12,
    "batch": 4,
    "steps": 1_800,
    "eval_every": 450,
    "halving": "steps",
    "rungs": 2,
    "seeds_per_cell": 2,
    "retries": 100,
}


def child(lab: Path, processes: bool = False) -> None:
    """Run what is missing, with checkpoints as close as possible."""
    tuned(lab, CONFIG, workers=(lambda: Processes(2)) if processes else Here, checkpoint_every=0.01)


def warm_up() -> None:
    """Tune a little, so that everything is compiled and imported."""
    with tempfile.TemporaryDirectory() as folder:
        tuned(Path(folder) / "lab", {**CONFIG, "steps": 900, "eval_every": 300, "trials": 4})
