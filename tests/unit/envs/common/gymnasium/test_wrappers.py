"""Tests of chosen parts of Dict and Tuple observations, of named wrappers, and of plain ids of another package."""

from __future__ import annotations

import sys
import types

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import utils as spaces_of

import simulator
from envs.common.gymnasium import adapter
from envs.common.gymnasium.adapter import Config
from envs.common.gymnasium.wrappers import ChosenParts
from simulator.config.codec import settings_hash
from simulator.config.run import build
from simulator.core import registry

PICTURE = spaces.Box(0, 255, (4, 4, 3), np.uint8)
SPACE = spaces.Dict(
    camera=PICTURE,
    place=spaces.Discrete(3, start=1),
    arm=spaces.Dict(angle=spaces.Box(-1, 1, (2,), np.float32), grips=spaces.MultiBinary(2)),
    task=spaces.Text(20),
)


class Rich(gymnasium.Env):
    """An environment that shows a picture, numbers and a text."""

    observation_space = SPACE
    action_space = spaces.Discrete(2)

    def _seen(self):
        arm = {"angle": np.array([0.5, -1.0], np.float32), "grips": np.array([0, 1], np.int8)}
        return {"camera": np.full((4, 4, 3), self.t, np.uint8), "place": 2, "arm": arm, "task": "go"}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 7
        return self._seen(), {}

    def step(self, action):
        self.t += 1
        return self._seen(), float(action), self.t > 11, False, {}


class Pair(Rich):
    observation_space = spaces.Tuple([spaces.Discrete(3), spaces.Box(0, 1, (2,), np.float64)])

    def _seen(self):
        return (1, np.array([0.25, 1.0]))


class Halved(gymnasium.RewardWrapper):
    def reward(self, reward):
        return reward / 2


class Refuses(gymnasium.Wrapper):
    def __init__(self, env):
        raise KeyError("oh")


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("test/Rich-v0", Rich)
    gymnasium.register("test/Pair-v0", Pair)
    yield
    for name in [name for name in gymnasium.registry if name.startswith("test/")]:
        del gymnasium.registry[name]


def first_of(env_id, **settings):
    env = adapter.make(env_id, [0, 1], Config(**settings))
    return env.spec.observation, env.reset()


def test_one_part_stays_what_it_is():
    space, obs = first_of("test/Rich-v0", keys=("camera",))
    assert space == PICTURE
    assert (obs.shape, obs.dtype, obs.max()) == ((2, 4, 4, 3), np.uint8, 7)
    space, obs = first_of("test/Rich-v0", keys=("place",))
    assert space == spaces.Discrete(3)
    assert obs.tolist() == [1, 1]  # counted from 0
    space, obs = first_of("test/Pair-v0", keys=("1",))
    assert obs.tolist() == [[0.25, 1.0]] * 2


def test_several_parts_become_one_vector_in_the_order_asked_for():
    space, obs = first_of("test/Rich-v0", keys=("arm", "place"))
    assert (space.shape, space.dtype) == ((7,), np.float32)
    assert obs[0].tolist() == [0.5, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert space.contains(obs[0])
    space, obs = first_of("test/Rich-v0", keys=("place", "arm.angle"))
    assert obs[1].tolist() == [0.0, 1.0, 0.0, 0.5, -1.0]
    assert first_of("test/Rich-v0", keys=("all",))[0].shape == (48 + 3 + 2 + 2,)  # but the text
    assert first_of("test/Pair-v0", keys=("all",))[1][0].tolist() == [0.0, 1.0, 0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("env_id", "settings", "said"),
    [
        (
            "test/Rich-v0",
            {},
            "expected --env.keys all, or some of its parts: --env.keys camera,place,arm.angle,arm.grips",
        ),
        ("test/Rich-v0", {"keys": ("task",)}, "keys task: task is of Text, expected parts of numbers"),
        (
            "test/Rich-v0",
            {"keys": ("camra",)},
            "no part is called camra; did you mean camera?, expected all, or of camera, place",
        ),
        ("CartPole-v1", {"keys": ("all",)}, "keys all: it shows a Box, expected a Dict or a Tuple"),
        ("CartPole-v1", {"wrappers": (f"{__name__}:Refuses",)}, "Refuses: KeyError: 'oh'"),
        ("CartPole-v1", {"wrappers": (f"{__name__}:Nothing",)}, f"unknown name 'Nothing', expected one of {__name__}"),
        ("CartPole-v1", {"wrappers": ("no_such_module:X",)}, "cannot be imported: ModuleNotFoundError"),
        ("CartPole-v1", {"wrappers": ("X",)}, "wrapper X: expected module:Wrapper or ./file.py:Wrapper"),
    ],
)
def test_what_cannot_be_chosen_or_wrapped_is_said_in_one_line(env_id, settings, said):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        adapter.make(env_id, [0], Config(**settings))
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"environment {env_id}: ")
    assert "\n" not in str(refused.value)


def test_wrappers_are_put_around_compiled_environments_too():
    env = adapter.make("CartPole-v1", [0], Config(wrappers=(f"{__name__}:Halved", f"{__name__}:Halved")))
    env.reset()
    assert env.step(np.array([0])).reward.tolist() == [0.25]
    assert isinstance(env, adapter.GymnasiumEnv)


def test_a_wrapped_environment_goes_on_from_its_state():
    config = Config(keys=("arm", "camera"), wrappers=(f"{__name__}:Halved",))
    one, two = (adapter.make("test/Rich-v0", [0, 1], config) for _ in range(2))
    one.reset()
    one.step(np.array([0, 1]))
    assert two.restore(one.state())
    for here, there in zip(one.step(np.array([1, 1])), two.step(np.array([1, 1])), strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_wrappers_file_counts_and_unused_settings_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "import gymnasium\nclass Mine(gymnasium.Wrapper):\n    pass\n"
    (tmp_path / "wrap.py").write_text(text)

    def hashed(**settings):
        return settings_hash(build({"agent": {"name": "random_walk"}, "env": {"name": "CartPole-v1", **settings}}))

    assert hashed() == hashed(keys=[], wrappers=[])
    first = hashed(wrappers=["wrap.py:Mine"])
    assert first != hashed()
    (tmp_path / "wrap.py").write_text(f"{text}\n# other\n")
    assert hashed(wrappers=["wrap.py:Mine"]) != first


def test_lists_of_texts_are_typed_with_commas(engram, clean_folder):
    words = ["run", "random_walk", "test/Rich-v0", "--env.keys", "arm.angle,place", "--seeds", "1", "--steps", "20"]
    assert engram(*words, "--eval-episodes", "2", "--view", "none", "--json").json["steps"] == 20


def test_a_plain_minigrid_id_imports_minigrid(monkeypatch):
    if "minigrid" not in sys.modules:
        monkeypatch.setitem(sys.modules, "minigrid", None)  # not installed
        with pytest.raises(ValueError, match='minigrid is not installed; pip install "minigrid"'):
            adapter.make("MiniGrid-Test-5x5-v0", [0], Config())
    module = types.ModuleType("minigrid")
    monkeypatch.setitem(sys.modules, "minigrid", module)
    monkeypatch.setitem(
        gymnasium.registry, "MiniGrid-Test-5x5-v0", gymnasium.envs.registration.EnvSpec("MiniGrid-Test-5x5-v0", Rich)
    )
    player = registry.load("envs", "MiniGrid-Test-5x5-v0")
    assert player.make([0], player.Config(keys=("camera",))).spec.observation == PICTURE


@pytest.mark.parametrize(
    ("make", "keys"), [(Rich, ["arm", "place"]), (Rich, ["place"]), (Pair, ["all"]), (Pair, ["1"])]
)
def test_a_trainer_takes_whole_observations_and_chosen_ones(make, keys):
    own = make()
    trainer = simulator.Trainer("random_walk", make(), env_settings={"keys": keys})
    whole, _ = own.reset()
    seen = ChosenParts(own, "own", keys)
    chosen = seen.observation(whole)
    columns = spaces_of.concatenate(
        own.observation_space, [whole] * 3, spaces_of.create_empty_array(own.observation_space, 3)
    )
    for single in (whole, chosen):
        action, _ = trainer.predict(single)
        assert own.action_space.contains(np.int64(action))
    for batch in ([whole] * 3, columns, np.stack([chosen] * 3)):
        assert trainer.predict(batch)[0].shape == (3,)
    np.testing.assert_array_equal(seen.chosen(columns), np.stack([chosen] * 3))
    np.testing.assert_array_equal(seen.chosen(whole), chosen)


@pytest.mark.parametrize("wrong", [{"camera": 3}, {}, [], [{"place": 1}], "left", (1, 2)])
def test_what_is_no_observation_is_refused_in_one_line(wrong):
    trainer = simulator.Trainer("random_walk", Rich(), env_settings={"keys": ["arm", "place"]})
    with pytest.raises(ValueError, match=r"^predict: .*expected an observation of ") as refused:
        trainer.predict(wrong)
    assert "\n" not in str(refused.value)
