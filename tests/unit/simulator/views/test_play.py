"""Tests of play in the terminal: what a page says, and that it fits."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.scene import Mark, Scene
from simulator.core.snapshots import ActionKey, PlaySnapshot, ScoreLevel
from simulator.views.play import page, scene_lines
from simulator.views.style import TerminalStyle

PLAIN = TerminalStyle(ascii=True)
GRID = Scene("lake", walls=np.array([[False, True], [False, False]]), marks=(Mark(1, 1, "walker"),))
BOARD = Scene(
    "board",
    walls=np.zeros((2, 2), np.bool_),
    marks=(Mark(0, 0, "own"), Mark(1, 1, "other")),
    actions=("1", "2", "3", "4"),
    clicks=np.array([[0, 1], [2, 3]]),
)


def snapshot(**changes):
    facts = {
        **{"id": "r1", "env": "lake", "name": "human:ann", "opponent": "", "scene": GRID, "seed": 3, "episode": 1},
        **{"episodes": 5, "steps": 2, "total": 0.5, "second": None, "last_reward": -1.0, "ended": "", "said": ""},
        **{"refused": False, "pace": None, "levels": (ScoreLevel("r5 dqn", 0.74, 0.7, 0.8), ScoreLevel("random", 0.0))},
        "actions": (ActionKey("up", "up", 0), ActionKey("1", "dig", 1), ActionKey("2", "swim", 2, legal=False)),
    }
    return PlaySnapshot(**{**facts, **changes})


def drawn(shot, size=(80, 24), look=PLAIN):
    return page(shot, size, look).plain.split("\n")


def test_a_page_says_who_plays_what_was_paid_which_keys_there_are_and_what_it_is_compared_with():
    text = "\n".join(drawn(snapshot()))
    for words in (
        "r1: human:ann in lake",
        "episode 2 of 5, seed 3",
        "return 0.5",
        "2 steps",
        "last reward -1",
        "up  1 dig",
        "q quit",
        "r5 dqn 0.74 [0.7, 0.8] | random 0",
    ):
        assert words in text
    assert "swim" not in text  # it is not possible here
    assert "pause" not in text


def test_real_time_can_be_paused_and_an_end_asks_for_the_next_episode():
    assert "p pause" in "\n".join(drawn(snapshot(pace=50.0)))
    over = "\n".join(drawn(snapshot(ended="truncated")))
    assert "the episode was cut by its limit of time: return 0.5" in over
    assert "space next episode" in over
    assert "1 dig" not in over
    assert "space next episode" not in "\n".join(drawn(snapshot(ended="terminated", over=True)))


def test_a_game_shows_both_sides():
    text = "\n".join(drawn(snapshot(opponent="grudger", second=3.0, said="the other side played defect")))
    assert "against grudger" in text
    assert "the other side 3" in text
    assert "the other side played defect" in text


def test_a_board_has_marks_and_the_keys_of_free_squares():
    lines = [line.plain for line in scene_lines(BOARD, 80, 20, PLAIN)]
    assert [line.split() for line in lines[:2]] == [["X", "2"], ["3", "O"]]


def test_columns_of_a_board_are_numbered_below_it():
    drop = Scene("drop", walls=BOARD.walls, marks=BOARD.marks, actions=("1", "2"), clicks=np.array([[0, 1], [0, 1]]))
    lines = [line.plain.split() for line in scene_lines(drop, 80, 20, PLAIN)]
    assert lines[:3] == [["X", "."], [".", "O"], ["1", "2"]]


def test_strokes_reach_from_corner_to_corner():
    lines = [line.plain for line in scene_lines(Scene("x", lines=np.array([[0.0, 0.0, 1.0, 1.0]])), 20, 10, PLAIN)]
    assert lines[-1][0] == "#"
    assert lines[0].rstrip().endswith("#")
    assert len(lines[0].rstrip()) > 15
    braille = [
        line.plain for line in scene_lines(Scene("x", lines=np.array([[0.0, 0.0, 1.0, 1.0]])), 20, 10, TerminalStyle())
    ]
    assert braille[-1][0] != "\u2800"
    assert braille[0][0] == "\u2800"


def test_a_picture_is_shaded_or_coloured():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 4:] = 255
    plain = [line.plain for line in scene_lines(Scene("p", image=image), 16, 4, PLAIN)]
    assert all(line[0] == " " and line[-1] == "@" for line in plain)
    coloured = scene_lines(Scene("p", image=image), 16, 4, TerminalStyle(colour=True))
    assert str(coloured[0].spans[-1].style) == "rgb(255,255,255) on rgb(255,255,255)"


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (80, 24), (200, 60)])
@pytest.mark.parametrize(
    "scene",
    [
        GRID,
        BOARD,
        Scene("x", lines=np.array([[0.0, 0.0, 1.0, 1.0]])),
        Scene("p", image=np.zeros((30, 40, 3), np.uint8)),
        Scene("rooms", rooms=np.zeros((2, 2)), doors=np.array([[0, 1]]), walker=0),
        Scene("cards", facts={"player": "14", "dealer": "5"}),
    ],
)
def test_every_page_fits(scene, size):
    lines = drawn(snapshot(scene=scene), size)
    assert len(lines) < size[1]
    assert max(map(len, lines)) <= size[0]
