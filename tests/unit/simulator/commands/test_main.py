"""Tests of the command line: exit codes, errors, help, and where settings come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.commands import list as listing
from simulator.commands import main
from simulator.commands import run as playing
from simulator.store.run_store import Store
from tests.helpers.commands import Engram, RunProcess
from tests.helpers.toys import PATH, Config, Inner

pytestmark = pytest.mark.usefixtures("clean_folder")
EMPTY = {"episodes": 5, "iqm": 1.0, "low": 0.5, "high": float("nan"), "per_seed": [1.0], "exact_per_seed": None}
SUMMARY = {
    "run": "r7",
    "agent": "toy",
    "env": "toy",
    "seeds": [3, 4],
    "steps": 10,
    "exact": True,
    "seconds": 1.0,
    "cpu_seconds": 1.0,
    "steps_per_second": 20.0,
    "evaluation": EMPTY,
    "solved": {"threshold": None, "fraction": None, "median_first_steps": None, "stayed": None},
}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record each run instead of training: (config or run, lab, options, playback)."""
    calls: list[Any] = []

    def play(*given: Any) -> Any:
        print("output of a library")
        calls.append(given)
        return SUMMARY, 0

    monkeypatch.setattr(playing, "begin", play)
    monkeypatch.setattr(playing, "resume", play)
    return calls


REFUSED = [
    (["rnu"], "unknown command 'rnu'; did you mean run? (engram --help)"),
    (["run"], "expected engram run AGENT ENV, or --config FILE, or --preset NAME (engram run --help)"),
    (["run", "td"], "expected engram run AGENT ENV, or --config FILE, or --preset NAME (engram run --help)"),
    (["run", "a", "b", "c"], "expected engram run AGENT ENV, got 'a b c' (engram run --help)"),
    (["resume"], "expected engram resume RUN|TOURNAMENT|latest, got nothing (engram resume --help)"),
    (["run", "q_lerning", "x"], "unknown agent 'q_lerning'; did you mean q_learning? (engram list agents)"),
    (["run", PATH, PATH, "--seeds", "0"], "--seeds 0: expected a whole number >= 1 and <= 1,000,000"),
    (["run", PATH, PATH, "--steps", "-5"], "--steps -5: expected a whole number >= 1 and <= 1,000,000,000,000"),
    (["run", PATH, PATH, "--steps=0.5"], "--steps 0.5: expected a whole number >= 1 and <= 1,000,000,000,000"),
    (["run", PATH, PATH, "--steps"], "--steps: expected a value after it"),
    (["run", PATH, PATH, "--steps", "--seeds", "3"], "--steps: expected a value after it"),
    (["run", PATH, PATH, "--step", "5"], "--step: unknown option; did you mean --steps?"),
    (["run", PATH, PATH, "--view", "windw"], "--view windw: expected one of terminal, window, none"),
    (
        ["run", PATH, PATH, "--label", "a\x07b"],
        "--label: found 'a\\x07b' with U+0007, expected 1 to 80 characters on one line",
    ),
    (["report", "r1"], "there is no run yet in lab (engram run AGENT ENV)"),
    (["run", PATH, PATH, "--jsn"], "--jsn: unknown option; did you mean --json?"),
    (["run", PATH, PATH, "--json=maybe"], "--json maybe: expected true or false"),
    (["run", PATH, PATH, "-x"], "-x: unknown option"),
    (["run", PATH, PATH, "--agnet.rate", "2"], "--agnet.rate: unknown option; did you mean --agent.rate?"),
    (["run", PATH, PATH, "--agent.step-size", "1.5"], "--agent.step-size 1.5: expected a number > 0 and <= 1"),
    (["run", PATH, PATH, "--agent.step-size", "nan"], "--agent.step-size nan: expected a finite number > 0 and <= 1"),
    (
        ["run", PATH, PATH, "--agent.step-sise", "1"],
        "--agent.step-sise: unknown option; did you mean --agent.step-size?",
    ),
    (["run", PATH, PATH, "--env.inner.kind", "lin"], "--env.inner.kind lin: expected one of linear, exponential"),
    (["run", PATH, PATH, "--agent.inner", "5"], "--agent.inner 5: expected a table of settings"),
    (
        ["run", PATH, PATH, "--agent.a", "5", "--agent.a.b", "6"],
        "--agent.a.b: a was given a value already, exp",
    ),
    (["run", PATH, PATH, "--config", "no.toml"], "no.toml: cannot be read: No such file or directory"),
    (["run", "--preset", "clif"], "unknown preset 'clif'; did you mean cliff? (engram list presets)"),
    (
        ["run", "q_learning", "rooms", "--preset", "cliff"],
        "preset cliff is for the environment CliffWalking-v1, not for rooms",
    ),
    (["solve", "FrozenLake-v1", "--gamma", "1.1"], "--gamma 1.1: expected a number >= 0 and <= 1 or none"),
    (["solve", "FrozenLake-v1", "--agent.rate", "1"], "--agent.rate: unknown option"),
    (
        ["solve", "CartPole-v1"],
        "CartPole-v1 has no finite MDP to solve, expected an environment with a table of outcomes",
    ),
    (
        ["list", "agnets"],
        "unknown list 'agnets'; did you mean agents? (expected one of agents, envs, memories, ",
    ),
    (["show", "nobody"], "unknown name 'nobody' (engram list, engram list runs)"),
    (["show", "latest"], "there is no run yet in lab (engram run AGENT ENV)"),
    (["demo", "--seeds", "3"], "--seeds: unknown option"),
    (["bench", "no-such"], ""),
]


@pytest.mark.parametrize(("words", "answer"), REFUSED, ids=str)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], answer: str, engram: Engram) -> None:
    assert engram(*words, code=2).error.startswith(answer)


def test_no_refusal_makes_a_lab(clean_folder: Path, engram: Engram) -> None:
    for words in (["show", "nobody"], ["resume", "r1"], ["reproduce", "latest"], ["run", PATH, PATH, "--seeds", "0"]):
        assert engram(*words, code=2).error
    engram("list", "runs")
    assert list(clean_folder.iterdir()) == []


def test_options_win_over_the_file_and_the_file_over_the_preset(played: list[Any], engram: Engram) -> None:
    Path("run.toml").write_text(
        f'seeds = 3\nsteps = 9\n[agent]\nname = "{PATH}"\ncount = 5\nrate = 2.0\n[env]\nname = "{PATH}"\n'
    )
    words = ["run", "--config", "run.toml", "--seeds", "4", "--agent.count", "6", "--env.inner.level", ".5"]
    engram(*words, "--lab", "other", "--view", "none", "--label", "my words")
    config, lab, options = played[0]
    assert (config.seeds, config.steps, lab, options.label, options.view) == (4, 9, "other", "my words", "none")
    assert options.keep_replay is False
    assert (config.agent_settings.count, config.agent_settings.rate) == (6, 2.0)
    assert config.env_settings.inner.level == 0.5


def test_a_preset_fills_the_run_and_options_change_it(played: list[Any], engram: Engram) -> None:
    words = ["run", PATH, "--preset", "tuned", "--view", "none", "--agent.inner.kind", "exponential"]
    engram(*words)
    config = played[0][0]
    assert (config.agent, config.env, config.steps) == (PATH, PATH, 77)
    assert config.agent_settings == Config(rate=2.0, inner=Inner(0.5, "exponential"))
    assert config.env_settings == Config(count=9)
    engram(*words, "--agent.rate", "3", "--env.count=4", "--steps", "8")
    config = played[1][0]
    assert (config.agent_settings.rate, config.env_settings.count, config.steps) == (3.0, 4, 8)


def test_the_lab_comes_from_the_option_else_the_environment_variable(
    played: list[Any], monkeypatch: pytest.MonkeyPatch, engram: Engram
) -> None:
    for flag in ([], ["--lab", "b"]):
        engram("resume", "r1", "--view", "none", *flag)
    monkeypatch.setenv("ENGRAM_LAB", "a")
    engram("resume", "r1", "--view", "none")
    assert [lab for _, lab, *_ in played] == ["lab", "b", "a"]


def test_json_is_one_object_without_nan_and_nothing_else(played: list[Any], engram: Engram) -> None:
    _, out, err = engram("run", PATH, PATH, "--view", "none", "--json")
    assert json.loads(out) == {**SUMMARY, "evaluation": {**EMPTY, "high": None}}
    assert out.count("\n") == 1
    assert err == "output of a library\n"


def test_without_json_the_summary_is_a_table(played: list[Any], engram: Engram) -> None:
    assert "final evaluation return, IQM [95 % CI]  1 [0.5, -]\n" in engram("run", PATH, PATH, "--view", "none").out


def test_a_failure_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, engram: Engram) -> None:
    cases = [
        (RuntimeError("the disk\nis full"), "engram: the disk is full\n"),
        (PermissionError(13, "Permission denied", "lab/x"), "engram: lab/x: Permission denied\n"),
        (TypeError("no"), "engram: TypeError: no (ENGRAM_DEBUG=1 shows where)\n"),
    ]
    for error, line in cases:

        def fail(*given: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(playing, "resume", fail)
        assert engram("resume", "r1", code=1).err == line
    monkeypatch.setenv("ENGRAM_DEBUG", "1")
    with pytest.raises(TypeError):
        main.main(["resume", "r1"])


def test_help_names_every_command_and_every_setting(engram: Engram) -> None:
    overview = engram("--help").out
    for name, summary in main.COMMANDS.items():
        assert summary.usage in overview
        text = engram(name, "--help").out
        assert f"usage: {summary.usage}" in text
        known = main.command_of(name).known()
        assert all(f"--{setting.name.replace('_', '-')}" in text for setting in known)
    text = " ".join(engram("run", PATH, PATH, "--help").out.split())
    for table in ("agent", "env"):
        assert f"--{table}.step-size NUMBER a share above 0 (> 0 and <= 1; default: 0.5)" in text
        assert f"--{table}.inner.kind linear|exponential a choice (default: linear)" in text
        assert f"--{table}.hidden VALUE units of the layers (a list, each a whole number >= 1; default: 64,64)" in text


def test_show_lists_the_settings_of_a_player(engram: Engram) -> None:
    player = engram("show", PATH, "--json").json["players"][0]
    names = [setting["name"] for setting in player["settings"]]
    assert names[-2:] == ["inner.level", "inner.kind"]
    assert len(names) == len(Config.__dataclass_fields__) + 1
    expected = {
        "name": "limit",
        "default": "none",
        "expected": "a whole number >= 0 or none",
        "description": "a count, or none",
    }
    assert expected in player["settings"]


def test_lists_hold_the_names(engram: Engram) -> None:
    listed = engram("list", "--json").json
    assert {"name": "q_learning"}.items() <= next(a for a in listed["agents"] if a["name"] == "q_learning").items()
    assert "CartPole-v1" in engram("list", "envs", "--json").json["gymnasium"]
    presets = {each["name"]: each for each in engram("list", "presets", "--json").json["presets"]}
    assert presets["taxi"]["agent"] == "q_learning"


def test_solve_prints_the_exact_values(engram: Engram) -> None:
    for words, start in ((["--gamma", ".95"], 0.1805), ([], 0.5420), (["--criterion", "finite"], 0.7442)):
        solved = engram("solve", "FrozenLake-v1", *words, "--json").json
        assert solved["start_value"] == pytest.approx(start, abs=5e-5)
        assert solved["optimal_return"] == pytest.approx(0.7442, abs=5e-5)
        assert len(solved["values"]) == len(solved["q"]) == len(solved["policy"]) == 16
    assert len(engram("solve", "FrozenLake-v1", "--env.kwargs.map_name", "8x8", "--json").json["values"]) == 64


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nsys.argv = ['engram', '--help']\nfrom simulator.__main__ import main\nmain()\n"
    code += (
        "print(sorted({'torch', 'numba', 'matplotlib', 'pygame', 'gymnasium', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "simulator", "show", "q_learning", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_outside_a_terminal_there_are_no_colours(run_process: RunProcess) -> None:
    for words in (["list"], ["run", "--help"], ["doctor"]):
        done = run_process(*words)
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stdout


vocabulary = st.sampled_from(
    "run resume list show solve reproduce q_learning td rooms FrozenLake-v1 CartPole-v1 r1 latest agents runs presets "
    "--seeds --steps --first-seed --json --lab --config --preset --view --gamma --criterion --horizon --help -h -- - "
    "--agent.step-size --agent.explore.epsilon_start --env.layout --env.kwargs.a --agent --env. --agent..x --threads=2 "
    "none terminal 3 0 -1 1e9 nan inf 0.5 [] {} average finite discounted six cliff --steps=5 --json=false".split()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(words=st.lists(vocabulary | st.text(max_size=8), max_size=7))
def test_any_command_line_succeeds_or_is_refused_in_one_line(
    words: list[str], played: list[Any], engram: Engram
) -> None:
    words = [word for word in words if "/" not in word and word not in ("demo", "bench", "doctor")]
    code, out, err = engram(*words, code=None)
    assert code in (0, 2)
    assert "Traceback" not in out + err
    if code == 2:
        assert [line.startswith("engram: ") for line in err.splitlines() if line != "output of a library"] == [True]


ENDLESS = {
    "a word": "a" * 100_000,
    "an id of Gymnasium": "FrozenLake-v" + "9" * 5000,
    "a module": "a." * 50_000 + "a",
    "a path": f"./{'a' * 100_000}.py",
    "a class of a file": f"./a.py:{'A' * 100_000}",
    "folders": "a/" * 40_000 + "a.toml",
    "a contestant from outside": f"python:./{'a' * 5000}.py:f",
}
COMMANDS_WITH_NAMES = (
    ["run", "?", "rooms"],
    ["run", "td", "?"],
    ["run", "?", "rooms", "--help"],
    ["run", "td", "rooms", "--preset", "?"],
    ["run", "--preset", "?"],
    ["run", "--config", "?"],
    ["run", "td", "rooms", "--label", "?"],
    ["run", "td", "rooms", "--env.layout", "?"],
    ["run", "td", "rooms", "--agent.policy", "?"],
    ["run", "td", "rooms", "--lab", "?"],
    ["list", "runs", "--lab", "?"],
    ["recall", "?", "digits"],
    ["recall", "nearest_neighbor", "?"],
    ["recall", "nearest_neighbor", "images", "--challenge.path", "?"],
    ["recall", "nearest_neighbor", "idx", "--challenge.path", "?"],
    ["tournament", "?"],
    ["tournament", "--preset", "?"],
    ["tournament", "--agents", "?", "--envs", "rooms"],
    ["tournament", "--agents", "m=?", "--envs", "rooms"],
    ["tournament", "--agents", "td", "--envs", "?"],
    ["tournament", "--agents", "td", "--envs", "rooms", "--workers", "?"],
    ["tournament", "--init", "?"],
    ["show", "?"],
    ["solve", "?"],
    ["resume", "?"],
    ["reproduce", "?"],
    ["report", "?"],
    ["report", "--agent", "?", "--env", "?"],
    ["repair", "?", "-o", "new"],
    ["repair", ".", "-o", "?"],
    ["list", "?"],
    ["bench", "?"],
    ["?"],
)


@pytest.mark.parametrize("words", COMMANDS_WITH_NAMES, ids=" ".join)
def test_an_endless_name_is_refused_in_a_short_line(words, engram, clean_folder):
    Store(clean_folder / "lab").close()
    (clean_folder / "a.py").write_text("")
    before = set(clean_folder.rglob("*"))
    for kind in ENDLESS if words[0] in ("solve", "show") else ("a word", "a path"):
        line = engram(*(word.replace("?", ENDLESS[kind]) for word in words), code=2).error
        assert len(line) < 700
        assert "..." in line
    made = set(clean_folder.rglob("*")) - before
    assert made <= {clean_folder / "lab" / "checked", clean_folder / "lab" / "runs"}  # no run in it


def test_the_line_of_an_error_is_short_whatever_it_repeats(engram, monkeypatch):
    for error in (ValueError("x" * 100_000 + ": expected less"), OSError(36, "File name too long", "x" * 100_000)):
        monkeypatch.setattr(listing, "listing", _raise(error))
        line = engram("list", code=2).error
        assert len(line) < 2100
        assert "expected" in line


def _raise(error: Exception) -> Any:
    def refuse(*given: Any) -> Any:
        raise error

    return refuse


def test_a_byte_that_is_not_text_is_refused_with_the_expected_form(engram):
    for words in (*COMMANDS_WITH_NAMES[:2], ["show", "?"], ["recall", "?", "digits"], ["solve", "?"]):
        line = engram(*(word.replace("?", os.fsdecode(b"\xff")) for word in words), code=2).error
        assert r"found '\udcff' with U+DCFF, expected 1 to 255 characters on one line that can be seen" in line
    assert r"found '\udcff'" in engram("tournament", "--init", os.fsdecode(b"\xff"), code=2).error


@pytest.mark.parametrize("lab", ["self", "circle", "dangling", "dangling/lab"])
@pytest.mark.parametrize(
    "words",
    [
        ["run", "td", "rooms"],
        ["recall", "nearest_neighbor", "digits"],
        ["tournament", "--agents", "td", "--envs", "rooms"],
        ["list", "runs"],
        ["report", "r1"],
        ["doctor"],
    ],
    ids=lambda words: words[0],
)
def test_a_lab_that_is_a_broken_link_is_refused(lab, words, engram, clean_folder):
    links = {"self": "self", "circle": "there", "there": "circle", "dangling": "nowhere"}
    for link, leads in links.items():
        (clean_folder / link).symlink_to(leads)
    said = "is a link to nowhere, which is not there" if "dangling" in lab else "it is a link that leads to itself"
    for more in (["--lab", lab], ["--lab", str(clean_folder / lab)]):
        line = engram(*words, *more, code=2).error
        assert said in line
        assert "expected a folder, or a place where one can be made" in line
    assert {each.name for each in clean_folder.rglob("*")} == set(links)


def test_a_lab_is_found_through_a_link_and_in_a_folder_of_any_name(clean_folder, engram):
    (clean_folder / "-").mkdir()
    (clean_folder / "link").symlink_to("-")
    engram("list", "runs", "--lab", "link")
    engram("list", "runs", "--lab", "./-")
    assert "expected a path, ./- for a file of that name" in engram("list", "runs", "--lab", "-", code=2).error


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_has_examples_that_are_taken(engram: Engram, name: str) -> None:
    examples = main.command_of(name).examples
    assert 2 <= len(examples) <= 5
    out = engram(name, "--help").out
    for example in examples:
        assert f"\n  engram {example}\n" in out
        words = example.split()
        command = main.command_of(words[0])
        args = main.parsed_args(command, [word for word in words[1:] if word != "--help"])
        low, high = command.names
        assert low <= len(args.names) <= high
        if command.players is not None:
            command.players(args)  # finds everybody who is named
