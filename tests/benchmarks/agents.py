"""Presets of agents over 16 seeds, and what makes DQN learn CartPole: a study that takes an hour of CPU time.

Every run is a command, and the tables are those of ``engram report``.
"""

from __future__ import annotations

import contextlib
import io
import json as codec
import shlex
import tempfile
from collections.abc import Mapping
from typing import Any

from simulator.commands import main as engram
from simulator.reporting import runs

SEEDS = 16
_DQN = "--preset cartpole-dqn --eval-every 1000 --eval-episodes 1000"
STUDIES: dict[str, dict[str, str]] = {
    "cartpole": {
        "random search": "random_search CartPole-v1 --steps 30000 --eval-every 250",
        "hill climbing": "--preset cartpole-hill-climbing --eval-every 250",
        "REINFORCE": "--preset cartpole-reinforce --eval-every 1000",
        "DQN": _DQN,
    },
    "dqn_cartpole": {
        "as shipped": _DQN,
        "no average": f"{_DQN} --agent.eval-ema 0",
        "prioritized": f"{_DQN} --agent.prioritized true",
        "prioritized, exponent .4": f"{_DQN} --agent.prioritized true --agent.priority.alpha 0.4",
        "one step": f"{_DQN} --agent.n-step 1",
        "constant rate": f"{_DQN} --agent.optimizer.lr-decay-steps 0",
        "no double": f"{_DQN} --agent.double false",
        "dueling": f"{_DQN} --agent.dueling true",
        "fewer updates": f"{_DQN} --agent.train-frequency 4",
    },
    "dqn": {
        "MountainCar": "--preset mountain-car-dqn --eval-every 5000",
        "Acrobot": "--preset acrobot-dqn --eval-every 5000",
        "FrozenLake": "--preset frozen-lake-dqn",
        "Taxi": "--preset taxi-dqn",
    },
}


def main(json: bool) -> dict[str, Any]:
    """Play every study; the JSON object of ``engram report`` for each."""
    return {name: _study(words, json) for name, words in STUDIES.items()}


def _study(commands: Mapping[str, str], json: bool) -> dict[str, Any]:
    """Play the runs of a study, and summarise them as its rows."""
    with tempfile.TemporaryDirectory() as lab:
        names = []
        for label, words in commands.items():
            options = ["--label", label, "--seeds", str(SEEDS), "--view", "none", "--json", "--lab", lab]
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                code = engram.main(["run", *shlex.split(words), *options])
            if code:
                raise RuntimeError(f"engram run {words}: exit code {code}")
            names.append(codec.loads(printed.getvalue())["run"])
        found = runs.gather(names, lab)
    if not json:
        runs.show(found)
    return found
