"""Tests of ``engram demo`` and ``engram solve``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator.commands import demo, main
from simulator.store.run_store import Store
from simulator.training.summary import summary
from tests.helpers.commands import Engram
from tests.helpers.paths import ROOT

SIX = """\
q in percent of its largest entry
state  room 0  room 1  room 2  room 3  room 4  room 5  best
0      -       -       -       -       80      -       80
1      -       -       -       64      -       100     100
2      -       -       -       64      -       -       64
3      -       80      51.2    -       80      -       80
4      64      -       -       64      -       100     100
5      -       80      -       -       80      100     100
"""


def test_solve_prints_the_six_rooms_as_the_textbook_does(engram: Engram) -> None:
    out = engram("solve", "rooms", "--env.layout", "six", "--gamma", "0.8").out
    assert SIX in out
    assert "\n3      -       400     256     -       400     -       400\n" in out


def test_solve_prints_a_grid_as_a_map(engram: Engram) -> None:
    out = engram("solve", "rooms", "--env.layout", "corridor", "--env.length", "3", "--gamma", "0.5").out
    assert "\n████25→S50→ 99→    ★████\n" in out


def test_infinite_values_and_missing_horizons_are_refused(engram: Engram) -> None:
    err = engram("solve", "rooms", "--env.layout", "six", "--gamma", "1", code=2).err
    assert "gamma is 1, but the total reward from the start has no finite value" in err
    err = engram("solve", "CliffWalking-v1", "--criterion", "finite", code=2).err
    assert "this environment has no limit of steps, expected --horizon K" in err
    err = engram("solve", "CliffWalking-v1", "--criterion", "finite", "--horizon", "1000000", code=2).err
    assert "entries, expected at most 50,000,000" in err


def test_a_finite_horizon_is_the_best_return_within_it(engram: Engram) -> None:
    words = ["solve", "CliffWalking-v1", "--criterion", "finite", "--json"]
    for horizon, start in ((5, -5.0), (13, -13.0), (40, -13.0)):
        solved = engram(*words, "--horizon", str(horizon)).json
        assert (solved["gamma"], solved["start_value"]) == (1.0, start)
        best = [max(q) for q in solved["q"]]
        assert best[36] == pytest.approx(solved["values"][36])
    solved = engram("solve", "FrozenLake-v1", "--criterion", "average", "--json").json
    assert solved["gamma"] is None
    assert 0.0 < solved["start_value"] < 0.1


@pytest.mark.slow
def test_the_demo_fills_the_lab_and_shows_every_agent_beside_the_optimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram
) -> None:
    monkeypatch.setattr(demo, "SEEDS", 2)
    short = {name: (settings, gamma, 600) for name, (settings, gamma, _) in demo.ENVS.items()}
    monkeypatch.setattr(demo, "ENVS", short)
    monkeypatch.setenv("COLUMNS", "100")
    out = engram("demo", "--lab", str(tmp_path)).out
    for name in (*demo.AGENTS, *demo.ENVS, "★", "Bayes-optimal", "identity", "engram show latest"):
        assert name in out
    with Store(tmp_path) as store:
        assert [each.status for each in store.runs()] == ["done"] * 7
    demo_json = engram("demo", "--lab", str(tmp_path), "--json").json
    rows = demo_json["rows"]
    assert (len(rows), len(demo_json["recall"]["cells"])) == (6, len(demo.MEMORIES))
    for row in rows:
        assert all(value <= row["best"] + 1e-9 for value in row["per_seed"])
        assert row["best"] == pytest.approx({"the six rooms": 1310 / 3, "the four rooms": 0.5295}[row["env"]], abs=5e-5)


def test_the_run_that_the_demo_shows_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "FIRST_SPEED", 1e9)
    assert demo.watch(str(tmp_path)) == 0
    with Store(tmp_path) as store:
        found = summary(store, "r1")
    floor, best = -109.65, -13.0
    assert floor < found["evaluation"]["iqm"] == pytest.approx(best)
    assert demo.AGAIN in capsys.readouterr().err


def test_the_first_watched_run_of_the_manual_is_that_of_the_demo(engram: Engram, clean_folder: Path) -> None:
    for page in ("README.md", "docs/quickstart.md", "docs/guides/watch.md", "docs/index.md"):
        assert demo.AGAIN in (ROOT / page).read_text("utf-8")
    words = demo.AGAIN.split()[1:]
    assert words[-2:] == ["--slow", "30"]
    assert engram(*words[:-2], "--slow", "1e6", "--json").json["evaluation"]["iqm"] == pytest.approx(-13.0)


def test_every_command_that_the_demo_suggests_exists() -> None:
    for line in demo.NEXT:
        assert line.split()[1] in main.COMMANDS


def test_what_to_type_next_works_where_the_demo_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert demo._program() == f"{folder / 'python'} -m simulator"
    script = folder / "engram"
    script.touch(0o755)
    assert demo._program() == ".venv/bin/engram"
    monkeypatch.chdir(folder.parent)
    assert demo._program() == "bin/engram"
    monkeypatch.chdir(Path(__file__).parent)
    assert demo._program() == str(script)
    monkeypatch.setenv("PATH", str(folder))
    assert demo._program() == "engram"
    other = tmp_path / "other"
    other.mkdir()
    (other / "engram").touch(0o755)
    monkeypatch.setenv("PATH", f"{other}:{folder}")
    assert demo._program() == str(script)
