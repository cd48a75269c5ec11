"""Tests of errors in Gymnasium environments: one line that names the place."""

import sys
from functools import partial

import gymnasium
import numpy as np
import pytest

from envs.common.gymnasium import adapter
from envs.common.gymnasium.adapter import Config
from simulator.training.evaluation import Evaluator
from tests.helpers.probe_env import Probe


def _refused(call, *words):
    with pytest.raises(ValueError, match=r".+") as refusal:
        call()
    text = str(refusal.value)
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("CartPole", ["CartPole", "CartPole-v1"]),
        ("FrozenLake-v9", ["FrozenLake-v1"]),
        ("qqqq", ["qqqq", "engram list envs"]),
        ("no_such_module:Thing-v0", ["no_such_module", "cannot be imported"]),
        ("json:Thing-v0", ["Thing-v0", "no Gymnasium environment"]),
        ("Ant-v2", ["gymnasium-robotics"]),
    ],
)
def test_ids(env_id, words):
    _refused(lambda: adapter.make(env_id, [0], Config()), "env", env_id, *words)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"map_name": "9x9"}, ["map_name", "9x9"]),
        ({"colour": 1}, ["colour"]),
        ({"render_mode": "human"}, ["render_mode"]),
        ({"max_episode_steps": 9}, ["use max_steps"]),
    ],
)
def test_kwargs(kwargs, words):
    _refused(lambda: adapter.make("FrozenLake-v1", [0], Config(kwargs=kwargs)), "FrozenLake-v1", *words)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("Box2D", "gymnasium.envs.box2d"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ale_py", None)
    monkeypatch.delitem(gymnasium.registry, "ALE/Pong-v5", raising=False)
    _refused(lambda: adapter.make("ALE/Pong-v5", [0], Config()), 'pip install "ale-py"')

    def missing(**kwargs):
        raise ModuleNotFoundError("No module named 'Box2D'", name="Box2D")

    gymnasium.register("test/Lander-v0", missing)
    _refused(lambda: adapter.make("test/Lander-v0", [0], Config()), 'pip install "gymnasium[box2d]"')
    del gymnasium.registry["test/Lander-v0"]


def test_a_module_registers_its_envs(tmp_path, monkeypatch):
    source = "import gymnasium\ngymnasium.register('lab/Pole-v3', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "my_lab_of_tests.py").write_text(source)
    (tmp_path / "my_broken_lab.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert adapter.is_known("my_lab_of_tests:lab/Pole-v3")
    assert adapter.make("my_lab_of_tests:lab/Pole-v3", [0], Config()).spec.action.n == 2
    assert "lab/Pole-v3" in adapter.known_ids()
    _refused(lambda: adapter.make("my_broken_lab:X-v0", [0], Config()), "my_broken_lab", "ZeroDivisionError")
    del gymnasium.registry["lab/Pole-v3"]


def test_known():
    assert adapter.is_known("CartPole-v1")
    assert not adapter.is_known("q_learning")
    assert not adapter.is_known("rooms")
    ids = adapter.known_ids()
    assert ids == sorted(ids)
    assert {"Taxi-v4", "Acrobot-v1"} <= set(ids)


@pytest.mark.parametrize(
    ("env_id", "actions", "words"),
    [
        ("CartPole-v1", [0, 2], ["seed 1", "action 2", "0 to 1"]),
        ("CartPole-v1", [-1, 0], ["seed 0", "action -1"]),
        ("CartPole-v1", [0.5, 0], ["seed 0", "0.5"]),
        ("CartPole-v1", [0], ["(1,)", "(2,)"]),
        ("MountainCarContinuous-v0", [[0.0], [1.5]], ["seed 1", "1.5", "bounds"]),
        ("MountainCarContinuous-v0", [[np.nan], [0.0]], ["seed 0", "nan"]),
        ("MountainCarContinuous-v0", [0.0, 0.0], ["(2,)", "(2, 1)"]),
        ("FrozenLake-v1", [4, 0], ["seed 0", "action 4"]),
    ],
)
def test_actions(env_id, actions, words):
    env = adapter.make(env_id, [0, 1], Config(native=False))
    before = env.reset()
    _refused(lambda: env.step(np.array(actions)), env_id, *words)
    assert (env.observe() == before).all()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"see": lambda t, rng: np.full(2, np.nan if t == 4 else 0.0)}, ["seed 0", "step 4", "nan"]),
        ({"see": lambda t, rng: np.full(2, np.nan if t == 12 else 0.0)}, ["step 12", "nan"]),
        ({"earn": lambda t: np.nan if t == 3 else 0.0}, ["seed 0", "got reward", "step 3", "nan"]),
        ({"earn": lambda t: -np.inf}, ["got reward -inf", "step 1"]),
        ({"earn": lambda t: 1e300}, ["got reward 1e+300", "step 1"]),
        ({"see": lambda t, rng: np.zeros(3)}, ["observed [0. 0. 0.]"]),
        ({"observation": gymnasium.spaces.Discrete(3), "see": lambda t, rng: t}, ["observed 3", "Discrete(3)"]),
        ({"see": lambda t, rng: np.zeros(2) if t < 5 else 1 / 0}, ["seed 0 failed in step 5", "ZeroDivision"]),
    ],
)
def test_values_that_no_learner_can_use(trouble, words):
    gymnasium.register("test/Sick-v0", lambda: Probe(**trouble))

    def play():
        env = adapter.make("test/Sick-v0", [0, 1], Config())
        env.reset()
        for _ in range(13):
            env.step(np.zeros(2, int))

    _refused(play, "test/Sick-v0", *words)
    del gymnasium.registry["test/Sick-v0"]


def test_an_environments_own_words_name_the_users_seed_and_not_a_derived_one():
    class Sick(Probe):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            raise RuntimeError(f"no map for seed {seed} (seed={seed}), size 1234567890123")

    gymnasium.register("test/Sick-v1", Sick)
    words = ["seed 7 failed in its first reset", "no map for seed 7 (seed=7), size 1234567890123"]
    _refused(lambda: adapter.make("test/Sick-v1", [7, 8], Config()).reset(), *words)

    def evaluate():
        Evaluator(partial(adapter.make, "test/Sick-v1"), Config(), [7, 8], 2)

    _refused(evaluate, *words)
    del gymnasium.registry["test/Sick-v1"]
