"""Worth of a memory to an agent that has only seen undamaged cues: 16 seeds, two minutes.

DQN learns which room belongs to which undamaged digit. Then looks are damaged, and a memory that is put before the
frozen policy cleans them: a bad one does worse than none. A policy that learned from damaged looks, and the best
possible choice, are the controls. Means over seeds with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.common.encoders.encoded import EncodedPolicy
from agents.components import recall
from envs import noisy_cue
from simulator import console
from simulator.arguments import run_config
from simulator.core.protocols import Array, Policy
from simulator.statistics.estimates import confidence_interval
from simulator.training.evaluation import Evaluator
from simulator.training.session import Session

SEEDS = tuple(range(16))
FLIPS = (0.2, 0.3)
STEPS = 20_000
EPISODES = 2_000
MEMORIES: Mapping[str, recall.Config] = {
    "Hebb": recall.Config("hopfield"),
    "pseudo-inverse": recall.Config("hopfield", {"rule": "pseudo_inverse"}),
    "RBM": recall.Config("rbm"),
    "denoising autoencoder": recall.Config("autoencoder"),
    "modern Hopfield": recall.Config("modern_hopfield"),
    "nearest": recall.Config("nearest_neighbor"),
}


def main(json: bool) -> dict[str, Any]:
    """Measure every memory at every rate of flips, as ``{flips: {row: {mean, low, high}}}``."""
    clean = _learned(0.0)
    found = {}
    for flip in FLIPS:
        rows = {"none": _summary(_score(clean, flip))}
        for name, config in MEMORIES.items():
            encoder = recall.make(config).encoder(noisy_cue.describe(noisy_cue.Config(flip=flip)), SEEDS)
            rows[name] = _summary(_score(EncodedPolicy(encoder, clean), flip))
        rows["learned from damaged looks"] = _summary(_score(_learned(flip), flip))
        rows["best possible"] = {"mean": noisy_cue.describe(noisy_cue.Config(flip=flip)).optimal_return}
        found[f"flips {flip:g}"] = rows
        if not json:
            console.print_result(f"flips {flip:g}")
            for name, row in rows.items():
                console.print_result(f"  {name:34} {' '.join(f'{value:.3f}' for value in row.values())}")
    return found


def _learned(flip: float) -> Policy:
    """Train an agent without memory on looks with so many flips."""
    settings = {"optimizer": {"lr_decay_steps": STEPS}}
    run = {"seeds": len(SEEDS), "first_seed": SEEDS[0], "steps": STEPS}
    session = Session(run_config("dqn", "noisy_cue", settings, {"flip": flip}, run))
    session.play(STEPS)
    return session.agent.policy()


class _Frozen:
    """An agent that is nothing but its policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def policy(self) -> Policy:
        """Return the policy."""
        return self._policy


def _score(policy: Policy, flip: float) -> Array:
    """Return the share of right rooms of every seed."""
    evaluator = Evaluator(noisy_cue.make, noisy_cue.Config(flip=flip), SEEDS, EPISODES)
    agent: Any = _Frozen(policy)
    return np.asarray(evaluator.evaluate(agent, STEPS).returns).mean(axis=1)


def _summary(scores: Sequence[float] | Array) -> dict[str, float]:
    interval = confidence_interval(np.asarray(scores), np.mean, bounds=(0.0, 1.0))
    return {"mean": float(np.mean(scores)), "low": float(interval.low), "high": float(interval.high)}
