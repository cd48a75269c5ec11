"""Tests of perceptrons: Cover's count against linear programs, stability of what is stored, and cycles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog

from memory import perceptron
from memory.perceptron import learn, storable_fraction
from simulator.core.memories import PatternSpec


def _is_separable(points, labels) -> bool:
    """Return whether some w has label (w . point) >= 1 for all points, by a linear program."""
    rows = -labels[:, None] * points
    n = points.shape[1]
    found = linprog(np.zeros(n), A_ub=rows, b_ub=-np.ones(len(rows)), bounds=[(None, None)] * n, method="highs")
    return found.status == 0


def test_the_count_is_that_of_all_dichotomies_of_a_few_points():
    points = np.random.default_rng(0).standard_normal((6, 3))
    made = sum(_is_separable(points, np.array(labels)) for labels in itertools.product((-1.0, 1.0), repeat=6))
    assert made / 2**6 == storable_fraction(6, 3) == 32 / 64


@pytest.mark.parametrize(("n_patterns", "fraction"), [(180, 0.93), (200, 0.50), (220, 0.09)])
def test_the_capacity_is_two_patterns_for_each_input(n_patterns, fraction):
    assert storable_fraction(n_patterns, 100) == pytest.approx(fraction, abs=5e-3)


@pytest.mark.parametrize("n_patterns", [34, 38, 42])
def test_random_patterns_are_stored_as_often_as_cover_says(n_patterns):
    stream = np.random.default_rng(n_patterns)
    n_sets = 120
    made = 0
    for _ in range(n_sets):
        x = np.where(stream.random((n_patterns, 20)) < 0.5, -1.0, 1.0)
        made += _is_separable(x[:, 1:], x[:, 0])  # what unit 0 has to learn from the 19 others
    expected = storable_fraction(n_patterns, 19)
    assert stats.binomtest(made, n_sets, expected).pvalue > 1e-3


def test_learning_ends_with_every_unit_beyond_the_margin_where_that_is_possible():
    x = np.where(np.random.default_rng(1).random((40, 60)) < 0.5, -1.0, 1.0)
    weights = learn(x, 2.0, 5_000)
    assert (x * (x @ weights.T)).min() > 2.0
    assert not np.diagonal(weights).any()
    assert not np.allclose(weights, weights.T)


def _memory(weights, **settings):
    n = len(weights)
    memory = perceptron.make(PatternSpec((n,)), [0], perceptron.Config(**settings))
    memory.restore({"weights": np.array([weights], np.float32), "field_scale": np.ones(1)})
    return memory


def test_an_asymmetric_pair_goes_round_and_recall_ends():
    memory = _memory([[0.0, 1.0], [-1.0, 0.0]], max_iters=10)  # (+ +) -> (+ -) -> (- -) -> (- +) -> (+ +)
    recall = memory.recall(np.array([[[1.0, 1.0]]]))
    assert recall.n_iters[0, 0] == 10
    np.testing.assert_array_equal(recall.patterns[0, 0], [-1.0, -1.0])
    again = _memory([[0.0, 1.0], [1.0, 0.0]]).recall(np.array([[[1.0, -1.0], [1.0, 1.0]]]))
    np.testing.assert_array_equal(again.n_iters[0], [2, 0])  # back where it began, and at a fixed point
    np.testing.assert_array_equal(again.patterns[0], [[1.0, -1.0], [1.0, 1.0]])
    assert again.energy[0, 1, 0] == -2.0


def test_more_patterns_are_kept_than_hebbs_rule_holds():
    x = np.where(np.random.default_rng(2).random((1, 60, 64)) < 0.5, -1.0, 1.0).astype(np.float32)
    memory = perceptron.make(PatternSpec((64,)), [0], perceptron.Config())
    memory.store(x)
    np.testing.assert_array_equal(memory.recall(x).patterns, x)
    assert memory.energy(x).max() < memory.energy(-np.roll(x, 1, 2)).min()
