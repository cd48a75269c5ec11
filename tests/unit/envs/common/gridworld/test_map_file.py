"""Tests of maps as text: reading, errors with their place, and a lossless round trip."""

from __future__ import annotations

import dataclasses
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.common.gridworld import map_file
from envs.common.gridworld.map_file import Map, load, parse, save, text
from envs.rooms import Config, make
from tests.helpers.maps import maps

HEADED = """title: a small map
goal: 2
1: -0.5
lava: -3
slippery: 0.25
step_cost: 0.1
max_steps: 40
cue: G1

#######
#S ~ G#
#DKL 1#
#######
"""


def test_every_line_of_the_header_means_something():
    plan = parse(HEADED, "small.txt")
    assert plan.rows == ("#######", "#S ~ G#", "#DKL 1#", "#######")
    assert (plan.title, plan.goal, plan.others, plan.lava) == ("a small map", 2.0, (("1", -0.5),), -3.0)
    assert (plan.slippery, plan.step_cost, plan.max_steps, plan.cue, plan.start) == (0.25, 0.1, 40, "G1", "S")
    assert plan.at(2, 1) == "small.txt:12:2"
    assert map_file.find_cells(plan, "#")[:2] == [(0, 0), (0, 1)]


def test_text_is_what_differs_from_the_usual_and_the_grid():
    assert text(Map(("S G",))) == "S G\n"
    assert text(Map(("S G1",), goal=3.0, others=(("1", 0.5),), start="random")) == (
        "goal: 3.0\nstart: random\n1: 0.5\n\nS G1\n"
    )


def test_lines_may_end_as_on_windows_and_the_file_may_begin_with_a_mark():
    assert parse("\ufefftitle: x\r\n\r\nS G\r\n") == Map(("S G",), title="x")


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("#####\n#S x#\n#####\n", "m:2:4: found 'x', expected one of '#' ' ' 'S' 'G' '0'-'9' 'D' 'K' 'L' '~'"),
        ("S\tG", "m:1:2: found '\\t', expected one of '#' ' ' 'S' 'G' '0'-'9' 'D' 'K' 'L' '~'"),
        ("S  G\nSG\n", "m:2:3: found a row of 2 cells, expected 4 as in the first row"),
        ("S G\n####\n", "m:2:4: found a row of 4 cells, expected 3 as in the first row"),
        ("S G\n\nS G\n", "m:2:1: found a row of 0 cells, expected 3 as in the first row"),
        ("", "m: found no rows, expected a map of at least one"),
        ("title: x\n\n", "m: found no rows, expected a map of at least one"),
        ("S  \n", "m: found no goal, expected at least one 'G' or digit"),
        ("S 7\n", "m:1:3: found '7', expected its reward as a line '7: NUMBER' above the map"),
        ("SD G\n", "m:1:2: found 1 'D' and 0 'K', expected one key for all doors, or as many keys as doors"),
        ("SK G\n", "m:1:2: found 0 'D' and 1 'K', expected one key for all doors, or as many keys as doors"),
        (
            "SKKDDDG\n",
            "m:1:4: found 3 'D' and 2 'K', expected one key for all doors, or as many keys as doors",
        ),
        ("goal: x\nS G\n", "m:1:6: goal: found 'x', expected a number from -1e+09 to 1e+09"),
        ("goal: nan\nS G\n", "m:1:6: goal: found 'nan', expected a number from -1e+09 to 1e+09"),
        ("slippery: 1.5\nS G\n", "m:1:10: slippery: found '1.5', expected a number from 0 to 1"),
        ("goal: 1\ngoal: 2\nS G\n", "m:2:1: found 'goal' again, expected it once"),
        ("golo: 1\nS G\n", "m:1:1: unknown key 'golo'; did you mean goal?, expected a map's setting or row"),
        ("start: X\nS G\n", "m:1:7: start: found 'X', expected S or random"),
        ("max_steps: -1\nS G\n", "m:1:11: max_steps: found '-1', expected a whole number of at least 0"),
        ("cue: GG\nS G\n", "m:1:5: cue: found 'GG', expected two different goals, such as G1"),
        ("cue: G1\nS G\n", "m: cue: G1: found no '1' in the map, expected both goals"),
        ("S" + " " * 1000 + "G", "m:1:1: found 1,002 columns, expected at most 1,000"),
        ("SG\n" * 1001, "m:1:1: found 1,001 rows, expected at most 1,000"),
    ],
)
def test_a_bad_map_is_refused_with_its_place(page, line):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is compared in full
        parse(page, "m")
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("  G\n", "found no 'S', expected a start, or a line 'start: random' above the map"),
        ("S#G\n", "1:1: found 'S' from which no goal can be reached, expected a way to one"),
        ("goal: 1\n\nSG#\n##S\n", "4:3: found 'S' from which no goal can be reached, expected a way to one"),
        ("SDGK\n", "1:1: found 'S' from which no goal can be reached, expected a way to one"),
        ("SLG\n", "1:1: found 'S' from which no goal can be reached, expected a way to one"),
        ("start: random\n\n#G#\n", "found no floor from which a goal can be reached, expected a start"),
        ("S" + "K" * 21 + "D" * 21 + "G", "found 44 cells and 21 keys, expected at most 2,000,000 pairs of a cell"),
    ],
)
def test_a_map_that_cannot_be_played_is_refused(tmp_path, page, line):
    path = tmp_path / "map.txt"
    path.write_text(page)
    with pytest.raises(ValueError, match=r"map\.txt") as caught:
        make([1], Config(layout=str(path)))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make_it", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder, expected a text file"),
        (lambda path: path.write_bytes(b"S \xff G"), "byte 2 is not UTF-8, expected a text file"),
        (lambda path: path.write_bytes(b"\0" * 100), "found '\\x00', expected one of"),
        (lambda path: path.write_bytes(b" " * ((4 << 20) + 1)), "bytes, expected at most 4,194,304"),
        (os.mkfifo, "it is a pipe, expected a text file"),
    ],
)
def test_a_file_that_is_not_text_is_refused(tmp_path, make_it, said):
    path = tmp_path / "map.txt"
    make_it(path)
    with pytest.raises(ValueError, match=r"map\.txt") as caught:
        make([1], Config(layout=str(path)))
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["fuor", "mase", "", "\0", "x" * 5000, "a/b/c.txt", "six.toml"])
def test_an_unknown_layout_is_answered_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=r"(unknown layout|no such file) .*four.*maze") as caught:
        make([1], Config(layout=name))
    assert "\n" not in str(caught.value)
    assert name != "fuor" or "did you mean four?" in str(caught.value)


@given(maps())
def test_a_saved_map_loads_unchanged(plan):
    assert parse(text(plan)) == plan


def test_files_are_replaced_atomically_and_only_with_force(tmp_path):
    path, plan = tmp_path / "map.txt", parse(HEADED)
    save(Map(("S G",)), path)
    with pytest.raises(ValueError, match=r"map\.txt already exists"):
        save(plan, path)
    assert load(path) == Map(("S G",))
    save(plan, path, force=True)
    assert load(path) == plan
    assert [each.name for each in tmp_path.iterdir()] == ["map.txt"]


@pytest.mark.parametrize("change", [{"rows": ("S  ",)}, {"title": " x"}, {"title": "a\nb"}, {"goal": float("nan")}])
def test_a_map_that_could_not_be_read_is_not_written(tmp_path, change):
    path = tmp_path / "map.txt"
    with pytest.raises(ValueError, match=r"map"):
        save(dataclasses.replace(Map(("S G",)), **change), path)
    assert not path.exists()


lines = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("# SG1DKL~"), min_size=5, max_size=5),
    st.sampled_from(["goal: 1", "1: 0.5", "start: random", "cue: G1", "", "title: x", "max_steps: 9"]),
)


@pytest.mark.slow
@given(st.lists(lines, max_size=8).map("\n".join))
def test_any_text_is_a_map_or_refused_in_one_line(page):
    said = refusal(page)
    if said is None:
        assert parse(text(parse(page))) == parse(page)
    else:
        assert said.startswith("any")
        assert "\n" not in said
        assert "expected" in said


def refusal(page):
    try:
        parse(page, "any")
    except ValueError as error:
        return str(error)
    return None
