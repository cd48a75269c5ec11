"""Tests of external contestants: names, settings and Python callables."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys

import numpy as np
import pytest

from simulator.config.codec import from_toml, settings_hash, to_toml
from simulator.config.external import ExternalConfig, is_external
from simulator.core import registry, rng
from simulator.core.mdp.solve import evaluate_finite
from simulator.external.contestants import external, play_external
from tests.helpers.external_contestants import HERE, played, run

LAKE = "FrozenLake-v1"


def line(name, env, own=None, **settings):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is what is tested
        played(name, env, own, **settings)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{name}: ")


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def test_names_identify_external_contestants():
    assert all(map(is_external, ("sb3:DQN", "python:a.b:c", "human:me.json")))
    assert not any(map(is_external, ("dqn", "sb3", "sb3:", "my:DQN", "a.b:sb3", "CartPole-v1")))
    with pytest.raises(ValueError, match=r"dqn: expected sb3:"):
        external("dqn", {}, run(LAKE))


def test_settings_survive_toml():
    own = {"action": [1, 2.5, None, "x"], "factory": False}
    config = external(f"{HERE}given", own, run("rooms", env_={"layout": "four"}, first_seed=7))
    assert config.settings == own
    assert (config.kind, config.target) == ("python", f"{HERE.removeprefix('python:')}given")
    assert from_toml(ExternalConfig, to_toml(config), "cell") == config
    nested = dataclasses.replace(config, kind="sb3", target="DQN", settings={"policy_kwargs": {"net_arch": [8]}})
    assert from_toml(ExternalConfig, to_toml(nested), "cell") == nested


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('target = "DQN"\nenv = {name = "rooms"}', "cell: kind is missing"),
        ('kind = "sb4"\ntarget = "DQN"', "cell: kind = 'sb4': expected one of sb3, python, human"),
        ('kind = "sb3"\ntarget = "DQN"\nenv = "rooms"', "cell: env = 'rooms': expected a table of settings"),
        ('kind = "sb3"\ntarget = "DQN"\nenv = {name = "rooms", slip = 2}', "cell: env.slip = 2: expected"),
        ('kind = "sb3"\ntarget = "DQN"\nsteps = 0\nenv = {name = "rooms"}', "cell: steps = 0: expected"),
        ("kind = ", "cell: line 1, column 8:"),
    ],
)
def test_bad_toml_is_refused_in_one_line(text, expected):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is what is tested
        from_toml(ExternalConfig, text, "cell")
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


def test_the_hash_is_of_what_files_hold_and_not_of_where_they_lie(tmp_path):
    (tmp_path / "b").mkdir()
    one = write(tmp_path / "policy.py", "def act(obs):\n    return 0\n")
    two = write(tmp_path / "b" / "policy.py", one.read_text("utf-8"))
    ours, theirs = (external(f"python:{path}:act", {}, run(LAKE)) for path in (one, two))
    assert ours.target != theirs.target
    assert settings_hash(ours) == settings_hash(theirs)
    write(two, "def act(obs):\n    return 1\n")
    assert settings_hash(ours) != settings_hash(theirs)
    assert settings_hash(ours) != settings_hash(external(f"python:{one}:act", {}, run(LAKE, seeds=3)))


def test_the_hash_of_a_module_is_of_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "engram_test_policy.py", "def act(obs):\n    return 0\n")
    config = external("python:engram_test_policy:act", {}, run(LAKE))
    before = settings_hash(config)
    write(path, "def act(obs):\n    return 1\n")
    sys.modules.pop("engram_test_policy")
    assert settings_hash(config) != before


def test_a_file_is_found_from_every_folder(tmp_path, monkeypatch):
    write(tmp_path / "policy.py", "def act(obs):\n    return 2\n")
    monkeypatch.chdir(tmp_path)
    config = external("python:policy.py:act", {}, run(LAKE))
    monkeypatch.chdir("/")
    assert play_external(config, lambda: None)["scores"] == played(f"{HERE}right", LAKE)["scores"]


def test_a_function_of_discrete_observations_is_evaluated_exactly():
    """Right in every state of the lake, worked out by the solver; every seed has the same."""
    player = registry.load("envs", LAKE)
    mdp = player.make([0], player.Config()).spec.mdp
    expected = float(evaluate_finite(mdp, np.eye(4)[np.full(len(mdp.start), 2)], 100))
    found = played(f"{HERE}right", LAKE)
    assert found["scores"] == [expected] * 2
    assert found["facts"]["ceiling_is"] == "exact optimum"
    assert found["facts"]["ceiling"] == pytest.approx(0.74419, abs=1e-5)
    assert found["facts"]["floor"] == pytest.approx(0.01394, abs=1e-5)


def test_a_random_function_is_scored_by_the_episodes_it_played():
    scores = played(f"{HERE}any_of", LAKE, {"n": 4}, eval_episodes=7)["scores"]
    assert all((score * 7).is_integer() for score in scores)
    assert played(f"{HERE}any_of", LAKE, {"n": 1}, eval_episodes=7)["scores"][0] == 0.0  # for ever left


def test_illegal_moves_count_as_the_env_plays_them():
    """In the six rooms a door that is not there costs 1 and leads nowhere; a plain loop from each of the starts."""
    player, config = registry.load("envs", "rooms"), run("rooms").env_settings
    for by in range(3):
        env, found = player.make([0], config), {}
        start = env.spec.mdp.start
        obs, first, total = int(env.reset()[0]), int(env.observe()[0]), 0.0
        while len(found) < np.count_nonzero(start):
            step = env.step(np.array([(obs + by) % 6]))
            obs, total = int(step.obs[0]), total + float(step.reward[0])
            if step.terminated[0] or step.truncated[0]:
                found[first], first, total = total, obs, 0.0
        expected = sum(start[state] * value for state, value in found.items())
        assert played(f"{HERE}shifted", "rooms", {"by": by}, seeds=1)["scores"] == pytest.approx([expected], abs=1e-9)


def test_evaluation_episodes_are_those_of_our_agents():
    """The same choices on the same streams: a plain loop over the environment that agents are evaluated in."""
    player = registry.load("envs", "CartPole-v1")
    for seed, score in zip((4, 5), played(f"{HERE}lean", "CartPole-v1", first_seed=4)["scores"], strict=True):
        env = player.make(rng.derived_seeds([seed], "evaluation"), player.Config())
        obs, returns = env.reset(), [0.0]
        while len(returns) <= 20:
            step = env.step(np.array([int(obs[0][2] > 0)]))
            obs, returns[-1] = step.obs, returns[-1] + 1.0
            if step.terminated[0] or step.truncated[0]:
                returns.append(0.0)
        assert score == np.mean(returns[:20])


def test_a_seed_does_not_depend_on_its_block_nor_on_the_global_generators():
    whole = played(f"{HERE}any_of", "CartPole-v1", seeds=3)
    random.setstate(random.Random(99).getstate())
    before, numpys = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    alone = played(f"{HERE}any_of", "CartPole-v1", seeds=1, first_seed=2)
    assert alone["scores"] == whole["scores"][2:]
    assert random.getstate() == before
    assert np.random.get_state()[1].tobytes() == numpys  # noqa: NPY002
    assert len(set(whole["scores"])) == 3


def test_factories_make_one_for_each_seed_and_memories_begin_anew_with_every_episode():
    scores = played(f"{HERE}shifted", LAKE, {"by": 1})["scores"]
    assert scores == [played(f"{HERE}shifted", LAKE, {"by": 1 + seed}, seeds=1)["scores"][0] for seed in (0, 1)]
    found = played(f"{HERE}Alternating", "CartPole-v1")
    assert min(found["scores"]) > 25  # pushes in turn keep the pole up for long; all of one kind last 9 or 10
    assert max(played(f"{HERE}given", "CartPole-v1", {"action": 0})["scores"]) < 11


def test_a_result_is_plain_and_a_constant_curve():
    found = play_external(external(f"{HERE}lean", {}, run("CartPole-v1")), lambda: None)
    assert json.loads(json.dumps(found)) == found
    assert found["steps"] == [25, 50, 60]
    assert found["curve"] == [[score] * 3 for score in found["scores"]]
    assert found["exact"] is True
    assert found["seconds"] >= 0.0 <= found["cpu_seconds"]


@pytest.mark.parametrize(
    ("name", "own", "expected"),
    [
        ("broken", {}, "seed 0: LookupError: no such thing"),
        ("leaves", {}, "seed 0: SystemExit: 3"),
        ("no_function", {}, "seed 0: its factory gave 3, expected a function of one observation"),
        ("lene", {}, "unknown name 'lene'; did you mean lean?, expected one of tests.helpers.external_contestants"),
        ("HERE", {}, "found 'python:tests.helpers.external_contestants:', expected a callable"),
        ("lean", {"speed": 1}, "got an unexpected keyword argument 'speed', expected a callable of (obs)"),
        ("lean", {"factory": True}, "too many positional arguments, expected a callable of (spec, seed) of a factory"),
        ("lean", {"factory": 2}, "factory = 2: expected true or false"),
        ("lean", {"x": float("nan")}, "settings.x = nan: expected true, false, a finite number, text, a list"),
    ],
)
def test_errors_are_one_line(name, own, expected):
    assert line(f"{HERE}{name}", "CartPole-v1", own).startswith(expected)


@pytest.mark.parametrize("action", [2, -1, 0.0, "left", None, [0, 1], True])
def test_illegal_actions_are_refused_with_seed_and_value(action):
    said = line(f"{HERE}given", "CartPole-v1", {"action": action}, first_seed=3)
    assert said == f"seed 3: was given action {action!r}, expected a whole number from 0 to 1"


@pytest.mark.parametrize("action", [1.5, [2.0], [0.0, 0.0], "left", None])
def test_boxes_have_bounds_and_a_shape(action):
    said = line(f"{HERE}given", "MountainCarContinuous-v0", {"action": action})
    assert said.endswith(
        f"given action {action!r}, expected numbers of the shape (1,) within the bounds of the action space"
    )
    assert played(f"{HERE}given", "MountainCarContinuous-v0", {"action": [0]}, eval_episodes=1)["scores"] == [0.0, 0.0]


def test_missing_files_and_modules_are_named(tmp_path):
    path = write(tmp_path / "policy.py", "import nothing_of_this_name")
    assert line(f"python:{path}:act", LAKE) == (
        f"cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name' ({path}, line 1)"
    )
    assert line(f"python:{tmp_path}/no.py:act", LAKE).startswith("no such file, expected")
    os.mkfifo(tmp_path / "pipe.py")
    form = "expected python:path/to/file.py:name or python:package.module:name"
    assert line(f"python:{tmp_path}/pipe.py:act", LAKE) == f"it is a pipe, {form}"
    assert line(f"python:{tmp_path}:act", LAKE) == f"no Python file, {form}"
    assert line("python:no_such.module:act", LAKE).startswith("cannot be imported: ModuleNotFoundError")
    assert line("python:act", LAKE).startswith(form)


class StopError(ValueError):
    pass


@pytest.mark.parametrize(("name", "own"), [("lean", {}), ("right", {})])
def test_exceptions_of_a_tick_pass_through(name, own):
    def tick():
        raise StopError("enough")

    with pytest.raises(StopError):
        play_external(external(f"{HERE}{name}", own, run(LAKE if name == "right" else "CartPole-v1")), tick)


def test_ticks_come_while_a_slow_function_plays(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("simulator.external.evaluate.time.monotonic", lambda: next(clock))
    ticks = []
    play_external(external(f"{HERE}lean", {}, run("CartPole-v1", eval_episodes=2)), lambda: ticks.append(1))
    assert len(ticks) > 80  # every action of some 40 in each of four episodes
