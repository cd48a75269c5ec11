"""Tests of stable-baselines3 contestants: training with a stand-in class, and with the library itself."""

from __future__ import annotations

import importlib.util
import inspect
import math
import random
import sys

import gymnasium
import numpy as np
import pytest

from simulator.config.codec import settings_hash
from simulator.core import registry, rng
from simulator.external.contestants import external, play_external
from simulator.external.sb3 import ExportedEnv
from tests.helpers import external_contestants
from tests.helpers.external_contestants import HERE, played, run

LAKE, POLE = "FrozenLake-v1", "CartPole-v1"
SMALL = {"learning_starts": 20, "buffer_size": 200, "batch_size": 8, "train_freq": [4, "step"], "learning_rate": 0.01}
SMALL |= {"policy_kwargs": {"net_arch": [8], "activation_fn": "torch.nn.Tanh"}}
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("stable_baselines3") is None, reason="stable_baselines3 is not installed (extra bench)"
)


@pytest.fixture
def counter(monkeypatch):
    """Install a library whose one class counts."""
    for name, module in external_contestants.library().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(external_contestants.Counter, "seen", [])
    return "sb3:Counter"


def line(name, env, own=None, **settings):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is what is tested
        played(name, env, own, **settings)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{name}: ")


def test_an_environment_shows_the_same_as_gymnasiums():
    """Episode by episode, with the seed's own stream; the next one begins where the last one ended."""
    player = registry.load("envs", POLE)
    ours, original = ExportedEnv(player.make([5], player.Config())), gymnasium.make(POLE)
    obs, (theirs, _) = ours.reset(seed=1)[0], original.reset(seed=rng.derived_seeds([5], "env")[0])
    choices = np.random.Generator(np.random.PCG64(0))
    ends = 0
    for taken in range(1, 200):
        np.testing.assert_array_equal(obs, theirs)
        action = choices.integers(2)
        (obs, *ours_gave, _), (theirs, *theirs_gave, _) = ours.step(action), original.step(action)
        assert ours_gave == theirs_gave
        assert ours.n_steps == taken
        if ours_gave[1] or ours_gave[2]:
            np.testing.assert_array_equal(obs, theirs)
            obs, theirs, ends = ours.reset()[0], original.reset()[0], ends + 1
    assert ends > 3


def test_evaluations_are_where_the_engine_has_them_and_training_ends_with_the_steps(counter):
    """It turns right from step 30 on: the evaluations after 25, 50 and 60 steps see 0, 1, 1 of it."""
    right = played(f"{HERE}right", LAKE, seeds=1)["scores"][0]
    found = played(counter, LAKE, {"turns": 30})
    assert found["steps"] == [25, 50, 60]
    assert found["curve"] == [[0.0, right, right]] * 2
    assert found["scores"] == [right] * 2
    assert [model.env.n_steps for model in external_contestants.Counter.seen[-2:]] == [60, 60]


def test_a_seed_draws_the_same_whatever_its_block_and_leaves_the_generators(counter):
    played(counter, LAKE, seeds=3)
    whole = [model.draws for model in external_contestants.Counter.seen[-3:]]
    before = random.getstate()
    random.setstate(random.Random(5).getstate())
    kept = random.getstate()
    played(counter, LAKE, seeds=1, first_seed=2, eval_every=7)  # evaluations draw nothing
    assert random.getstate() == kept != before
    assert external_contestants.Counter.seen[-1].draws == whole[2]
    assert whole[0] != whole[1]


def test_a_model_that_breaks_down_is_left_alone_with_its_reason(counter):
    expected = "every seed failed: ZeroDivisionError: divided by zero"
    assert line(counter, LAKE, {"breaks": 30}).removeprefix(f"{counter}: ") == expected


def test_one_seed_may_fail_while_the_others_continue(counter, monkeypatch):
    made, init = [], external_contestants.Counter.__init__

    def second_breaks(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made.append(self)
        self.nan = 40 if len(made) == 3 else 0  # the first was made to look whether it can be

    second_breaks.__signature__ = inspect.signature(init)
    monkeypatch.setattr(external_contestants.Counter, "__init__", second_breaks)
    found = played(counter, LAKE, seeds=2)
    assert found["failed"] == [{"seed": 1, "step": 50, "reason": "its weights were not finite"}]
    assert math.isfinite(found["scores"][0])
    assert math.isnan(found["scores"][1])
    assert [math.isnan(score) for score in found["curve"][1]] == [False, True, True]


def test_bad_settings_are_refused_before_anything_is_played(counter):
    assert line(counter, LAKE, {"turnz": 1}) == "unknown setting 'turnz'; did you mean turns?"
    assert line(counter, LAKE, {"seed": 1}).startswith("unknown setting 'seed'")
    assert line("sb3:Count", LAKE) == "unknown class 'Count'; did you mean Counter?, expected Counter"
    assert line(counter, LAKE, {"policy": "Cnn"}) == ("cannot be made for FrozenLake-v1: AssertionError: no policy Cnn")


def test_exceptions_of_a_tick_pass_through_training(counter):
    def tick():
        if external_contestants.Counter.seen[-1].taken:
            raise KeyError("enough")

    config = external(counter, {}, run(LAKE, steps=10**6, eval_every=10**6))
    with pytest.raises(KeyError, match="enough"):
        play_external(config, tick)


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert line("sb3:DQN", POLE) == "stable_baselines3 is not installed; pip install stable-baselines3"


@pytest.mark.parametrize("data", [None, b"", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_model_is_refused(counter, tmp_path, data):
    path = tmp_path / "model.zip"
    if data is not None:
        path.write_bytes(data)
    assert line(f"sb3:{path}", POLE).endswith("expected a model that was saved by stable_baselines3")


@pytest.mark.optional
@needs_library
def test_dqn_learns_here_as_it_does_in_gymnasiums_own_environment():
    """The library alone, with the same seeds and a stop after as many steps, ends with the same weights."""
    import torch
    from stable_baselines3 import DQN

    from simulator.external.evaluate import EvaluationHarness, Heartbeat, global_generators
    from simulator.external.sb3 import Training, build

    config = external("sb3:DQN", SMALL, run(POLE, steps=120, eval_every=50, eval_episodes=2, first_seed=3))
    harness, number = EvaluationHarness(config, Heartbeat(lambda: None)), rng.derived_seeds([3], "weights")[0] % 2**32
    with global_generators(0):
        training, ours = Training(harness, 3, number), build(config, harness, 3, number)
        training.run(ours)
        given = SMALL | {"train_freq": (4, "step"), "policy_kwargs": {"net_arch": [8], "activation_fn": torch.nn.Tanh}}
        theirs = DQN("MlpPolicy", gymnasium.make(POLE), seed=number, device="cpu", **given)
        theirs.get_env().seed(rng.derived_seeds([3], "env")[0])
        theirs.set_logger(ours.logger)
        theirs.learn(120, callback=lambda *_: theirs.num_timesteps < 120)
    assert len(training.scores) == 3
    assert training.failed == []
    for name, weights in theirs.policy.state_dict().items():
        assert torch.equal(weights, ours.policy.state_dict()[name]), name


@pytest.mark.optional
@needs_library
def test_a_trained_seed_is_the_same_in_every_block_and_nothing_else_changes():
    import torch

    torch.get_rng_state()
    whole = played("sb3:DQN", POLE, SMALL, eval_episodes=3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    alone = played("sb3:DQN", POLE, SMALL, seeds=1, first_seed=1, eval_episodes=3)
    assert alone["curve"] == whole["curve"][1:]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert whole["facts"]["threshold"] == 475.0


@pytest.mark.optional
@needs_library
@pytest.mark.parametrize("kind", ["DQN", "PPO", "A2C"])
def test_a_saved_model_plays_as_it_is(tmp_path, kind):
    import stable_baselines3

    from simulator.external.evaluate import global_generators

    path = tmp_path / "model.zip"
    with global_generators(0):
        model = getattr(stable_baselines3, kind)("MlpPolicy", gymnasium.make(LAKE), seed=1, device="cpu")
        model.save(path)
    config = external(f"sb3:{path}", {}, run(LAKE))
    found = play_external(config, lambda: None)
    actions = model.predict(np.arange(16), deterministic=True)[0].tolist()
    (tmp_path / "same.py").write_text(f"def act(obs):\n    return {actions}[obs]\n", "utf-8")
    assert found["scores"] == played(f"python:{tmp_path / 'same.py'}:act", LAKE)["scores"]
    assert found["curve"] == [[score] * 3 for score in found["scores"]]
    before = settings_hash(config)
    path.write_bytes(path.read_bytes() + b"\0")
    assert settings_hash(config) != before
    assert "its observations are Discrete(16), expected Box" in line(f"sb3:{path}", POLE)
    assert (
        line(f"sb3:{path}", LAKE, {"clas": kind}) == "unknown setting 'clas'; did you mean class?, expected class alone"
    )


@pytest.mark.optional
@needs_library
def test_the_library_refuses_what_it_cannot_play():
    assert "only supports" in (said := line("sb3:SAC", POLE))
    assert said.startswith("cannot be made for CartPole-v1: AssertionError")
    assert line("sb3:DQN", POLE, {"learnin_rate": 1}).startswith(
        "unknown setting 'learnin_rate'; did you mean learning"
    )


def test_training_past_its_time_limit_is_evaluated_as_it_is(counter):
    config = external(counter, {}, run(LAKE, steps=10**7, eval_every=10**6, seeds=1))
    found = play_external(config, lambda: None, (0.05, 0.0))
    assert found["failed"] == []
    assert len(found["curve"][0]) == len(found["steps"]) == 10
    assert len(set(found["curve"][0])) == 1
    assert math.isfinite(found["scores"][0])
    by_clock = play_external(config, lambda: None, (0.0, 0.05))
    assert math.isfinite(by_clock["scores"][0])
