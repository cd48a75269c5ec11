"""Tests of actions, their keys, and the words for them."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from simulator.core.protocols import EnvSpec
from simulator.core.scene import Scene
from simulator.play.actions import action_keys, action_of, idle_action

GRID = EnvSpec("grid", spaces.Discrete(4), spaces.Discrete(4))
ARROWS = Scene("grid", actions=("left", "down", "right", "up"))
ARM = EnvSpec("arm", spaces.Discrete(2), spaces.Box(np.array([-2.0, 0.5]), np.array([2.0, np.inf]), dtype=np.float64))


def test_directions_have_arrows_and_others_the_digit_of_their_number():
    scene = Scene("taxi", actions=("down", "up", "right", "left", "pick up", "drop off"))
    keys = action_keys(EnvSpec("taxi", spaces.Discrete(1), spaces.Discrete(6)), scene, np.ones(6, np.bool_))
    assert [key.key for key in keys] == ["down", "up", "right", "left", "4", "5"]


def test_names_that_are_digits_are_keys():
    spec = EnvSpec("board", spaces.Discrete(1), spaces.Discrete(3))
    keys = action_keys(spec, Scene("board", actions=("1", "2", "3")), np.array([True, False, True]))
    assert [(key.key, key.action, key.legal) for key in keys] == [("1", 0, True), ("2", 1, False), ("3", 2, True)]


def test_no_key_is_given_twice_and_none_is_one_of_the_program():
    spec = EnvSpec("many", spaces.Discrete(1), spaces.Discrete(40))
    keys = [key.key for key in action_keys(spec, Scene("many"), np.ones(40, np.bool_)) if key.key]
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("pqrstuvw ")


def test_numbers_have_keys_for_their_ends_within_the_bounds():
    keys = action_keys(ARM, Scene("arm"), np.zeros(0, np.bool_))
    assert len(keys) == 4
    assert all(ARM.action.contains(key.action) for key in keys)
    np.testing.assert_array_equal(keys[0].action, [-2.0, 0.5])
    np.testing.assert_array_equal(keys[1].action, [2.0, 0.5])
    np.testing.assert_array_equal(idle_action(ARM, Scene("arm")), [0.0, 0.5])


@pytest.mark.parametrize(("word", "action"), [("left", 0), ("Up", 3), ("d", 1), ("3", 3), ("r", 2), ("9", 9)])
def test_words_are_names_their_beginnings_or_numbers(word, action):
    assert action_of(word, GRID, ARROWS) == action


def test_a_name_comes_before_a_number():
    spec = EnvSpec("board", spaces.Discrete(1), spaces.Discrete(3))
    assert action_of("2", spec, Scene("board", actions=("1", "2", "3"))) == 1


def test_several_numbers_have_colons_between_them():
    np.testing.assert_array_equal(action_of("-1:0.75", ARM, Scene("arm")), [-1.0, 0.75])


@pytest.mark.parametrize(
    ("word", "spec", "scene"),
    [
        ("jump", GRID, ARROWS),
        ("-1", GRID, ARROWS),
        ("", GRID, ARROWS),
        ("room", EnvSpec("r", spaces.Discrete(2), spaces.Discrete(2)), Scene("r", actions=("room 0", "room 1"))),
        ("1", ARM, Scene("arm")),
        ("a:b", ARM, Scene("arm")),
    ],
)
def test_other_words_are_refused_in_one_line(word, spec, scene):
    with pytest.raises(ValueError, match="expected") as error:
        action_of(word, spec, scene)
    assert "\n" not in str(error.value)


def test_there_is_an_action_of_doing_nothing_or_there_is_none():
    car = EnvSpec("car", spaces.Discrete(1), spaces.Discrete(3))
    assert idle_action(car, Scene("car", actions=("left", "idle", "right"))) == 1
    assert idle_action(GRID, ARROWS) is None
