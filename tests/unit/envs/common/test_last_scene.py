"""Tests of environments that show how an episode ended, though the next one has begun."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core import registry
from simulator.core.scene import ShowsEnds

KINDS = {  # environments by table, compiled, and in Python
    "rooms": {"layout": "four", "max_steps": 30},
    "FrozenLake-v1": {},
    "CartPole-v1": {},
    "Pendulum-v1": {"max_steps": 12},
}


def make(name):
    plugin = registry.load("envs", name)
    return plugin.make([3, 4, 5], plugin.Config(**KINDS[name]))


def step_of(scene):
    return int(scene.facts["step"])


@pytest.mark.parametrize("name", KINDS)
def test_the_last_scene_is_one_step_after_the_one_before(name):
    env = make(name)
    assert isinstance(env, ShowsEnds)
    env.reset()
    drawn = np.random.default_rng(0)
    env.spec.action.seed(1)
    n_ended = 0
    for _ in range(100):
        scenes = [env.scene(i) for i in range(3)]
        discrete = hasattr(env.spec.action, "n")
        actions = drawn.integers(env.spec.action.n, size=3) if discrete else np.zeros((3, 1), np.float32)
        step = env.step(actions)
        for i in np.flatnonzero(step.terminated | step.truncated):
            n_ended += 1
            assert step_of(env.last_scene(i)) == step_of(scenes[i]) + 1
            assert step_of(env.scene(i)) == 0
    assert n_ended > 2


def test_the_walker_has_arrived():
    env = make("FrozenLake-v1")
    env.reset()
    drawn = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        step = env.step(drawn.integers(4, size=3))
        for i in np.flatnonzero(step.terminated):
            marks = {mark.kind: (mark.row, mark.column) for mark in env.last_scene(i).marks if mark.kind == "walker"}
            row, column = marks["walker"]
            assert 4 * row + column == step.final_obs[i]
            seen.add(int(step.final_obs[i]))
    assert len(seen) > 1


def test_the_pole_has_fallen():
    env = make("CartPole-v1")
    env.reset()
    for _ in range(30):
        step = env.step(np.ones(3, np.int64))
        for i in np.flatnonzero(step.terminated):
            tilt = np.degrees(step.final_obs[i][2])
            assert env.last_scene(i).facts["pole"] == f"{tilt:.1f} degrees"
            return
    raise AssertionError("no pole fell")


def test_an_episode_that_nobody_looked_at_is_not_drawn():
    env = make("Pendulum-v1")
    env.reset()
    for _ in range(12):
        step = env.step(np.zeros((3, 1), np.float32))
    assert step.truncated.all()
    assert step_of(env.last_scene(0)) == 0
