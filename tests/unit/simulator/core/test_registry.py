"""Tests of the registry: names, dotted paths, and errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from simulator.config import sockets
from simulator.core import registry
from simulator.core.registry import UnknownNameError, description_of, load, names, suggestions, unknown_name_message

PLAYER = """
from dataclasses import dataclass
from types import SimpleNamespace

@dataclass(frozen=True)
class Config:
    size: int = 3

def make(spec, seeds, config):
    methods = dict.fromkeys(("act", "learn", "policy", "state", "restore"), print)
    return SimpleNamespace(made=(spec, seeds, config), **methods)
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a package ``my_lab`` that can be imported, and forget it afterwards."""
    folder = tmp_path / "my_lab"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


def line_of(kind: str, name: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        load(kind, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_a_player_and_parts_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    for path in (
        "agents/b.py",
        "agents/a_c.py",
        "agents/_x.py",
        "agents/parts/d.py",
        "envs/patterns/e.py",
        "envs/f.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('"""A first line.\n\nMore."""\n')
    assert names("agents") == ("a_c", "b")
    assert names("challenges") == ("e",)
    assert names("envs") == ("f",)
    assert names("memories") == names("components") == ()
    assert description_of("agents", "b") == "A first line."


def test_listing_names_imports_no_player() -> None:
    code = "import sys; from simulator.core import registry\nfor k in registry.FOLDERS: registry.names(k)\n"
    code += "print([m for m in sys.modules if m.split('.')[0] in ('agents', 'envs', 'memory', 'numpy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_registered_player_has_settings_and_make() -> None:
    for kind in registry.FOLDERS:
        for name in names(kind):
            player = load(kind, name)
            assert (player.kind, player.name) == (kind, name)
            assert player.Config() == player.Config()
            assert description_of(kind, name)


def test_hyphens_are_underscores() -> None:
    assert load("agents", "q-learning") == load("agents", "q_learning")


def test_another_name_of_a_player_loads_it_and_is_not_listed() -> None:
    for kind, aliases in registry.ALIASES.items():
        for alias, name in aliases.items():
            assert load(kind, alias) == load(kind, name)
            assert alias not in names(kind)


def test_a_dotted_path_stands_for_a_name(lab: Path) -> None:
    (lab / "agent.py").write_text(PLAYER)
    player = load("agents", "my_lab.agent")
    assert player.name == "my_lab.agent"
    assert player.make("spec", [3], player.Config()).made == ("spec", [3], player.Config(size=3))


def test_a_distribution_announces_a_player(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab / "agent.py").write_text(PLAYER)
    announced = [EntryPoint("their-agent", "my_lab.agent", "engram.agents")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: announced * (group == "engram.agents"))
    assert "their_agent" in names("agents")
    assert load("agents", "their_agent").name == load("agents", "their-agent").name == "their-agent"
    with pytest.raises(UnknownNameError):
        load("envs", "their_agent")


def test_a_distribution_announces_a_component(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab / "cell.py").write_text(f'"""A cell of another distribution."""\nSOCKETS = ("recurrence",)\n{PLAYER}')
    (lab / "broken.py").write_text("x = (")
    announced = [
        EntryPoint(name, f"my_lab.{file}", "engram.components")
        for name, file in (("their-cell", "cell"), ("no-cell", "broken"), ("gone-cell", "gone"))
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: announced * (group == "engram.components"))
    before = set(sys.modules)
    assert {"their_cell", "no_cell", "gone_cell"} < set(names("components"))
    assert description_of("components", "their-cell") == "A cell of another distribution."
    assert sockets.fitting("recurrence") == ["elman", "gru", "lstm", "their_cell"]
    assert "my_lab.cell" not in set(sys.modules) - before
    assert sockets.find("their-cell", "recurrence", "agent.recurrence").name == "their-cell"
    with pytest.raises(ValueError, match="'\\(' was never closed"):
        sockets.find("no-cell", "recurrence", "agent.recurrence")
    with pytest.raises(ValueError, match="gone"):
        sockets.find("gone-cell", "recurrence", "agent.recurrence")


def test_a_gymnasium_id_is_an_env_with_its_maker_bound() -> None:
    player = load("envs", "FrozenLake-v1")
    env = player.make([3, 4], player.Config())
    assert (player.name, env.spec.id) == ("FrozenLake-v1", "FrozenLake-v1")
    assert env.reset().shape == (2,)


BROKEN = [
    ("x = (", "SyntaxError: '(' was never closed (", "agent.py, line 1)"),
    ("\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (", "agent.py, line 2)"),
    ("import math\n\nmath.sqrt('4')", "TypeError: must be real number, not str (", "agent.py, line 3)"),
    ("def make(): ...", "is no agent: Config is missing", "a function named make"),
    ("Config = 3\ndef make(): ...", "is no agent: Config is missing or of the wrong kind", "a function named make"),
    ("class Config: ...\ndef make(): ...", "is no agent: Config is missing or of the wrong kind", "named make"),
    (PLAYER.replace("def make", "def build"), "is no agent: make is missing", "a function named make"),
]


@pytest.mark.parametrize(("text", "reason", "end"), BROKEN)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(lab: Path, text: str, reason: str, end: str) -> None:
    (lab / "agent.py").write_text(text)
    line = line_of("agents", "my_lab.agent")
    assert "my_lab/agent.py" in line
    assert reason in line
    assert line.endswith(end)


def test_a_package_that_fails_to_import_is_named(lab: Path) -> None:
    (lab / "__init__.py").write_text("1 / 0")
    assert "my_lab.agent cannot be imported: ZeroDivisionError: division by zero" in line_of("agents", "my_lab.agent")


def test_unknown_names_come_with_the_nearest() -> None:
    assert line_of("agents", "q_lerning") == "unknown agent 'q_lerning'; did you mean q_learning? (engram list agents)"
    assert line_of("agents", "Q-Learnin") == "unknown agent 'Q-Learnin'; did you mean q_learning? (engram list agents)"
    assert line_of("agents", "zzz") == "unknown agent 'zzz' (engram list agents)"
    assert line_of("agents", "no.such.module") == "unknown agent 'no.such.module' (engram list agents)"
    assert line_of("memories", "") == "unknown memory '' (engram list memories)"
    assert "did you mean FrozenLake-v1" in line_of("envs", "FrozenLak-v1")


def test_near_misses_ignore_case_and_hyphens_and_long_names_are_cut() -> None:
    assert suggestions("Cart-Pole", ["cart_pole", "acrobot"]) == ["cart_pole"]
    assert suggestions("abcdef", ["abcdeg", "abcdeh", "abcdei", "abcdej"]) == ["abcdej", "abcdei", "abcdeh"]
    assert len(unknown_name_message("agent", "x" * 10_000, [])) < 90
