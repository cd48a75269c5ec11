"""Tests of environments that are given as objects."""

from __future__ import annotations

import threading

import gymnasium
import numpy as np
import pytest

from simulator.core import registry
from simulator.external.env_objects import is_object, named


class Lamp(gymnasium.Env):
    """Shows how often it was made brighter."""

    observation_space = gymnasium.spaces.Box(0.0, 100.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, brightness=1.0):
        self.brightness = brightness

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.array([self.brightness], np.float32), {}

    def step(self, action):
        self.brightness += action
        return np.array([self.brightness], np.float32), float(action), self.brightness > 50, False, {}


def first_observations(name):
    plugin = registry.load("envs", name)
    return plugin.make([0, 1], plugin.Config()).reset().ravel().tolist()


def test_an_id_with_its_settings_describes_an_environment():
    assert named("rooms") == ("rooms", {})
    assert named(gymnasium.make("CartPole-v1", render_mode="rgb_array")) == ("CartPole-v1", {})
    frozen = gymnasium.make("FrozenLake-v1", map_name="8x8", max_episode_steps=50)
    assert named(frozen) == ("FrozenLake-v1", {"kwargs": {"map_name": "8x8"}, "max_steps": 50})


def test_wrappers_are_kept():
    wrapped = gymnasium.wrappers.FlattenObservation(gymnasium.make("CartPole-v1"))
    name, settings = named(wrapped)
    assert (is_object(name), settings) == (True, {})
    plugin = registry.load("envs", name)
    made = plugin.make([0, 1], plugin.Config())
    assert isinstance(made.slots[0].env.env, gymnasium.wrappers.FlattenObservation)
    assert made.spec.max_steps == 500


def test_an_instance_is_copied_as_it_was_when_it_was_given():
    lamp = Lamp()
    lamp.reset()
    lamp.step(1)
    name, _ = named(lamp)
    lamp.step(1)
    assert first_observations(name) == [2.0, 2.0]
    assert named(lamp).name != name
    made = registry.load("envs", name).make([0, 1], registry.load("envs", name).Config())
    made.reset()
    obs = made.step(np.array([1, 0])).obs
    assert obs.ravel().tolist() == [3.0, 2.0]  # no two seeds share one


def test_a_callable_makes_a_new_one_for_every_seed():
    made = []

    def make():
        made.append(Lamp(7.0))
        return made[-1]

    assert first_observations(named(make).name) == [7.0, 7.0]
    assert len(made) == len(set(map(id, made))) >= 2
    assert first_observations(named(Lamp).name) == [1.0, 1.0]


def test_what_is_no_environment_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"environment int: expected a name, a gymnasium\.Env, or a callable"):
        named(3)
    with pytest.raises(ValueError, match="gave a int, expected a gymnasium"):
        first_observations(named(lambda: 3).name)
    lamp = Lamp()
    lamp.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"environment Lamp: cannot be copied for every seed .*pickle"):
        named(lamp)
