"""Tests of the toy-text environments' settings: Gymnasium's, under Engram's names."""

import numpy as np
import pytest

from envs.common.gymnasium.adapter import GymnasiumEnv
from envs.common.tabular_env import TabularEnv
from simulator.core import registry
from tests.oracles.gymnasium_envs import original, same_step

SEEDS = [0, 5, 99]
CASES = [
    ("frozen_lake", {}, "FrozenLake-v1", {}),
    ("frozen_lake", {"map_name": "8x8", "success_rate": 0.7}, "FrozenLake8x8-v1", {"success_rate": 0.7}),
    ("frozen_lake", {"is_slippery": False, "max_steps": 9}, "FrozenLake-v1", {"is_slippery": False}),
    ("cliff_walking", {"max_steps": 50}, "CliffWalking-v1", {}),
    ("cliff_walking", {"is_slippery": True, "max_steps": 50}, "CliffWalkingSlippery-v1", {}),
    ("taxi", {"max_steps": 40}, "Taxi-v4", {}),
    ("taxi", {"is_rainy": True, "rainy_probability": 0.5}, "Taxi-v4", {"is_rainy": True, "rainy_probability": 0.5}),
    ("taxi", {"fickle_passenger": True}, "Taxi-v4", {"fickle_passenger": True}),
]


@pytest.mark.parametrize(("name", "settings", "env_id", "kwargs"), CASES)
def test_the_player_is_the_original(name, settings, env_id, kwargs):
    player = registry.load("envs", name)
    env = player.make(SEEDS, player.Config(**settings))
    assert isinstance(env, GymnasiumEnv if "fickle_passenger" in settings else TabularEnv)
    assert env.spec.id == name
    envs, seen = original(env_id, SEEDS, kwargs, settings.get("max_steps"))
    assert (env.reset() == seen).all()
    actions = np.random.Generator(np.random.PCG64(5)).integers(env.spec.action.n, size=(450, len(SEEDS)))
    assert sum(same_step(env.step(action), envs, action) for action in actions) > 0
