"""Tests of figures of tournaments: valid files, reproducible bytes, and labels as plain text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from simulator.core.experiment_kinds import TOURNAMENT
from simulator.reporting import figures, plot, recall_figures
from simulator.reporting.figures import COLOURS, HOLLOW, MAX_LINES, even_parts, numbers, svg
from simulator.reporting.tournament import readable
from simulator.reporting.tournament_figures import DEFAULT, pictures_of
from tests.helpers.tournament_summaries import HOSTILE, analyzed, around, summary

MAGIC = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
SMALL = {"contestants": ("dqn", "random_walk"), "challenges": ("rooms",), "points": 2}


def _numbers(text: str) -> np.ndarray:
    return np.array(NUMBER.findall(text), float)


def _scales(text: str) -> list[str]:
    return re.findall(r"scale\([^)]*\)", text)


def draw_tournament(found: dict, path: Path, what: str = "all") -> None:
    plot.draw(plot.drawing_of(TOURNAMENT, found, [] if what == "all" else [what]), path)


def one(found: dict, kind: str) -> ElementTree.Element:
    picture = pictures_of(readable(found), kind)[0]
    return ElementTree.fromstring(svg(picture.panels[0], "a", picture.title))


@pytest.mark.parametrize("ending", MAGIC)
def test_a_file_by_its_ending_and_the_same_bytes_again(tmp_path, ending):
    for name in "ab":
        draw_tournament(summary(**SMALL), tmp_path / f"{name}{ending}", "tiers")
    first, second = ((tmp_path / f"{name}{ending}").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(MAGIC[ending])


def test_a_file_says_what_matplotlib_draws_to_a_tenth_of_a_point(tmp_path):
    from matplotlib.figure import Figure

    with figures.style():
        figure = Figure(figsize=(2.0, 1.0))
        figure.subplots().plot(np.random.default_rng(0).random(50))
        figure.savefig(tmp_path / "whole.svg", metadata={"Date": None})
        figures.save(figure, tmp_path / "small.svg")
    whole, small = (list(ElementTree.parse(tmp_path / f"{name}.svg").iter()) for name in ("whole", "small"))
    assert len([each for each in whole if "scale(0.09" in each.get("transform", "")]) > 5  # a font's size
    for first, second in zip(whole, small, strict=True):
        for name, value in first.items():
            if name == "id" or name.endswith("href"):  # only what is referred to has a name, a short one
                continue
            atol = 0.0501 if name in "dxy" or value.startswith("translate") else 0.0
            is_moved_by_x = name == "transform" and name not in second.attrib
            shown = f"{second.get('x')} 0" if is_moved_by_x else second.get(name, "")
            np.testing.assert_allclose(_numbers(shown), _numbers(value), rtol=0.0, atol=atol)
            assert _scales(shown) == _scales(value)
    hrefs = {value[1:] for each in small for name, value in each.items() if name.endswith("href")}
    assert hrefs == {each.get("id") for each in small} & hrefs != set()
    assert (tmp_path / "small.svg").stat().st_size < 0.75 * (tmp_path / "whole.svg").stat().st_size


def test_all_pictures_in_one_file(tmp_path):
    draw_tournament(analyzed(2, 1, 3, 2), tmp_path / "all.svg")
    root = ElementTree.parse(tmp_path / "all.svg").getroot()
    assert len([each for each in root.iter() if each.get("id", "").startswith("axes_")]) == len(DEFAULT)


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("a.gif", "all", "expected a file that ends in .svg, .png, .pdf"),
        ("a.svg", "bars", "--what bars: not for a tournament, expected all, tiers, profiles, pairs, curves, solved"),
        ("missing/a.svg", "tiers", "cannot be written"),
    ],
)
def test_an_impossible_figure_is_one_line(tmp_path, name, what, words):
    with pytest.raises(ValueError, match=words) as error:
        draw_tournament(summary(**SMALL), tmp_path / name, what)
    assert "\n" not in str(error.value)


def test_memories_have_no_curves(tmp_path):
    with pytest.raises(ValueError, match="t1: no picture of curves: nothing was evaluated while it learned"):
        draw_tournament(summary(points=0), tmp_path / "a.svg", "curves")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["tiers", "pairs"])
def test_hostile_labels_are_text_and_nothing_else(kind):
    root = one(summary(HOSTILE), kind)
    texts = {"".join(each.itertext()) for each in root.iter("text")}
    shown = [name if kind == "tiers" else f"{at} {name}" for at, name in enumerate(HOSTILE, 1)]
    shown[4] = shown[4].replace("\t", " ").replace("\x07", r"\x07").replace("\x1b", r"\x1b")
    assert set(shown) <= texts
    assert not list(root.iter("script"))


def test_a_label_in_any_script_is_drawn_without_a_warning(tmp_path):
    draw_tournament(summary(("日本語", "\u05d0\u05d1"), ("\U0001f600",), points=2), tmp_path / "a.png", "curves")


def test_names_that_begin_with_an_underscore_stay_in_the_legend(tmp_path):
    draw_tournament(summary(("_hidden", "b"), ("rooms",), points=2), tmp_path / "a.svg", "curves")
    assert "<!-- _hidden -->" in (tmp_path / "a.svg").read_text("utf-8")


def test_an_element_of_a_page_has_no_names_of_its_own_and_no_colours_but_the_pages():
    picture = pictures_of(readable(summary(**SMALL)), "curves")[0]
    first, second = (svg(picture.panels[0], name, "curves") for name in ("one", "two"))
    ids = [
        [each.get("id") for each in ElementTree.fromstring(text).iter() if each.get("id")] for text in (first, second)
    ]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    assert all(f"#{name}" in first for name in ids[0])
    for text in (first, second):
        assert "var(--c0)" in text
        assert not any(gone in text for gone in ("http", "font-family", "<style", "xmlns", *COLOURS))


def test_strengths_stand_in_order_with_their_intervals():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    pictures_of(readable(summary()), "tiers")[0].panels[0].paint(ax)
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots.get_xydata(), [[1.5, 0], [1.0, 1], [0.5, 2]])
    spans = [segment[:, 0] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(spans, [[1.1, 1.9], [0.6, 1.4], [0.1, 0.9]])
    assert ax.get_ylim() == (2.5, -0.5)


def test_a_matrix_holds_every_pair_twice_and_colours_only_what_is_decided():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    pictures_of(readable(summary()), "pairs")[0].panels[0].paint(ax)
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts == {(1, 0): "62", (0, 1): "38", (2, 0): "74", (0, 2): "26", (2, 1): "62", (1, 2): "38"}
    assert sum(patch.get_facecolor()[3] > 0 for patch in ax.patches) == 2


def test_cells_of_a_matrix_are_blue_for_the_row_grey_for_even_and_orange_for_the_column():
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    def colours(probability: float) -> tuple[list[str], list[str]]:
        found = summary(("a", "b"))
        (pair,) = found["divisions"][0]["pairs"]
        pair |= {"decided": True, "probability": around(probability, 0.1)}
        ax = Figure().subplots()
        pictures_of(readable(found), "pairs")[0].panels[0].paint(ax)
        return [to_hex(patch.get_facecolor()) for patch in ax.patches], [text.get_color() for text in ax.texts]

    assert colours(1.0)[0] == ["#0072b2", "#d55e00"]
    assert colours(0.5) == (["#eeeeee"] * 2, ["#000001"] * 2)
    assert colours(0.0)[0] == ["#d55e00", "#0072b2"]


def test_a_single_evaluation_is_a_dot_and_what_is_missing_is_left_out():
    from matplotlib.figure import Figure

    found = summary(**{**SMALL, "points": 1}, seeds=1)
    found["divisions"][0]["curves"][1]["iqm"] = [None]
    (panel,) = pictures_of(readable(found), "curves")[0].panels
    ax = Figure().subplots()
    panel.paint(ax)
    assert [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1] == ["o"]


def test_ticks_differ_where_scores_hardly_do():
    from matplotlib.figure import Figure

    found = summary(**SMALL)
    for curve, iqm in zip(found["divisions"][0]["curves"], ([99.9999, 99.9998], [99.9997, 99.9997]), strict=True):
        curve |= {"iqm": iqm, "low": iqm, "high": iqm}
    ax = Figure().subplots()
    pictures_of(readable(found), "curves")[0].panels[0].paint(ax)
    texts = [text.get_text() for text in ax.get_yticklabels()]
    assert len(texts) > 2
    assert len(set(texts)) == len(texts)


def test_many_contestants_are_split_into_several_figures():
    found = readable(summary([f"agent_{i}" for i in range(30)]))
    curves, profiles = pictures_of(found, "curves"), pictures_of(found, "profiles")
    assert [entry.label for picture in profiles for entry in picture.legend] == [f"agent_{i}" for i in range(30)]
    assert max(len(picture.legend) for picture in profiles) == MAX_LINES
    assert [entry.label for entry in curves[4].legend] == [
        *(f"agent_{i}" for i in range(24, 30)),
        *("registered threshold", "threshold", "measured random play", "exact optimum"),
    ]
    assert curves[0].title == "Learning curves: agents, rows 1 to 6"
    assert len({entry.colour for entry in profiles[0].legend}) == MAX_LINES


def test_parts_are_about_equally_large():
    assert even_parts(7, 6) == [(0, 4), (4, 7)]
    assert even_parts(6, 6) == [(0, 6)]
    assert even_parts(20, 6) == [(0, 5), (5, 10), (10, 15), (15, 20)]
    assert even_parts(0, 6) == []


def test_numbers_that_cannot_be_drawn():
    np.testing.assert_array_equal(numbers([1.0, None, float("inf"), 1e300]), [1.0, np.nan, np.nan, figures.MAX_DRAWN])


def test_one_contestant_has_neither_strengths_nor_pairs():
    found = readable(summary(("dqn",), seeds=1))
    assert [len(pictures_of(found, kind)) for kind in DEFAULT] == [0, 1, 0, 1]


def test_a_line_far_outside_is_named_and_does_not_flatten_the_others():
    from matplotlib.figure import Figure

    found = summary(**SMALL)
    found["challenges"] = [{**found["challenges"][0], "floor": -65_375.0, "ceiling": -13.0, "threshold": None}]
    inside, outside = found["divisions"][0]["curves"]
    inside |= {"iqm": [-17.0, -13.0], "low": [-30_000.0, -13.0], "high": [-16.0, None]}
    outside |= {"iqm": [-65_375.0, -65_375.0], "low": [None, None], "high": [None, None]}
    (picture,) = pictures_of(readable(found), "curves")
    ax = Figure().subplots()
    picture.panels[0].paint(ax)
    low, high = ax.get_ylim()
    assert -30 < low < -17
    assert -13 < high < 0
    assert "\u2193 random_walk -65.38k" in ax.texts[0].get_text()
    assert "a line that is far outside" in picture.note
    assert "An evaluation without a return" in picture.note


def test_equal_seeds_of_a_memory_are_hollow_points_without_a_band_below_the_best_possible():
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    equal = {"mean": 1.0, "low": 0.26, "high": 1.0, "per_seed": [1.0, 1.0]}
    spread = {"mean": 0.8, "low": 0.7, "high": 0.9, "per_seed": [0.7, 0.9]}
    ceiling = {"ceiling": {"overlap": 1.0, "exact": 1.0}, "failed": [], "memory": "m", "patterns": 5}
    cells = [
        {**ceiling, "corruption": f"flip:0.{at}", "overlap": score, "exact": score}
        for at, score in ((1, equal), (2, spread))
    ]
    found = {"run": "r1", "challenge": "digits", "contestants": ["m"], "seeds": [0, 1], "cells": cells}
    (picture,) = recall_figures.pictures_of(found, "corruption")
    ax = Figure().subplots()
    picture.panels[0].paint(ax)
    (band,) = ax.collections
    assert band.get_paths()[0].vertices[:, 1].min() == 0.7
    hollow = [line for line in ax.lines if line.get_marker() == "o" and to_hex(line.get_markerfacecolor()) == HOLLOW]
    assert [line.get_xydata().tolist() for line in hollow] == [[[0.1, 1.0]]]
    assert "A hollow point: all seeds are equal" in picture.note
    best = max(ax.lines, key=lambda line: line.get_zorder())
    assert best.get_ydata().tolist() == [1.0, 1.0]
    assert best.get_linestyle() == "--"
