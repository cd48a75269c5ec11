"""Tests of principal component analysis: three ways that agree with each other and with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import decomposition
from sklearn.datasets import load_digits

from memory import pca
from simulator.core import rng
from simulator.core.memories import PatternSpec


def _digits(n: int = 1_797):
    """Return digits as numbers from 0 to 1, float64 [n, 64]."""
    return load_digits().data[:n] / 16.0


def _memory(spec: PatternSpec, **settings):
    return pca.make(spec, [0], pca.Config(**settings))


def test_covariance_and_svd_give_the_components_of_scikit_learn():
    patterns = _digits()
    reference = decomposition.PCA(12, svd_solver="full").fit(patterns)
    for found in (pca.by_covariance(patterns, 12), pca.by_svd(patterns, 12)):
        signs = np.sign((found.axes * reference.components_).sum(1))
        np.testing.assert_allclose(found.axes, reference.components_ * signs[:, None], atol=1e-9)
        np.testing.assert_allclose(found.variance, reference.singular_values_**2 / len(patterns), rtol=1e-9)
        assert (found.axes.max(1) == np.abs(found.axes).max(1)).all()


def test_a_trained_linear_network_finds_the_same_components():
    patterns = _digits()
    [stream] = rng.generators([3], "training")
    trained = pca.by_linear_network(patterns, 8, stream)
    exact = pca.by_svd(patterns, 8)
    np.testing.assert_allclose(trained.axes, exact.axes, atol=1e-4)
    np.testing.assert_allclose(trained.variance, exact.variance, rtol=1e-7)


@pytest.mark.parametrize(("n_components", "error"), [(2, 3.355), (8, 1.530), (16, 0.707), (30, 0.192)])
def test_squared_errors_of_the_digits(n_components, error):
    memory = _memory(PatternSpec((8, 8), is_bipolar=False), n_components=n_components)
    patterns = (_digits() * 2.0 - 1.0)[None].astype(np.float32)
    memory.store(patterns)
    assert memory.energy(patterns).mean() / 4.0 == pytest.approx(error, abs=6e-4)  # of numbers from 0 to 1


def test_known_units_determine_the_others_in_the_plane_of_the_patterns():
    stream = np.random.default_rng(1)
    plane = stream.standard_normal((2, 12)) * 0.2
    patterns = (stream.uniform(-1.0, 1.0, (1, 20, 2)) @ plane).astype(np.float32)
    memory = _memory(PatternSpec((12,), is_bipolar=False), n_components=2, max_iters=2_000)
    memory.store(patterns)
    known = np.zeros(patterns.shape, np.bool_)
    known[:, :, :7] = True
    recall = memory.recall(np.where(known, patterns, 0.0), known)
    np.testing.assert_allclose(recall.patterns, patterns, atol=5e-3)
    assert (recall.n_iters > 1).all()
    assert (np.nan_to_num(np.diff(recall.energy, axis=2), nan=0.0) <= 1e-12).all()


def test_there_are_no_more_components_than_patterns():
    memory = _memory(PatternSpec((8, 8)), n_components=50)
    patterns = np.sign(_digits(5) - 0.5 + 1e-9)[None].astype(np.float32)
    memory.store(patterns)
    assert memory.codes(patterns).shape == (1, 5, 4)
    assert memory.n_parameters == 5 * 64
    np.testing.assert_array_equal(memory.recall(patterns).patterns, patterns)
