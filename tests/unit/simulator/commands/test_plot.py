"""Tests of ``engram plot`` and of the files of ``engram report``, from the command line."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from simulator.commands import main
from simulator.config import tournament
from simulator.store.cell_store import CellStore
from simulator.tournaments.loop import play
from simulator.tournaments.workers.local import Here
from tests.helpers.commands import Engram

pytestmark = pytest.mark.slow
QUIET = ("--view", "none", "--lab", "lab")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose ``lab`` holds runs r1 and r2, the benchmark r3 and the tournament t1."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("ENGRAM_LAB", raising=False)
        run = ["--seeds", "3", "--steps", "400"]
        for words in (
            ["run", "q_learning", "FrozenLake-v1", *run],
            ["run", "td", "rooms", *run, "--label", "_<b>"],
            ["recall", "hopfield", "nearest_neighbor", "random_bits", "--patterns", "3", "6", "--seeds", "2"],
        ):
            assert main.main([*words, *QUIET]) == 0
        tables = {"agent": {"q_learning": {}, "random_walk": {}}, "env": {"rooms": {}}, "seeds": 3, "steps": 400}
        with CellStore(folder / "lab") as store:
            for _ in play(tournament.build(tables), store, lambda n: Here()):
                pass
    return folder


@pytest.fixture
def folder(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(stored)
    monkeypatch.delenv("ENGRAM_LAB", raising=False)
    return stored


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (["r1"], ["curves"]),
        (["r1", "r2", "--what", "all", "--smooth", "3", "--x", "seconds"], ["curves", "training"]),
        (["--env", "rooms"], ["curves"]),
        (["r3", "--what", "load"], ["load"]),
        (["t1"], ["tiers", "profiles", "pairs", "curves"]),
        (["t1", "--what", "curves,tiers", "--smooth", "2"], ["curves", "tiers"]),
        (["r1", "t1", "r3"], ["curves", "tiers", "profiles", "pairs", "curves", "load"]),
    ],
)
def test_what_is_named_is_drawn(folder: Path, engram: Engram, words: list[str], kinds: list[str]) -> None:
    drawn = engram("plot", *words, "-o", "a.svg", "--lab", "lab", "--json").json
    assert [picture["kind"] for picture in drawn["pictures"]] == kinds
    assert (folder / "a.svg").read_bytes().startswith(b"<?xml")


def test_the_file_and_what_was_left_out_are_named(folder: Path, engram: Engram) -> None:
    done = engram("plot", "r3", "-o", "b.png", "--lab", "lab")
    assert done.out == "b.png is written: Recall against load: random_bits\n"
    assert done.err == "r3: no picture of corruption: no load met one kind of corruption in several amounts\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["r1"], "expected -o FILE, a file that ends in .svg, .png or .pdf"),
        (["-o", "n.svg"], "expected engram plot RUN|TOURNAMENT ..."),
        (["r1", "-o", "n.gif"], "n.gif: expected a file that ends in .svg, .png, .pdf"),
        (["r1", "-o", "-"], "--output -: nothing is written to stdout"),
        (["r9", "-o", "n.svg"], "no run 'r9'"),
        (
            ["r1", "-o", "n.svg", "--what", "tiers"],
            "--what tiers: not for training runs, expected all, curves, training",
        ),
        (["r1", "-o", "n.svg", "--what", "curves,bars"], "--what bars: no such picture of r1"),
        (["r3", "-o", "n.svg", "--what", "corruption"], "no load met one kind of corruption in several amounts"),
        (["r3", "-o", "n.svg", "--smooth", "2"], "--smooth: not for a recall benchmark"),
        (["t1", "-o", "n.svg", "--x", "seconds"], "--x seconds: a tournament stores no time of an evaluation"),
        (["t1", "-o", "n.svg", "--env", "rooms"], "--agent, --env: they select training runs"),
        (["r1", "-o", "lab/runs/n.svg"], "it is inside the lab"),
        (["r1", "-o", "n.svg", "--smooth", "0"], "--smooth 0"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_no_file(
    folder: Path, engram: Engram, words: list[str], line: str
) -> None:
    done = engram("plot", *words, "--lab", "lab", code=2)
    assert line in done.err
    assert done.err.count("\n") == 1
    assert not list(folder.rglob("n.*"))


def test_every_kind_has_a_page_that_loads_nothing(folder: Path, engram: Engram) -> None:
    for names in (["r1", "r2"], ["r3"], ["t1"]):
        engram("report", *names, "--html", "p.html", "--lab", "lab")
        text = (folder / "p.html").read_text("utf-8")
        assert 'class="plot"' in text
        assert not re.search(r"https?:|@import|<script|<b>", text)
        links = set(re.findall(r'href="([^"]*)"', text))
        assert links <= {f"#{name}" for name in re.findall(r'id="([^"]*)"', text)}
    engram("report", "r1", "r2", "--html", "p.html", "--lab", "lab")
    text = (folder / "p.html").read_text("utf-8")
    assert "_&lt;b&gt;" in text
    assert "engram run --config r2.toml" in text


def test_the_commands_of_a_page_repeat_a_run(folder: Path, engram: Engram, tmp_path: Path) -> None:
    engram("report", "r1", "--html", "p.html", "--lab", "lab")
    text = (folder / "p.html").read_text("utf-8")
    settings = re.search(r"cat &gt; r1.toml &lt;&lt;&#39;END&#39;\n(.*?)\nEND\n", text, re.DOTALL)
    assert settings
    (tmp_path / "r1.toml").write_text(settings[1].replace("&#34;", '"').replace("&lt;", "<"))
    again = engram(
        "run", "--config", str(tmp_path / "r1.toml"), "--view", "none", "--lab", str(tmp_path / "l"), "--json"
    )
    first = engram("report", "r1", "--lab", "lab", "--json").json["runs"][0]
    assert again.json["evaluation"]["per_seed"] == first["evaluation"]["per_seed"]


def test_csv_of_seeds_and_curves(folder: Path, engram: Engram) -> None:
    def of(*words: str) -> list[dict[str, str]]:
        return rows(engram("report", *words, "--csv", "--lab", "lab").out)

    run = engram("report", "r1", "--lab", "lab", "--json").json["runs"][0]
    seeds = of("r1", "r2", "--rows", "seeds")
    assert [(row["run"], row["seed"]) for row in seeds] == [(name, str(i)) for name in ("r1", "r2") for i in range(3)]
    assert [float(row["mean_return"]) for row in seeds[:3]] == run["evaluation"]["per_seed"]
    assert [float(row["score"]) for row in seeds[:3]] == run["evaluation"]["exact_per_seed"]
    curves = of("r1", "--rows", "curves")
    assert [int(row["steps"]) for row in curves] == list(range(20, 401, 20))
    assert float(curves[-1]["iqm"]) == run["evaluation"]["iqm"]
    assert {(row["against"], row["memory"]) for row in of("r3", "--rows", "curves")} == {
        ("load", "hopfield"),
        ("load", "nearest_neighbor"),
    }
    assert len(of("r3", "--rows", "summary")) == 4
    assert len(of("r3")) == len(of("r3", "--rows", "seeds")) == 8
    scores = of("t1", "--rows", "seeds")
    assert [row["seed"] for row in scores if row["contestant"] == "q_learning"] == ["0", "1", "2"]
    assert {row["contestant"] for row in of("t1", "--rows", "curves")} == {"q_learning", "random_walk"}


def test_times_of_evaluations_grow(folder: Path, engram: Engram) -> None:
    from simulator.reporting import runs

    (run,) = runs.gather(["r1"], "lab", curves=["curves"], x="seconds")["runs"]
    seconds = run["curve"]["seconds"]
    assert run["curve"]["measured"]
    assert len(seconds) == 20
    assert seconds == sorted(seconds)
    assert seconds[0] > 0.0


@pytest.mark.parametrize("columns", ["80", "60"])
def test_tables_fit_when_columns_are_asked_for(
    folder: Path, engram: Engram, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for words in (["report", "r1", "r2"], ["report", "r3"], ["show", "r3"]):
        out = engram(*words, "--lab", "lab").out
        assert max(map(len, out.split("\nmade with")[0].splitlines())) <= int(columns)
        assert "\u2026" not in out
