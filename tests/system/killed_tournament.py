"""Processes of the kill tests of tournaments."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from simulator.tournaments.workers.local import Here, Processes
from tests.helpers.tournaments import play

CELLS = 22
CONFIG: dict[str, Any] = {
    "seeds": 6,
    "seeds_per_cell": 3,
    "steps": 6_000,
    "eval_every": 2_000,
    "eval_episodes": 20,
    "n_bootstrap": 100,
    "retries": 100,
    "agent": {"q": {"name": "q_learning"}, "td": {}, "search": {"name": "random_search"}},
    "env": {"four": {"name": "rooms", "layout": "four"}, "pole": {"name": "CartPole-v1"}},
    "memory": {"hopfield": {}, "nearest_neighbor": {}},
    "challenge": {"bits": {"name": "random_bits", "n_units": 60}},
    "player": {"tit-for-tat": {}, "q2": {"name": "q_learning"}, "grudger": {}},
    "game": {"dilemma": {"name": "iterated_matrix", "episodes": 40}},
}


def child(lab: Path, processes: bool = False) -> None:
    """Run the missing cells, with checkpoints as close as possible."""
    play(lab, CONFIG, workers=(lambda: Processes(2)) if processes else Here, checkpoint_every=0.01)


def warm_up() -> None:
    """Play a small tournament, so that everything is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder) / "lab", {**CONFIG, "steps": 500, "seeds": 1, "seeds_per_cell": 1})
