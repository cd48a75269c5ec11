"""Tests of players from Python files: ``./my_agent.py``, ``./grid.py:MyGrid-v0``, wherever a name stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import simulator
from simulator.core import registry
from simulator.core.foreign import python_files
from tests.helpers.commands import Engram

AGENT = """
from agents.random_walk import Config
from agents.random_walk import make as make_ours
from helper import NAME

def make(spec, seeds, config):
    return make_ours(spec, seeds, config)
"""
GRID = """
import gymnasium as gym
from helper import LENGTH

class MyGrid(gym.Env):
    observation_space = gym.spaces.Discrete(LENGTH)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return 0, {}

    def step(self, action):
        self.at += 1
        return min(self.at, LENGTH - 1), float(LENGTH), self.at == LENGTH, False, {}

gym.register("MyGrid-v0", entry_point=MyGrid, max_episode_steps=20)
"""
HELPER = "NAME = 'mine'\nLENGTH = 3\n"
MEMORY = "from memory.nearest_neighbor import Config, make\n"
CHALLENGE = "from envs.patterns.random_bits import Config, make\n"
POLICY = "from helper import LENGTH\n\ndef act(obs):\n    return LENGTH % 2\n"
RUN = ("--seeds", "2", "--steps", "40", "--eval-episodes", "1", "--view", "none", "--json")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a user's folder and work in it; its modules are forgotten afterwards."""
    files = {
        "my-agent 2.py": AGENT,
        "envs/grid.py": GRID,
        "envs/helper.py": HELPER,
        "helper.py": HELPER,
        "my_memory.py": MEMORY,
        "bits.py": CHALLENGE,
        "policy.py": POLICY,
    }
    for name, text in files.items():
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "project" / name).write_text(text)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr("sys.path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path / "project"
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def line_of(kind: str, name: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        registry.load(kind, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("env", ["MyGrid-v0", "MyGrid"])
def test_a_run_is_stored_so_that_it_can_be_played_from_anywhere(
    project: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram, env: str
) -> None:
    lab = ("--lab", str(project / "lab"))
    run = engram("run", "./my-agent 2.py", f"./envs/grid.py:{env}", *RUN, *lab).json
    assert run["agent"] == str(project / "my-agent 2.py")
    assert run["env"] == f"{project}/envs/grid.py:{env}"
    assert run["evaluation"]["iqm"] == 9.0
    monkeypatch.chdir("/")
    assert engram("reproduce", "r1", *lab, "--json").json["identical"]
    assert engram("resume", "r1", *lab, "--json", "--view", "none").json["status"] == "done"


def test_a_file_that_is_gone_leaves_its_runs_to_be_shown(project: Path, engram: Engram) -> None:
    engram("run", "./my-agent 2.py", "rooms", *RUN)
    (project / "my-agent 2.py").unlink()
    assert engram("show", "r1", "--json").json["steps"] == 40
    engram("report", "r1")
    error = engram("resume", "r1", code=2).err
    assert f"settings of r1: {project}/my-agent 2.py: no such file" in error


def test_files_of_settings_and_calls_take_paths(project: Path, engram: Engram) -> None:
    (project / "run.toml").write_text("[agent]\nname = './my-agent 2.py'\n[env]\nname = './envs/grid.py:MyGrid'\n")
    assert engram("run", "--config", "run.toml", *RUN).json["agent"] == f"{project}/my-agent 2.py"
    found = simulator.run(f"{project}/my-agent 2.py", "../project/envs/grid.py:MyGrid", steps=40, eval_episodes=1)
    assert found.evaluation.tolist() == [9.0] * 8


def test_a_path_may_begin_with_the_home_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project))
    assert registry.load("memories", "~/my_memory.py").name == f"{project}/my_memory.py"


def test_memories_and_challenges(project: Path, engram: Engram) -> None:
    words = ("--seeds", "2", "--patterns", "3", "--challenge.n-units", "32", "--view", "none", "--json")
    found = engram("recall", "./my_memory.py", "other=./my_memory.py", "nearest_neighbor", "./bits.py", *words).json
    cells = found["cells"]
    assert [each["memory"] for each in cells] == ["my_memory", "other", "nearest_neighbor"]
    assert cells[0]["overlap"] == cells[1]["overlap"] == cells[2]["overlap"]


def tournament(engram: Engram, *words: str) -> str:
    """Run a tournament of files and return the line with its number of cells."""
    named = ("--agents", "./my-agent 2.py", "python:./policy.py:act", "--envs", "./envs/grid.py:MyGrid")
    done = engram("tournament", *named, *RUN, "--n-bootstrap", "100", "--workers", "1", *words)
    assert done.json["cells"]["failed"] == 0
    return next(line for line in done.err.splitlines() if line.startswith("t"))


@pytest.mark.slow
def test_cells_know_files_by_what_they_hold(project: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram) -> None:
    lab = str(project.parent / "lab")
    assert tournament(engram, "--lab", lab) == "t1: 2 cells"
    moved = project.rename(project.with_name("elsewhere"))
    monkeypatch.chdir(moved)
    assert tournament(engram, "--lab", lab).endswith(": 2 cells, 2 of them stored already")
    Path("my-agent 2.py").write_text(AGENT + "\n# another line\n")
    assert tournament(engram, "--lab", lab).endswith(": 2 cells, 1 of them stored already")
    Path("envs/grid.py").write_text(GRID + "\n# another line\n")
    assert tournament(engram, "--lab", lab).endswith(": 2 cells")


@pytest.mark.slow
def test_cells_know_what_registers_an_id_by_what_it_holds(project: Path, engram: Engram) -> None:
    (project / "my_grid.py").write_text(GRID.replace("entry_point=MyGrid", "entry_point='my_grid_class:MyGrid'"))
    (project / "my_grid_class.py").write_text(GRID.partition("gym.register")[0])
    words = ("--agents", "q_learning", "--envs", "my_grid:MyGrid-v0", *RUN, "--n-bootstrap", "100", "--workers", "1")

    def said() -> str:
        return next(line for line in engram("tournament", *words).err.splitlines() if line.startswith("t"))

    assert said() == "t1: 1 cell"
    assert said() == "t1: 1 cell, 1 of them stored already"
    for file in ("my_grid.py", "my_grid_class.py"):
        (project / file).write_text((project / file).read_text() + "\n# another line\n")
        assert said() == "t1: 1 cell"


@pytest.mark.slow
def test_cells_know_what_their_files_import_by_what_it_holds(project: Path, engram: Engram) -> None:
    (project / "parts").mkdir()
    for name, text in {"__init__": "", "sizes": "from . import units\n", "units": "UNIT = 1\n"}.items():
        (project / "parts" / f"{name}.py").write_text(text)
    (project / "policy.py").write_text("import parts.sizes\n" + POLICY)
    (project / "t.toml").write_text(
        'seeds = 2\nsteps = 40\neval_episodes = 1\nn_bootstrap = 100\n[agent.walk]\nname = "random_walk"\n'
        '[agent.rule]\nname = "python:policy.py:act"\n[env.grid]\nname = "./envs/grid.py:MyGrid-v0"\n'
    )

    def said() -> str:
        status = engram("tournament", "t.toml", "--workers", "1", "--view", "none", "--json").err
        return next(line for line in status.splitlines() if line.startswith("t1:"))

    assert said() == "t1: 2 cells"
    assert said() == "t1: 2 cells, 2 of them stored already"
    (project / "parts" / "units.py").write_text("UNIT = 2\n")
    assert said() == "t1: 2 cells, 1 of them stored already"
    (project / "envs" / "helper.py").write_text(HELPER.replace("3", "4"))
    assert said() == "t1: 2 cells"


def test_players_of_games(project: Path, engram: Engram) -> None:
    words = ("--players", "./my-agent 2.py", "tit-for-tat", "--games", "iterated_matrix", *RUN, "--n-bootstrap", "100")
    found = engram("tournament", *words, "--workers", "1").json
    assert found["cells"]["failed"] == 0
    assert {each["contestant"] for each in found["ranking"]} == {"my-agent_2", "tit-for-tat"}


def test_files_of_one_name_and_one_id_never_meet(project: Path) -> None:
    for folder, length in (("one", 3), ("two", 4)):
        (project / folder).mkdir()
        (project / folder / "grid.py").write_text(GRID)
        (project / folder / "helper.py").write_text(f"LENGTH = {length}")
    players = [registry.load("envs", f"./{folder}/grid.py:MyGrid-v0") for folder in ("one", "two", "one")]
    envs = [player.make([0], player.Config()) for player in players]
    assert [env.spec.observation.n for env in envs] == [3, 4, 3]
    assert [env.spec.id for env in envs] == [f"{project}/{each}/grid.py:MyGrid-v0" for each in ("one", "two", "one")]


@pytest.mark.slow
def test_a_changed_file_is_loaded_again(project: Path) -> None:
    file = project / "agent.py"
    file.write_text("X = 1\n")
    was = file.stat()
    one = python_files.load(file)
    assert python_files.load(file) is one
    file.write_text("X = 2\n")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # as within one tick of a clock
    assert (one.X, python_files.load(file).X) == (1, 2)


def test_installed_modules_are_not_replaced_by_files_beside_a_player(project: Path) -> None:
    import numpy

    import envs.rooms

    (project / "numpy.py").write_text("")
    (project / "envs" / "rooms.py").write_text("")
    (project / "other.py").write_text("import numpy, envs.rooms\n")
    module = python_files.load(project / "other.py")
    assert (module.numpy, module.envs.rooms) == (numpy, envs.rooms)


def test_a_users_file_with_a_name_of_ours_is_loaded_by_its_path(project: Path) -> None:
    (project / "envs" / "rooms.py").write_text(GRID)
    player = registry.load("envs", "./envs/rooms.py:MyGrid")
    assert player.make([0], player.Config()).spec.observation.n == 3
    assert registry.load("envs", "rooms").module.__file__ == str(registry.ROOT / "envs" / "rooms.py")


REFUSED = {
    "./no.py": "./no.py: no such file, expected a Python file (.py)",
    "../no.py:MyGrid": "../no.py: no such file, expected a Python file (.py)",
    "./envs": "./envs: it is a folder, expected a Python file (.py)",
    "./folder.py": "./folder.py: it is a folder, expected a Python file (.py)",
    "./pipe.py": "./pipe.py: it is a pipe, expected a Python file (.py)",
    "./text.txt": "./text.txt: expected a Python file (.py)",
    "./loop.py": "./loop.py: no path of a file (Symlink loop from '{}/loop.py'), expected another",
    "./a\nb.py": "./a\\nb.py: no such file, expected a Python file (.py)",
    "./broken.py": "{}/broken.py cannot be imported: ZeroDivisionError: division by zero ({}/broken.py, line 3)",
    "./beside.py": "{}/beside.py cannot be imported: ZeroDivisionError: division by zero ({}/broken.py, line 3)",
    "./ends.py": "{}/ends.py cannot be imported: SystemExit: 3 ({}/ends.py, line 2)",
    "./syntax.py": "{}/syntax.py cannot be imported: SyntaxError: '(' was never closed ({}/syntax.py, line 1)",
    "./missing.py": "{}/missing.py cannot be imported: ModuleNotFoundError: No module named 'no_such' ({}/missing.py, "
    "line 1)",
    "./helper.py": "{}/helper.py is no agent: make is missing or of the wrong kind, expected a dataclass named Config "
    "and a function named make",
    "./helper.py:X": "{}/helper.py:X: expected the path of a file alone, without :X",
    "helper.py": "{}/helper.py is no agent: make is missing or of the wrong kind, expected a dataclass named Config "
    "and a function named make",
    "helper": "unknown agent 'helper'; did you mean helper.py? (a file's name ends in .py)",
    "no.py": "no.py: no such file, expected a Python file (.py)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_player_is_refused_in_one_line(project: Path, name: str) -> None:
    texts = {
        "broken.py": "\n\n1 / 0\n",
        "beside.py": "import broken\n",
        "ends.py": "import sys\nsys.exit(3)\n",
        "syntax.py": "x = (\n",
        "missing.py": "import no_such\n",
        "text.txt": "",
    }
    for file, text in texts.items():
        (project / file).write_text(text)
    (project / "folder.py").mkdir()
    os.mkfifo(project / "pipe.py")
    (project / "loop.py").symlink_to("loop.py")
    assert line_of("agents", name) == REFUSED[name].replace("{}", str(project))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("a.py", True), ("b/a.py:Grid-v0", True), ("./a", True), ("mine=a.py", False), ("python:a.py:act", False)),
        *(("a.b", False), ("a.pyx", False), ("module:a.py", False)),
    ],
)
def test_a_name_that_ends_in_py_is_a_path(name: str, is_one: bool) -> None:
    assert python_files.is_path(name) is is_one


def test_the_only_env_of_a_file_needs_no_name(project: Path) -> None:
    assert registry.load("envs", "envs/grid.py").name == f"{project}/envs/grid.py:MyGrid-v0"
    (project / "base.py").write_text("import gymnasium\nclass Base(gymnasium.Env): pass\nclass Line(Base): pass\n")
    assert registry.load("envs", "base.py").name == f"{project}/base.py:Line"


def test_envs_of_a_file_are_offered(project: Path) -> None:
    with (project / "envs" / "grid.py").open("a") as file:
        file.write('\ngym.register("Other-v0", entry_point=MyGrid)\n')
    expected = "expected FILE.py:NAME, an id that it registers or a class of gymnasium.Env; it has"
    expected += " MyGrid, MyGrid-v0, Other-v0"
    assert line_of("envs", "./envs/grid.py") == f"{project}/envs/grid.py: {expected}"
    assert line_of("envs", "./envs/grid.py:My") == (
        f"environment {project}/envs/grid.py:My: no environment is called My there; {expected}"
    )
    assert line_of("envs", "./helper.py:X").endswith("it has none")
    assert not [each for each in registry.candidates("envs") if each.startswith(python_files.PREFIX)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/me/grid.py:MyGrid-v0", "grid.py:MyGrid-v0"),
        ("./envs/my_agent.py", "my_agent.py"),
        ("python:a/b.py:f", "python:a/b.py:f"),
        ("q_learning", "q_learning"),
    ],
)
def test_a_path_is_shown_without_its_folder(name, shown):
    assert python_files.without_folder(name) == shown
