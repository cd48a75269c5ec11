"""Tests of the rooms: exact transitions, random streams, and the compiled step against a plain walk."""

from __future__ import annotations

import numpy as np
import pytest

from envs.common.gridworld.layouts import NAMES
from envs.rooms import Config, make
from simulator.core import rng
from simulator.core.mdp.model import TERMINATES, TRUNCATES, greedy_policy, start_value, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, expected_steps, finite_horizon, value_iteration

Q_SIX = np.array(
    [
        [0, 0, 0, 0, 400, 0],
        [0, 0, 0, 320, 0, 500],
        [0, 0, 0, 320, 0, 0],
        [0, 400, 256, 0, 400, 0],
        [320, 0, 0, 320, 0, 500],
        [0, 400, 0, 0, 400, 500],
    ]
)


def law(**settings):
    return make([1], Config(**settings)).spec.mdp


@pytest.mark.parametrize(("goal", "share"), [("layout", 1.0), ("absorbing", 1.0), ("terminal", 0.2)])
def test_six_rooms_have_the_textbooks_values(goal, share):
    mdp = law(layout="six", goal=goal)
    np.testing.assert_allclose(value_iteration(mdp, 0.8).q, share * Q_SIX, atol=1e-9)
    np.testing.assert_array_equal(mdp.legal, np.where(Q_SIX > 0, True, False))
    np.testing.assert_allclose(mdp.start, 1 / 6)
    assert set(mdp.end[:, 5].ravel()) - {0} == {TERMINATES if share < 1 else TRUNCATES}


def test_a_move_without_a_door_stays_and_pays_minus_one():
    env = make([3], Config(layout="six", start="fixed"))
    assert env.reset().tolist() == [2]
    step = env.step(np.array([5]))
    assert (step.obs[0], step.reward[0], step.terminated[0], step.truncated[0]) == (2, -1.0, False, False)
    step = env.step(np.array([3]))
    assert (step.obs[0], step.reward[0]) == (3, 0.0)


@pytest.mark.parametrize(("goal", "ends"), [("absorbing", (False, True)), ("terminal", (True, False))])
def test_arriving_in_room_five_ends_the_episode(goal, ends):
    env = make([3], Config(layout="six", goal=goal))
    env.env_batch.state[:] = 1
    step = env.step(np.array([5]))
    assert (step.final_obs[0], step.reward[0], bool(step.terminated[0]), bool(step.truncated[0])) == (5, 100.0, *ends)
    assert step.obs[0] == env.observe()[0] == env.env_batch.state[0]


@pytest.mark.parametrize(("slip", "mean", "steps"), [(0.0, 0.5295, 7.845), (1 / 3, 0.3260, 15.57)])
def test_four_rooms_have_the_known_optimum(slip, mean, steps):
    rules = {"layout": "four", "slip": slip, "slip_direction": "uniform"}
    mdp = law(**rules)
    assert len(mdp.start) == 104
    assert (mdp.start > 0).sum() == 103
    assert value_iteration(mdp, 0.9).start_value == pytest.approx(mean, abs=5e-5)
    hurried = law(**rules, step_cost=1.0)
    best = greedy_policy(value_iteration(hurried, 1.0))
    assert start_value(hurried, expected_steps(hurried, best)) == pytest.approx(steps, abs=5e-3)


def test_the_cliff_is_worth_minus_thirteen():
    mdp = law(layout="cliff")
    assert len(mdp.start) == 48
    solution = value_iteration(mdp, 1.0)
    assert solution.start_value == -13
    assert mdp.reward[36, 1] == -100  # right of the start
    assert mdp.end[36, 1] == TERMINATES


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_corridor_and_the_t_maze_have_their_lengths(length):
    for layout, steps in (("corridor", length), ("t-maze", length + 1)):
        mdp = law(layout=layout, length=length)
        best = greedy_policy(value_iteration(mdp, 0.9))
        assert start_value(mdp, expected_steps(mdp, best)) == pytest.approx(steps)
        assert value_iteration(mdp, 0.9).start_value == pytest.approx(0.9 ** (steps - 1))


def test_without_memory_the_t_maze_has_value_one_half():
    """The best policy of the junction's observation alone: always up, say."""
    env = make([1], Config(layout="t-maze", length=4))
    see, mdp = env.spec.state_obs, env.spec.mdp
    assert env.spec.observation.n == 2 + 4 + 2  # the start twice, the corridor and junction, the arms
    junction = [state for state in range(len(see)) if (mdp.end[state, 0] == TERMINATES) & (mdp.end[state, 2] > 0)]
    over = [state for state in junction if (mdp.next[state] == state).all()]
    junction = [state for state in junction if state not in over]
    assert len(junction) == 2
    assert see[junction[0]] == see[junction[1]]
    up = np.zeros((len(see), 4))
    up[:, 1] = 1.0
    up[junction] = [1, 0, 0, 0]
    assert evaluate_finite(mdp, up, mdp.max_steps) == pytest.approx(0.5)
    assert value_iteration(mdp, 1.0).start_value == pytest.approx(1.0)


@pytest.mark.parametrize("length", [1, 4, 100])
def test_the_conveyor_carries_everybody_to_the_junction_where_every_action_takes_an_arm(length):
    env = make([1, 2], Config(layout="t-maze", conveyor=True, length=length))
    starts = env.spec.state_obs[env.spec.mdp.start > 0].tolist()  # the upper arm pays, the lower one
    actions = rng.generators([3], "exploration")[0].integers(4, size=(40, length + 1, 2))
    first_obs = env.reset().copy()
    met = set()
    for episode in actions:
        for t, row in enumerate(episode):
            step = env.step(row)
            assert (step.terminated == (t == length)).all()
            if t < length:
                assert not step.reward.any()
                assert step.final_obs[0] == step.final_obs[1]  # whatever the cues
                assert step.final_obs[0] not in starts
        upper = (row == 0) | (row == 3)
        np.testing.assert_array_equal(step.reward, upper == (first_obs == starts[0]))
        met |= set(zip(first_obs.tolist(), row.tolist(), strict=True))
        first_obs = step.obs.copy()
    assert len(met) == 8  # both cues with all four actions


@pytest.mark.parametrize("observation", ["index", "position", "onehot", "walls", "window", "pixels"])
@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_the_conveyor_is_worth_exactly_one_half_without_memory(observation, slip):
    spec = make([1], Config(layout="t-maze", conveyor=True, length=10, observation=observation, slip=slip)).spec
    assert spec.random_score == spec.memoryless_return == 0.5
    assert finite_horizon(spec.mdp, spec.max_steps).start_value == pytest.approx(1.0 - slip / 2)
    policies = rng.generators([1], "exploration")[0].dirichlet(np.ones(4), size=(20, len(spec.mdp.start)))
    _, see = np.unique(spec.state_obs.reshape(len(spec.state_obs), -1), axis=0, return_inverse=True)
    for policy in policies:  # of the observation alone
        assert evaluate_finite(spec.mdp, policy[see.ravel()], spec.max_steps) == pytest.approx(0.5, abs=1e-12)


def test_the_best_without_memory_is_not_claimed_elsewhere():
    for settings in ({}, {"layout": "t-maze"}, {"layout": "t-maze", "conveyor": True, "sensor_noise": 0.1}):
        assert make([1], Config(**settings)).spec.memoryless_return is None


def test_the_key_opens_the_door_and_is_part_of_the_state():
    mdp = law(layout="key-door")
    best = greedy_policy(value_iteration(mdp, 0.9))
    assert start_value(mdp, expected_steps(mdp, best)) == 5 + 4 + 4  # to the key, to the door, to the goal
    assert len(mdp.start) == 25 + 24 + 1 + 20 + 0  # without the key, but not on its cell; with it: rooms and door
    assert (mdp.start > 0).sum() == 1


@pytest.mark.parametrize(
    ("slip", "kind", "want"),
    [
        (0.2, "perpendicular", {4: 0.8, 1: 0.1, 9: 0.1}),
        (0.3, "uniform", {4: 0.7, 1: 0.1, 9: 0.1, 6: 0.1}),
        (1.0, "perpendicular", {1: 0.5, 9: 0.5}),
    ],
)
def test_slips_go_where_they_say(tmp_path, slip, kind, want):
    path = tmp_path / "open.txt"
    path.write_text("S  G\n    \n    \n")
    mdp = law(layout=str(path), slip=slip, slip_direction=kind)
    left = zip(mdp.next[5, 3].tolist(), mdp.prob[5, 3].tolist(), strict=True)  # from the second cell of the second row
    assert {state: chance for state, chance in left if chance} == pytest.approx(want)


def test_slips_in_a_graph_lead_through_another_door():
    mdp = law(layout="six", slip=0.3)
    assert dict(zip(mdp.next[3, 1].tolist(), mdp.prob[3, 1].tolist(), strict=True)) == pytest.approx(
        {1: 0.7, 2: 0.15, 4: 0.15}
    )
    assert dict(zip(mdp.next[1, 5].tolist(), mdp.reward[1, 5].tolist(), strict=True)) | {1: 0} == {5: 100, 3: 0, 1: 0}
    assert mdp.prob[0, 4].tolist() == [1, 0, 0]  # the only door


def test_slippery_cells_slip_at_least_as_often_as_the_map_says(tmp_path):
    path = tmp_path / "ice.txt"
    path.write_text("slippery: 0.4\n\n   \n ~G\nS  \n")
    for slip, share in ((0.0, 0.4), (0.1, 0.4), (0.8, 0.8)):
        mdp = law(layout=str(path), slip=slip)
        np.testing.assert_allclose(mdp.prob[4, 0], [1 - share, share / 2, share / 2])
        np.testing.assert_allclose(mdp.prob[0, 0], [1 - slip, slip / 2, slip / 2])


def test_an_absorbing_goal_pays_again_and_its_value_counts(tmp_path):
    path = tmp_path / "row.txt"
    path.write_text("1: 0.5\n\nS G1\n")
    mdp = law(layout=str(path), goal="absorbing", start="random")
    assert mdp.end[1, 1, 0] == TRUNCATES
    assert mdp.next[2].ravel().tolist() == [2] * 4
    assert mdp.reward[2].ravel().tolist() == [1.0] * 4
    values = value_iteration(mdp, 0.5).values
    np.testing.assert_allclose(values, [0.5 * 2, 2, 2, 1])
    np.testing.assert_allclose(mdp.start, [1 / 4] * 4)


def test_step_costs_come_off_every_reward():
    plain, dear = law(layout="four"), law(layout="four", step_cost=0.25)
    going_on = plain.end[:, :, 0] == 0
    np.testing.assert_allclose((plain.reward - dear.reward)[going_on], 0.25)
    assert sorted(set(dear.reward.ravel())) == [-0.25, 0.0, 0.75]  # the goal itself pays nothing
    assert law(layout="six", step_cost=2.0).reward[1, 5, 0] == 98.0


@pytest.mark.parametrize(
    "settings",
    [*({"layout": layout} for layout in NAMES), {"layout": "t-maze", "conveyor": True, "length": 3}],
    ids=str,
)
@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_the_compiled_env_follows_its_transition_probabilities(settings, slip):
    """Bit for bit beside numpy's generator on the same streams, episode after episode."""
    seed_list = [5, 0, 77]
    env = make(seed_list, Config(**settings, slip=slip, max_steps=15))
    mdp, see = env.spec.mdp, env.spec.state_obs
    generators = rng.generators(seed_list, "env")
    actions = rng.generators([1], "exploration")[0].integers(env.spec.action.n, size=(200, 3))
    seen, states, clocks = env.reset(), [_start(mdp, one) for one in generators], [0] * 3
    assert seen.tolist() == [see[state] for state in states]
    for row in actions:
        step = env.step(row)
        for i, (action, generator) in enumerate(zip(row, generators, strict=True)):
            chances = np.cumsum(mdp.prob[states[i], action])
            k = int(np.argmax(chances > generator.random())) if len(chances) > 1 else 0
            led_to, end = mdp.next[states[i], action, k], mdp.end[states[i], action, k]
            clocks[i] += 1
            cut = end == 0 and clocks[i] == 15
            assert step.reward[i] == np.float32(mdp.reward[states[i], action, k])
            assert step.final_obs[i] == see[led_to]
            assert (step.terminated[i], step.truncated[i]) == (end == TERMINATES, cut or end == TRUNCATES)
            states[i] = led_to
            if end or cut:
                states[i], clocks[i] = _start(mdp, generator), 0
            assert step.obs[i] == see[states[i]]


def _start(mdp, generator):
    return int(np.argmax(np.cumsum(mdp.start) > generator.random()))


@pytest.mark.parametrize("layout", NAMES)
def test_floor_and_solved_are_exact(layout):
    spec = make([1], Config(layout=layout)).spec
    floor = evaluate_finite(spec.mdp, uniform_policy(spec.mdp), spec.max_steps)
    best = finite_horizon(spec.mdp, spec.max_steps).start_value
    assert spec.random_score == pytest.approx(floor, abs=1e-12)
    assert spec.reward_threshold == pytest.approx(best - 0.01 * abs(best), abs=1e-9)


def test_large_envs_are_not_solved_implicitly():
    spec = make([1], Config(layout="maze", size=101)).spec
    assert len(spec.mdp.start) > 2000
    assert spec.random_score is None
    assert spec.reward_threshold is None
    assert make([1], Config(max_steps=10**15)).spec.random_score is None


def test_index_observations_make_a_tabular_env():
    assert hasattr(make([1], Config(layout="four")), "env_batch")
    assert hasattr(make([1], Config(layout="t-maze")), "env_batch")
    assert hasattr(make([1], Config(layout="four", observation="walls")), "env_batch")
    assert not hasattr(make([1], Config(layout="four", sensor_noise=0.1)), "env_batch")
    assert not hasattr(make([1], Config(layout="four", observation="onehot")), "env_batch")


@pytest.mark.parametrize("settings", [{}, {"observation": "window"}, {"sensor_noise": 0.4}])
def test_a_seed_depends_on_no_other_seed(settings):
    config = Config(layout="four", slip=0.2, max_steps=9, **settings)
    actions = rng.generators([1], "exploration")[0].integers(4, size=(60, 3))
    order = [2, 0, 1]
    one, other, alone = make([4, 5, 6], config), make([6, 4, 5], config), make([6], config)
    np.testing.assert_array_equal(one.reset()[order], other.reset())
    alone.reset()
    for row in actions:
        step, turned, single = one.step(row), other.step(row[order]), alone.step(row[2:])
        for mine, theirs, its in zip(step, turned, single, strict=True):
            np.testing.assert_array_equal(mine[order], theirs)
            np.testing.assert_array_equal(mine[2:], its)


@pytest.mark.parametrize("settings", [{}, {"observation": "pixels"}, {"sensor_noise": 0.4, "observation": "walls"}])
def test_a_restored_env_continues_with_the_same_bits(settings):
    config = Config(layout="key-door", slip=0.2, max_steps=9, **settings)
    actions = rng.generators([1], "exploration")[0].integers(4, size=(40, 3))
    one, other = make([4, 5, 6], config), make([0, 0, 0], config)
    one.reset()
    for row in actions[:20]:
        one.step(row)
    assert other.restore(one.state())
    np.testing.assert_array_equal(one.observe(), other.observe())
    for row in actions[20:]:
        for mine, theirs in zip(one.step(row), other.step(row), strict=True):
            np.testing.assert_array_equal(mine, theirs)
