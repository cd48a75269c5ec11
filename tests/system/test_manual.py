"""Tests of the manual: the files that its guides show run as they stand there, and every player has a page."""

from __future__ import annotations

import re
import shlex

import pytest

from simulator.commands import main
from simulator.core.registry import names
from tests.helpers.commands import Engram
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("clean_folder")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("--seeds", "2", "--steps", "300", "--eval-episodes", "2", "--view", "none", "--json")


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / page).read_text("utf-8")) if kind == language]


def write(clean_folder, page: str) -> None:
    """Write the guide's file under the name by which the guide calls it."""
    text = (ROOT / page).read_text("utf-8")
    (name,) = set(re.findall(r"`(my_\w+\.py)`", text))
    (clean_folder / name).write_text(blocks(page, "python")[0])


def test_the_agent_of_the_guide_learns(clean_folder, engram: Engram) -> None:
    write(clean_folder, "docs/guides/own-agent.md")
    assert engram("run", "./my_agent.py", "CartPole-v1", "--agent.epsilon", "0.2", *RUN).json["exact"]


def test_the_env_of_the_guide_is_learned(clean_folder, engram: Engram) -> None:
    write(clean_folder, "docs/guides/own-env.md")
    words = ["run", "q_learning", "./my_env.py:Walk", "--env.kwargs.length", "4", "--env.max_steps", "50"]
    summary = engram(*words, *RUN).json
    assert summary["exact"]
    assert summary["evaluation"]["iqm"] > -15.0


@pytest.mark.slow
def test_the_python_of_the_guide_runs_from_top_to_bottom(clean_folder, engram: Engram, monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    page = "docs/guides/python.md"
    space: dict[str, object] = {}
    for text in blocks(page, "python"):
        if "policy.npz" in text:
            (command,) = blocks(page, "sh")
            engram(*command.split()[1:])
        exec(text, space)
    assert (clean_folder / "curve.png").stat().st_size > 1_000
    assert space["table"]["ranking"][0]["contestant"] in ("slow", "td")  # type: ignore[index]
    assert space["act"](space["policy"], 2) in range(6)  # type: ignore[operator]


def test_the_memory_of_the_guide_recalls_known_units(clean_folder, engram: Engram) -> None:
    write(clean_folder, "docs/guides/own-memory.md")
    words = ["recall", "./my_memory.py", "nearest_neighbor", "digits", "--patterns", "3", "--seeds", "2"]
    words += ["--corruption", "hide:0.5", "--memory.my_memory.threshold", "0.2", "--view", "none", "--json"]
    own, nearest = engram(*words).json["cells"]
    assert 0.3 < own["overlap"]["mean"] < nearest["overlap"]["mean"]


@pytest.mark.parametrize("kind", ["agents", "components", "memories"])
def test_every_player_has_a_page_in_the_navigation(kind: str) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [f"{kind}/{name}.md" for name in names(kind)]
    assert [page for page in pages if page not in navigation or not (ROOT / "docs" / page).is_file()] == []


@pytest.mark.parametrize("page", ["commands", "json"])
def test_every_command_is_in_the_manual(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    places = re.findall(r"^## (.+)$|^\| (`\w+`.*?) \|", text, re.MULTILINE)  # headings, and first cells of tables
    described = {word for place in places for word in re.findall(r"\w+", " ".join(place))}
    assert sorted(set(main.COMMANDS) - described) == []


@pytest.mark.parametrize("page", ["lecture-notes", "seeing-memories"])
def test_commands_of_a_guide_are_taken(page: str) -> None:
    text = (ROOT / "docs" / "guides" / f"{page}.md").read_text("utf-8")
    lines = re.findall(r"`(engram [^`]+)`|^(engram .+)$", text, re.MULTILINE)
    assert len(lines) > 5
    for line in (inline or whole for inline, whole in lines):
        _, name, *words = shlex.split(line)
        command = main.command_of(name)
        args = main.parsed_args(command, words)
        low, high = command.names
        assert low <= len(args.names) <= high, line
        if command.players is not None and "patterns_from" not in args.given:
            command.players(args)  # finds everybody who is named
