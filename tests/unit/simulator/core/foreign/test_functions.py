"""Tests of Python functions as agents that do not learn, in runs and in games."""

from __future__ import annotations

import pytest

from simulator.config.codec import settings_hash
from simulator.config.run import build
from simulator.core import registry
from simulator.core.foreign.python_files import file_of

RULES = """
def lean(obs, threshold=0.0):
    return int(obs[2] > threshold)

def always_defect(obs):
    return 1

class Alternate:
    def __init__(self, spec, seed):
        self.n = spec.action.n
        self.t = seed

    def reset(self):
        self.t = 0

    def __call__(self, obs):
        self.t += 1
        return self.t % self.n

def wrong(obs):
    return 17

def three(a, b, c):
    return 0

number = 3
"""
RUN = ("--seeds", "2", "--steps", "200", "--eval-episodes", "5", "--view", "none", "--json")


@pytest.fixture
def rules(clean_folder):
    (clean_folder / "rules.py").write_text(RULES)
    return clean_folder


def test_a_function_plays_a_run_with_its_arguments_as_settings(rules, engram):
    found = engram("run", "python:./rules.py:lean", "CartPole-v1", *RUN).json
    assert found["agent"] == f"python:{rules}/rules.py:lean"
    assert 20 < found["evaluation"]["iqm"] < 200  # random play: 22
    other = engram("run", "python:rules.py:lean", "CartPole-v1", "--agent.threshold", "9", *RUN).json
    assert other["evaluation"]["iqm"] < 15  # it always pushes to the left
    assert found["exact"]


def test_a_stateful_function_is_resumed_and_reset(rules):
    player = registry.load("agents", "python:rules.py:Alternate")
    spec = registry.load("envs", "CartPole-v1").make([0], registry.load("envs", "CartPole-v1").Config()).spec
    one, two = (player.make(spec, [5], player.Config()) for _ in range(2))
    obs = [spec.observation.low]
    acted = [int(one.act(obs)[0]) for _ in range(3)]
    assert acted == [1, 0, 1]  # reset sets t = 0
    two.restore(one.state())
    assert one.act(obs) == two.act(obs) == [0]


def test_a_functions_file_counts_in_the_hash_and_its_folder_does_not(rules, tmp_path):
    def hashed(name):
        return settings_hash(build({"agent": {"name": name}, "env": {"name": "CartPole-v1"}}))

    (rules / "other").mkdir()
    (rules / "other" / "rules.py").write_text(RULES)
    first = hashed("python:rules.py:lean")
    assert hashed("python:other/rules.py:lean") == first
    assert hashed("python:rules.py:always_defect") != first
    (rules / "rules.py").write_text(f"{RULES}\nmore = 1\n")
    assert hashed("python:rules.py:lean") != first
    assert file_of("python:rules.py:lean") == rules / "rules.py"
    assert file_of("python:rules:lean") is None


def test_functions_play_games_among_strategies(rules, engram):
    words = ["--players", "bad=python:rules.py:always_defect", "always-cooperate", "--games", "iterated_matrix"]
    found = engram("tournament", *words, "--seeds", "2", "--view", "none", "--json").json
    assert [row["contestant"] for row in found["ranking"]] == ["bad", "always-cooperate"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python:rules.py:lene", "unknown name 'lene'; did you mean lean?, expected one of rules.py"),
        ("python:rules.py:number", "found 3, expected a callable"),
        ("python:rules.py:three", "it takes 3 arguments without a default, expected a function of (obs), or a factory"),
        ("python:no.py:act", "no.py:act: no such file, expected python:path/to/file.py:name"),
        ("python:act", "expected python:path/to/file.py:name or python:package.module:name"),
        ("python:no_such_module:act", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_is_no_function_is_refused_in_one_line(rules, engram, name, said):
    assert said in engram("run", name, "CartPole-v1", code=2).error


def test_an_impossible_action_names_file_function_and_seed(rules, engram):
    err = engram("run", "python:rules.py:wrong", "CartPole-v1", *RUN, code=1).err
    assert f"agent python:{rules}/rules.py:wrong gave 17 in seed 0, expected a whole number from 0 to 1" in err
