"""Tests of results: tables, figures, and what notebooks show."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import simulator


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with a run r1, a benchmark r2 and a tournament t1."""
    lab = tmp_path_factory.mktemp("lab")
    simulator.run("q_learning", "CartPole-v1", lab=lab, seeds=3, steps=2_000, eval_episodes=2)
    conditions = {"patterns": [3, 6], "corruption": ["flip:0.2"]}
    simulator.recall(["hopfield", "nearest_neighbor"], "digits", lab=lab, seeds=3, **conditions)
    quick = {"seeds": 3, "steps": 300, "eval_episodes": 2, "workers": 1}
    simulator.tournament(agents=["random_walk", "q_learning"], envs=["rooms"], lab=lab, **quick)
    return lab


def test_records_have_a_row_for_everything_and_no_gaps(lab):
    run = simulator.load("r1", lab=lab)
    curve = run.curve()
    assert np.ma.is_masked(curve.mean_return)
    assert np.isfinite(curve.mean_return.mean(axis=0)).all()
    rows = run.records("curve")
    assert len(rows) == (curve.episodes > 0).sum()
    assert all(np.isfinite(row["mean_return"]) and row["episodes"] > 0 for row in rows)
    steps, scores = run.evaluations()
    assert [row["score"] for row in run.records()] == scores.ravel().tolist()
    assert [row["step"] for row in run.records()[: len(steps)]] == steps.tolist()
    assert [row["evaluation"] for row in run.records("seeds")] == run.evaluation.tolist()
    with pytest.raises(ValueError, match="table 'curves': expected one of evaluations, curve, seeds"):
        run.records("curves")
    assert len(simulator.load("r2", lab=lab).records()) == 2 * 2 * 3
    assert {row["contestant"] for row in simulator.load("t1", lab=lab).records()} == {"random_walk", "q_learning"}


def test_pandas_is_loaded_when_it_is_asked_for(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    for name in ("r1", "r2", "t1"):
        result = simulator.load(name, lab=lab)
        assert result.to_pandas() == ("frame", result.records())
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in ("r1", "r2", "t1"):
        with pytest.raises(ModuleNotFoundError, match="to_pandas needs pandas: pip install pandas"):
            simulator.load(name, lab=lab).to_pandas()


def test_plots_are_figures_of_matplotlib(lab, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    run = simulator.load("r1", lab=lab)
    axes = run.plot()
    assert axes.get_xlabel() == "environment steps per seed"
    assert axes.get_title(loc="left") == "CartPole-v1"
    assert max(line.get_xdata()[-1] for line in axes.lines) == 2_000
    own = Figure().add_subplot()
    assert run.plot(own) is own
    with pytest.raises(ValueError, match=r"ax = curve\.png: expected axes of matplotlib"):
        run.plot("curve.png")
    pyplot.close("all")
    assert len(simulator.load("r2", lab=lab).plot().axes) == 2
    assert simulator.load("r2", lab=lab).plot("scores").axes
    tournament = simulator.load("t1", lab=lab)
    assert isinstance(tournament.plot("curves"), Figure)
    with pytest.raises(ValueError, match="expected all, tiers"):
        tournament.plot("scores")


def test_notebooks_get_tables_with_their_text_escaped(lab):
    page = simulator.load("r1", lab=lab)._repr_html_()
    assert "<caption>r1: q_learning in CartPole-v1</caption>" in page
    assert "data:image/svg+xml;base64," in page
    assert "<td>nearest_neighbor</td><td>6</td>" in simulator.load("r2", lab=lab)._repr_html_()
    assert "<td>q_learning</td>" in simulator.load("t1", lab=lab)._repr_html_()
    label = "<script>"
    benchmark = simulator.recall({label: {"name": "hopfield"}}, "digits", lab=lab, seeds=1, patterns=[3])
    assert label not in benchmark._repr_html_()


def test_results_say_what_they_are(lab):
    assert repr(simulator.load("r2", lab=lab)) == "<r2: hopfield, nearest_neighbor on digits, 3 seeds, done>"
    assert repr(simulator.load("t1", lab=lab)) == "<t1: 2 contestants, 3 seeds, done>"
    assert len(simulator.load("t1", lab=lab)) == len(list(simulator.load("t1", lab=lab)))


def stored(name: str, seeds: list[int], scores: list[float], env: str = "maze") -> simulator.RunResult:
    """Return a result that holds these final returns."""
    result = object.__new__(simulator.RunResult)
    result.run = name
    result.summary = {"seeds": seeds, "env": env, "evaluation": {"per_seed": scores, "exact_per_seed": None}}
    return result


def test_runs_are_compared_on_the_seeds_that_both_have():
    first = stored("r1", [0, 1, 2, 3, 4, 5], [2.0, 3.0, 4.0, 5.0, 6.0, np.nan])
    second = stored("r2", [5, 4, 3, 2, 1, 9], [0.0, 5.0, 4.0, 2.0, 3.0, 0.0])
    found = first.compare(second)  # differences of seeds 1 to 4: 0, 2, 1, 1
    assert found.n_seeds == 4
    assert found.difference.value == 1.0
    assert found.improvement.value == (0.5 + 3) / 4
    assert found.p == 2 / 8  # of eight signs of three differences, all alike
    assert found.difference.low <= 1.0 <= found.difference.high
    other_way = second.compare(first)
    assert (other_way.difference.value, other_way.p) == (-1.0, found.p)


def test_what_cannot_be_compared_is_said_in_one_line():
    first = stored("r1", [0, 1], [2.0, 3.0])
    with pytest.raises(ValueError, match=r"r1 and r2 have 1 seeds in common, expected at least two"):
        first.compare(stored("r2", [1, 2], [2.0, 3.0]))
    with pytest.raises(ValueError, match=r"r1 is in maze, r2 in cave, expected one environment"):
        first.compare(stored("r2", [0, 1], [2.0, 3.0], env="cave"))
