"""Tests of skip-gram, CBOW and GloVe: their optima with all dimensions, seeds, and another library."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core import rng
from simulator.core.embeddings.glove import GloVe, glove
from simulator.core.embeddings.walks import cooccurrence, pmi, visits_of
from simulator.core.embeddings.word2vec import Word2Vec, huffman, word2vec

CHAIN = np.array([[0.1, 0.5, 0.2, 0.2], [0.4, 0.1, 0.4, 0.1], [0.3, 0.3, 0.1, 0.3], [0.1, 0.2, 0.3, 0.4]])
FULL = Word2Vec(size=4, window=1, epochs=60, learning_rate=0.2, learning_rate_end=1e-3)


def _walks(chain, n_walks, length, seed=0):
    generator = np.random.default_rng(seed)
    cumulative = np.cumsum(chain, axis=1)
    walks = np.zeros((n_walks, length), np.int64)
    walks[:, 0] = generator.integers(len(chain), size=n_walks)
    for t in range(1, length):
        draw = generator.random(n_walks)
        walks[:, t] = np.minimum((cumulative[walks[:, t - 1]] <= draw[:, None]).sum(axis=1), len(chain) - 1)
    return walks


WALKS = _walks(CHAIN, 200, 50)
COUNTS = cooccurrence(WALKS, 4, 1)
CONDITIONAL = COUNTS / COUNTS.sum(axis=1, keepdims=True)


def _fitted(**settings):
    made = word2vec(WALKS[None], 4, Word2Vec(**{**FULL.__dict__, **settings}), [0])
    return made.vectors[0] @ made.contexts[0].T


def test_the_softmax_comes_to_the_conditional_probabilities():
    score = np.exp(_fitted(objective="softmax", window=3, epochs=20))
    counts = cooccurrence(WALKS, 4, 3)
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(score / score.sum(axis=1, keepdims=True), expected, atol=0.03)


def test_the_tree_comes_to_the_conditional_probabilities():
    first = 1.0 / (1.0 + np.exp(-_fitted(objective="hierarchical")))  # [N, inner nodes]
    paths = huffman(visits_of(WALKS, 4))
    probability = np.ones((4, 4))
    for state in range(4):
        for level in range(paths.depth[state]):
            towards_first = first[:, paths.node[state, level]]
            probability[:, state] *= towards_first if paths.turn[state, level] else 1.0 - towards_first
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    np.testing.assert_allclose(probability, CONDITIONAL, atol=0.03)


def test_negative_sampling_comes_to_shifted_mutual_information():
    fitted = _fitted(objective="negative", negatives=2, power=1.0)
    np.testing.assert_allclose(fitted, pmi(COUNTS) - np.log(2), atol=0.12)


def test_negative_samples_are_drawn_by_a_power_of_counts():
    visits = visits_of(WALKS, 4) ** 0.25
    expected = np.log(CONDITIONAL / (3 * visits / visits.sum()))
    np.testing.assert_allclose(_fitted(objective="negative", negatives=3, power=0.25), expected, atol=0.12)


def test_a_huffman_tree_by_hand():
    paths = huffman(np.array([5.0, 1.0, 2.0, 9.0]))  # (1, 2) -> 3, (3, 5) -> 8, (8, 9) -> 17
    assert paths.depth.tolist() == [2, 3, 3, 1]
    assert paths.node[:, 0].tolist() == [2, 2, 2, 2]
    assert paths.turn[3, 0] == 0.0
    assert paths.turn[0, 0] == 1.0


def test_cbow_of_one_neighbour_on_each_side_learns_which_state_is_between():
    walk = np.tile([0, 1, 0, 2], 200)[None, None]  # between two 0s is 1 or 2, between 1 and 2 is 0
    settings = Word2Vec(model="cbow", size=3, window=1, objective="softmax", epochs=40, learning_rate=0.2)
    made = word2vec(walk, 3, settings, [0])
    score = np.exp(made.vectors[0][0] @ made.contexts[0].T)
    np.testing.assert_allclose(score / score.sum(), [0.0, 0.5, 0.5], atol=0.03)
    score = np.exp(made.vectors[0][[1, 2]].mean(axis=0) @ made.contexts[0].T)
    assert score[0] / score.sum() > 0.95


def test_subsampling_leaves_frequent_states_out():
    walk = np.tile([0, 1, 0, 2], 200)[None, None]
    shares = []
    for t in (0.0, 0.25):  # a 0, of frequency 1/2, is then kept with probability sqrt(1/2), and a 1 or 2 always
        settings = Word2Vec(size=3, window=1, objective="softmax", epochs=60, subsample=t, learning_rate=0.1)
        made = word2vec(walk, 3, settings, [0])
        score = np.exp(made.vectors[0][1] @ made.contexts[0].T)
        shares.append(score[2] / score.sum())  # of a 2 beside a 1
    np.testing.assert_allclose(shares, [0.0, 1.0 - np.sqrt(0.5)], atol=0.03)


@pytest.mark.parametrize("objective", ["negative", "softmax", "hierarchical"])
@pytest.mark.parametrize("model", ["skip_gram", "cbow"])
def test_seeds_together_equal_seeds_alone(model, objective):
    settings = Word2Vec(model=model, size=3, window=2, objective=objective, subsample=0.2, epochs=2)
    walks = np.stack([_walks(CHAIN, 3, 20, seed) for seed in range(3)])
    together = word2vec(walks, 4, settings, [5, 6, 7])
    for i, seed in enumerate((5, 6, 7)):
        alone = word2vec(walks[i : i + 1], 4, settings, [seed])
        np.testing.assert_array_equal(together.vectors[i], alone.vectors[0])
        np.testing.assert_array_equal(together.contexts[i], alone.contexts[0])


def test_walks_may_end_early():
    short = np.array([[[0, 1, -1, -1], [2, 3, 1, -1]]])
    cut = np.array([[[0, 1, -1], [2, 3, 1]]])
    settings = Word2Vec(size=2, window=1)
    np.testing.assert_array_equal(word2vec(short, 4, settings, [1]).vectors, word2vec(cut, 4, settings, [1]).vectors)


def test_too_few_states_are_refused():
    with pytest.raises(ValueError, match="1 states on walks of 3 steps"):
        word2vec(np.zeros((1, 1, 3), np.int64), 1, Word2Vec(), [0])
    with pytest.raises(ValueError, match="no two states follow one another"):
        word2vec(np.array([[[0, 1]], [[1, -1]]]), 2, Word2Vec(), [0, 1])


def test_glove_comes_to_the_logarithms_of_counts():
    made = glove(COUNTS[None], GloVe(size=4, x_max=1.0, epochs=3_000, learning_rate=0.1), [0])
    w, c = made.vectors[0], made.contexts[0]
    fitted = w[:, :-1] @ c[:, :-1].T + w[:, -1:] + c[:, -1]
    np.testing.assert_allclose(fitted, np.log(COUNTS), atol=0.02)


def test_two_steps_of_glove_by_hand():
    counts = np.zeros((1, 2, 2))
    counts[0, 0, 1] = 16.0  # f = (16 / 81)^(3/4) = 8 / 27
    start = (rng.generators([3], "embedding")[0].random((4, 3)) - 0.5) / 2
    w, c = start[0], start[3]
    squares = np.ones((2, 3))
    for _ in range(2):
        error = 8.0 / 27.0 * (w[:2] @ c[:2] + w[2] + c[2] - np.log(16.0))
        gradient = error * np.array([[*c[:2], 1.0], [*w[:2], 1.0]])
        w, c = np.array([w, c]) - 0.5 * gradient / np.sqrt(squares)
        squares += gradient**2
    made = glove(counts, GloVe(size=2, x_max=81.0, epochs=2, learning_rate=0.5), [3])
    np.testing.assert_allclose(made.vectors[0], [w, start[1]])
    np.testing.assert_allclose(made.contexts[0], [start[2], c])


def test_glove_of_several_seeds_equals_glove_of_each():
    counts = np.stack([COUNTS, np.where(COUNTS > np.median(COUNTS), COUNTS, 0.0)])
    settings = GloVe(size=2, epochs=5)
    together = glove(counts, settings, [3, 4])
    for i, seed in enumerate((3, 4)):
        np.testing.assert_array_equal(together.vectors[i], glove(counts[i : i + 1], settings, [seed]).vectors[0])
    with pytest.raises(ValueError, match="no two states"):
        glove(np.zeros((1, 3, 3)), settings, [0])
