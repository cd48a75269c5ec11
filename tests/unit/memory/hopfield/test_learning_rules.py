"""Tests of learning rules: against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from memory import hopfield
from memory.hopfield.learning_rules import (
    hebb,
    minimum_probability_flow,
    perceptron,
    probability_flow,
    pseudo_inverse,
    storkey,
)
from simulator.core.memories import PatternSpec
from tests.helpers.hopfield import hopfield_with
from tests.helpers.patterns import random_patterns


@settings(max_examples=20)
@given(st.integers(0, 2**20), st.integers(1, 8), st.integers(3, 12))
def test_hebb_and_storkey_are_their_sums(seed, n_patterns, n):
    x = random_patterns(seed, n_patterns, n)
    np.testing.assert_array_equal(hebb(x), sum(np.outer(p, p) for p in x))
    weights = np.zeros((n, n))
    for p in x:
        step = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                h_ij = sum(weights[i, k] * p[k] for k in range(n) if k not in (i, j))
                h_ji = sum(weights[j, k] * p[k] for k in range(n) if k not in (i, j))
                step[i, j] = (p[i] * p[j] - p[i] * h_ji - h_ij * p[j]) / n
        weights += step
    np.testing.assert_allclose(storkey(x), weights, atol=1e-12)


def test_the_pseudo_inverse_projects_on_the_patterns():
    x = random_patterns(0, 6, 20)
    x[5] = -x[4]  # linearly dependent
    weights = pseudo_inverse(x)
    np.testing.assert_allclose(weights @ weights, weights, atol=1e-12)
    np.testing.assert_allclose(weights, weights.T, atol=1e-12)
    np.testing.assert_allclose(x @ weights, x, atol=1e-12)
    assert np.trace(weights) == pytest.approx(5.0)


def test_a_unit_that_no_other_determines_keeps_its_value_under_the_pseudo_inverse():
    x = np.ones((4, 5))
    x[1:, :3] -= 2.0 * np.eye(3)  # units 0 to 2 are independent, 3 and 4 always +1
    off_diagonal = pseudo_inverse(x) * (1 - np.eye(5))
    np.testing.assert_array_equal(off_diagonal[:3], np.zeros((3, 5)))
    memory = hopfield.make(PatternSpec((5,)), [0], hopfield.Config(rule="pseudo_inverse"))
    memory.store(x[None])
    cue = np.array([[[-1.0, 1.0, -1.0, 1.0, 1.0]]])
    np.testing.assert_array_equal(memory.recall(cue).patterns, cue)


def test_the_perceptron_s_first_two_corrections_by_hand():
    x = np.array([[1.0, 1.0, -1.0]])
    pairs = np.outer(x[0], x[0]) * (1 - np.eye(3))
    # both units of a pair are wrong: each pass adds 2 / 3 x_i x_j, and a field 4 / 3
    np.testing.assert_allclose(perceptron(x, 1.0, 9), 2 / 3 * pairs, rtol=1e-6)
    np.testing.assert_allclose(perceptron(x, 2.0, 9), 4 / 3 * pairs, rtol=1e-6)
    np.testing.assert_allclose(perceptron(x, 9.0, 3), 6 / 3 * pairs, rtol=1e-6)


def test_the_perceptron_reaches_its_margin_and_leaves_the_constant_alone():
    x = np.concatenate([random_patterns(0, 30, 60), np.ones((30, 1))], axis=1)
    weights = perceptron(x, 8.0, 500, constant_unit=True)
    fields = x * (x @ weights)
    assert fields[:, :-1].min() >= 8.0 - 1e-4
    np.testing.assert_array_equal(weights, weights.T)
    assert not np.diag(weights).any()


@pytest.mark.parametrize("constant", [False, True])
def test_the_gradient_of_the_flow_is_that_of_finite_differences(constant):
    x, n = random_patterns(0, 4, 6).astype(np.float64), 6
    x[:, -1] = 1.0 if constant else x[:, -1]
    draws = np.random.Generator(np.random.PCG64(1))
    weights = draws.normal(size=(n, n)) * 0.3
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    above = np.triu_indices(n, 1)

    def of_pairs(pairs):
        full = np.zeros((n, n))
        full[above] = pairs
        return probability_flow(full + full.T, x, constant).value

    value, gradient = probability_flow(weights, x, constant)
    np.testing.assert_allclose(2 * gradient[above], approx_fprime(weights[above], of_pairs, 1e-7), atol=1e-6)
    h = x @ weights
    rates = np.exp(-x * h)[:, : n - constant]
    assert value == pytest.approx(rates.sum() / x.size)


def test_the_flow_is_the_rate_to_all_states_one_unit_away():
    x, weights = random_patterns(0, 3, 5).astype(np.float64), random_patterns(1, 5, 5).astype(np.float64)
    weights = np.triu(weights, 1) + np.triu(weights, 1).T

    def energy(s):
        return -0.5 * s @ weights @ s

    total = sum(np.exp((energy(p) - energy(np.where(np.arange(5) == i, -p, p))) / 2) for p in x for i in range(5))
    assert probability_flow(weights, x).value == pytest.approx(total / 15)


def test_least_flow_is_less_than_anything_near():
    x = random_patterns(0, 12, 8).astype(np.float64)  # more than fit: the minimum is finite
    best = minimum_probability_flow(x, 500)
    value, gradient = probability_flow(best, x)
    assert abs(gradient).max() < 1e-5
    for seed in range(5):
        step = np.triu(random_patterns(seed + 1, 8, 8), 1) * 0.01
        assert probability_flow(best + step + step.T, x).value > value


def test_a_perceptron_without_a_margin_is_refused():
    with pytest.raises(ValueError, match=r"margin = 0 with rule = perceptron, expected more than 0"):
        hopfield_with(random_patterns(0, 1, 3, 10), rule="perceptron", margin=0.0)
    for rule in ("hebb", "storkey", "pseudo_inverse", "flow"):
        hopfield_with(random_patterns(0, 1, 3, 10), rule=rule, margin=0.0)


def test_the_presets_are_the_other_rules():
    all_rules = {name: preset["memory"]["rule"] for name, preset in hopfield.PRESETS.items()}
    rules = {name: rule for name, rule in all_rules.items() if not name.endswith("-noise-aware")}
    assert {name for name in all_rules if name not in rules} == {f"{name}-noise-aware" for name in rules}
    assert rules == {
        "hopfield-storkey": "storkey",
        "hopfield-pseudo-inverse": "pseudo_inverse",
        "hopfield-perceptron": "perceptron",
        "hopfield-flow": "flow",
    }
    for rule in rules.values():
        memory = hopfield_with(random_patterns(0, 1, 10, 50), rule=rule)
        assert (memory.recall(random_patterns(0, 1, 10, 50)).n_iters == 0).all()
