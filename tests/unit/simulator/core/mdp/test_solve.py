"""Tests of the exact solver: environments of one to three states by hand."""

import numpy as np
import pytest

from simulator.core.mdp.average_reward import average_reward, stationary_distribution
from simulator.core.mdp.model import FiniteMDP, checked, epsilon_greedy, greedy_policy, uniform_policy
from simulator.core.mdp.solve import (
    evaluate_finite,
    expected_steps,
    finite_horizon,
    policy_evaluation,
    regret,
    value_iteration,
)


def env(rows, start=None):
    """Return an MDP: rows[state][action] is a list of (prob, next, reward, end); an empty list: not legal."""
    n_outcomes = max(len(outcomes) for row in rows for outcomes in row)
    shape = (len(rows), len(rows[0]), n_outcomes)
    arrays = [np.zeros(shape, kind) for kind in (float, np.int64, float, np.uint8)]
    for state, row in enumerate(rows):
        for action, outcomes in enumerate(row):
            for k, outcome in enumerate(outcomes):
                for array, value in zip(arrays, outcome, strict=True):
                    array[state, action, k] = value
    legal = np.array([[bool(outcomes) for outcomes in row] for row in rows])
    begin = np.eye(len(rows))[0] if start is None else np.array(start, float)
    return checked(FiniteMDP(*arrays, begin, legal))


WAIT_OR_GO = env(  # in 0: take 1 and stay, or go to 1 for nothing; in 1: take 5 and end
    [[[(1, 0, 1, 0)], [(1, 1, 0, 0)]], [[(1, 1, 5, 1)], []]]
)
CYCLE = env([[[(1, 1, 0, 0)]], [[(1, 0, 4, 0)]]])
LOOP = env([[[(1, 0, -1, 0)]]])


def test_the_best_plan_depends_on_the_time_left():
    plan = finite_horizon(WAIT_OR_GO, 3)
    assert plan.values.tolist() == [[6, 5], [5, 5], [1, 5], [0, 0]]
    assert plan.greedy[:, 0].tolist() == [[True, False], [False, True], [True, False]]
    assert plan.greedy[:, 1].tolist() == [[True, False]] * 3
    assert plan.start_value == 6
    discounted = finite_horizon(WAIT_OR_GO, 3, 0.5)  # 1 + .5 (0 + .5 * 5) = 2.25; go at once: 0 + 2.5
    assert discounted.values[0].tolist() == [2.5, 5]
    assert finite_horizon(WAIT_OR_GO, 0).values.tolist() == [[0, 0]]


def test_a_plan_that_changes_no_more_is_that_of_every_longer_horizon():
    """State 0 pays 3 two steps before the end, so four steps are planned as three are; waiting costs 1."""
    corridor = env([[[(1, 0, -1, 0)], [(1, 1, 0, 0)]], [[(1, 1, -1, 0)], [(1, 0, 3, 1)]]])
    plan = finite_horizon(corridor, 50)
    assert plan.values[:49].tolist() == [[3, 3]] * 49
    assert plan.values[49:].tolist() == [[0, 3], [0, 0]]
    assert plan.greedy.shape == (50, 2, 2)
    assert (plan.greedy == [False, True]).all()


def test_discounted_by_hand():
    """At gamma = 1/2 waiting for ever is worth 2, going 2.5; at .9 waiting 10, going 4.5."""
    impatient, patient = value_iteration(WAIT_OR_GO, 0.5), value_iteration(WAIT_OR_GO, 0.9)
    assert impatient.values == pytest.approx([2.5, 5])
    assert impatient.q == pytest.approx(np.array([[2.25, 2.5], [5, 0]]))
    assert patient.values == pytest.approx([10, 5])
    assert patient.greedy.tolist() == [[True, False], [True, False]]
    assert regret(WAIT_OR_GO, greedy_policy(impatient), gamma=0.9) == pytest.approx(10 - 4.5)
    assert value_iteration(WAIT_OR_GO, 0.0).values == pytest.approx([1, 5])


def test_truncation_and_termination_are_distinguished():
    """Both pay 2 and lead to state 1, whose value is 10: a cut still counts it, but within a horizon it is over."""
    both = env([[[(1, 1, 2, 1)], [(1, 1, 2, 2)]], [[(1, 1, 5, 0)], []]])
    solution = value_iteration(both, 0.5)
    assert solution.q[0] == pytest.approx([2, 2 + 0.5 * 10])
    assert finite_horizon(both, 9).values[0].tolist() == [2, 45]
    for policy in np.eye(2):
        assert evaluate_finite(both, np.array([policy, [1, 0]]), 9) == 2


def test_ties_and_their_policy():
    even = env([[[(1, 0, 0, 1)], [(1, 0, 0, 1)], [(1, 0, -1, 1)], []]])
    solution = value_iteration(even, 0.9)
    assert solution.greedy.tolist() == [[True, True, False, False]]
    policy = greedy_policy(solution)
    assert policy.tolist() == [[0.5, 0.5, 0, 0]]
    assert uniform_policy(even) == pytest.approx(np.array([[1 / 3, 1 / 3, 1 / 3, 0]]))
    assert epsilon_greedy(even, policy, 0.3) == pytest.approx(np.array([[0.45, 0.45, 0.1, 0]]))
    near = env([[[(1, 0, 1, 1)], [(1, 0, 1 - 1e-6, 1)]]])
    assert value_iteration(near, 0.9).greedy.tolist() == [[True, False]]
    assert value_iteration(near, 0.9, tolerance=1e-5).greedy.tolist() == [[True, True]]


@pytest.mark.parametrize(("leaving", "value", "greedy"), [(-1, 0, [True, False]), (1, 1, [True, True])])
def test_undiscounted_with_a_free_place_to_stay(leaving, value, greedy):
    """Staying costs nothing. Leaving for -1 is worse than that; leaving for +1 can be put off at will."""
    stay = env([[[(1, 0, 0, 0)], [(1, 0, leaving, 1)]]])
    solution = value_iteration(stay, 1.0)
    assert solution.values.tolist() == [value]
    assert solution.greedy.tolist() == [greedy]


def test_undiscounted_values_without_bound():
    with pytest.raises(ValueError, match=r"gamma is 1.*expected gamma below 1"):
        value_iteration(LOOP, 1.0)
    with pytest.raises(ValueError, match=r"gamma is 1.*expected gamma below 1"):
        policy_evaluation(CYCLE, uniform_policy(CYCLE), 1.0)
    assert evaluate_finite(LOOP, uniform_policy(LOOP), None) == -np.inf
    assert evaluate_finite(CYCLE, uniform_policy(CYCLE), None) == np.inf
    assert evaluate_finite(LOOP, uniform_policy(LOOP), 7) == -7
    assert expected_steps(LOOP, uniform_policy(LOOP)).tolist() == [np.inf]


def test_a_trap_that_can_be_avoided_is_minus_infinity():
    trap = env([[[(1, 1, -1, 0)], [(1, 0, -2, 1)]], [[(1, 1, -1, 0)], []]])
    solution = value_iteration(trap, 1.0)
    assert solution.values.tolist() == [-2, -np.inf]
    assert solution.q.tolist() == [[-np.inf, -2], [-np.inf, 0]]
    assert solution.greedy[0].tolist() == [False, True]
    with pytest.raises(ValueError, match="gamma is 1"):
        policy_evaluation(trap, uniform_policy(trap), 1.0)


def test_an_improbable_exit_is_still_valued():
    """Each try succeeds once in 10,000; leaving is worth 1 and a try costs 1: total 1 - 10,000."""
    hard = env([[[(1e-4, 0, 0, 1), (1 - 1e-4, 0, -1, 0)], [(1, 0, -0.9, 0)]]])
    assert value_iteration(hard, 1.0).values == pytest.approx([-9999])


def test_average_reward_of_two_states():
    """Stay for 1, or move for nothing to where every step pays 2: gain 2, and being there is worth 2 more."""
    better = env([[[(1, 0, 1, 0)], [(1, 1, 0, 0)]], [[(1, 1, 2, 0)], []]])
    found = average_reward(better)
    assert found.gain == pytest.approx(2)
    assert found.bias == pytest.approx([0, 2])
    assert found.greedy.tolist() == [[False, True], [True, False]]
    assert found.q == pytest.approx(np.array([[-1, 0], [2, 0]]), abs=1e-8)


def test_average_reward_of_a_cycle():
    """A chain with a period: 0 and 4 in turn; half a step's gain separates the two."""
    found = average_reward(CYCLE)
    assert found.gain == pytest.approx(2)
    assert found.bias == pytest.approx([0, 2])
    assert stationary_distribution(CYCLE, uniform_policy(CYCLE)) == pytest.approx([0.5, 0.5])


def test_average_reward_over_episodes():
    """Starts even: one step from 0, two from 1; each episode pays 1 in 1.5 steps on average."""
    episodes = env([[[(1, 0, 1, 1)]], [[(1, 0, 0, 0)]]], start=[0.5, 0.5])
    assert average_reward(episodes).gain == pytest.approx(2 / 3)
    policy = uniform_policy(episodes)
    assert stationary_distribution(episodes, policy) == pytest.approx([2 / 3, 1 / 3])
    assert expected_steps(episodes, policy).tolist() == [1, 2]


def test_average_reward_may_prefer_to_begin_again():
    """Stay for 1 a step, or end at once for 3 and begin again: 3 a step."""
    assert average_reward(env([[[(1, 0, 1, 0)], [(1, 0, 3, 1)]]])).gain == pytest.approx(3)
    assert average_reward(env([[[(1, 0, 1, 0)], [(1, 0, 3, 2)]]])).gain == pytest.approx(3)
    absorbing = env([[[(1, 1, 3, 2)]], [[(1, 1, 1, 0)]]])  # a cut is no end: the 1 for ever counts
    assert average_reward(absorbing).gain == pytest.approx(1)


def test_average_reward_ignores_where_no_episode_comes():
    apart = env([[[(1, 0, 1, 0)]], [[(1, 1, 9, 0)]]])
    found = average_reward(apart)
    assert (found.gain, found.bias.tolist()) == (pytest.approx(1), [0, 0])


def test_average_reward_that_depends_on_the_state_is_refused():
    split = env([[[(0.5, 1, 0, 0), (0.5, 2, 0, 0)]], [[(1, 1, 1, 0)]], [[(1, 2, 3, 0)]]])
    with pytest.raises(ValueError, match="gain depends on the state"):
        average_reward(split)
    assert stationary_distribution(split, uniform_policy(split)) == pytest.approx([0, 0.5, 0.5])


def test_stationary_distribution_of_two_states():
    """Leaving 0 with .3 and 1 with .1: .25 and .75, wherever one begins."""
    weather = env([[[(0.7, 0, 0, 0), (0.3, 1, 0, 0)]], [[(0.1, 0, 0, 0), (0.9, 1, 1, 0)]]])
    policy = uniform_policy(weather)
    assert stationary_distribution(weather, policy) == pytest.approx([0.25, 0.75])
    assert average_reward(weather).gain == pytest.approx(0.75 * 0.9)


def test_geometric_episodes():
    coin = env([[[(0.2, 0, 1, 1), (0.8, 0, 0, 0)]]])
    policy = uniform_policy(coin)
    assert expected_steps(coin, policy) == pytest.approx([5])
    assert policy_evaluation(coin, policy, 1.0) == pytest.approx([1])
    assert evaluate_finite(coin, policy, 3) == pytest.approx(1 - 0.8**3)
    assert evaluate_finite(coin, np.stack([policy] * 3), 3, 0.5) == pytest.approx([0.2 * (1 + 0.4 + 0.16)] * 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: value_iteration(LOOP, 1.5), "gamma is 1.5, expected 0 to 1"),
        (lambda: value_iteration(LOOP, -0.1), "gamma is -0.1"),
        (lambda: value_iteration(LOOP, float("nan")), "gamma is nan"),
        (lambda: value_iteration(LOOP, 0.5, epsilon=2), "epsilon is 2"),
        (lambda: policy_evaluation(LOOP, np.ones((1, 1)), 2), "gamma is 2"),
        (lambda: finite_horizon(LOOP, -1), "horizon is -1"),
        (lambda: evaluate_finite(LOOP, np.ones((1, 1)), 3, 7), "gamma is 7"),
        (lambda: policy_evaluation(LOOP, np.ones((2, 1)), 0.5), r"policy: the shape is \(2, 1\)"),
        (lambda: policy_evaluation(WAIT_OR_GO, np.full((2, 2), 0.5), 0.5), r"policy: row \(1,\)"),
        (lambda: policy_evaluation(LOOP, np.zeros((1, 1)), 0.5), "sum to 1"),
        (lambda: env([[[(0.5, 0, 0, 0)]]]), r"prob of a legal action at \(0, 0\) is 0.5, expected 1"),
        (lambda: env([[[(1, 3, 0, 0)]]]), r"next at \(0, 0, 0\) is 3, expected 0 to 0"),
        (lambda: env([[[(1, 0, np.nan, 0)]]]), "reward .* is nan"),
        (lambda: env([[[(1, 0, 0, 3)]]]), "end .* is 3, expected 0, 1 or 2"),
        (lambda: env([[[(2, 0, 0, 0), (-1, 0, 0, 0)]]]), "prob .* is -1.0, expected at least 0"),
        (lambda: env([[[(1, 0, 0, 0)]]], start=[0.5]), "start sums to 0.5"),
        (lambda: env([[[(1, 1, 0, 0)]], [[]]]), "next .* is 1, expected a state with a legal action"),
        (lambda: env([[[]]]), "start .* expected 0 where no action is legal"),
    ],
)
def test_invalid_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
