"""Tests of the rooms' observations: worked by hand on small maps."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from envs.common import render
from envs.common.gridworld.grid_observations import hidden
from envs.common.gridworld.layout_model import MAX_TABLE_BYTES
from envs.rooms import Config, make
from simulator.core import rng
from simulator.core.scene import Mark

KEYS = "S K#\n#D#G\n   1\n"  # down through the door to the digit


@pytest.fixture
def at(tmp_path):
    """Return a function from a map's text and settings to its spec."""

    def spec(page, **settings):
        path = tmp_path / "map.txt"
        path.write_text(page)
        return make([1], Config(layout=str(path), **settings)).spec

    return spec


def test_index_counts_cells_in_reading_order_and_sets_of_keys_after_them(at):
    spec = at("1: 0\n\n" + KEYS)
    assert spec.observation == spaces.Discrete(2 + 3 + 1 + 4)  # nobody stands on the key's cell without the key
    np.testing.assert_array_equal(spec.state_obs, np.arange(10))
    assert spec.mdp.next[1, 2, 0] == 1  # the door is shut
    assert spec.mdp.next[1, 1, 0] == 4  # the key's cell, once it is held


def test_position_is_a_fraction_of_the_map_and_a_bit_for_every_key(at):
    seen = at("1: 0\n\n" + KEYS, observation="position").state_obs
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen[0], [0, 0, 0])
    np.testing.assert_allclose(seen[1], [0, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(seen[-1], [1, 1, 1])
    assert len({tuple(row) for row in seen.tolist()}) == len(seen)


def test_walls_are_a_sum_of_bits_and_an_open_door_is_none(at):
    seen = at("1: 0\n\n" + KEYS, observation="walls").state_obs
    up, right, down, left = 1, 2, 4, 8
    assert seen[0] == up + down + left
    assert seen[1] == up + down  # above the shut door
    assert seen[2] == up + down + left
    assert seen[3] == up  # the same cell with the key
    assert seen[4] == up + right + down
    assert seen[5] == right + left  # in the door
    assert seen[6] == up + down + left


def test_onehot_is_the_index_as_a_vector(at):
    spec = at("S G\n", observation="onehot")
    np.testing.assert_array_equal(spec.state_obs, np.eye(3, dtype=np.float32))
    assert spec.observation.shape == (3,)


def test_the_window_shows_planes_with_the_walker_in_the_middle(at):
    spec = at("1: 0\n\n" + KEYS, observation="window", window=3, xray=True)
    wall, goal, digit, door, key = range(5)
    assert spec.observation.shape == (3, 3, 5)
    above = spec.state_obs[1]  # from the cell above the door, without the key
    np.testing.assert_array_equal(above[..., wall], [[1, 1, 1], [0, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(above[..., door], [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(above[..., key], [[0, 0, 0], [0, 0, 1], [0, 0, 0]])
    opened = spec.state_obs[3]  # with it: nothing but the key in the walker's hand
    assert opened[..., door].sum() == 0
    np.testing.assert_array_equal(opened[..., key], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    corner = spec.state_obs[-2]  # left of the digit, below the goal's left neighbour
    assert (corner[1, 2, digit], corner[0, 2, goal]) == (1, 1)


def test_walls_hide_what_is_behind_them(at):
    spec = at("#####\nS # G\n    #\n", observation="window", window=5)
    seen = spec.state_obs[1]  # the second cell of the middle row
    unseen, wall, goal = (seen[..., plane] for plane in range(3))
    np.testing.assert_array_equal(unseen[2], [0, 0, 0, 0, 1])  # beyond the wall on the right
    np.testing.assert_array_equal(wall[2], [1, 0, 0, 1, 0])
    assert goal.sum() == 0
    np.testing.assert_array_equal(unseen[0], [1] * 5)  # outside, behind the wall above
    np.testing.assert_array_equal(seen.sum(axis=-1)[2], [1, 0, 0, 1, 1])


@given(st.integers(0, 2**24 - 1))
def test_sight_is_alike_in_every_mirror(bits):
    stops = ((bits >> np.arange(25)) & 1).astype(bool).reshape(1, 5, 5)
    unseen = hidden(stops)
    np.testing.assert_array_equal(hidden(stops[:, ::-1]), unseen[:, ::-1])
    np.testing.assert_array_equal(hidden(stops.transpose(0, 2, 1)), unseen.transpose(0, 2, 1))
    assert not unseen[:, 1:4, 1:4].any()  # neighbours are always seen


def test_a_line_of_sight_between_two_cells_is_shut_by_both_only():
    stops = np.zeros((4, 5, 5), bool)
    stops[1, 2, 3] = stops[2, 1, 3] = stops[3, 1, 3] = stops[3, 2, 3] = True
    assert hidden(stops)[:, 1, 4].tolist() == [False, False, False, True]  # a knight's move away
    assert hidden(stops)[:, 2, 4].tolist() == [False, True, False, True]


def test_the_cue_is_seen_on_the_start_only():
    for kind in ("index", "position", "onehot", "walls", "window", "pixels"):
        spec = make([1], Config(layout="t-maze", length=3, observation=kind)).spec
        seen, half = spec.state_obs, len(spec.state_obs) // 2
        differ = [bool((seen[state] != seen[half + state]).any()) for state in range(half)]
        starts = (spec.mdp.start[:half] > 0).tolist()
        assert differ == starts
        assert sum(starts) == 1


def test_pixels_show_the_walker_the_goal_and_the_walls(at):
    spec = at("#S G\n", observation="pixels", cell_pixels=4)
    start, goal = spec.state_obs[0], spec.state_obs[2]
    assert start.shape == (4, 16, 3)
    assert start[0, 0].tolist() == list(render.WALL)
    assert start[1, 5].tolist() == list(render.WALKER)
    assert start[0, 4].tolist() == list(render.COLOURS["start"])  # the walker is round
    assert start[1, 13].tolist() == list(render.GOALS["G"])
    assert goal[1, 13].tolist() == list(render.WALKER)
    assert start[2, 9].tolist() == list(render.FLOOR)


@pytest.mark.parametrize("kind", ["index", "position", "onehot", "walls", "pixels"])
def test_rooms_of_a_graph_can_be_seen_too(kind):
    spec = make([1], Config(observation=kind)).spec
    seen = {array.tobytes() for array in np.asarray(spec.state_obs)}
    assert len(seen) == 6
    assert all(spec.observation.contains(array) for array in spec.state_obs)
    assert (spec.legal_actions is not None) == (kind in ("index", "walls"))
    if spec.legal_actions is not None:
        np.testing.assert_array_equal(spec.legal_actions[spec.state_obs], spec.mdp.legal)


def test_without_numbered_views_every_move_may_be_sent():
    plain, boxed = make([1], Config()).spec, make([1], Config(observation="onehot")).spec
    assert boxed.mdp.legal.all()
    assert boxed.random_score < plain.random_score
    assert boxed.reward_threshold == pytest.approx(99.0)


@pytest.mark.parametrize("kind", ["index", "position", "onehot", "walls", "window", "pixels"])
@pytest.mark.parametrize("layout", ["four", "t-maze", "key-door"])
def test_observations_equal_those_of_the_state(kind, layout):
    env, plain = (make([3, 4], Config(layout=layout, max_steps=6, observation=one)) for one in (kind, "index"))
    one, states = env.spec, plain.spec.state_obs
    seen, index = env.reset(), plain.reset()
    for row in rng.generators([1], "exploration")[0].integers(4, size=(30, 2)):
        places = plain.env_batch.state.copy()
        np.testing.assert_array_equal(seen, one.state_obs[places])
        np.testing.assert_array_equal(index, states[places])
        assert one.observation.contains(int(seen[0]) if seen.ndim == 1 else seen[0])
        step, same = env.step(row), plain.step(row)
        seen, index = step.obs, same.obs
        np.testing.assert_array_equal(step.reward, same.reward)
        goes_on = ~(step.terminated | step.truncated)
        np.testing.assert_array_equal(step.obs[goes_on], step.final_obs[goes_on])


def test_observations_too_large_for_a_table_are_computed_on_demand():
    small, large = (Config(layout="maze", size=size, observation="pixels", cell_pixels=8) for size in (5, 31))
    assert make([1], small).spec.state_obs is not None
    env = make([1, 2], large)
    assert env.spec.state_obs is None
    assert len(env.spec.mdp.start) * env.reset()[0].nbytes > MAX_TABLE_BYTES
    assert env.spec.observation.contains(env.observe()[0])


def test_a_sensor_shows_any_other_state_as_often_as_it_errs():
    config = Config(layout="four", sensor_noise=0.25)
    env, plain = make(range(400), config), make(range(400), Config(layout="four"))
    env.reset()
    plain.reset()
    wrong = np.zeros(0, np.int64)
    for _ in range(50):
        actions = np.zeros(400, np.int64)
        seen, true = env.step(actions).final_obs, plain.step(actions).final_obs
        wrong = np.concatenate([wrong, seen[seen != true]])
        np.testing.assert_array_equal(env.observe(), env.observe())
    assert abs(len(wrong) / 20_000 - 0.25) < 0.0125  # four standard errors
    counts = np.bincount(wrong, minlength=104)
    assert counts.min() > 0
    assert ((counts - len(wrong) / 104) ** 2 / (len(wrong) / 104)).sum() < 170  # chi squared, 103 degrees: 1 in 30,000
    spec = env.spec
    assert (spec.reward_threshold, spec.state_obs) == (None, None)
    assert spec.random_score == pytest.approx(plain.spec.random_score)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"observation": "window"},
            "layout six: observation = 'window': a graph of rooms has no cells, expected index",
        ),
        ({"layout": "four", "observation": "window", "window": 4}, "window = 4: expected an odd number of cells"),
        ({"layout": "four", "size": 999, "observation": "pixels"}, "makes pictures of 7992 x 7992, expected at most"),
    ],
)
def test_impossible_observations_are_refused(settings, line):
    with pytest.raises(ValueError, match=r"expected") as caught:
        make([1], Config(**settings))
    assert line in str(caught.value)


def test_shapes_lie_inside_their_cell():
    canvas = render.paint(np.zeros((1, 4), bool), [Mark(0, i, k) for i, k in enumerate(["key", "door", "lava"])], 8)
    floor = (canvas == render.FLOOR).all(axis=-1)
    assert [int((~floor[:, 8 * i : 8 * i + 8]).sum()) for i in range(4)] == [16, 48, 64, 0]


def test_the_floor_counts_the_moves_that_a_mistaken_walker_makes():
    """Random play by the doors of the room that is shown, which may not be there: half of the looks are wrong."""
    env = make(range(4000), Config(sensor_noise=0.5, max_steps=6))
    returns, running = np.zeros(4000), np.ones(4000, np.bool_)
    generator = rng.generators([1], "exploration")[0]
    seen = env.reset()
    for _ in range(6):
        actions = (env.spec.legal_actions[seen] * generator.random((4000, 6))).argmax(axis=1)
        step = env.step(actions)
        returns += running * step.reward
        running &= ~step.truncated
        seen = step.obs.copy()
    assert not running.any()
    error = returns.std() / 4000**0.5
    assert env.spec.random_score == pytest.approx(returns.mean(), abs=4 * error)
    assert abs(make([1], Config(max_steps=6)).spec.random_score - env.spec.random_score) > 8 * error
