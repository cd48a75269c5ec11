from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.commands import demo, main
from simulator.store.run_store import Store

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


def test_solve_prints_the_six_rooms_as_the_textbook_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["solve", "rooms", "--env.layout", "six", "--gamma", "0.8"]) == 0
    out = capsys.readouterr().out
    assert SIX in out
    assert "\n3      -       400     256     -       400     -       400\n" in out


def test_solve_prints_a_grid_as_a_map(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["solve", "rooms", "--env.layout", "corridor", "--env.length", "3", "--gamma", "0.5"]) == 0
    assert "\n████25→S50→ 99→  0 ★████\n" in capsys.readouterr().out


def test_what_has_no_finite_value_or_no_limit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["solve", "rooms", "--env.layout", "six", "--gamma", "1"]) == 2
    assert "gamma is 1, but the total reward from the start has no finite value" in capsys.readouterr().err
    assert main.main(["solve", "CliffWalking-v1", "--criterion", "finite"]) == 2
    assert "this environment has no limit of steps, expected --horizon K" in capsys.readouterr().err
    assert main.main(["solve", "CliffWalking-v1", "--criterion", "finite", "--horizon", "1000000"]) == 2
    assert "entries, expected at most 50,000,000" in capsys.readouterr().err


def test_a_finite_horizon_is_the_best_return_within_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["solve", "CliffWalking-v1", "--criterion", "finite", "--json"]
    for horizon, start in ((5, -5.0), (13, -13.0), (40, -13.0)):
        assert main.main([*words, "--horizon", str(horizon)]) == 0
        solved = json.loads(capsys.readouterr().out)
        assert (solved["gamma"], solved["start_value"]) == (1.0, start)
        best = [max(q) for q in solved["q"]]
        assert best[36] == pytest.approx(solved["values"][36])
    assert main.main(["solve", "FrozenLake-v1", "--criterion", "average", "--json"]) == 0
    solved = json.loads(capsys.readouterr().out)
    assert solved["gamma"] is None
    assert 0.0 < solved["start_value"] < 0.1


def test_the_demo_fills_the_lab_and_shows_everybody_beside_the_optimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SEEDS", 2)
    short = {name: (settings, gamma, 600) for name, (settings, gamma, _) in demo.ENVS.items()}
    monkeypatch.setattr(demo, "ENVS", short)
    monkeypatch.setenv("COLUMNS", "100")
    assert main.main(["demo", "--lab", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for name in (*demo.AGENTS, *demo.ENVS, "★", "Bayes-optimal", "identity", "engram show latest"):
        assert name in out
    with Store(tmp_path) as store:
        assert [each.status for each in store.runs()] == ["done"] * 7
    assert main.main(["demo", "--lab", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = told["rows"]
    assert (len(rows), len(told["recall"]["cells"])) == (6, len(demo.MEMORIES))
    for row in rows:
        assert all(value <= row["best"] + 1e-9 for value in row["per_seed"])
        assert row["best"] == pytest.approx({"the six rooms": 1310 / 3, "the four rooms": 0.5295}[row["env"]], abs=5e-5)


def test_every_command_that_the_demo_suggests_exists() -> None:
    for line in demo.NEXT:
        assert line.split()[1] in main.COMMANDS
