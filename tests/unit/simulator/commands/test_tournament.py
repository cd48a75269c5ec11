"""Tests of ``engram tournament`` and of the commands that read a tournament."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib

import pytest

import simulator
from simulator.commands import list as listing
from simulator.commands import main
from simulator.commands import tournament as tournament_command
from simulator.config import presets
from simulator.config.codec import from_toml
from simulator.config.tournament import TournamentConfig
from simulator.core.experiment_kinds import TOURNAMENT
from simulator.store.cell_store import CellStore
from simulator.tournaments.plan import pairs_of
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("clean_folder")
WORDS = ["tournament", "--agents", "q_learning", "walk=random_walk", "--envs", "rooms", "lake=FrozenLake-v1"]
SMALL = ["--seeds", "2", "--steps", "300", "--eval-episodes", "5", "--n-bootstrap", "100", "--workers", "1"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with one tournament."""
    place = tmp_path_factory.mktemp("cli") / "lab"
    assert main.main([*WORDS, *SMALL, "--lab", str(place), "--view", "none", "--label", "a <b>first</b> one"]) == 0
    return place


def test_json_has_the_documented_keys(lab, engram):
    found = engram(*WORDS, *SMALL, "--lab", str(lab), "--json").json
    assert {"tournament", "contestants", "challenges", "cells", "ranking", "scores"} <= found.keys()
    assert found["cells"] == {"planned": 4, "done": 4, "failed": 0, "missing": 0}
    assert [each["label"] for each in found["contestants"]] == ["q_learning", "walk"]
    assert [each["label"] for each in found["challenges"]] == ["rooms", "lake"]
    for each in found["ranking"]:
        assert {"contestant", "tier", "strength", "wins", "division"} <= each.keys()
        assert {"value", "low", "high"} <= each["strength"].keys()
    assert engram(*WORDS, *SMALL, "--lab", str(lab), "--json").json["ranking"] == found["ranking"]


@pytest.mark.slow
def test_a_tournament_is_listed_shown_resumed_and_reported(lab, engram, clean_folder):
    listed = engram("list", "tournaments", "--lab", str(lab), "--json").json
    assert [each["tournament"] for each in listed["tournaments"]] == ["t1"]
    assert engram("show", "t1", "--lab", str(lab), "--json").json["label"] == "a <b>first</b> one"
    assert engram("resume", "t1", "--lab", str(lab), "--json").json["cells"]["done"] == 4
    assert engram("report", "latest", "--lab", str(lab), "--json").json["tournament"] == "t1"
    assert "| tier | contestant |" in engram("report", "t1", "--lab", str(lab), "--table").out
    assert engram("report", "t1", "--lab", str(lab), "--csv").out.startswith("tournament,division,contestant,")
    assert r"\begin{tabular}" in engram("report", "t1", "--lab", str(lab), "--latex").out
    assert "page.html is written" in engram("report", "t1", "--lab", str(lab), "--html", "page.html").out
    page = (clean_folder / "page.html").read_text()
    assert "<b>first</b>" not in page
    engram("report", "t1", "--lab", str(lab), "--picture", "all.svg")
    assert (clean_folder / "all.svg").read_text().startswith("<?xml")
    assert "q_learning, walk" in engram("list", "tournaments", "--lab", str(lab)).out


@pytest.mark.slow
def test_a_report_makes_every_output_that_is_asked_for(lab, engram, clean_folder):
    report = ["report", "t1", "--lab", str(lab)]
    rows = engram(*report, "--html", "a.html", "--picture", "a.svg", "--csv")
    assert rows.out.startswith("tournament,division,contestant,challenge,")
    assert rows.err == "a.html is written\na.svg is written\n"  # not among the rows
    assert engram(*report, "--json", "--html", "b.html").json["tournament"] == "t1"
    engram(*report, "--table", "--force", "--picture", "a.svg")
    engram(*report, "--html", "./-")
    assert sorted(each.name for each in clean_folder.iterdir()) == ["-", "a.html", "a.svg", "b.html"]
    page = (clean_folder / "-").read_bytes()
    assert page == (clean_folder / "a.html").read_bytes() == (clean_folder / "b.html").read_bytes()
    assert "t1.html is written" in engram(*report).out


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
def test_an_option_that_would_be_ignored_is_refused(lab, words, says, engram, clean_folder):
    (clean_folder / "taken").write_text("mine")
    assert says in engram(*words, "--lab", str(lab), code=2).error
    assert [each.name for each in clean_folder.iterdir()] == ["taken"]


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
def test_bad_input_is_one_line_and_leaves_nothing(words, says, engram, clean_folder):
    assert says in engram("tournament", *words, code=2).error
    assert not (clean_folder / "lab").exists()


def test_a_file_that_is_wrong_is_named(engram, clean_folder):
    (clean_folder / "t.toml").write_text("[agent.q]\nname = 'q_learning'\nstep_size = 7\n[env.rooms]\n")
    assert "t.toml: agent.q.step_size = 7: expected a number" in engram("tournament", "t.toml", code=2).err


def test_the_example_can_be_played(engram, clean_folder):
    assert "tournament.toml is written" in engram("tournament", "--init").out
    text = (clean_folder / "tournament.toml").read_text()
    assert "engram tournament tournament.toml" in text
    assert len(pairs_of(from_toml(TournamentConfig, text, "it"))) == 6
    assert "tournament.toml already exists" in engram("tournament", "--init", code=2).err
    # whatever is commented out is right too
    table = text[text.index("# [memory.hopfield]") :].replace("# ", "")
    assert {"memory", "challenge", "player", "game"} == tomllib.loads(table).keys()
    assert len(pairs_of(from_toml(TournamentConfig, table, "it"))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", presets.tournaments())
def test_presets_are_complete(name):
    text = (presets.TOURNAMENTS / f"{name}.toml").read_text()
    config = from_toml(TournamentConfig, text, name)
    assert pairs_of(config)
    assert presets.tournaments()[name]


def test_the_python_call_gives_the_same_scores(lab):
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


@pytest.mark.slow
def test_ctrl_c_keeps_complete_cells_and_names_the_command_that_resumes():
    words = ["tournament", "--agents", "td", "q_learning", "--envs", "CartPole-v1", "--steps", "100000000"]
    words += ["--workers", "2", "--seeds", "2", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
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
    assert "engram resume t1 --lab lab" in err
    assert out == ""
    assert json.loads(json.dumps(listing.cell_rows("lab", TOURNAMENT)))[0]["status"] == "interrupted"
