"""Tests of R matrices from files: their meaning, and errors with their place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.common.gridworld import graph_file
from envs.common.gridworld.graph_mdp import make_graph_model
from envs.common.gridworld.layout_model import LayoutRules
from envs.rooms import Config, make
from simulator.core.mdp.model import TRUNCATES
from simulator.core.mdp.solve import value_iteration

ROW = "R = [[-1, 0, -1], [0, -1, 100], [-1, 0, 100]]\n"  # three rooms in a row, the last is the goal


def test_a_toml_file_and_a_json_file_are_layouts(tmp_path):
    toml, listed, table = tmp_path / "row.toml", tmp_path / "row.json", tmp_path / "table.json"
    rows = [[-1, 0, -1], [0, -1, 100], [-1, 0, 100]]
    toml.write_text(ROW)
    listed.write_text(json.dumps(rows))
    table.write_text("\ufeff" + json.dumps({"R": rows, "title": "a row"}), encoding="utf-8")
    for path in (toml, listed, table):
        mdp = make([1], Config(layout=str(path))).spec.mdp
        q = value_iteration(mdp, 0.5).q
        np.testing.assert_allclose(q, [[0, 50 * 2, 0], [50, 0, 200], [0, 100, 200]])
        np.testing.assert_allclose(mdp.start, 1 / 3)
    assert make([1], Config(layout=str(table))).scene(0).title == "a row"


def test_goal_and_start_may_be_given(tmp_path):
    path = tmp_path / "row.toml"
    path.write_text(ROW + "goal = [0, 1]\nstart = 2\n")
    mdp = make([1], Config(layout=str(path))).spec.mdp
    assert mdp.start.tolist() == [0, 0, 1]
    assert mdp.end[..., 0].tolist() == [[0, TRUNCATES, 0], [TRUNCATES, 0, 0], [0, TRUNCATES, 0]]
    anywhere = make([1], Config(layout=str(path), start="random")).spec.mdp
    np.testing.assert_allclose(anywhere.start, 1 / 3)


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("R = [[0, 1], [0]]", "r.toml: R row 1: found 1 entries, expected 2 entries, one for each room"),
        ("R = [[0, 1], 3]", "r.toml: R row 1: found 3, expected 2 entries, one for each room"),
        (
            "R = [[0, 1], [-2, 0]]",
            "r.toml: R row 1, column 0: found -2, expected -1 (no door) or a reward from 0 to 1e+09",
        ),
        (
            'R = [[0, "a"], [0, 0]]',
            "r.toml: R row 0, column 1: found 'a', expected -1 (no door) or a reward from 0 to 1e+09",
        ),
        ("R = [[true]]", "r.toml: R row 0, column 0: found True, expected -1 (no door) or a reward from 0 to 1e+09"),
        ("R = [[nan]]", "r.toml: R row 0, column 0: found nan, expected -1 (no door) or a reward from 0 to 1e+09"),
        ("R = [[inf]]", "r.toml: R row 0, column 0: found inf, expected -1 (no door) or a reward from 0 to 1e+09"),
        ("R = []", "r.toml: R: found 0 rows, expected 1 to 500 rows, one for each room"),
        ("R = 3", "r.toml: R: found 3, expected 1 to 500 rows, one for each room"),
        ("", "r.toml: found no R, expected a square list of lists of numbers with that name"),
        ("R = [[0]]", "r.toml: found neither a goal nor a positive entry of R, expected a goal room"),
        ("R = [[1]]\ngaol = 0", "r.toml: unknown key 'gaol'; did you mean goal?, expected R, goal, start, title"),
        ("R = [[1]]\ngoal = 1", "r.toml: goal: found 1, expected a room from 0 to 0"),
        ("R = [[1]]\ngoal = []", "r.toml: goal: found no room, expected at least one"),
        ("R = [[1]]\nstart = 0.5", "r.toml: start: found 0.5, expected a room from 0 to 0"),
        ("R = [[1]]\ntitle = 3", "r.toml: title = 3: expected up to 200 printable characters"),
        ("R = [[1]", "r.toml: not TOML: Unclosed array (at end of document)"),
        ("R = [[-1, 1], [-1, -1]]", "r.toml: R row 1: found no door, expected at least one entry other than -1"),
        (
            "R = [[0, -1], [-1, 1]]",
            "r.toml: R row 0: found no way from room 0 to a goal, expected one to room 1",
        ),
    ],
)
def test_a_bad_matrix_is_refused_with_its_place(tmp_path, monkeypatch, page, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(page)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is compared in full
        make([1], Config(layout="r.toml"))
    assert str(caught.value) == line


@pytest.mark.parametrize("page", ["[" * 100_000, "{", '{"R": [[1e999]]}', "[[" + "9" * 5000 + "]]", "3", "null"])
def test_bad_json_is_refused_in_one_line(tmp_path, page):
    path = tmp_path / "r.json"
    path.write_text(page)
    with pytest.raises(ValueError, match=r"r\.json: ") as caught:
        make([1], Config(layout=str(path)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_huge_hexadecimal_number_is_refused(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(f"R = [[0x{'f' * 9000}]]")
    with pytest.raises(ValueError, match=r"R row 0, column 0: found a value of type int"):
        make([1], Config(layout=str(path)))


def test_too_many_ways_to_slip_are_refused():
    rows = [[1] * 400] * 400
    assert len(make_graph_model(graph_file.parse(rows), LayoutRules()).mdp.start) == 400
    with pytest.raises(ValueError, match=r"400 rooms with up to 400 doors each, expected at most 20,000,000"):
        make_graph_model(graph_file.parse(rows), LayoutRules(slip=0.1))


entries = st.sampled_from([-1, -1, 0, 0, 1, 100, 0.5])
square = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=n, max_size=n)
)


@pytest.mark.slow
@given(square, st.sampled_from(["absorbing", "terminal"]), st.sampled_from([0.0, 0.4]))
def test_any_matrix_of_doors_is_a_sound_env_or_refused(rows, goal, slip):
    if refusal({"R": rows}, goal, slip) is None:
        model = make_graph_model(graph_file.parse(rows), LayoutRules(goal=goal, slip=slip))
        values = value_iteration(model.mdp, 0.9).values
        assert np.isfinite(values).all()
        assert values[model.mdp.start > 0].max() > 0
        np.testing.assert_array_equal(model.mdp.legal, np.array(rows) != -1)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["R", "goal", "start", "x"]), inner),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300)
@given(anything | st.fixed_dictionaries({"R": square | anything, "goal": anything}))
def test_anything_else_is_refused_in_one_line(data):
    said = refusal(data, "layout", 0.0)
    assert said is None or ("\n" not in said and "expected" in said and said.startswith("any"))


def refusal(data, goal, slip):
    try:
        make_graph_model(graph_file.parse(data, "any"), LayoutRules(goal=goal, slip=slip))
    except ValueError as error:
        return str(error)
    return None
