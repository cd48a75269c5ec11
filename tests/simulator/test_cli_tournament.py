"""``engram tournament`` and what is asked of tournaments afterwards, from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import simulator
from simulator.commands import main
from simulator.commands import tournament as tournament_command
from simulator.config import presets
from simulator.config.codec import from_toml
from simulator.config.tournament import TournamentConfig
from simulator.store.cell_store import CellStore
from simulator.tournaments.plan import pairs_of

WORDS = ["tournament", "--agents", "q_learning", "walk=random_walk", "--envs", "rooms", "lake=FrozenLake-v1"]
SMALL = ["--seeds", "2", "--steps", "300", "--eval-episodes", "5", "--n-bootstrap", "100", "--workers", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENGRAM_LAB", raising=False)
    monkeypatch.delenv("ENGRAM_DEBUG", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with one tournament."""
    place = tmp_path_factory.mktemp("cli") / "lab"
    assert main.main([*WORDS, *SMALL, "--lab", str(place), "--view", "none", "--label", "a <b>first</b> one"]) == 0
    return place


def ask(capsys, *words):
    code = main.main(list(words))
    found = capsys.readouterr()
    assert found.out.count("\n") == 1, found.err
    return code, json.loads(found.out)


def test_json_is_what_was_promised(lab, capsys):
    code, found = ask(capsys, *WORDS, *SMALL, "--lab", str(lab), "--json")
    assert code == 0
    assert {"tournament", "contestants", "challenges", "cells", "ranking", "scores"} <= found.keys()
    assert found["cells"] == {"planned": 4, "done": 4, "failed": 0, "missing": 0}
    assert [each["label"] for each in found["contestants"]] == ["q_learning", "walk"]
    assert [each["label"] for each in found["challenges"]] == ["rooms", "lake"]
    for each in found["ranking"]:
        assert {"contestant", "tier", "strength", "wins", "division"} <= each.keys()
        assert {"value", "low", "high"} <= each["strength"].keys()
    assert ask(capsys, *WORDS, *SMALL, "--lab", str(lab), "--json")[1]["ranking"] == found["ranking"]


def test_a_tournament_is_listed_shown_resumed_and_reported(lab, capsys, folder):
    _, listed = ask(capsys, "list", "tournaments", "--lab", str(lab), "--json")
    assert [each["tournament"] for each in listed["tournaments"]] == ["t1"]
    assert ask(capsys, "show", "t1", "--lab", str(lab), "--json")[1]["label"] == "a <b>first</b> one"
    assert ask(capsys, "resume", "t1", "--lab", str(lab), "--json")[1]["cells"]["done"] == 4
    assert ask(capsys, "report", "latest", "--lab", str(lab), "--json")[1]["tournament"] == "t1"
    assert main.main(["report", "t1", "--lab", str(lab), "--table"]) == 0
    assert "| tier | contestant |" in capsys.readouterr().out
    assert main.main(["report", "t1", "--lab", str(lab), "--csv"]) == 0
    assert capsys.readouterr().out.startswith("tournament,division,contestant,challenge,")
    assert main.main(["report", "t1", "--lab", str(lab), "--latex"]) == 0
    assert r"\begin{tabular}" in capsys.readouterr().out
    assert main.main(["report", "t1", "--lab", str(lab), "--html", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    assert "<b>first</b>" not in page
    assert "page.html is written" in capsys.readouterr().out
    assert main.main(["report", "t1", "--lab", str(lab), "--picture", "all.svg"]) == 0
    assert (folder / "all.svg").read_text().startswith("<?xml")
    assert main.main(["list", "tournaments", "--lab", str(lab)]) == 0
    assert "q_learning walk" in capsys.readouterr().out


def test_a_report_makes_every_output_that_is_asked_for(lab, capsys, folder):
    report = ["report", "t1", "--lab", str(lab)]
    assert main.main([*report, "--html", "a.html", "--picture", "a.svg", "--csv"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("tournament,division,contestant,challenge,")
    assert told.err == "a.html is written\na.svg is written\n"  # not among the rows
    assert ask(capsys, *report, "--json", "--html", "b.html")[1]["tournament"] == "t1"
    assert main.main([*report, "--table", "--force", "--picture", "a.svg"]) == 0
    assert main.main([*report, "--html", "./-"]) == 0
    assert sorted(each.name for each in folder.iterdir()) == ["-", "a.html", "a.svg", "b.html"]
    assert (folder / "-").read_bytes() == (folder / "a.html").read_bytes() == (folder / "b.html").read_bytes()
    capsys.readouterr()
    assert main.main(report) == 0
    assert "t1.html is written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "t1", "--csv", "--latex"], "--csv --latex: expected one form at a time"),
        (["report", "t1", "--html", "a.html", "--table", "--json"], "--table --json: expected one form at a time"),
        (["report", "t1", "--agent", "td"], "--agent: not for a tournament, expected --table or"),
        (["report", "t1", "--env", "rooms"], "--env: not for a tournament, expected --table or"),
        (["report", "t1", "--csv", "--force"], "--force: nothing is written, expected --html or --picture"),
        (["report", "t1", "--html", "a.svg", "--picture", "./a.svg"], "expected two files"),
        (["report", "t1", "--html", "a.html", "--picture", "a.txt"], "a.txt: expected a file that ends in .svg"),
        (["report", "t1", "--html", "taken", "--picture", "a.svg"], "taken already exists"),
        (["report", "t1", "--html", "-"], "--html -: nothing is written to stdout, expected a path, ./- for"),
        (["tournament", "--init", "-"], "-: nothing is written to stdout, expected a path"),
        (["tournament", "--init", "--seeds", "3"], "--seeds: not for --init, expected --init or --force"),
        (["tournament", "--init", "--agents", "td"], "--init: writes an example as it is, expected no settings"),
        (["tournament", "--preset", "games", "--force"], "--force: nothing is replaced, expected --init"),
        (["solve", "rooms", "--horizon", "3"], "--horizon: not with --criterion discounted, expected --criterion"),
        (["solve", "rooms", "--criterion", "average", "--gamma", "0.9"], "--gamma: not with --criterion average"),
    ],
)
def test_a_flag_that_would_be_ignored_is_refused(lab, words, says, capsys, folder):
    (folder / "taken").write_text("mine")
    assert main.main([*words, "--lab", str(lab)]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert [each.name for each in folder.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "expected engram tournament FILE.toml, --preset NAME, or --agents A ... --envs E ..."),
        (["--agents", "--envs", "rooms"], "--agents: expected a value after it"),
        (["--agents", "td", "td", "--envs", "rooms"], "td already exists, expected another label, such as td-2=td"),
        (["--agents", "t", "--envs", "rooms"], "unknown agent 't'"),
        (["--agents", "td"], "agent td: expected at least one env beside it"),
        (
            ["--agents", "td", "--envs", "rooms", "--agent.td.gama", "1"],
            "--agent.td.gama: unknown option; did you mean",
        ),
        (
            ["--agents", "td", "--envs", "rooms", "--workers", "some"],
            "--workers some: expected a number of processes",
        ),
        (["--preset", "clasic-control"], "did you mean classic-control"),
        (["nothing.toml"], "nothing.toml"),
        (
            ["--agents", "planner", "--envs", "CartPole-v1"],
            "planner in CartPole-v1: planner on CartPole-v1: no finite",
        ),
        (["--agents", "python:none.py:act", "--envs", "rooms"], "none.py"),
        (["--agents", "human:none.json", "--envs", "rooms"], "none.json"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, says, capsys, folder):
    assert main.main(["tournament", *words]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not (folder / "lab").exists()


def test_a_file_that_is_wrong_is_named(capsys, folder):
    (folder / "t.toml").write_text("[agent.q]\nname = 'q_learning'\nstep_size = 7\n[env.rooms]\n")
    assert main.main(["tournament", "t.toml"]) == 2
    assert "t.toml: agent.q.step_size = 7: expected a number" in capsys.readouterr().err


def test_the_example_can_be_played(capsys, folder):
    assert main.main(["tournament", "--init"]) == 0
    assert "tournament.toml is written" in capsys.readouterr().out
    text = (folder / "tournament.toml").read_text()
    assert "engram tournament tournament.toml" in text
    assert len(pairs_of(from_toml(TournamentConfig, text, "it"))) == 6
    assert main.main(["tournament", "--init"]) == 2
    assert "tournament.toml already exists" in capsys.readouterr().err
    # whatever is commented out is right too
    table = text[text.index("# [memory.hopfield]") :].replace("# ", "")
    assert {"memory", "challenge", "player", "game"} == tomllib.loads(table).keys()
    assert len(pairs_of(from_toml(TournamentConfig, table, "it"))) == 3


@pytest.mark.parametrize("name", presets.tournaments())
def test_presets_are_whole(name):
    text = (presets.TOURNAMENTS / f"{name}.toml").read_text()
    config = from_toml(TournamentConfig, text, name)
    assert pairs_of(config)
    assert presets.tournaments()[name]


def test_the_notebook_plays_the_same(lab, folder):
    tables = {"agent": {"q_learning": {}, "walk": {"name": "random_walk"}}, "env": {"rooms": {}}}
    own = {"seeds": 2, "steps": 300, "eval_episodes": 5, "n_bootstrap": 100}
    found = simulator.tournament(lab="here", workers=1, **own, **tables)
    assert found["cells"]["done"] == 2
    with CellStore(lab) as store:
        there = tournament_command.stored("t1", str(lab))
        assert store.find("t1").status == "done"
    mine = {each["contestant"]: each["raw"]["per_seed"] for each in found["scores"]}
    theirs = {e["contestant"]: e["raw"]["per_seed"] for e in there["scores"] if e["challenge"] == "rooms"}
    assert mine == theirs


def test_ctrl_c_leaves_whole_cells_and_says_how_to_go_on(folder):
    words = ["tournament", "--agents", "td", "q_learning", "--envs", "CartPole-v1", "--steps", "100000000"]
    words += ["--workers", "2", "--seeds", "2", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("t1: 2 cells"):
            break
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with: engram resume t1 --lab lab" in err
    assert out == ""
    assert json.loads(json.dumps(tournament_command.listed("lab")))[0]["status"] == "interrupted"
