"""Tests of settings files that import code: announced once, before the first import."""

from __future__ import annotations

import pytest

from simulator.config import imports

AGENT = """
import sys
from dataclasses import dataclass
print("IMPORTED", file=sys.stderr, flush=True)
from agents.random_walk import Config, make
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "players_of_theirs").mkdir()
    (tmp_path / "players_of_theirs" / "walker.py").write_text(AGENT)
    (tmp_path / "act.py").write_text("import sys\nprint('IMPORTED', file=sys.stderr)\ndef act(obs):\n    return 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("ENGRAM_LAB", raising=False)
    imports._announce_once.cache_clear()
    yield tmp_path
    imports._announce_once.cache_clear()


def test_a_run_from_a_file(folder, engram):
    (folder / "run.toml").write_text(
        'steps = 20\nseeds = 1\n[agent]\nname = "players_of_theirs.walker"\n[env]\nname = "FrozenLake-v1"\n'
    )
    said = engram("run", "--config", "run.toml", "--view", "none").err.splitlines()
    assert said[0] == "run.toml imports code: players_of_theirs.walker"
    assert said.count(said[0]) == 1
    assert said.index("IMPORTED") > 0
    said = (engram("show", "r1").err + engram("reproduce", "r1").err).splitlines()
    assert "settings of r1 imports code: players_of_theirs.walker" in said  # a lab may be from elsewhere too


@pytest.mark.slow
def test_a_tournament(folder, engram):
    (folder / "t.toml").write_text(
        'steps = 20\nseeds = 1\nn_bootstrap = 100\n[agent.walk]\nname = "random_walk"\n'
        '[agent.them]\nname = "python:act.py:act"\n[agent."players_of_theirs.walker"]\n[env.FrozenLake-v1]\n'
    )
    said = engram("tournament", "t.toml", "--workers", "1", "--view", "none").err.splitlines()
    assert said[0] == "t.toml imports code: players_of_theirs.walker, act.py"
    assert sum("imports code" in each for each in said) == 1
    assert "IMPORTED" in said


def test_engrams_own_players_are_not_announced(folder, engram):
    (folder / "run.toml").write_text('steps = 20\nseeds = 1\n[agent]\nname = "td"\n[env]\nname = "CartPole-v1"\n')
    said = engram("run", "--config", "run.toml", "--view", "none").err.splitlines()
    assert not [each for each in said if "imports code" in each]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("q_learning", ""),
        ("ALE/Pong-v5", ""),
        ("CartPole-v1", ""),
        ("sb3:DQN", ""),
        ("sb3:a/model.zip", ""),
        ("human:me.json", ""),
        ("mine.agent", "mine.agent"),
        ("mine.envs:Maze-v0", "mine.envs"),
        ("./envs/grid.py:Grid-v0", "./envs/grid.py"),
        ("./agent.py", "./agent.py"),
        ("python:mine.policies:act", "mine.policies"),
        ("python:a/b.py:act", "a/b.py"),
        ("python:a\nb.py:act", "'a\\nb.py'"),
    ],
)
def test_code_imported_by_a_name(name, code):
    assert imports.code_of(name) == code
