from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from simulator.commands import main
from simulator.commands.command import Options, parse
from simulator.commands.main import COMMANDS
from simulator.commands.parser import ParsedArgs, read, show_help
from simulator.config.validation import settings
from simulator.core.registry import load
from tests.simulator.toys import PATH

USAGE = "engram run AGENT ENV"
KNOWN = [each for each in settings(Options) if each.name not in ("agent", "env")]
TOYS = {table: load(f"{table}s", PATH) for table in ("agent", "env")}


def words(*typed: str) -> ParsedArgs:
    return read(USAGE, typed, KNOWN, TOYS)


def refusal(*typed: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        words(*typed)
    return str(caught.value)


def test_names_and_flags_may_stand_in_any_order() -> None:
    expected = ParsedArgs(["a", "b"], {"lab": "x", "json": True}, {"agent": {"rate": "2"}})
    for typed in ("a b --lab x --json --agent.rate 2", "--json a --agent.rate=2 b --lab=x", "--lab x --json a -- b"):
        own = expected.own if "rate" in typed else {}
        assert words(*typed.split()) == expected._replace(own=own)


def test_a_flag_is_a_text_whatever_it_says() -> None:
    for text in ("-1", "-inf", "", "None", "a b", "é", "=", "{}", "--lab"):
        assert words(f"--agent.title={text}").own == {"agent": {"title": text}}
    assert words("--agent.shift", "-1e3").own == {"agent": {"shift": "-1e3"}}
    assert words("--agent.step_size", "1", "--agent.step-size", "2").own == {"agent": {"step_size": "2"}}
    assert words("--agent.inner.level", "1", "--env.inner.level", "2").own == {
        "agent": {"inner": {"level": "1"}},
        "env": {"inner": {"level": "2"}},
    }


def test_a_switch_needs_no_value_and_takes_no_name_for_one() -> None:
    assert words("--json", "a").names == ["a"]
    assert words("--json=true", "a").options == {"json": True}
    assert words("--json=false", "a") == ParsedArgs(["a"], {}, {})
    assert refusal("--json=2") == "--json 2: expected true or false"


def test_a_table_of_free_keys_takes_any_flag_below_it() -> None:
    typed = words("--env.kwargs.map_name", "8x8", "--env.kwargs.is-slippery=false")
    assert typed.own == {"env": {"kwargs": {"map_name": "8x8", "is_slippery": "false"}}}
    assert words("--agent.kwargs", "{a = 1}").own == {"agent": {"kwargs": "{a = 1}"}}
    assert refusal("--env.kwargs.a") == "--env.kwargs.a: expected a value after it"
    assert refusal("--env.kwargs..a", "1").startswith("--env.kwargs..a: no such flag")


def test_any_flag_of_a_player_not_known_yet_is_taken() -> None:
    typed = ["--agent.x.y", "1", "--agent.x.z", "2", "a"]
    given = read(USAGE, typed, [], {"agent": None})
    assert given == ParsedArgs(["a"], {}, {"agent": {"x": {"y": "1", "z": "2"}}})
    for typed, line in (
        (["--agent.a", "5", "--agent.a.b", "6"], "--agent.a.b: a was given a value already, expected one or the other"),
        (
            ["--agent.a.b", "5", "--agent.a", "6"],
            "--agent.a: settings of a were given already, expected one or the oth",
        ),
        (["--env.a", "5"], "--env.a: no such flag, expected --NAME or --agent.SETTING"),
    ):
        with pytest.raises(ValueError, match=line):
            read(USAGE, typed, [], {"agent": None})


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--sede 3 a b", "--sede: no such flag, expected --NAME or --agent.SETTING or --env.SETTING"),
        ("--agent.rat=3 a b", "--agent.rat: no such flag; did you mean --agent.rate?"),
        ("--agent.iner.level 3", "--agent.iner.level: no such flag; did you mean --agent.inner.level?"),
        ("--agent.inner.levl 3", "--agent.inner.levl: no such flag; did you mean --agent.inner.level?"),
        ("--agent.rate.x 3", "--agent.rate.x: no such flag"),
        ("--agent.inner 3", "--agent.inner: no such flag, expected --agent.inner.SETTING"),
        ("--agent 3", "--agent: no such flag, expected --agent.SETTING"),
        ("--env.kwarg.a 3", "--env.kwarg.a: no such flag; did you mean --env.kwargs.a?"),
        ("a -1", "-1: no such flag, expected --NAME or --agent.SETTING or --env.SETTING"),
        ("--lab --json", "--lab: expected a value after it"),
        ("a b --agent.inner.level", "--agent.inner.level: expected a value after it"),
        ("--tyro-print-completion bash", "--tyro-print-completion: no such flag, expected --NAME or"),
    ],
)
def test_a_refusal_names_the_flag(typed: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("200", "20"):
        monkeypatch.setenv("COLUMNS", columns)
        assert refusal(*typed.split()).startswith(line)


def test_a_file_that_can_be_read_only_once_says_who_plays(tmp_path: Path) -> None:
    from simulator.commands.command import players
    from simulator.commands.main import COMMANDS

    reader, writer = os.pipe()
    os.write(writer, f'[agent]\nname = "{PATH}"\n'.encode())
    os.close(writer)
    given = parse(COMMANDS["run"], ["--config", f"/dev/fd/{reader}", "--agent.rate", "3", "--env.anything", "4"])
    os.close(reader)
    assert players(COMMANDS["run"], given) == {"agent": PATH}
    assert given.own == {"agent": {"rate": "3"}, "env": {"anything": "4"}}


def test_help_has_no_colours_where_none_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    pages: list[Any] = []
    for wanted in ("", "1"):
        monkeypatch.setenv("NO_COLOR", wanted)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        show_help(USAGE, "about", settings(Options), TOYS)
        pages.append(capsys.readouterr().out)
    assert "\x1b" in pages[0]
    assert "\x1b" not in pages[1]
    assert pages[1].startswith(f"usage: {USAGE} [-h]")
    assert "agent.inner options" in pages[1]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("columns", ["1", "5", "20", "33"])
def test_help_ends_on_the_narrowest_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    for command in COMMANDS:
        assert main.main([command, "--help"]) == 0
        assert "--max-file-mb" in re.sub(r"\s|[│|]", "", capsys.readouterr().out)
    assert main.main(["run", "--seeds"]) == 2
    assert capsys.readouterr().err == "engram: --seeds: expected a value after it\n"
    assert os.environ["COLUMNS"] == columns
