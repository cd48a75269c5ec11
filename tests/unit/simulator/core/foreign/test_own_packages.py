"""Tests of package names: Engram's packages beside a user's packages of the same names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

GRID = """
import gymnasium as gym

print("grid runs")

class MyGrid(gym.Env):
    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return 0, {}

    def step(self, action):
        self.at = min(3, max(0, self.at + (1 if action else -1)))
        return self.at, float(self.at == 3), self.at == 3, False, {}
"""
REGISTERING = """
import gymnasium
from .grid import MyGrid

print("envs runs")
NAME = "theirs"
gymnasium.register("MyGrid-v0", entry_point="envs.grid:MyGrid", max_episode_steps=20)
"""
BROKEN = "raise RuntimeError('a file of the user was run')"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a user's folder that has all names of Engram's packages in it."""
    files = {
        "envs/__init__.py": REGISTERING,
        "envs/grid.py": GRID,
        "envs/rooms.py": BROKEN,
        "agents/__init__.py": BROKEN,
        "memory.py": "class Buffer: ...\n",
        "simulator.py": BROKEN,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def python(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with Engram on its path as an installation has."""
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=known, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def script(folder: Path, text: str) -> list[str]:
    """Return the lines that a script in a folder prints."""
    (folder / "simulator.py").unlink(missing_ok=True)  # it stands before ours there, as anywhere in Python
    (folder / "script.py").write_text(text)
    return python(folder, "script.py").stdout.splitlines()


ENGRAM = "import sys; from simulator.__main__ import main; sys.exit(main())"
RUN = ("--seeds", "2", "--steps", "40", "--eval-episodes", "1", "--view", "none", "--json")


@pytest.mark.slow
def test_the_command_runs_beside_packages_of_our_names(project: Path) -> None:
    result = json.loads(python(project, "-P", "-c", ENGRAM, "run", "q_learning", "envs:MyGrid-v0", *RUN).stdout)
    assert (result["agent"], result["env"], result["steps"]) == ("q_learning", "envs:MyGrid-v0", 40)


@pytest.mark.slow
def test_the_module_runs_there_too(project: Path) -> None:
    (project / "simulator.py").unlink()
    result = json.loads(python(project, "-m", "simulator", "run", "q_learning", "envs.grid:MyGrid-v0", *RUN).stdout)
    assert result["env"] == "envs.grid:MyGrid-v0"


@pytest.mark.slow
def test_workers_run_there_too(project: Path) -> None:
    words = ("--agents", "q_learning", "--envs", "rooms", "./envs/grid.py:MyGrid", *RUN, "--workers", "1")
    result = json.loads(python(project, "-P", "-c", ENGRAM, "tournament", *words, "--n-bootstrap", "100").stdout)
    assert result["cells"] == {**result["cells"], "done": result["cells"]["planned"], "failed": 0}


@pytest.mark.slow
def test_a_script_imports_engrams_packages_and_its_own(project: Path) -> None:
    lines = script(
        project,
        """
import simulator
import envs.rooms, envs.grid
from envs import NAME, MyGrid
from memory import Buffer
import memory.hopfield
print(envs.rooms.__file__)
print(envs.grid.__file__)
print(NAME, MyGrid is envs.grid.MyGrid, Buffer.__module__)
try:
    envs.nothing
except AttributeError as error:
    print(error)
""",
    )
    assert lines == [
        "grid runs",
        "envs runs",
        str(ROOT / "envs" / "rooms.py"),
        str(project / "envs" / "grid.py"),
        "theirs True memory",
        "module 'envs' has no attribute 'nothing'",
    ]


@pytest.mark.slow
def test_importing_engrams_packages_runs_no_user_code(project: Path) -> None:
    lines = script(
        project, "import simulator, agents, envs.rooms, memory\nfrom envs import common\nprint(agents.__file__)"
    )
    assert lines == [str(ROOT / "agents" / "__init__.py")]


@pytest.mark.slow
def test_modules_imported_earlier_keep_working(project: Path) -> None:
    lines = script(
        project,
        """
import envs, memory
from envs.grid import MyGrid
import simulator, envs.rooms
from simulator.core import registry
print(envs.grid.MyGrid is MyGrid, envs.NAME, memory.Buffer)
print(envs.rooms.__file__, registry.load("memories", "hopfield").name)
""",
    )
    assert lines[2:] == [
        "True theirs <class 'memory.Buffer'>",
        f"{ROOT / 'envs' / 'rooms.py'} hopfield",
    ]


@pytest.mark.slow
def test_a_shadowed_module_is_reported(project: Path) -> None:
    (project / "envs" / "rooms.py").write_text("MINE = 3")
    lines = script(
        project,
        """
import warnings
import envs.rooms as mine
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import simulator
print(mine.MINE, len(caught), caught[0].message)
import envs.rooms
print(envs.rooms.__file__)
""",
    )
    assert lines[2].startswith("3 1 envs.rooms ")
    assert lines[3] == str(ROOT / "envs" / "rooms.py")


@pytest.mark.slow
def test_a_users_package_may_import_engram_while_it_is_imported(project: Path) -> None:
    (project / "envs" / "__init__.py").write_text("import simulator\nfrom simulator.core import registry\nHERE = 1\n")
    lines = script(project, "import envs\nprint(envs.HERE)\nimport envs.grid, envs.rooms\nprint(envs.rooms.__file__)")
    assert lines == ["1", "grid runs", str(ROOT / "envs" / "rooms.py")]


@pytest.mark.slow
def test_an_error_in_their_package_is_one_line_with_its_place(project: Path) -> None:
    (project / "envs" / "__init__.py").write_text("\n1 / 0\n")
    done = python(project, "-P", "-c", ENGRAM, "run", "q_learning", "envs.grid:MyGrid-v0", *RUN, code=2)
    reason = f"envs.grid cannot be imported: ZeroDivisionError: division by zero ({project}/envs/__init__.py, line 2)"
    assert done.stderr == f"engram: environment envs.grid:MyGrid-v0: {reason}\n"
