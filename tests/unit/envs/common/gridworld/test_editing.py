"""Tests of edits of a map, and of rooms whose cells change while walkers are in them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from envs import rooms
from envs.common.gridworld import map_file
from envs.common.gridworld.editing import edited
from simulator.core.mdp.model import uniform_policy
from simulator.core.mdp.solve import evaluate_finite
from simulator.core.protocols import CellEdit, Editable
from simulator.training.evaluation import optimum

PLAN = map_file.Map(("#####", "#S  #", "# # #", "#  G#", "#####"), goal=2.0)
EDITS = (CellEdit(1, 2, "wall"), CellEdit(2, 3, "lava"), CellEdit(2, 2, "free"), CellEdit(1, 3, "ice"))


def saved(tmp_path, plan, name="plan.map"):
    path = tmp_path / name
    map_file.save(plan, path)
    return str(path)


def test_an_edit_changes_one_cell_and_a_reward_stays_until_its_cell_changes():
    plan = edited(PLAN, CellEdit(1, 2, "lava"))
    assert plan.rows == ("#####", "#SL #", "# # #", "#  G#", "#####")
    paid = edited(plan, CellEdit(1, 2, "reward", -3.0))
    assert (paid.rows, paid.cell_rewards) == (plan.rows, ((1, 2, -3.0),))
    assert edited(paid, CellEdit(1, 2, "reward", 4.0)).cell_rewards == ((1, 2, 4.0),)
    assert edited(paid, CellEdit(1, 3, "ice")).cell_rewards == ((1, 2, -3.0),)
    assert edited(paid, CellEdit(1, 2, "free")).cell_rewards == ()


@pytest.mark.parametrize("start", ["fixed", "random"])
@pytest.mark.parametrize("observation", ["index", "position", "onehot", "walls", "window", "pixels"])
def test_edited_rooms_are_those_of_a_map_that_was_drawn_so(tmp_path, start, observation):
    """The optimum, the value of random play and what is seen are those of a fresh environment with the edited map."""
    config = {"max_steps": 30, "start": start, "observation": observation, "editable": True}
    env = rooms.make([0, 1], rooms.Config(layout=saved(tmp_path, PLAN), **config))
    assert isinstance(env, Editable)
    env.reset()
    plan = PLAN
    for n, edit in enumerate((EDITS[0], EDITS[2], EDITS[3], CellEdit(3, 1, "goal"), CellEdit(3, 1, "free"), EDITS[1])):
        before = env.spec
        env.edit(edit)
        plan = edited(plan, edit)
        fresh = rooms.make([0, 1], rooms.Config(layout=saved(tmp_path, plan, f"{n}.map"), **config)).spec
        bare = rooms.make([0], rooms.Config(layout=saved(tmp_path, plan, f"{n}b.map"), **{**config, "editable": False}))
        assert env.spec.observation == before.observation == fresh.observation
        assert optimum(env.spec) == optimum(fresh) == optimum(bare.spec)
        assert env.spec.random_score == fresh.random_score == pytest.approx(bare.spec.random_score)
        assert env.spec.reward_threshold == fresh.reward_threshold
        np.testing.assert_array_equal(env.spec.state_obs, fresh.state_obs)
        value = evaluate_finite(env.spec.mdp, uniform_policy(env.spec.mdp), 30)
        assert value == pytest.approx(evaluate_finite(bare.spec.mdp, uniform_policy(bare.spec.mdp), 30))


def test_a_reward_is_paid_by_every_step_that_ends_there_and_the_optimum_knows_it(tmp_path):
    env = rooms.make([0], rooms.Config(layout=saved(tmp_path, PLAN), max_steps=10, editable=True))
    env.reset()
    env.edit(CellEdit(1, 2, "reward", 0.5))
    assert [float(env.step(np.array([action])).reward[0]) for action in (1, 3, 1, 1, 3)] == [0.5, 0.0, 0.5, 0.0, 0.5]
    # of ten steps from S one leads to that cell, six into the wall beside it, and three from it to the goal
    assert optimum(env.spec) == pytest.approx(7 * 0.5 + 2.0)
    env.edit(CellEdit(3, 3, "reward", -1.0))
    assert optimum(env.spec) == pytest.approx(10 * 0.5)


def test_walkers_stay_where_they_are_and_step_out_of_a_new_wall(tmp_path):
    env = rooms.make([0, 1], rooms.Config(layout=saved(tmp_path, PLAN), editable=True))
    env.reset()
    env.step(np.array([1, 2]))  # to row 1, column 2, and to row 2, column 1
    places = env.scene(0).places
    at = env.observe().copy()
    env.edit(CellEdit(1, 2, "wall"))
    np.testing.assert_array_equal(env.observe(), at)
    step = env.step(np.array([3, 0]))
    assert [tuple(places[state]) for state in step.obs] == [(1, 1), (1, 1)]
    step = env.step(np.array([1, 1]))
    assert [tuple(places[state]) for state in step.obs] == [(1, 1), (1, 1)]  # there is a wall now
    assert not (step.terminated | step.truncated).any()


def test_a_walker_on_a_new_end_ends_its_episode_with_the_next_step(tmp_path):
    env = rooms.make([0], rooms.Config(layout=saved(tmp_path, PLAN), editable=True))
    env.reset()
    env.step(np.array([1]))
    env.edit(CellEdit(1, 2, "lava"))
    assert env.step(np.array([1])).terminated[0]


def test_every_cell_is_a_state_of_editable_rooms_and_walls_are_not_shown():
    spec = rooms.make([0], rooms.Config(layout="four", editable=True)).spec
    assert len(spec.mdp.start) == 13 * 13
    env = rooms.make([0], rooms.Config(layout="four", editable=True))
    env.reset()
    scene = env.scene(0)
    assert (scene.places[scene.walls.ravel(), 0] == -1).all()
    assert (scene.places[~scene.walls.ravel(), 0] >= 0).all()
    plain = rooms.make([0], rooms.Config(layout="four")).spec
    assert spec.max_steps == plain.max_steps
    assert (spec.random_score, spec.reward_threshold) == (plain.random_score, plain.reward_threshold)


@pytest.mark.parametrize(
    ("layout", "edit", "line"),
    [
        ("four", CellEdit(13, 0, "wall"), "cell 13 0: expected a row from 0 to 12 and a column from 0 to 12"),
        ("four", CellEdit(0, -1, "wall"), "cell 0 -1: expected a row from 0 to 12"),
        (
            "four",
            CellEdit(1, 1, "pit"),
            "cell 1 1: cannot become 'pit', expected free, wall, goal, lava, ice or reward",
        ),
        ("four", CellEdit(0, 0, "reward", 1.0), "cell 0 0: is a wall, where nobody arrives"),
        ("four", CellEdit(1, 2, "reward", 1e12), "cell 1 2: reward 1e"),
        ("four", CellEdit(9, 9, "wall"), "cell 9 9: cannot become wall: layout four: found no floor from which a goal"),
        ("key-door", CellEdit(3, 6, "wall"), "cell 3 6: is a door, which stays"),
        ("t-maze", CellEdit(1, 11, "wall"), "cell 1 11: is 'G' of the cue, which stays"),
        ("t-maze", CellEdit(2, 1, "wall"), "cell 2 1: is the start where the cue shows, which stays"),
        ("corridor", CellEdit(1, 5, "wall"), "cell 1 5: cannot become wall: layout corridor:2:2: found 'S' from which"),
    ],
)
def test_edits_that_cannot_be_are_refused_in_one_line_and_change_nothing(layout, edit, line):
    env = rooms.make([0], rooms.Config(layout=layout, editable=True))
    spec = env.spec
    with pytest.raises(ValueError, match=rf"\A{re.escape(line)}.*\Z"):
        env.edit(edit)
    assert env.spec is spec


def test_graphs_have_no_cells():
    with pytest.raises(ValueError, match=r"layout 'six' is a graph without cells, expected a grid"):
        rooms.make([0], rooms.Config(layout="six", editable=True))
