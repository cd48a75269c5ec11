"""Greedy play and exact answers."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.evaluation import optimum
from tests.laws.players import session


@pytest.mark.parametrize(
    ("agent", "world", "expected"),
    [("planner", "FrozenLake-v1", 0.74419), ("random_walk", "FrozenLake-v1", 0.01394), ("planner", "Taxi-v4", 7.93)],
)
def test_played_returns_agree_with_the_exact_one(agent, world, expected):
    one = session(agent, world, seeds=8, eval_episodes=200)
    found = one.evaluator().evaluate(one.agent, 0)
    np.testing.assert_allclose(found.exact, expected, atol=1e-5)
    error = found.returns.std() / np.sqrt(found.returns.size)
    assert abs(found.returns.mean() - expected) < 4 * error


def test_the_optimum_is_the_planners():
    for world in ("rooms", "FrozenLake-v1", "CliffWalking-v1"):
        one = session("planner", world)
        exact = one.evaluator().evaluate(one.agent, 0).exact
        np.testing.assert_allclose(exact, optimum(one.world.spec), atol=1e-9)


def test_on_the_way_nothing_is_played_that_is_known_exactly_and_a_tenth_of_the_rest():
    known = session("q_learning", "rooms", eval_episodes=50)
    assert known.evaluator().evaluate(known.agent, 0, last=False).returns.shape == (3, 0)
    played = session("q_learning", "CartPole-v1", eval_episodes=50)
    assert played.evaluator().evaluate(played.agent, 0, last=False).returns.shape == (3, 5)


def test_a_policy_that_never_arrives_is_cut():
    one = session("q_learning", "CliffWalking-v1", eval_episodes=2, agent_={"explore": {"level": 0.0}})
    state = one.agent.state()
    state["q"][..., 0] = 1.0  # up, for ever
    one.agent.restore(state)
    found = one.evaluator().evaluate(one.agent, 0)
    np.testing.assert_allclose(found.returns, -1_000.0)
    np.testing.assert_allclose(found.exact, -1_000.0)
