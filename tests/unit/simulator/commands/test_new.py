"""Tests of ``engram new``: files that run, names, and what is never overwritten."""

from __future__ import annotations

import ast

import pytest

from simulator.commands import new
from simulator.core import registry
from simulator.core.foreign.kinds import kind_of_source

KINDS = {"agent": "agents", "memory": "memories", "env": "envs", "component": "components"}


@pytest.mark.parametrize("kind", new.KINDS)
def test_a_new_file_is_a_player_of_its_kind_and_name(clean_folder, engram, kind):
    found = engram("new", kind, "red-fox", "--json").json
    assert (found["file"], found["kind"], found["class"]) == ("red_fox.py", kind, "RedFox")
    text = (clean_folder / "red_fox.py").read_text()
    assert text.startswith('"""Red fox: ')
    assert "my_" not in text
    assert kind_of_source(clean_folder / "red_fox.py") == KINDS[kind]
    player = registry.load(KINDS[kind], "red_fox.py")
    assert player.Config() == player.Config()
    assert all("red_fox.py" in line for line in found["next"])


@pytest.mark.parametrize("kind", new.KINDS)
def test_a_template_has_at_most_thirty_lines_of_code(kind):
    text = (new.TEMPLATES / f"{kind}.py").read_text()
    docs = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [line.strip() for n, line in enumerate(text.splitlines(), 1) if n not in docs]
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= 30


def test_a_file_that_is_there_is_replaced_by_force_only(clean_folder, engram):
    (clean_folder / "mine.py").write_text("precious = 1\n")
    assert engram("new", "agent", "mine", code=2).error == (
        "mine.py already exists, expected another name, or --force to replace it"
    )
    assert (clean_folder / "mine.py").read_text() == "precious = 1\n"
    engram("new", "agent", "mine.py", "--force")
    assert "class Mine" in (clean_folder / "mine.py").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agnt", "x"], "unknown kind 'agnt'; did you mean agent? (expected one of agent, memory, env, component)"),
        (["agent", "1x"], "1x: expected a name of letters, digits and _ such as my_agent"),
        (["env", "class"], "class: expected a name of letters, digits and _ such as my_env"),
        (
            ["agent", "no/where"],
            "no/where.py: cannot be written (No such file or directory), expected a place that can",
        ),
        (["agent", "-"], "-: nothing is written to stdout, expected a path, ./- for a file of that name"),
    ],
)
def test_names_that_cannot_be_are_refused(clean_folder, engram, words, said):
    assert engram("new", *words, code=2).error == said
    assert list(clean_folder.iterdir()) == []
