"""Tests of comparisons of predictions: nothing lost, seeds alone, every command on the stored one, and bad input."""

from __future__ import annotations

import io
import itertools
import json
import math

import numpy as np
import pytest
from rich.console import Console

import simulator
from simulator.commands import main as command_line
from simulator.commands import reproduce
from simulator.config import codec
from simulator.config import predict as predict_config
from simulator.config.predict import PredictConfig
from simulator.core.experiment_kinds import PREDICT
from simulator.core.snapshots import PredictSnapshot
from simulator.prediction import loop
from simulator.prediction import summary as predictions
from simulator.reporting import html_page, plot, predict
from simulator.reporting.report import show_csv
from simulator.store.run_store import Store
from simulator.views.predict import page_of, plain_line
from simulator.views.style import TerminalStyle

SMALL = {
    "seeds": 3,
    "method": {"posterior_mean": {}, "als": {}, "kept": {"name": "nearest_neighbor"}},
    "task": {"name": "ratings", "users": 20, "items": 12, "seen": [0.3, 0.5], "sweeps": 5},
}
CLASSES = {
    "seeds": 2,
    "method": {"nearest": {}, "autoencoder": {"hidden": [16], "updates": 20}},
    "task": {"name": "classes", "labels": [20], "updates": 10},
}


def play(lab, config, cells: int | None = None) -> str:
    """Run a comparison, or so many cells of it, and return its run."""
    with Store(lab) as store:
        snapshots = loop.predict(config, store)
        for snapshot in itertools.islice(snapshots, None if cells is None else cells + 1):
            run = snapshot.id
        snapshots.close()
    return run


def summary_of(lab, run):
    with Store(lab) as store:
        return predictions.summary(store, run)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a lab with a comparison of ratings, r1, and of classes, r2."""
    lab = tmp_path_factory.mktemp("lab")
    play(lab, predict_config.build(SMALL))
    play(lab, predict_config.build(CLASSES))
    return lab


def test_every_contestant_has_a_cell_for_every_condition(lab):
    summary = summary_of(lab, "r1")
    places = [(cell["contestant"], cell["condition"]) for cell in summary["cells"]]
    assert places == [(label, seen) for label in ("posterior_mean", "als", "kept") for seen in (0.3, 0.5)]
    assert (summary["status"], summary["step"], summary["steps"]) == ("done", 6, 6)
    for cell in summary["cells"]:
        assert len(cell["scores"]["rmse"]["per_seed"]) == 3
        assert cell["scores"]["rmse"]["low"] <= cell["scores"]["rmse"]["mean"] <= cell["scores"]["rmse"]["high"]
    assert summary["ceiling"] == "ceiling"


def test_differences_are_to_the_best_that_is_no_ceiling(lab):
    summary = summary_of(lab, "r1")
    found = {(one["contestant"], one["condition"]): one for one in summary["differences"]}
    assert {one["than"] for one in found.values()} <= {"als", "kept"}
    assert found["posterior_mean", 0.3]["rmse"]["mean"] < 0.0
    per_seed = {cell["contestant"]: cell["scores"]["rmse"]["per_seed"] for cell in summary["cells"][::2]}
    best = found["posterior_mean", 0.3]["than"]
    expected = np.subtract(per_seed["posterior_mean"], per_seed[best])
    np.testing.assert_allclose(found["posterior_mean", 0.3]["rmse"]["per_seed"], expected)


def test_folds_that_share_rows_have_wider_intervals():
    """Two of five folds: 1/2 + 1/4 in place of 1/2, and no further than the bounds."""
    values = np.array([0.3, 0.5, np.nan])
    plain = predictions.estimate(values, (-1.0, 1.0), 0.0)
    wider = predictions.estimate(values, (-1.0, 1.0), 0.25)
    assert wider["mean"] == plain["mean"]
    np.testing.assert_allclose(wider["high"] - 0.4, np.sqrt(1.5) * (plain["high"] - 0.4))
    assert predictions.estimate(values, (0.3, 0.5), 1e6)["high"] == 0.5


def test_stored_folds_and_splits_are_widened(lab, tmp_path):
    (tmp_path / "own.csv").write_text(
        "user,item,rating\n" + "".join(f"u{i % 5},i{i // 5},{i * 7 % 11}\n" for i in range(30))
    )
    method = {"global_mean": {}, "user_item_means": {}}
    task = {"name": "ratings", "csv": str(tmp_path / "own.csv"), "seen": [0.5, 0.8]}
    run = play(tmp_path, predict_config.build({"seeds": 3, "method": method, "task": task}))
    folds, splits = summary_of(lab, "r2"), summary_of(tmp_path, run)
    for summary, ratios, bounds in ((folds, {20.0: 0.25}, (0.0, 1.0)), (splits, {0.5: 1.0, 0.8: 0.25}, (0.0, np.inf))):
        name = summary["scores"][0]["name"]
        for one in summary["cells"]:
            score = one["scores"][name]
            expected = predictions.estimate(np.array(score["per_seed"]), bounds, ratios[one["condition"]])
            assert (score["low"], score["high"]) == pytest.approx((expected["low"], expected["high"]))
        for one in summary["differences"]:
            ends = (bounds[0] - bounds[1], bounds[1] - bounds[0])
            expected = predictions.estimate(np.array(one[name]["per_seed"]), ends, ratios[one["condition"]])
            assert one[name]["high"] == pytest.approx(expected["high"])


@pytest.mark.parametrize(("settings", "run"), [(SMALL, "r1"), (CLASSES, "r2")], ids=["ratings", "classes"])
def test_interrupted_or_alone_it_is_the_same(tmp_path, lab, settings, run):
    whole = summary_of(lab, run)
    config = predict_config.build(settings)
    cut = play(tmp_path, config, 1)
    assert summary_of(tmp_path, cut)["status"] == "interrupted"
    with Store(tmp_path) as store:
        for _ in loop.predict(config, store, cut):
            pass
    alone = play(tmp_path, predict_config.build({**settings, "seeds": 1, "first_seed": 1}))
    for one, resumed, single in zip(
        *(summary["cells"] for summary in (whole, summary_of(tmp_path, cut), summary_of(tmp_path, alone))), strict=True
    ):
        for name, score in one["scores"].items():
            if score is None:
                assert resumed["scores"][name] is None
                continue
            assert resumed["scores"][name]["per_seed"] == score["per_seed"]
            assert single["scores"][name]["per_seed"] == score["per_seed"][1:2]
        assert resumed.get("confusion") == one.get("confusion")


def test_it_is_reproduced_bit_for_bit(lab):
    assert reproduce.again("r1", str(lab))["identical"]


def test_settings_go_to_toml_and_back():
    config = predict_config.build(CLASSES)
    again = codec.from_toml(PredictConfig, codec.to_toml(config), "there")
    assert again == config
    assert codec.settings_hash(again) == codec.settings_hash(config)
    assert predict_config.build({"task": {"name": "ratings"}}).contestants[0].label == "posterior_mean"


def test_the_table_has_the_best_first_and_the_ceiling_last(lab):
    (table,) = predict.tables(summary_of(lab, "r1"))
    assert table.columns[:3] == ["fraction of ratings seen", "method", "RMSE"]
    assert table.rows[0][1] == "posterior_mean"
    assert table.rows[3][1] == "best possible"
    for form in (predict.show, predict.show_markdown, predict.show_latex):
        form(summary_of(lab, "r2"))


def test_reports_for_other_programs(lab, capsys):
    show_csv(PREDICT, summary_of(lab, "r1"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run,contestant,condition,seed,rmse,mae,ceiling"
    assert len(lines) == 1 + 6 * 3
    show_csv(PREDICT, summary_of(lab, "r1"), "summary")
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


def test_pictures_and_the_page(lab, tmp_path):
    kinds = [picture.kind for picture in plot.drawing_of(PREDICT, summary_of(lab, "r2"), plot.KINDS[PREDICT]).pictures]
    assert kinds == ["scores", "confusion", "roc"]
    drawing = plot.drawing_of(PREDICT, summary_of(lab, "r1"), plot.KINDS[PREDICT])
    assert [picture.kind for picture in drawing.pictures] == ["scores"]
    assert len(drawing.left_out) == 2
    plot.draw(drawing, tmp_path / "r1.svg")
    assert command_line.main(["report", "r2", "--html", str(tmp_path / "r2.html"), "--lab", str(lab)]) == 0
    assert "engram predict --config" in (tmp_path / "r2.html").read_text()
    assert html_page.WORDS_OF_PREDICTIONS["accuracy"] in (tmp_path / "r2.html").read_text()


def test_other_commands_know_it(lab, capsys):
    for words in (["show", "r1"], ["list", "runs"], ["report", "r1", "--table"], ["resume", "r1"]):
        assert command_line.main([*words, "--lab", str(lab)]) == 0
    assert command_line.main(["export", "r1", "x.npz", "--lab", str(lab)]) == 2
    assert "r1 is a comparison of predictions" in capsys.readouterr().err
    loaded = simulator.load("r1", lab=lab)
    assert loaded["task"] == "ratings"
    assert len(loaded.records()) == 18
    assert "ratings, 3 seeds, 6 cells, done" in repr(loaded)


def test_a_page_watches_it_and_reads_it_again_until_it_is_over(lab):
    pytest.importorskip("pygame")
    from simulator.reporting.predict_panels import panels_of
    from simulator.views.window.predict_window import Comparison, stored_page

    whole = summary_of(lab, "r2")
    first = {**whole, "cells": whole["cells"][:1]}
    n = whole["steps"]
    answers = [
        Comparison("r2", "running", 1, n, panels_of(first)),
        None,
        Comparison("r2", "done", n, n, panels_of(whole)),
    ]
    now = [0.0]
    page = stored_page(lambda: answers.pop(0), "engram watch r2", lambda: now[0])
    assert page._tabs.names == ("Scores", "Confusion", "ROC")
    assert not page.poll()  # it is not time to look again
    assert len(answers) == 2
    for changed in (False, True):
        now[0] += 1.0
        assert page.poll() == changed
    assert page.next_poll == math.inf
    assert page.progress.share == 1.0


def test_json_is_one_object(tmp_path, capsys):
    words = ["predict", "global_mean", "ratings", "--task.users", "10", "--task.items", "8", "--task.seen", "0.5"]
    assert command_line.main([*words, "--seeds", "2", "--json", "--view", "none", "--lab", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [cell["contestant"] for cell in printed["cells"]] == ["global_mean"]


def test_from_python(tmp_path):
    found = simulator.predict(
        {"name": "ratings", "users": 10, "items": 8},
        ["global_mean"],
        task_settings={"seen": [0.5]},
        seeds=2,
        lab=tmp_path,
    )
    assert found["contestants"] == ["global_mean"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], r"expected engram predict \[METHOD\|MEMORY ...\] TASK, or --config FILE; the tasks are classes, ratings"),
        (["ratngs"], "unknown task 'ratngs'; did you mean ratings"),
        (["digits"], "unknown task 'digits'; it is a challenge: engram recall MEMORY digits"),
        (["alls", "ratings"], "unknown method 'alls'; did you mean als"),
        (["als", "classes"], "unknown method 'als'"),
        (["als", "als", "ratings"], "als: als competes already"),
        (["als", "ratings", "--method.als.rank", "3"], "--method.als.rank: als has its settings in the task"),
        (["als", "ratings", "--task.seen", "1.5"], "--task.seen"),
        (["vae", "classes", "--seeds", "1"], "vae: it has no encoder of dense layers"),
        (["hopfield", "ratings", "--seeds", "1", "--task.users", "5"], "hopfield: .*; --skip leaves it out"),
    ],
)
def test_bad_words_are_refused_in_one_line(tmp_path, capsys, words, line):
    import re

    view = [] if "--view" in words else ["--view", "none"]
    assert command_line.main(["predict", *words, *view, "--lab", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(line, said), said
    with Store(tmp_path) as store:
        assert store.runs() == []


def test_a_contestant_that_cannot_predict_is_listed(tmp_path, capsys):
    words = ["predict", "hopfield", "global_mean", "ratings", "--task.users", "10", "--seeds", "2", "--skip"]
    assert command_line.main([*words, "--view", "none", "--lab", str(tmp_path)]) == 0
    assert "cannot predict: hopfield: " in capsys.readouterr().out


def test_the_page_shows_bars_at_the_newest_condition():
    snapshot = PredictSnapshot(
        "r1", ("a", "b"), "ratings", "running", (0, 1), 3, 4, 1.0, "b, 0.5 seen", "seen", "RMSE",
        (("a", 0.3, 1.0), ("a", 0.5, 0.5), ("b", 0.5, 2.0)), "b, 0.5 seen",
    )  # fmt: skip
    page = page_of(snapshot, (60, 12), TerminalStyle(ascii=True)).plain
    assert page.count("#") == 50  # 10 and 40 columns
    assert plain_line(snapshot) == "r1: 3 of 4 cells, 1.0 s, b, 0.5 seen: RMSE 2"
    console = Console(file=io.StringIO(), width=60)
    console.print(page_of(snapshot, (60, 12), TerminalStyle(ascii=True)))
