"""Tests of pictures of stored experiments: what is drawn, what is named in legends, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from simulator.core.experiment_kinds import RECALL, RUN, TOURNAMENT
from simulator.reporting import figures, plot
from simulator.reporting.figures import LegendEntry, Reference, axes_size, draw_references
from tests.helpers.tournament_summaries import summary


def run(name: str = "r1", env: str = "rooms", label: str = "td", **changes: Any) -> dict[str, Any]:
    curve = {"steps": [10, 20], "iqm": [0.25, 0.5], "low": [0.0, 0.25], "high": [0.5, 0.75]}
    known = {"run": name, "env": env, "name": label, "seeds": [0, 1], "optimum": 0.75, "floor": 0.0}
    return {**known, "settings": {}, "solved": {"threshold": 0.5}, "curve": curve, **changes}


def recall_summary(cells: list[tuple[int, str]]) -> dict[str, Any]:
    score = {"mean": 0.5, "low": 0.25, "high": 0.75}
    measured = [
        {
            **{"patterns": load, "corruption": corruption, "memory": memory, "overlap": score, "exact": score},
            **{"ceiling": {"overlap": 0.9, "exact": 0.8}, "failed": []},
        }
        for load, corruption in cells
        for memory in ("hopfield", "rbm")
    ]
    return {"run": "r1", "challenge": "digits", "seeds": [0, 1], "contestants": ["hopfield", "rbm"], "cells": measured}


def labels(picture: figures.Picture) -> list[str]:
    return [entry.label for entry in picture.legend]


def painted(panel: figures.Panel) -> Any:
    ax = Figure().subplots()
    panel.paint(ax)
    return ax


def test_runs_of_one_env_share_a_panel_and_references_are_named() -> None:
    runs = [run(), run("r2", label="sarsa"), run("r3", "cliff", optimum=None, solved={"threshold": None})]
    (picture,), left_out = plot.drawing_of(RUN, {"runs": runs})
    assert [panel.title for panel in picture.panels] == ["rooms", "cliff"]
    assert labels(picture) == ["td", "sarsa", "optimum", "threshold", "random play"]
    assert left_out == []
    levels = [line.get_ydata()[0] for line in painted(picture.panels[0]).lines if len(set(line.get_ydata())) == 1]
    assert levels == [0.75, 0.5, 0.0]


def test_a_single_panel_has_its_env_in_the_title_and_is_larger() -> None:
    (one,), _ = plot.drawing_of(RUN, {"runs": [run()]})
    (two,), _ = plot.drawing_of(RUN, {"runs": [run(), run("r2", "cliff")]})
    assert (one.title, one.panels[0].title) == ("Learning curves: rooms", "")
    assert one.panels[0].axes.width > two.panels[0].axes.width > axes_size(3).width
    assert "over 2 seeds" in one.note


def test_what_has_nothing_to_draw_is_named_with_the_reason() -> None:
    empty = {"steps": [], "iqm": [], "low": [], "high": []}
    gaps = {"steps": [1, 2], "iqm": [None, 1.0], "low": [None, 0.0], "high": [None, 2.0]}
    drawing = plot.drawing_of(
        RUN, {"runs": [run(), run("r2", curve=empty), run("r3", curve=gaps), run("r4", curve=None)]}
    )
    assert drawing.left_out == [
        "r2: no picture of curves: nothing was evaluated while it learned",
        "r3: 1 of 2 evaluations are not drawn: no seed has a score there",
        "r4: no picture of curves: no time of its training is stored",
    ]
    with pytest.raises(ValueError, match="r2: no picture of curves"):
        plot.draw(plot.drawing_of(RUN, {"runs": [run("r2", curve=empty)]}), plot.Path("a.svg"))


def test_times_are_the_axis_and_mean_speed_is_said() -> None:
    curve = {**run()["curve"], "seconds": [1.0, 3.0], "measured": False}
    (picture,), _ = plot.drawing_of(RUN, {"runs": [run(curve=curve)]}, x="seconds", smooth=5)
    ax = painted(picture.panels[0])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1.0, 3.0])
    assert ax.get_xlabel() == "seconds of training, all seeds together"
    assert "Times of r1: at the mean speed of the run." in picture.note
    assert "mean of its last 5 evaluations" in picture.note


def test_a_reference_far_away_is_named_at_the_edge() -> None:
    ax = Figure().subplots()
    ax.plot([0.0, 1.0], [-13.0, -12.0])
    draw_references(ax, [Reference("optimum", -12.5, "-"), Reference("random play", -65_000.0, ":")])
    assert len(ax.lines) == 2
    assert [text.get_text() for text in ax.texts] == ["\u2193 random play -65k"]
    assert ax.get_ylim()[0] > -20.0


def test_recall_has_a_row_for_each_score_and_the_bayes_optimal_line() -> None:
    cells = [(5, "flip:0.1"), (10, "flip:0.1"), (10, "flip:0.3")]
    pictures, left_out = plot.drawing_of(RECALL, recall_summary(cells))
    assert left_out == []
    assert [picture.title for picture in pictures] == [
        "Recall against corruption: digits",
        "Recall against load: digits",
    ]
    for picture, places, title in zip(pictures, ([0.1, 0.3], [5.0, 10.0]), ("10 patterns", "flip:0.1"), strict=True):
        assert labels(picture) == ["hopfield", "rbm", "Bayes-optimal"]
        assert [panel.title for panel in picture.panels] == [title] * 2
        ax = painted(picture.panels[1])
        assert ax.get_ylabel() == "perfect-recall rate"
        np.testing.assert_allclose(ax.lines[-1].get_xydata(), [[x, 0.8] for x in places])
        np.testing.assert_allclose(ax.lines[0].get_xydata(), [[x, 0.5] for x in places])


def test_many_memories_and_many_curves_go_into_several_pictures() -> None:
    found = recall_summary([(5, f"{kind}:{amount}") for kind in "abcde" for amount in (0.1, 0.2)])
    pictures, left_out = plot.drawing_of(RECALL, found)
    assert [len(picture.panels) for picture in pictures] == [6, 4]
    assert left_out == ["r1: no picture of load: no corruption met several numbers of patterns"]
    found["contestants"] = [f"m{i}" for i in range(8)]
    pictures, left_out = plot.drawing_of(RECALL, found, ["corruption"])
    assert [len(picture.legend) for picture in pictures] == [5] * 4
    assert "r1: no curve of m0: it has no score" in left_out


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="--what tiers: not for training runs, expected all, curves, training"):
        plot.drawing_of(RUN, {"runs": [run()]}, ["tiers"])
    with pytest.raises(ValueError, match="--what load: not for a tournament"):
        plot.drawing_of(TOURNAMENT, summary(), ["load"])


def test_long_labels_are_wrapped_in_the_legend() -> None:
    text = figures._legend_text(LegendEntry("q_learning, double = true, explore.epsilon_start = 0.5", "k", "-"))
    assert text.splitlines() == ["q_learning, double = true,", "explore.epsilon_start =", "0.5"]
    long = figures._legend_text(LegendEntry("word " * 60, "k", "-"))
    assert len(long.splitlines()) <= figures.MAX_LEGEND_LINES
    assert max(map(len, long.splitlines())) <= figures.MAX_LABEL


def test_narrow_pictures_share_a_row_of_the_sheet() -> None:
    pictures, _ = plot.drawing_of(TOURNAMENT, summary(challenges=("a", "b", "c")))
    rows = figures._rows(pictures, 13.6)
    assert [[picture.kind for picture in row] for row in rows] == [["tiers", "profiles"], ["pairs"], ["curves"]]
    assert [len(row) for row in figures._rows(pictures, 6.5)] == [1, 1, 1, 1]


def test_one_load_and_corruption_are_drawn_by_memory() -> None:
    (picture,), left_out = plot.drawing_of(RECALL, recall_summary([(10, "flip:0.1")]))
    assert (picture.kind, picture.title) == ("scores", "Recall by memory: digits, 10 patterns, flip:0.1")
    assert left_out == []
    overlap, exact = (painted(panel) for panel in picture.panels)
    assert [text.get_text() for text in overlap.get_yticklabels()] == ["hopfield", "rbm"]
    assert [list(line.get_xdata()) for line in exact.lines] == [[0.5, 0.5], [0.8, 0.8]]
    asked, _ = plot.drawing_of(RECALL, recall_summary([(10, "flip:0.1"), (20, "flip:0.1")]), ["scores"])
    assert len(asked) == 2


def test_the_name_of_a_distant_reference_is_on_no_curve() -> None:
    ax = Figure().subplots()
    ax.plot([0.0, 1.0], [0.0, 1.0])
    draw_references(ax, [Reference("random play", -1000.0, "-")])
    (text,) = ax.texts
    ax.figure.draw_without_rendering()
    top_of_text = ax.transData.inverted().transform(text.get_window_extent())[1, 1]
    assert top_of_text < 0.0
    assert ax.get_ylim()[0] > -1.0


def test_solved_seeds_are_counted_where_there_is_a_threshold() -> None:
    found = summary(("dqn", "td"), ("a", "b"))
    found["challenges"][0]["threshold"] = 451.0
    found["challenges"][1]["threshold"] = None
    found["scores"][0]["raw"]["per_seed"] = [450.0, 451.0, 452.0, None]
    found["scores"][2]["raw"]["per_seed"] = [450.0, 0.0, 0.0]
    (picture,) = plot.drawing_of(TOURNAMENT, found, ["solved"]).pictures
    ax = painted(picture.panels[0])
    assert {text.get_text() for text in ax.texts} == {"2/4", "0/3"}
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["dqn", "td"]


def test_solved_seeds_need_a_threshold() -> None:
    found = summary(("dqn", "td"), ("a",))
    found["challenges"][0]["threshold"] = None
    assert plot.drawing_of(TOURNAMENT, found, ["solved"]) == (
        [],
        ["t1: no picture of solved: no challenge has a threshold"],
    )
