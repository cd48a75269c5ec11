"""Tests of the parser of command lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from simulator.commands import main, run
from simulator.commands.parsing.command import Options
from simulator.commands.parsing.help import help_text, player_help
from simulator.commands.parsing.parser import ParsedWords, parse
from simulator.config.validation import Setting, settings
from tests.helpers.commands import Engram
from tests.helpers.toys import PATH

USAGE = "engram run AGENT ENV"
KNOWN = [each for each in settings(Options) if each.name not in ("agent", "env")]
TABLES = ("agent", "env")


def words(*typed: str) -> ParsedWords:
    return parse(typed, KNOWN, TABLES)


def refusal(*typed: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        words(*typed)
    return str(caught.value)


def test_names_and_options_may_stand_in_any_order() -> None:
    expected = ParsedWords(["a", "b"], {"lab": "x", "json": True}, {"agent": {"rate": "2"}})
    for typed in ("a b --lab x --json --agent.rate 2", "--json a --agent.rate=2 b --lab=x", "--lab x --json a -- b"):
        own = expected.players if "rate" in typed else {}
        assert words(*typed.split()) == expected._replace(players=own)


def test_any_text_is_a_value() -> None:
    for text in ("-1", "-inf", "", "None", "a b", "é", "=", "{}", "--lab"):
        assert words(f"--agent.title={text}").players == {"agent": {"title": text}}
    assert words("--agent.shift", "-1e3").players == {"agent": {"shift": "-1e3"}}
    assert words("--agent.step_size", "1", "--agent.step-size", "2").players == {"agent": {"step_size": "2"}}
    assert words("--agent.inner.level", "1", "--env.inner.level", "2").players == {
        "agent": {"inner": {"level": "1"}},
        "env": {"inner": {"level": "2"}},
    }


def test_a_switch_needs_no_value_and_takes_no_name_for_one() -> None:
    assert words("--json", "a").names == ["a"]
    assert words("--json=true", "a").options == {"json": True}
    assert words("--json=false", "a") == ParsedWords(["a"], {}, {})
    assert refusal("--json=2") == "--json 2: expected true or false"


def test_a_list_takes_the_words_up_to_the_next_option() -> None:
    known = [*KNOWN, Setting("sizes", tuple[int, ...], (), "")]
    for typed in (
        "--sizes 1 2 --agents a b --json",
        "--sizes=1,2 --json --agents=a,b",
        "--agents a,b --json --sizes 1 2",
    ):
        assert parse(typed.split(), known, ()).options == {"sizes": (1, 2), "agents": ("a", "b"), "json": True}
    with pytest.raises(ValueError, match=r"^--sizes 1 x: expected a list, each a whole number$"):
        parse(["--sizes", "1", "x"], known, ())


def test_any_setting_of_a_player_is_taken() -> None:
    typed = words("--env.kwargs.map_name", "8x8", "--env.kwargs.is-slippery=false", "--agent.x.z", "2", "a")
    assert typed.players == {"env": {"kwargs": {"map_name": "8x8", "is_slippery": "false"}}, "agent": {"x": {"z": "2"}}}
    assert words("--agent.kwargs", "{a = 1}").players == {"agent": {"kwargs": "{a = 1}"}}
    assert refusal("--env.kwargs.a") == "--env.kwargs.a: expected a value after it"
    assert refusal("--env.kwargs..a", "1").startswith("--env.kwargs..a: unknown option")


def test_a_setting_and_one_below_it_exclude_each_other() -> None:
    for typed in (("--agent.a", "5", "--agent.a.b", "6"), ("--agent.a.b", "5", "--agent.a", "6")):
        error = refusal(*typed)
        assert error.startswith(f"{typed[2]}: ")
        assert error.endswith("expected one or the other")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--sede 3 a b", "--sede: unknown option"),
        ("--vew none", "--vew: unknown option; did you mean --view?"),
        ("--agnet.rate 3", "--agnet.rate: unknown option; did you mean --agent.rate?"),
        ("--agent 3", "--agent: unknown option, expected --agent.SETTING"),
        ("a -1", "-1: unknown option"),
        ("--lab --json", "--lab: expected a value after it"),
        ("--output", "--output: expected a value after it"),
        ("a b --agent.inner.level", "--agent.inner.level: expected a value after it"),
        ("--agents --json", "--agents: expected a value after it"),
        ("--memory.x 3", "--memory.x: unknown option"),
    ],
)
def test_an_error_names_the_option(typed: str, line: str) -> None:
    assert refusal(*typed.split()).startswith(line)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--agent.rat=3", "--agent.rat: unknown option; did you mean --agent.rate?"),
        ("--agent.iner.level 3", "--agent.iner: unknown option; did you mean --agent.inner?"),
        ("--agent.inner.levl 3", "--agent.inner.levl: unknown option; did you mean --agent.inner.level?"),
        ("--agent.inner 3", "--agent.inner 3: expected a table of settings"),
        ("--env.kwarg.a 3", "--env.kwarg: unknown option; did you mean --env.kwargs?"),
    ],
)
def test_an_unknown_setting_of_a_player_is_named(typed: str, line: str, engram: Engram) -> None:
    assert engram("run", PATH, PATH, *typed.split(), code=2).err == f"engram: {line}\n"


def test_a_file_that_can_be_read_only_once_names_the_players(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram
) -> None:
    reader, writer = os.pipe()
    os.write(writer, f'[agent]\nname = "{PATH}"\n[env]\nname = "{PATH}"\n'.encode())
    os.close(writer)
    begun: list[Any] = []
    monkeypatch.setattr(run, "begin", lambda config, *more: begun.append(config) or (None, 0))
    engram("run", "--config", f"/dev/fd/{reader}", "--agent.rate", "3", "--lab", str(tmp_path))
    os.close(reader)
    assert (begun[0].agent, begun[0].agent_settings.rate) == (PATH, 3.0)


def test_help_has_no_colours_and_a_title_for_every_table() -> None:
    text = help_text(USAGE, "description", KNOWN, [player_help(("agent",), "agents", PATH)])
    assert "\x1b" not in text
    assert text.startswith(f"usage: {USAGE} [options]\n\ndescription\n")
    assert f"settings of the agent {PATH}:" in text
    assert "agent.inner: " in text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("columns", ["1", "5", "20", "33"])
def test_help_ends_on_the_narrowest_terminal(columns: str, monkeypatch: pytest.MonkeyPatch, engram: Engram) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in main.COMMANDS:
        assert "--max-file-mb" in engram(command, "--help").out
    assert engram("run", "--seeds", code=2).err == "engram: --seeds: expected a value after it\n"
    assert os.environ["COLUMNS"] == columns


def test_help_of_our_players_is_kept_until_a_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = player_help(("agent",), "agents", "random-walk")
    (kept,) = tmp_path.rglob("*.json")
    with monkeypatch.context() as nothing_is_imported:
        nothing_is_imported.setattr("simulator.core.registry.load", None)
        assert player_help(("agent",), "agents", "random_walk") == first
    for text in ("{}", '{"state": 0}', "[]", "", kept.read_text().replace('"state": "', '"state": "x')):
        kept.write_text(text)
        assert player_help(("agent",), "agents", "random_walk") == first
