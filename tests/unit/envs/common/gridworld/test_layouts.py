"""Tests of named layouts: their scenes, and refused settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.common.gridworld import layouts, map_file
from envs.common.gridworld.grid_observations import make_grid_model
from envs.common.gridworld.layout_model import LayoutRules, ObservationConfig
from envs.common.gridworld.layouts import LayoutOptions, make_maze
from envs.common.render import render_frame, render_text
from envs.rooms import Config, make
from simulator.core import rng
from simulator.core.mdp.solve import value_iteration
from simulator.core.scene import Mark
from tests.helpers.maps import maps

FOUR = """\
#############
#S    #     #
#     #     #
#           #
#     #     #
#     #     #
## ####     #
#     ### ###
#     #     #
#     #  G  #
#           #
#     #     #
#############
"""


def test_four_rooms_are_the_classic_ones():
    assert "\n".join(layouts.four(LayoutOptions()).rows) + "\n" == FOUR


@pytest.mark.parametrize("size", range(9, 30))
def test_four_rooms_of_any_size_are_connected_by_four_doors(size):
    plan = layouts.four(LayoutOptions(size=size))
    model = make_grid_model(plan, LayoutRules())
    assert len(plan.rows) == len(plan.rows[0]) == size
    free = sum(row.count(" ") + row.count("S") + row.count("G") for row in plan.rows)
    assert len(model.mdp.start) == free == (size - 2) ** 2 - (2 * size - 5) + 4
    assert (model.mdp.start > 0).sum() == free - 1


@pytest.mark.parametrize(("size", "loops"), [(5, 0.0), (9, 0.0), (21, 0.0), (9, 0.5), (9, 1.0)])
def test_a_maze_is_a_spanning_tree_and_its_loops(size, loops):
    rows = make_maze(size, loops, rng.generators([3], "layout")[0])
    n, walls = (size // 2) ** 2, 2 * (size // 2) * (size // 2 - 1)
    opened = round(loops * (walls - (n - 1)))
    assert sum(row.count("#") for row in rows) == size * size - n - (n - 1) - opened
    model = make_grid_model(map_file.Map(rows), LayoutRules(start="random"))
    assert (model.mdp.start > 0).sum() == 2 * n - 2 + opened  # from everywhere the goal can be reached
    assert value_iteration(model.mdp, 1.0).start_value == pytest.approx(1.0)


def test_a_maze_depends_on_the_layout_seed_only():
    one, same, other = (layouts.maze(LayoutOptions(maze_seed=seed)).rows for seed in (1, 1, 2))
    assert one == same != other
    first, second = (make([seed], Config(layout="maze", maze_seed=1)).spec for seed in (5, 6))
    np.testing.assert_array_equal(first.mdp.next, second.mdp.next)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"slip": 1.5}, "rooms: slip = 1.5: expected `float` <= 1.0"),
        ({"slip": float("nan")}, "rooms: slip = nan: expected `float` >= 0.0"),
        ({"layout": 3}, "rooms: layout = 3: expected `str`, got `int`"),
        ({"goal": "end"}, "rooms: goal = 'end': invalid enum value 'end'"),
        ({"max_steps": -1}, "rooms: max_steps = -1: expected `int` >= 0"),
        ({"window": 33}, "rooms: window = 33: expected `int` <= 31"),
        ({"step_cost": float("inf")}, "rooms: step_cost = inf: expected at most 1e+09"),
        (
            {"layout": "corridor", "conveyor": True},
            "rooms: conveyor = True: expected false, only layout 't-maze' has a conveyor",
        ),
        ({"layout": "six", "size": 9}, "rooms: size = 9: expected 0, layout 'six' has one size only"),
        (
            {"layout": "maze", "size": 10},
            "rooms: size = 10: expected 0, or an odd size from 5 to 999 for layout 'maze'",
        ),
        ({"layout": "four", "size": 8}, "rooms: size = 8: expected 0, or a size from 9 to 1000 for layout 'four'"),
        ({"layout": "four", "length": 8}, "rooms: length = 8: expected 0, layout 'four' has one length only"),
        (
            {"layout": "cliff", "extra_openings": 0.5},
            "rooms: extra_openings = 0.5: expected 0, only layout 'maze' has inner walls to open",
        ),
        ({"layout": "four", "start": "random", "maze_seed": -1}, "rooms: maze_seed = -1: expected `int` >= 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, line):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is compared in full
        make([1], Config(**wrong))
    assert str(caught.value) == line


def test_names_may_be_written_with_either_dash():
    assert make([1], Config(layout="t_maze")).scene(0).title == "T-maze of 10"


def test_starts_are_fixed_or_random_on_request():
    four = [make([1], Config(layout="four", start=start)).spec.mdp.start for start in ("layout", "fixed", "random")]
    assert [int((start > 0).sum()) for start in four] == [103, 1, 103]
    assert (make([1], Config(layout="four", start="random", goal="absorbing")).spec.mdp.start > 0).all()
    cliff = make([1], Config(layout="cliff", start="random")).spec.mdp.start
    assert (cliff > 0).sum() == 37  # neither lava nor the goal


def test_the_scene_shows_what_is_there_now():
    env = make([1], Config(layout="key-door"))
    env.reset()
    for action in (1, 1, 2, 2):
        env.step(np.array([action]))
    assert Mark(4, 3, "key") in env.scene(0).marks
    before = env.scene(0)
    env.step(np.array([2]))
    scene = env.scene(0)
    assert {mark.kind for mark in before.marks} == {"start", "key", "door", "goal", "walker"}
    assert {mark.kind for mark in scene.marks} == {"start", "goal", "walker"}
    assert Mark(4, 3, "walker") in scene.marks
    assert scene.facts == {"step": "5", "keys": "1 of 1"}
    shown = scene.places[:, 0] >= 0
    assert shown.sum() == 25 + 1 + 20
    assert not (shown & (before.places[:, 0] >= 0)).any()
    assert scene.walls.shape == (7, 12)
    assert scene.actions == ("up", "right", "down", "left")


def test_letters_are_the_map_with_the_walker():
    env = make([1], Config(layout="t-maze", length=2))
    env.reset()
    text = render_text(env.scene(0))
    assert text in ("#####\n###G#\n#@  #\n###1#\n#####\npays G", "#####\n###G#\n#@  #\n###1#\n#####\npays 1")
    six = make([1], Config(start="fixed"))
    six.reset()
    assert render_text(six.scene(0)) == "   0 -> 4\n   1 -> 3 5\n@  2 -> 3\n   3 -> 1 2 4\n   4 -> 0 3 5\n G 5 -> 1 4"


@pytest.mark.parametrize("layout", layouts.NAMES)
def test_every_state_has_a_place_of_its_own_in_the_scene(layout):
    env = make([1, 2], Config(layout=layout))
    env.reset()
    scene = env.scene(1)
    places = scene.places[scene.places[:, 0] >= 0]
    assert len({tuple(place) for place in places.tolist()}) == len(places)
    assert len(scene.places) == len(env.spec.mdp.start)
    assert len(scene.actions) == env.spec.action.n
    if scene.walls is not None:
        assert not scene.walls[places[:, 0], places[:, 1]].any()
    else:
        assert ((scene.rooms >= 0) & (scene.rooms <= 1)).all()
    picture = render_frame(scene, 512)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert 100 < max(picture.shape) <= 512


@pytest.mark.slow
@settings(max_examples=150)
@given(
    maps(),
    st.sampled_from(
        [
            LayoutRules(),
            LayoutRules(slip=0.3, goal="absorbing", start="random"),
            LayoutRules(slip=1.0, slip_direction="uniform"),
        ]
    ),
    st.sampled_from(["index", "position", "onehot", "walls", "window", "pixels"]),
)
def test_any_map_is_a_sound_env_or_refused(plan, rules, kind):
    model = attempt(plan, rules)
    if model is None:
        return
    mdp, views = model.mdp, model.observations(ObservationConfig(kind=kind, cell_pixels=3))
    np.testing.assert_allclose(mdp.prob.sum(axis=-1), 1.0)
    assert np.isfinite(value_iteration(mdp, 0.9).values).all()
    assert views.space.contains(views.encode(np.array([0]))[0])
    assert render_text(model.render(0, 0)).count("@") == 1


def attempt(plan, rules):
    try:
        return make_grid_model(plan, rules)
    except ValueError as error:
        if "expected" not in str(error):
            raise AssertionError(str(error)) from error
        return None


def test_key_door_grows_with_its_size():
    small, large = (layouts.find("key-door", layouts.LayoutOptions(size=size)) for size in (0, 9))
    assert small.rows == (
        "############",
        "#S    #    #",
        "#     #    #",
        "#     D   G#",
        "#  K  #    #",
        "#     #    #",
        "############",
    )
    assert (len(large.rows), len(large.rows[0])) == (11, 20)
    assert [sum(row.count(sign) for row in large.rows) for sign in "SKDG"] == [1, 1, 1, 1]
