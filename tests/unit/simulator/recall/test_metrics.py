"""Tests of recall metrics: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core import rng
from simulator.recall import metrics

TRUTH = np.array([[[1, -1, 1, -1], [1, 1, -1, -1]]], np.float32)  # one seed, two cues, four units


def test_overlap_counts_units_and_half_for_what_is_not_said():
    restored = np.array([[[1, -1, 1, 1], [0, 1, -1, -1]]], np.float32)
    # 3 of 4 right: overlap 1/2; 3 right and one 0: (3 + 0) / 4; their mean is 5/8
    assert metrics.overlap(restored, TRUTH) == pytest.approx([0.625])
    assert metrics.same(restored, TRUTH, True).tolist() == [[False, False]]
    assert metrics.same(TRUTH, TRUTH, True).all()


def test_grey_patterns_are_near_or_not():
    grey = TRUTH * 0.5
    assert metrics.same(grey + 0.09, grey, False).all()
    assert not metrics.same(grey + 0.2, grey, False).any()
    assert metrics.overlap(grey + 0.25, grey) == pytest.approx([0.75])
    assert metrics.decided(np.array([3.0, -0.2]), False).tolist() == [1.0, -0.2]
    assert metrics.decided(np.array([3.0, -0.2, 0.0]), True).tolist() == [1.0, -1.0, 0.0]


def test_a_recall_is_spurious_unless_it_is_one_of_the_stored():
    mixed = np.stack([TRUTH[0, 1], TRUTH[0, 0], -TRUTH[0, 0]])[None]
    assert metrics.is_stored(mixed, TRUTH, True).tolist() == [[True, True, False]]
    assert metrics.is_stored(mixed + 0.05, TRUTH, False).tolist() == [[True, True, False]]


def test_recognition_auc_is_the_fraction_of_ordered_pairs():
    stored, novel = np.array([[-3.0, -2.0], [-1.0, -1.0]]), np.array([[-2.5, 0.0, 1.0], [-1.0, -1.0, -1.0]])
    # -3 is below all three, -2 below two of three: 5 of 6; equal energies tell nothing
    assert metrics.familiarity(stored, novel) == pytest.approx([5 / 6, 0.5])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_familiarity_equals_counting(stored, novel):
    pairs = [(a < b) + 0.5 * (a == b) for a in stored for b in novel]
    assert metrics.familiarity(np.array([stored]), np.array([novel])) == pytest.approx([np.mean(pairs)])


def test_the_roc_curve_of_separate_energies_is_one_at_once():
    false, true = metrics.roc(np.array([[-9.0, -8.0]]), np.array([[0.0, 1.0, 2.0]]), 5)
    assert false.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert true.tolist() == [1.0] * 5


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.lists(st.integers(-3, 3), min_size=1, max_size=6))
def test_the_area_under_the_roc_curve_is_the_familiarity(stored, novel):
    old, new = np.array([stored], float), np.array([novel], float)
    false, true = metrics.roc(old, new, 60 * len(novel) + 1)  # every corner is among these points, but for rises
    area = np.trapezoid(true, false)
    assert area == pytest.approx(metrics.familiarity(old, new)[0], abs=0.02)


def test_equal_energies_are_chance():
    false, true = metrics.roc(np.zeros((2, 3)), np.zeros((2, 4)))
    np.testing.assert_allclose(true, false)


@pytest.mark.parametrize("block_rows", [metrics.BLOCK_ROWS, 4])
def test_retrieval_compares_with_the_nearest(block_rows, monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK_ROWS", block_rows)
    codes = np.array([[[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]])
    labels = np.array([[0, 0, 0, 1, 1, 1]])
    # of the five nearest to 1 three are of class 0; of those nearest to 11 two
    found = metrics.retrieval(codes, np.array([[[1.0], [11.0]]]), labels, np.array([[0, 0]]))
    assert found == pytest.approx([(3 / 5 + 2 / 5) / 2])


@pytest.mark.parametrize(
    ("shares", "expected"), [([1, 1, 0], 1.5), ([0.4, 0.2, 0], 0), ([1, 1, 1], 2), ([1, 0.5, 0.1], 1)]
)
def test_a_falling_fraction_is_crossed_between_points(shares, expected):
    assert metrics.crossing(np.array([0, 1, 2]), np.array([shares], float), 0.5) == pytest.approx([expected])


def test_lookup_by_hand():
    """Three stored patterns, two queries: one found first, one tied with another behind a third."""
    likeness = np.array([[[0.9, 0.2, 0.1], [0.8, 0.5, 0.5]]])
    found = metrics.lookup(likeness, np.array([0, 1]), np.array([[0, 0, 1]]), 1, 2)
    assert found.first.tolist() == [0.5]
    assert found.reciprocal_rank.tolist() == [pytest.approx((1 + (1 / 2 + 1 / 3) / 2) / 2)]
    assert found.precision.tolist() == [1.0]  # the nearest other one of both is of their class
    assert found.by_class[0, 0] == 1.0
    assert np.isnan(found.by_class[0, 1])
    two = metrics.lookup(likeness, np.array([0, 1]), np.array([[0, 0, 1]]), 2, 2)
    assert two.precision.tolist() == [0.5]
    alone = metrics.lookup(np.ones((1, 2, 1)), np.array([0, 0]), np.array([[0]]), 5, 1)
    assert alone.first.tolist() == [1.0]
    assert np.isnan(alone.precision[0])
    unnamed = metrics.lookup(likeness, np.array([0, 1]), np.full((1, 3), -1), 1, 0)
    assert np.isnan(unnamed.precision[0])


def test_a_recall_that_is_equally_like_all_finds_one_of_them_by_chance():
    found = metrics.lookup(np.zeros((1, 4, 4)), np.arange(4), np.zeros((1, 4), np.int64), 2, 1)
    assert found.first.tolist() == [0.25]
    assert found.reciprocal_rank.tolist() == [pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)]


def test_cosines_and_distances_are_scikit_learns():
    from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

    stream = rng.generators([5], "patterns")[0]
    q, x = stream.uniform(-1, 1, (2, 3, 6)), stream.uniform(-1, 1, (2, 4, 6))
    for i in range(2):
        ours = metrics.cosines(q, x)[i]
        np.testing.assert_allclose(ours, cosine_similarity((q[i] + 1) / 2, (x[i] + 1) / 2), rtol=1e-9)
        np.testing.assert_allclose(-metrics.nearness(q, x)[i], euclidean_distances(q[i], x[i]) ** 2, rtol=1e-9)
    assert (metrics.cosines(-np.ones((1, 1, 6)), x[:1]) == 0).all()  # an empty document is like none
