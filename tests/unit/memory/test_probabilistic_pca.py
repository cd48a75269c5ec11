"""Tests of probabilistic PCA: likelihoods and posteriors against scikit-learn, normal densities and EM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import decomposition
from sklearn.datasets import load_digits

from memory import probabilistic_pca
from memory.probabilistic_pca import NormalModel, closed_form, expectation_maximization, log_likelihood
from simulator.core import rng
from simulator.core.memories import PatternSpec


def _model(n: int = 6, n_components: int = 2) -> NormalModel:
    stream = np.random.default_rng(2)
    return NormalModel(stream.uniform(-0.2, 0.2, n), 0.4 * stream.standard_normal((n, n_components)), 0.05)


def _covariance(model: NormalModel):
    return model.weights @ model.weights.T + model.noise * np.eye(len(model.mean))


def test_the_log_likelihood_of_the_digits_is_that_of_scikit_learn():
    patterns = load_digits().data / 16.0
    found = log_likelihood(closed_form(patterns, 8), patterns).mean()
    assert found == pytest.approx(14.21, abs=5e-3)
    assert found == pytest.approx(decomposition.PCA(8, svd_solver="full").fit(patterns).score(patterns), abs=1e-4)


def test_patterns_from_minus_one_to_one_have_n_log_two_nats_less():
    patterns = (load_digits().data / 8.0 - 1.0)[None].astype(np.float32)
    settings = probabilistic_pca.Config(n_components=8)
    memory = probabilistic_pca.make(PatternSpec((8, 8), is_bipolar=False), [0], settings)
    memory.store(patterns)
    assert -memory.energy(patterns).mean() + 64 * np.log(2.0) == pytest.approx(14.21, abs=5e-3)


def test_em_comes_to_the_closed_form():
    patterns = load_digits().data[:500] / 16.0
    [stream] = rng.generators([0], "training")
    exact = closed_form(patterns, 5)
    found = expectation_maximization(patterns, 5, 2_000, 1e-12, stream)
    assert found.noise == pytest.approx(exact.noise, rel=1e-6)
    np.testing.assert_allclose(_covariance(found), _covariance(exact), atol=1e-5)


def test_the_likelihood_is_a_normal_density():
    model = _model()
    x = np.random.default_rng(3).standard_normal((4, 6))
    expected = stats.multivariate_normal(model.mean, _covariance(model)).logpdf(x)
    np.testing.assert_allclose(log_likelihood(model, x), expected, rtol=1e-10)


def test_recall_is_the_posterior_mean_of_a_normal_distribution():
    model = _model()
    memory = probabilistic_pca.make(PatternSpec((6,), is_bipolar=False), [0], probabilistic_pca.Config(n_components=2))
    memory.restore({"models": [model._asdict()], "streams": np.zeros((1, 4), np.uint64)})
    cue = np.array([0.3, -0.2, 0.5, 0.1, 0.4, 0.0])
    known = np.array([True, False, False, True, False, False])
    precision = np.array([0.0, 2.0, 0.5, 0.0, 1.0, 0.0])
    recall = memory.recall(cue[None, None], known[None, None], (precision * cue)[None, None])

    observed = np.flatnonzero(known | (precision > 0.0))
    noise = np.where(known, 0.0, 1.0 / np.maximum(precision, 1e-9))
    covariance = _covariance(model)
    gain = covariance[:, observed] @ np.linalg.inv(covariance[np.ix_(observed, observed)] + np.diag(noise[observed]))
    expected = model.mean + gain @ (cue - model.mean)[observed]
    np.testing.assert_allclose(recall.patterns[0, 0], expected, atol=1e-5)


def test_generated_patterns_have_the_covariance_of_the_codes():
    model = _model()
    memory = probabilistic_pca.make(PatternSpec((6,), is_bipolar=False), [0], probabilistic_pca.Config(n_components=2))
    small = model._replace(weights=0.25 * model.weights)
    memory.restore({"models": [small._asdict()], "streams": rng.pcg64_states([5], "recall")})
    made = memory.generate(20_000)[0]
    np.testing.assert_allclose(np.cov(made.T), small.weights @ small.weights.T, atol=2e-3)
