"""Tests of resuming: 2 T steps equal T steps, a state written to disk, and T more."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from simulator.checks import agents, envs
from simulator.config.run import build
from simulator.core import registry
from simulator.store.run_store import Store
from simulator.training import loop
from tests.laws.players import ENVS, pairs, session


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_a_session_continues_from_a_checkpoint(agent, env):
    agents.continues_from_a_checkpoint(partial(session, agent, env))


@pytest.mark.parametrize("env", ENVS)
def test_an_env_continues_from_its_state(env):
    player = registry.load("envs", env)
    assert player.make([3], player.Config()).state() is not None
    envs.continues_from_its_state(lambda seeds: player.make(seeds, player.Config()))


@pytest.mark.parametrize("env", ["rooms", "CartPole-v1"])
def test_a_run_that_is_closed_and_resumed_ends_in_the_same_rows(env, tmp_path):
    config = build(
        {"seeds": 3, "steps": 900, "eval_every": 300, "eval_episodes": 10}
        | {"agent": {"name": "q_learning"}, "env": {"name": env}}
    )
    with Store(tmp_path / "whole") as store:
        *_, last = loop.run(config, store)
        whole = (store.points(last.id), store.evaluations(last.id))
    with Store(tmp_path / "parted") as store:
        for stop in (1, 2, 3, 10_000):
            run = None if stop == 1 else "r1"
            snapshots = loop.run(config, store, run, checkpoint_every=0.0)
            for _, snapshot in zip(range(stop), snapshots, strict=False):
                assert snapshot.id == "r1"
            snapshots.close()
        parted = (store.points("r1"), store.evaluations("r1"))
        assert store.find("r1").status == "done"
    for here, there in zip(whole[0], parted[0], strict=True):
        np.testing.assert_array_equal(here, there)
    for here, there in zip(whole[1], parted[1], strict=True):
        assert here[:4] == there[:4]
        np.testing.assert_array_equal(here.returns, there.returns)
