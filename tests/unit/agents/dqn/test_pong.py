"""Tests of DQN on Pong from pixels: 6,000 steps, interrupted, resumed and evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop

pytest.importorskip("ale_py")

AGENT = {
    "name": "dqn",
    "batch_size": 8,
    "buffer_size": 4_000,
    "learning_starts": 1_000,
    "train_frequency": 100,
    "prioritized": True,
}
OFTEN_RANDOM = {"epsilon_start": 1.0, "epsilon_end": 0.9, "decay_steps": 6_000}  # a random move needs no network
SETTINGS = {"seeds": 1, "steps": 6_000, "eval_every": 6_000, "eval_episodes": 1, "env": {"name": "ALE/Pong-v5"}}


@pytest.mark.slow
def test_pong_trains_resumes_and_evaluates(tmp_path):
    config = build({**SETTINGS, "agent": {**AGENT, "conv": {"kind": "small"}, "explore": OFTEN_RANDOM}})
    with Store(tmp_path) as store:
        snapshots = loop.run(config, store, checkpoint_every=1e9)
        while next(snapshots).step < 3_000:
            pass
        snapshots.close()
        *_, snapshot = loop.run(config, store, "r1", checkpoint_every=1e9)
        record, (evaluation,) = store.find("r1"), store.evaluations("r1")
        points = store.points("r1")
    assert (record.status, record.step, record.exact) == ("done", 6_000, True)
    assert -21.0 <= evaluation.returns[0] <= 21.0
    assert points.episodes.sum() >= 3
    mean = points.return_sum / points.episodes
    assert ((mean >= -21.0) & (mean <= 21.0)).all()
    assert 0.0 < float(np.max(snapshot.metrics["loss"])) < 10.0
