"""Tests of the exact solver: against all deterministic policies of small random environments."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.core.mdp.average_reward import average_reward, stationary_distribution
from simulator.core.mdp.model import FiniteMDP, checked, epsilon_greedy, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, expected_steps, finite_horizon, policy_evaluation, value_iteration

envs = st.builds(lambda *args: _random(*args), st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 3))
quick = settings(max_examples=40, deadline=None)


def _random(seed, n_states, n_actions):
    """Return a random MDP whose every action may terminate, with some illegal actions and some truncations."""
    rng = np.random.default_rng(seed)
    shape = (n_states, n_actions, 3)
    prob = rng.dirichlet([0.7] * 3, shape[:2])
    end = rng.choice([0, 0, 2], shape).astype(np.uint8)
    end[..., 0], prob = 1, 0.9 * prob + np.array([0.1, 0, 0])
    legal = rng.random(shape[:2]) < 0.8
    legal[:, 0] = True
    reward = np.round(rng.normal(size=shape), 1)
    return checked(
        FiniteMDP(prob, rng.integers(n_states, size=shape), reward, end, rng.dirichlet([1] * n_states), legal)
    )


def _dense(mdp, policy, ends):
    """Return the chain [N, N] and reward [N] of a policy, by plain loops."""
    chain, reward = np.zeros((len(policy), len(policy))), np.zeros(len(policy))
    for (s, a, k), p in np.ndenumerate(mdp.prob):
        reward[s] += policy[s, a] * p * mdp.reward[s, a, k]
        if mdp.end[s, a, k] not in ends:
            chain[s, mdp.next[s, a, k]] += policy[s, a] * p
    return chain, reward


def _policies(mdp):
    n_actions = mdp.legal.shape[1]
    for actions in itertools.product(*(np.flatnonzero(row) for row in mdp.legal)):
        yield np.eye(n_actions)[list(actions)]


def _value(mdp, policy, gamma):
    chain, reward = _dense(mdp, policy, (1,))
    return np.linalg.solve(np.eye(len(reward)) - gamma * chain, reward)


@quick
@given(envs, st.sampled_from([0.0, 0.5, 0.99, 1.0]), st.sampled_from([0.0, 0.2, 1.0]))
def test_optimal_values(mdp, gamma, epsilon):
    solution = value_iteration(mdp, gamma, epsilon=epsilon)
    every = [_value(mdp, epsilon_greedy(mdp, policy, epsilon), gamma) for policy in _policies(mdp)]
    assert np.allclose(solution.values, np.max(every, axis=0), atol=1e-9)
    assert solution.start_value == pytest.approx(mdp.start @ solution.values)
    assert (solution.q[~mdp.legal] == 0).all()
    assert not solution.greedy[~mdp.legal].any()
    assert solution.greedy.any(axis=1).all()
    for policy in _policies(mdp):  # greedy marks exactly the choices of the best policies
        best = np.allclose(_value(mdp, epsilon_greedy(mdp, policy, epsilon), gamma), solution.values, atol=1e-11)
        if epsilon < 1:
            assert best == solution.greedy[policy > 0].all()


@quick
@given(envs, st.integers(0, 6), st.sampled_from([0.7, 1.0]))
def test_finite_horizon(mdp, horizon, gamma):
    plan = finite_horizon(mdp, horizon, gamma)
    best = np.zeros(len(mdp.start))
    for t in reversed(range(horizon)):
        every = []
        for policy in _policies(mdp):
            chain, reward = _dense(mdp, policy, (1, 2))
            every.append(reward + gamma * chain @ best)
        best = np.max(every, axis=0)
        assert np.allclose(plan.values[t], best)
    assert plan.start_value == pytest.approx(mdp.start @ best)


@quick
@given(envs, st.sampled_from([0.0, 0.9, 1.0]), st.integers(0, 10**9))
def test_any_policy(mdp, gamma, seed):
    rows = np.random.default_rng(seed).random((2, *mdp.legal.shape)) * mdp.legal + 1e-3 * mdp.legal
    policies = rows / rows.sum(axis=-1, keepdims=True)
    for policy, within, endless in zip(
        policies,
        evaluate_finite(mdp, policies, 5, gamma),
        evaluate_finite(mdp, policies, None, gamma),
        strict=True,
    ):
        assert np.allclose(policy_evaluation(mdp, policy, gamma), _value(mdp, policy, gamma))
        chain, reward = _dense(mdp, policy, (1, 2))
        parts = [gamma**t * mdp.start @ np.linalg.matrix_power(chain, t) @ reward for t in range(5)]
        assert within == pytest.approx(sum(parts))
        alone = np.linalg.inv(np.eye(len(chain)) - gamma * chain)
        assert endless == pytest.approx(mdp.start @ alone @ reward)
        steps = np.linalg.solve(np.eye(len(chain)) - chain, np.ones(len(chain)))
        assert np.allclose(expected_steps(mdp, policy), steps)


def _long_run(mdp, policy):
    """Return gain and stationary distribution of repeated episodes, from the visits in one episode."""
    chain, reward = _dense(mdp, policy, (1,))
    visits = np.linalg.solve(np.eye(len(chain)) - chain.T, mdp.start)
    return visits @ reward / visits.sum(), visits / visits.sum()


@quick
@given(envs)
def test_average_reward(mdp):
    found = average_reward(mdp)
    assert found.gain == pytest.approx(max(_long_run(mdp, policy)[0] for policy in _policies(mdp)), abs=1e-8)
    attained = np.where(mdp.legal, found.q, -np.inf).max(axis=1)
    shares = _long_run(mdp, uniform_policy(mdp))[1]
    met = shares > 1e-12
    assert np.allclose(attained[met], found.bias[met], atol=1e-7)
    assert np.allclose(stationary_distribution(mdp, uniform_policy(mdp)), shares)


def test_large_envs_stay_sparse():
    """A walk on 20,000 places would need 3 GB if any matrix were dense."""
    n = 20_000
    places = np.arange(n)
    led_to = np.stack([np.maximum(places - 1, 0), np.minimum(places + 1, n - 1)], axis=1)[..., None]
    reward, end = (led_to == n - 1) * 1.0, (led_to == n - 1).astype(np.uint8)
    line = FiniteMDP(np.ones((n, 2, 1)), led_to, reward, end, np.full(n, 1 / n), np.ones((n, 2), bool))
    values = value_iteration(line, 0.999).values
    assert np.allclose(values[:-1], 0.999 ** np.arange(n - 2, -1, -1), rtol=1e-9, atol=0)
    assert evaluate_finite(line, uniform_policy(line), 50) > 0
