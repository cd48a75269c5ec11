"""Tests of resuming: 2 T steps equal T steps, a state written to disk, and T more."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config.run import build
from simulator.core import registry
from simulator.store import checkpoints
from simulator.store.run_store import Store
from simulator.training import loop
from tests.laws.players import ENVS, pairs, same, session


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_a_session_continues_from_its_state_on_disk(agent, env, tmp_path):
    whole, first, second = (session(agent, env) for _ in range(3))
    whole.play(300)
    first.play(150)
    written = checkpoints.write(tmp_path, 1, first.state())
    second.restore(checkpoints.read(checkpoints.file_of(tmp_path, 1), written))
    assert second.exact
    second.play(150)
    same(whole.state(), second.state())


@pytest.mark.parametrize("env", ENVS)
def test_an_env_continues_from_its_state(env):
    player = registry.load("envs", env)
    one, two = (player.make([3, 4], player.Config()) for _ in range(2))
    one.reset()
    walker = np.random.Generator(np.random.PCG64(1))
    for _ in range(40):
        one.step(walker.integers(0, one.spec.action.n, 2))
    assert two.restore(one.state())
    np.testing.assert_array_equal(one.observe(), two.observe())
    for _ in range(40):
        actions = walker.integers(0, one.spec.action.n, 2)
        for here, there in zip(one.step(actions), two.step(actions), strict=True):
            np.testing.assert_array_equal(here, there)


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
