"""Tests of names of a user's own files: dotted names of environments, and files of another kind."""

from __future__ import annotations

import pytest

from simulator.core import registry


@pytest.fixture
def own_files(clean_folder, engram, monkeypatch):
    monkeypatch.syspath_prepend(clean_folder)
    package = clean_folder / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for kind in ("agent", "memory", "env"):
        engram("new", kind, f"own_package/own_{kind}")
    return package


def test_a_dotted_name_is_an_environment_of_gymnasium(own_files):
    for name in ("own_package.own_env", "own_package.own_env:OwnEnv"):
        player = registry.load("envs", name)
        assert player.name == f"{own_files / 'own_env.py'}:OwnEnv"
        assert player.make([0], player.Config()).spec.action.n == 2


def test_a_file_of_another_kind_says_which(own_files, engram):
    agent, memory = (own_files / f"own_{kind}.py" for kind in ("agent", "memory"))
    said = f"{memory}: expected an agent; OwnMemory is a memory: engram recall {memory} CHALLENGE"
    assert engram("run", str(memory), "rooms", code=2).error == said
    said = f"{agent}: expected a memory; OwnAgent is an agent: engram run {agent} ENV"
    assert said in engram("recall", str(agent), "digits", code=2).error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "cannot be imported: SyntaxError"),
        ("from simulator import per_seed\nmake = per_seed(int)", "int has neither"),
    ],
)
def test_a_check_says_why_a_file_cannot_be_loaded(clean_folder, engram, text, said):
    (clean_folder / "broken.py").write_text(text)
    assert said in engram("check", "broken.py", code=2).error
