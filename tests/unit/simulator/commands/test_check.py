"""Tests of ``engram check``: templates keep every law, and what breaks one is said with class and method."""

from __future__ import annotations

import pytest

AGENT = """
import numpy as np
from dataclasses import dataclass
from simulator import per_seed

TOTAL = [0.0]

@dataclass(frozen=True)
class Config:
    size: float = 1.0

class Mine:
    def __init__(self, spec, config, rng):
        self.n = spec.action.n
        self.rng = rng
        self.value = 0.0

    def act(self, obs):
        return {act}

    def greedy(self, obs):
        return 0

    def learn(self, obs, action, reward, next_obs, terminated):
        {learn}

make = per_seed(Mine)
"""
MEMORY = """
import numpy as np
from dataclasses import dataclass
from simulator import per_seed

@dataclass(frozen=True)
class Config:
    pass

class Mine:
    def __init__(self, spec, config, rng):
        self.mean = np.zeros(spec.n)

    def store(self, patterns):
        self.mean = patterns.mean(axis=0)

    def recall(self, cues, known):
        {recall}

make = per_seed(Mine)
"""
ENV = """
import gymnasium, random
from gymnasium import spaces

class Mine(gymnasium.Env):
    def __init__(self):
        self.observation_space = spaces.Discrete(9)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return {first}, {{}}

    def step(self, action):
        self.t += 1
        return {seen}, 0.0, self.t > 5, False, {{}}
"""


@pytest.mark.parametrize("kind", ["agent", "memory", "env"])
def test_what_engram_new_writes_keeps_every_law(clean_folder, engram, kind):
    engram("new", kind, "mine")
    found = engram("check", "mine.py", *(["FrozenLake-v1"] if kind == "agent" else []), "--json").json
    assert found["passed"]
    assert (found["kind"], found["class"], found["file"]) == (kind, "Mine", f"{clean_folder}/mine.py")
    assert len(found["laws"]) >= 6
    assert all(law["passed"] and law["said"] == "" for law in found["laws"])


def broken(engram, clean_folder, text, *words):
    """Return the laws that a file breaks."""
    (clean_folder / "mine.py").write_text(text)
    found = engram("check", "mine.py", *words, "--json", code=1).json
    assert not found["passed"]
    return [law for law in found["laws"] if not law["passed"]]


@pytest.mark.parametrize(
    ("act", "learn", "method", "said"),
    [
        ("self.n", "pass", "act", "gave 2 in seed number 0, expected a whole number from 0 to 1"),
        (
            "0",
            "return {'loss': float('nan')}",
            "learn",
            "loss is [nan nan nan nan] in step 0, expected a finite number",
        ),
        ("0", "raise KeyError('oh')", "learn", "KeyError: 'oh' (mine.py, line 25)"),
        ("np.random.randint(2)", "self.value += action", "act", "the same training again: seeds"),
        (
            "self.rng.integers(2)",
            "TOTAL[0] = 0.5 * TOTAL[0] + action; self.value = TOTAL[0]",
            "learn",
            "expected the same bits: no sum over seeds, all randomness from the seed's own stream",
        ),
        ("0", "self.value += 1; self.bad = [object()]", "state", "Mine.bad[0] is a object, expected arrays, numbers"),
    ],
)
def test_an_agent_that_breaks_a_law_is_told_method_and_expectation(clean_folder, engram, act, learn, method, said):
    laws = broken(engram, clean_folder, AGENT.format(act=act, learn=learn), "CartPole-v1")
    assert any(said in law["said"] for law in laws), laws
    assert laws[0]["method"] == method


@pytest.mark.parametrize(
    ("recall", "method", "said"),
    [
        ("return cues[:, :3]", "recall", "gave an array of shape (3, 3) in seed number 0, expected (3, 16)"),
        ("return cues * 3", "recall", "a unit of magnitude 3, expected finite values from -1 to 1"),
        ("return np.repeat(np.sign(self.mean)[None], len(cues), 0)", "recall", "it changed units that are known"),
    ],
)
def test_a_memory_that_breaks_a_law_is_told(clean_folder, engram, recall, method, said):
    laws = broken(engram, clean_folder, MEMORY.format(recall=recall))
    assert said in laws[0]["said"]
    assert laws[0]["method"] == method


@pytest.mark.parametrize(
    ("first", "seen", "method", "said"),
    [
        ("random.randrange(9)", "self.t", "reset", "a first observation of seeds 0 to 7, made twice, depends"),
        ("0", "self.t + 4", "step", "observed 9, expected a value of Discrete(9)"),
        ("0", "'here'", "step", "observed here, expected a value of Discrete(9)"),
    ],
)
def test_an_env_that_breaks_a_law_is_told(clean_folder, engram, first, seen, method, said):
    laws = broken(engram, clean_folder, ENV.format(first=first, seen=seen))
    assert said in laws[0]["said"]
    assert laws[0]["method"] == method


def test_settings_and_the_table_for_people(clean_folder, engram):
    (clean_folder / "mine.py").write_text(AGENT.format(act="self.n", learn="pass"))
    out = engram("check", "mine.py", "CartPole-v1", "--agent.size", "3", code=1).out
    assert f"{clean_folder}/mine.py: agent, class Mine\n" in out
    assert "  FAIL  act gives actions, learn finite numbers\n        Mine.act: gave 2 in seed number 0" in out
    assert out.endswith("1 of 2 laws failed\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.py"], "no.py: no such file, expected a Python file (.py)"),
        (["mine.py", "nowhere"], "unknown environment 'nowhere' (engram list envs)"),
        (["mine.py", "--agent.speed", "3"], "--agent.speed: unknown option"),
        (
            ["empty.py"],
            "empty.py: no agent, memory, environment or component was found there, expected classes with act and learn",
        ),
    ],
)
def test_bad_input_is_one_line(clean_folder, engram, words, said):
    (clean_folder / "mine.py").write_text(AGENT.format(act="0", learn="pass"))
    (clean_folder / "empty.py").write_text("Config = make = 3\n")
    assert said in engram("check", *words, code=2).error


def test_ours_keep_the_laws_by_name(clean_folder, engram):
    assert engram("check", "random_walk", "rooms", "--json").json["passed"]


def test_several_files_have_a_line_each_and_a_broken_one_stops_none(engram, clean_folder):
    engram("new", "memory", "whole")
    (clean_folder / "torn.py").write_text("def make(:\n")
    out = engram("check", "torn.py", "whole.py", code=1).out.splitlines()
    assert out[0] == "FAIL  torn.py"
    assert "SyntaxError: " in out[1]
    assert "line 1)" in out[1]
    assert out[2].startswith("ok    whole.py: all ")
    assert out[-1] == "1 of 2 files failed"


NAN = """from dataclasses import dataclass
import numpy as np
from simulator import per_seed

@dataclass(frozen=True)
class Config:
    pass

class Nan:
    def __init__(self, spec, config, rng):
        self.rng = rng
        self.w = np.zeros(spec.action.n)

    def act(self, obs):
        return int(self.rng.integers(len(self.w)))

    def learn(self, obs, action, reward, next_obs, terminated):
        self.w[action] += np.nan

make = per_seed(Nan)
"""


def test_numbers_that_are_not_finite_are_found_in_what_was_learned(engram, clean_folder):
    (clean_folder / "nan.py").write_text(NAN)
    assert "w holds NaN after 60 steps" in engram("check", "nan.py", "CartPole-v1", code=1).out
    words = ("--seeds", "2", "--steps", "100", "--eval-episodes", "1", "--view", "none")
    assert "NaN: what the agent learned is not finite" in engram("run", "nan.py", "CartPole-v1", *words).err
