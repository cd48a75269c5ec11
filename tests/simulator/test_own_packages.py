"""Our packages are ours whatever a user's folder holds, and what the user has under their names can still be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import simulator

ROOT = Path(simulator.__file__).parents[1]
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
    """A user's folder with all our names in it."""
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
    """A process that stands in a folder, and has ours on its path as an installation has."""
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=known, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def script(folder: Path, text: str) -> list[str]:
    """The lines that a script prints which lies in a folder."""
    (folder / "simulator.py").unlink(missing_ok=True)  # it stands before ours there, as anywhere in Python
    (folder / "script.py").write_text(text)
    return python(folder, "script.py").stdout.splitlines()


ENGRAM = "import sys; from simulator.__main__ import main; sys.exit(main())"
RUN = ("--seeds", "2", "--steps", "40", "--eval-episodes", "1", "--view", "none", "--json")


def test_the_command_runs_with_all_our_names_in_the_working_folder(project: Path) -> None:
    told = json.loads(python(project, "-P", "-c", ENGRAM, "run", "q_learning", "envs:MyGrid-v0", *RUN).stdout)
    assert (told["agent"], told["env"], told["steps"]) == ("q_learning", "envs:MyGrid-v0", 40)


def test_so_does_the_module(project: Path) -> None:
    (project / "simulator.py").unlink()
    told = json.loads(python(project, "-m", "simulator", "run", "q_learning", "envs.grid:MyGrid-v0", *RUN).stdout)
    assert told["env"] == "envs.grid:MyGrid-v0"


def test_workers_run_there_too(project: Path) -> None:
    words = ("--agents", "q_learning", "--envs", "rooms", "./envs/grid.py:MyGrid", *RUN, "--workers", "1")
    told = json.loads(python(project, "-P", "-c", ENGRAM, "tournament", *words, "--n-bootstrap", "100").stdout)
    assert told["cells"] == {**told["cells"], "done": told["cells"]["planned"], "failed": 0}


def test_a_script_has_ours_and_its_own(project: Path) -> None:
    told = script(
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
    assert told == [
        "grid runs",
        "envs runs",
        str(ROOT / "envs" / "rooms.py"),
        str(project / "envs" / "grid.py"),
        "theirs True memory",
        "module 'envs' has no attribute 'nothing'",
    ]


def test_ours_alone_run_nothing_of_theirs(project: Path) -> None:
    told = script(
        project, "import simulator, agents, envs.rooms, memory\nfrom envs import common\nprint(agents.__file__)"
    )
    assert told == [str(ROOT / "agents" / "__init__.py")]


def test_what_was_imported_before_goes_on(project: Path) -> None:
    told = script(
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
    assert told[2:] == [
        "True theirs <class 'memory.Buffer'>",
        f"{ROOT / 'envs' / 'rooms.py'} hopfield",
    ]


def test_a_module_of_ours_that_was_theirs_before_is_told(project: Path) -> None:
    (project / "envs" / "rooms.py").write_text("MINE = 3")
    told = script(
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
    assert told[2].startswith("3 1 envs.rooms is one of Engram's own from now on; that of ")
    assert told[3] == str(ROOT / "envs" / "rooms.py")


def test_a_package_of_theirs_may_import_us_while_it_is_imported(project: Path) -> None:
    (project / "envs" / "__init__.py").write_text("import simulator\nfrom simulator.core import registry\nHERE = 1\n")
    told = script(project, "import envs\nprint(envs.HERE)\nimport envs.grid, envs.rooms\nprint(envs.rooms.__file__)")
    assert told == ["1", "grid runs", str(ROOT / "envs" / "rooms.py")]


def test_what_their_package_raises_is_one_line_with_its_place(project: Path) -> None:
    (project / "envs" / "__init__.py").write_text("\n1 / 0\n")
    done = python(project, "-P", "-c", ENGRAM, "run", "q_learning", "envs.grid:MyGrid-v0", *RUN, code=2)
    reason = f"envs.grid cannot be imported: ZeroDivisionError: division by zero ({project}/envs/__init__.py, line 2)"
    assert done.stderr == f"engram: environment envs.grid:MyGrid-v0: {reason}\n"
