"""Tests of the picture of a Hopfield network's capacity, and of pictures of panels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from simulator.commands import kinds
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, PicturePanel, PointPanel, StripPanel, TextPanel
from simulator.recall import theory
from simulator.reporting import capacity_figures, panels

WORDS = (
    *("settled=hopfield", "one_step=hopfield", "storkey=hopfield", "random_bits", "--challenge.n-units", "60"),
    *("--patterns", "3", "12", "--corruption", "flip:0", "--seeds", "2", "--novel", "1", "--view", "none"),
    *("--memory.one_step.update", "synchronous", "--memory.one_step.recall-mode", "single_pass"),
    *("--memory.storkey.rule", "storkey"),
)


def painted(panel):
    ax = Figure().subplots()
    panel.paint(ax)
    return ax


def test_capacity_stands_beside_the_theory(engram, clean_folder):
    engram("recall", *WORDS)
    drawn = engram("plot", "latest", "--what", "capacity", "-o", "capacity.svg", "--json").json
    (picture,) = drawn["pictures"]
    assert picture["legend"] == ["settled, flip:0", "one_step, flip:0", "theory"]  # Storkey's rule has another theory
    benchmark = kinds.find("latest", "lab")
    summary = {**benchmark.summary, "toml": benchmark.record.settings}
    (picture,) = capacity_figures.pictures_of(summary)
    overlap, error = (painted(panel) for panel in picture.panels)
    points = overlap.lines[0].get_xydata()
    cells = [cell for cell in summary["cells"] if cell["memory"] == "settled"]
    np.testing.assert_allclose(points[:, 0], [0.05, 0.2])
    np.testing.assert_allclose(points[:, 1], [cell["overlap"]["mean"] for cell in cells])
    curve = overlap.lines[1].get_xydata()
    np.testing.assert_allclose(curve[-1], theory.critical(), atol=1e-3)
    exact = error.lines[-2].get_xydata()
    assert exact[-1] == pytest.approx([0.2, theory.exact_one_step_error(12, 60)])


def test_other_benchmarks_have_no_such_picture(engram, clean_folder):
    engram("recall", "hopfield", "digits", "--patterns", "3", "5", "--seeds", "2", "--view", "none")
    refused = engram("plot", "latest", "--what", "capacity", "-o", "capacity.svg", code=2).error
    assert refused.startswith(
        "r1: no picture of capacity: no Hopfield network by Hebb's rule was measured on random_bits"
    )
    assert capacity_figures.pictures_of({"cells": []}) == []


def test_every_kind_of_panel_but_facts_is_drawn(tmp_path):
    grid = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    every = [
        HeatPanel("weights", grid, ("a", "b", "c"), ("1", "2", "3", "4")),
        BarPanel("bars", ("a", "b"), np.array([1.0, np.nan]), np.array([0.5, 0.5]), "exact", 1),
        StripPanel("strip", grid),
        CurvePanel("one", np.arange(4.0), grid, ("x", "y", "z")),
        CurvePanel("two", np.arange(4.0), grid, ("x", "y", "z"), grid - 0.1, grid + 0.1, {"best": 1.0}),
        PicturePanel("pictures", np.stack([grid, grid]), ("first", "second"), per_row=1),
        PointPanel("points", grid[:, :2], np.array([0, 1, 0]), ("old", "new"), 1),
        TextPanel("facts", {"a": "b"}),
    ]
    pictures = panels.pictures_of(every, "a note")
    assert [len(picture.panels) for picture in pictures] == [1, 1, 1, 2, 1, 1]
    assert [panel.title for panel in pictures[3].panels] == ["one", "two"]
    assert pictures[0].note == "a note"
    assert [entry.label for entry in pictures[3].legend] == ["x", "y", "z"]
    for picture in pictures:
        for panel in picture.panels:
            painted(panel)


def test_a_matrix_of_weights_is_coloured_around_0():
    (picture,) = panels.pictures_of([HeatPanel("weights", np.array([[0.0, 3.0], [-1.0, 0.5]]))])
    (image,) = painted(picture.panels[0]).images
    assert image.get_clim() == (-3.0, 3.0)
