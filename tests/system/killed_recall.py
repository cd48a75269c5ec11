"""Processes of the kill tests of recall benchmarks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from simulator.config import recall
from simulator.recall import loop
from simulator.store.run_store import Store

CONFIG = recall.build(
    {
        "seeds": 4,
        "patterns": [5, 12, 20],
        "corruption": ["flip:0.1", "flip:0.2", "erase:0.5", "salt:0.3"],
        "threads": 1,
        "challenge": {"name": "random_bits", "n_units": 60},
        "memory": {"nearest_neighbor": {}, "hopfield": {}, "hopfield_storkey": {}, "modern_hopfield": {}},
    }
)
CELLS = 48


def play(lab: Path) -> None:
    """Begin or resume the lab's only benchmark, and finish it."""
    with Store(lab) as store:
        known = store.runs()
        for _ in loop.recall(CONFIG, store, known[0].run if known else None):
            pass


def child(lab: Path) -> None:
    """Do the same in a process that will be killed."""
    os.setpgid(0, 0)
    play(lab)


def warm_up() -> None:
    """Play the benchmark, so that everything is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder))
