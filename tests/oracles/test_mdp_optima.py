"""Tests of the exact solver: against published and independently computed optima."""

import gymnasium
import numpy as np
import pytest

from envs.common.gymnasium import toy_text
from simulator.core.mdp.model import FiniteMDP, checked, epsilon_greedy, greedy_policy, start_value, uniform_policy
from simulator.core.mdp.solve import (
    evaluate_finite,
    expected_steps,
    finite_horizon,
    policy_evaluation,
    regret,
    value_iteration,
)

R = np.array(
    [
        [-1, -1, -1, -1, 0, -1],
        [-1, -1, -1, 0, -1, 100],
        [-1, -1, -1, 0, -1, -1],
        [-1, 0, 0, -1, 0, -1],
        [0, -1, -1, 0, -1, 100],
        [-1, 0, -1, -1, 0, 100],
    ]
)
Q = np.array(
    [
        [0, 0, 0, 0, 400, 0],
        [0, 0, 0, 320, 0, 500],
        [0, 0, 0, 320, 0, 0],
        [0, 400, 256, 0, 400, 0],
        [320, 0, 0, 320, 0, 500],
        [0, 400, 0, 0, 400, 500],
    ]
)


def six_rooms(end):
    """Return the six rooms' MDP: the action is the room to go to, ``end`` the code of entering the goal."""
    rooms = np.broadcast_to(np.arange(6), (6, 6))
    legal, codes = R >= 0, np.where(rooms == 5, end, 0).astype(np.uint8)
    arrays = (legal.astype(float), rooms.copy(), np.maximum(R, 0).astype(float), codes)
    return checked(FiniteMDP(*(array[..., None] for array in arrays), np.full(6, 1 / 6), legal))


def toy(env_id, **kwargs):
    return toy_text.model(gymnasium.make(env_id, **kwargs))


def test_six_rooms_absorbing():
    solution = value_iteration(six_rooms(end=2), 0.8)
    assert np.allclose(solution.q, Q, atol=1e-9)
    assert (solution.values == solution.q.max(axis=1)).all()
    best = [[4], [5], [3], [1, 4], [5], [5]]
    assert [np.flatnonzero(row).tolist() for row in solution.greedy] == best
    assert solution.start_value == pytest.approx((400 + 500 + 320 + 400 + 500 + 500) / 6)


def test_six_rooms_terminal():
    assert np.allclose(value_iteration(six_rooms(end=1), 0.8).q, Q / 5, atol=1e-9)


def test_six_rooms_in_the_limit():
    """Without discount a goal that pays for ever has no finite value; one that ends is worth 100 from anywhere."""
    with pytest.raises(ValueError, match="gamma is 1, but the total reward"):
        value_iteration(six_rooms(end=2), 1.0)
    assert np.allclose(value_iteration(six_rooms(end=1), 1.0).values, 100)
    policy = greedy_policy(value_iteration(six_rooms(end=1), 0.8))
    for end in (1, 2):  # from rooms 0 to 5: 2, 1, 3, 2, 1, 1 doors
        assert expected_steps(six_rooms(end), policy).tolist() == [2, 1, 3, 2, 1, 1]
        assert evaluate_finite(six_rooms(end), policy, 2) == pytest.approx(100 * 5 / 6)


@pytest.mark.parametrize(("gamma", "value"), [(0.95, 0.1805), (0.99, 0.5420), (1.0, 0.8235)])
def test_frozen_lake(gamma, value):
    assert value_iteration(toy("FrozenLake-v1"), gamma).start_value == pytest.approx(value, abs=5e-5)


def test_frozen_lake_within_100_steps():
    lake = toy("FrozenLake-v1")
    policy = greedy_policy(value_iteration(lake, 0.99))
    assert evaluate_finite(lake, policy, 100) == pytest.approx(0.7402, abs=5e-5)
    assert finite_horizon(lake, 100).start_value == pytest.approx(0.7442, abs=5e-5)
    assert evaluate_finite(lake, uniform_policy(lake), 100) == pytest.approx(0.0139, abs=5e-5)
    assert regret(lake, policy, horizon=100) == pytest.approx(0.744190 - 0.740165, abs=1e-6)
    assert regret(lake, policy, gamma=0.99) == pytest.approx(0, abs=1e-12)


def test_taxi():
    taxi = toy("Taxi-v4")
    assert finite_horizon(taxi, 200).start_value == pytest.approx(7.9300, abs=5e-5)
    assert value_iteration(taxi, 1.0).start_value == pytest.approx(7.9300, abs=5e-5)
    assert evaluate_finite(taxi, uniform_policy(taxi), 200) == pytest.approx(-771.09, abs=5e-3)
    policies = np.stack([uniform_policy(taxi), greedy_policy(value_iteration(taxi, 0.99))])
    assert evaluate_finite(taxi, policies, 200) == pytest.approx([-771.091, 7.93], abs=5e-4)


@pytest.mark.parametrize(("gamma", "value"), [(1.0, -13), (0.99, -12.2479)])
def test_cliff(gamma, value):
    assert value_iteration(toy("CliffWalking-v1"), gamma).start_value == pytest.approx(value, abs=5e-5)


def test_slippery_cliff():
    assert value_iteration(toy("CliffWalkingSlippery-v1"), 1.0).start_value == pytest.approx(-64.7092, abs=5e-5)


def test_cliff_with_exploration():
    cliff = toy("CliffWalking-v1")
    behaviour = epsilon_greedy(cliff, greedy_policy(value_iteration(cliff, 1.0)), 0.1)
    assert start_value(cliff, policy_evaluation(cliff, behaviour, 1.0)) == pytest.approx(-50.80, abs=5e-3)
    soft = value_iteration(cliff, 1.0, epsilon=0.1)
    assert soft.start_value == pytest.approx(-20.71, abs=5e-3)
    assert np.allclose(soft.values, 0.9 * soft.q.max(axis=1) + 0.1 * soft.q.mean(axis=1))
    own = epsilon_greedy(cliff, greedy_policy(soft), 0.1)
    assert np.allclose(policy_evaluation(cliff, own, 1.0), soft.values)


def test_random_play_on_the_cliff_terminates():
    """Steps and return of an endless horizon agree with the limit of long ones."""
    cliff = toy("CliffWalking-v1")
    policy = uniform_policy(cliff)
    steps = start_value(cliff, expected_steps(cliff, policy))
    assert steps == pytest.approx(6453.123, abs=1e-3)
    endless = evaluate_finite(cliff, policy, None)
    assert endless == pytest.approx(start_value(cliff, policy_evaluation(cliff, policy, 1.0)))
    assert evaluate_finite(cliff, policy, 100_000) == pytest.approx(float(endless), rel=1e-5)
