"""Tests of counts on walks: worked by hand, and exact in expectation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simulator.core.embeddings.graph import deepwalk_matrix
from simulator.core.embeddings.walks import (
    cooccurrence,
    expected_cooccurrence,
    following,
    ngrams,
    pmi,
    positive_pmi,
    rows_of,
    svd_vectors,
    transitions_met,
    visits_of,
)

CHAIN = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.2], [0.0, 0.7, 0.1]])  # the last two may end the walk


def test_counts_by_hand():
    walks = rows_of([np.array([0, 1, 2, 1]), np.array([2, 2])])
    assert walks.tolist() == [[0, 1, 2, 1], [2, 2, -1, -1]]
    assert visits_of(walks, 3).tolist() == [1, 2, 3]
    # within one step: 0-1, 1-2, 2-1, 2-2, each in both directions
    assert cooccurrence(walks, 3, 1).tolist() == [[0, 1, 0], [1, 0, 2], [0, 2, 2]]
    # within two steps also 0-2 and 1-1
    assert cooccurrence(walks, 3, 2).tolist() == [[0, 1, 1], [1, 2, 2], [1, 2, 2]]
    assert transitions_met(walks, 3).tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_expectation_is_that_over_all_walks(window):
    length = 4
    start = np.array([0.5, 0.3, 0.2])
    mean = np.zeros((3, 3))
    for n in range(1, length + 1):  # walks that end after n places, and those that are cut at the last one
        for walk in itertools.product(range(3), repeat=n):
            probability = start[walk[0]] * np.prod([CHAIN[a, b] for a, b in itertools.pairwise(walk)])
            if n < length:
                probability *= 1.0 - CHAIN[walk[-1]].sum()
            mean += probability * cooccurrence(np.array([walk]), 3, window)
    np.testing.assert_allclose(expected_cooccurrence(CHAIN, start, length, window), mean, atol=1e-12)


def test_ngrams_by_hand():
    walks = rows_of([np.array([0, 1, 0, 1, 2]), np.array([0, 1])])
    two = ngrams(walks, 2)
    assert two.states.tolist() == [[0, 1], [1, 0], [1, 2]]
    assert two.counts.tolist() == [3, 1, 1]
    np.testing.assert_allclose(following(two, 3), [[0, 1, 0], [0.5, 0, 0.5], [0, 0, 0]])
    three = ngrams(walks, 3)
    assert three.states.tolist() == [[0, 1, 0], [0, 1, 2], [1, 0, 1]]
    assert not len(ngrams(walks, 6).counts)


def test_mutual_information_by_hand():
    counts = np.array([[0.0, 3.0], [3.0, 2.0]])
    # p(0) = 3/8, p(1) = 5/8
    expected = [[-np.inf, np.log(3 / 8 / (15 / 64))], [np.log(3 / 8 / (15 / 64)), np.log(2 / 8 / (25 / 64))]]
    np.testing.assert_allclose(pmi(counts), expected)
    assert not positive_pmi(np.zeros((2, 2))).any()  # nothing was met
    np.testing.assert_allclose(positive_pmi(counts), np.maximum(expected, 0.0))
    np.testing.assert_allclose(positive_pmi(counts, 1.2), np.maximum(np.array(expected) - np.log(1.2), 0.0))


def test_the_deepwalk_matrix_is_the_mutual_information_of_endless_walks():
    weights = np.array([[8.0, 1.0, 0.0], [1.0, 2.0, 3.0], [0.0, 3.0, 1.0]])  # reversible, with shares 9, 6, 4 of 19
    chain = weights / weights.sum(axis=1, keepdims=True)
    share = weights.sum(axis=1) / weights.sum()
    counts = expected_cooccurrence(chain, share, 5_000, 3)
    found = deepwalk_matrix(chain, share, 3)
    assert found[2, 2] > 0.1
    np.testing.assert_allclose(found, positive_pmi(counts), atol=1e-3)
    np.testing.assert_allclose(deepwalk_matrix(chain, share, 3, 1.1), positive_pmi(counts, 1.1), atol=1e-3)


def test_all_singular_vectors_give_the_matrix_back():
    matrix = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])  # positive definite
    vectors = svd_vectors(matrix, 3)
    np.testing.assert_allclose(vectors @ vectors.T, matrix, atol=1e-12)
