"""Predictors of ratings. Each takes ratings [U, I], the mask of the seen ones, and predicts all, float64 [U, I].

What is not seen is 0 and never read but through the mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.tasks.ratings.data import RatingMatrix
from simulator.core.protocols import Array

MEAN_SWEEPS = 10  # of user_item_means
SHRINK = 5.0  # of nearest_users: common ratings at which a similarity counts half
MIN_NOISE = 1e-3  # variance of the noise in probabilistic PCA
_PAIRS = 1 << 25  # of users, whose similarity is computed at a time: 256 MB an array


class Posterior(NamedTuple):
    """The exact posterior of every rating."""

    mean: Array  # float64 [U, I]
    variance: Array  # float64 [U, I], of a rating with its noise


def posterior(table: RatingMatrix, seen: Array) -> Posterior:
    """Compute the posterior of all ratings, given those seen and the model, items included.

    With features F of the items that a user has seen, prior variances D and noise s, the user's x is normal with the
    precision A = D^-1 + F'F / s^2 and the mean A^-1 F'y / s^2, where y is the rating less mean and item bias; a rating
    has the mean f.E[x] and the variance f'A^-1 f + s^2 (Bishop 2006, equations 3.50 to 3.59).
    """
    model = table.model
    assert model is not None
    weights = seen / model.noise**2
    precision = np.diag(1.0 / np.maximum(model.variances, 1e-300)) + _second_moments(weights, model.features)
    rest = np.where(seen, table.ratings - model.mean - model.item_bias, 0.0)
    covariance = np.linalg.inv(precision)  # [U, K, K]
    means = np.einsum("ukl,ul->uk", covariance, rest @ model.features / model.noise**2)
    variance = np.einsum("ik,ukl,il->ui", model.features, covariance, model.features, optimize=True) + model.noise**2
    return Posterior(model.mean + model.item_bias + means @ model.features.T, variance)


def _second_moments(weights: Array, features: Array) -> Array:
    """Return sum_i weights_ui f_i f_i', float64 [U, K, K], of weights [U, I] and features [I, K]."""
    k = features.shape[1]
    outer = (features[:, :, None] * features[:, None, :]).reshape(len(features), k * k)
    return (weights @ outer).reshape(-1, k, k)


def global_mean(ratings: Array, seen: Array) -> Array:
    """Predict the mean of what was seen."""
    return np.full(ratings.shape, ratings[seen].mean())


def user_item_means(ratings: Array, seen: Array, damping: float) -> Array:
    """Predict mean + bias of the user + bias of the item, fitted in turn, each as if with ``damping`` ratings of 0."""
    mean = ratings[seen].mean()
    n_of_user = np.maximum(seen.sum(axis=1) + damping, 1e-9)
    n_of_item = np.maximum(seen.sum(axis=0) + damping, 1e-9)
    user_bias = np.zeros(len(ratings))
    item_bias = np.zeros(ratings.shape[1])
    for _ in range(MEAN_SWEEPS):
        item_bias = np.where(seen, ratings - mean - user_bias[:, None], 0.0).sum(axis=0) / n_of_item
        user_bias = np.where(seen, ratings - mean - item_bias, 0.0).sum(axis=1) / n_of_user
    return mean + user_bias[:, None] + item_bias


def nearest_users(ratings: Array, seen: Array, means: Array, n_neighbours: int) -> Array:
    """Predict the means plus what the most similar users who rated the item say beyond theirs.

    Similarity is the cosine over common items, shrunk by n / (n + SHRINK) (Herlocker et al. 1999; Koren 2008).
    """
    rest = np.where(seen, ratings - means, 0.0)
    predicted = means.copy()
    step = max(1, _PAIRS // len(rest))
    for first in range(0, len(rest), step):
        users = slice(first, min(first + step, len(rest)))
        similarity = _similarity(rest, seen, users)
        for item in range(ratings.shape[1]):
            raters = np.flatnonzero(seen[:, item])
            weights = similarity[:, raters]
            if len(raters) > n_neighbours:
                least = np.partition(weights, -n_neighbours, axis=1)[:, [-n_neighbours]]
                weights = np.where(weights >= least, weights, 0.0)
            total = weights.sum(axis=1)
            beyond = weights @ rest[raters, item] / np.maximum(total, 1e-12)
            predicted[users, item] += np.where(total > 0.0, beyond, 0.0)
    return predicted


def _similarity(rest: Array, seen: Array, users: slice) -> Array:
    """Compute how similar some users are to all, float64 [B, U], from 0 to 1; 0 to themselves."""
    squares = rest**2
    mask = seen.astype(np.float64)
    n_common = mask[users] @ mask.T
    sizes = np.sqrt((squares[users] @ mask.T) * (mask[users] @ squares.T))
    similarity = (rest[users] @ rest.T) / np.maximum(sizes, 1e-12) * (n_common / (n_common + SHRINK))
    similarity[np.arange(len(similarity)), np.arange(users.start, users.stop)] = 0.0
    return np.maximum(similarity, 0.0)


def als(
    ratings: Array,
    seen: Array,
    means: Array,
    n_factors: int,
    regularization: float,
    sweeps: int,
    stream: np.random.Generator,
) -> Array:
    """Predict the means plus u . v, fitted in turn by ridge regression (Zhou et al. 2008, without their weights)."""
    rest = np.where(seen, ratings - means, 0.0)
    mask = seen.astype(np.float64)
    ridge = max(regularization, 1e-6) * np.eye(n_factors)
    items: Array = 0.1 * stream.standard_normal((ratings.shape[1], n_factors))
    users: Array = np.zeros((len(ratings), n_factors))
    for _ in range(sweeps):
        users = np.linalg.solve(_second_moments(mask, items) + ridge, (rest @ items)[..., None])[..., 0]
        items = np.linalg.solve(_second_moments(mask.T, users) + ridge, (rest.T @ users)[..., None])[..., 0]
    return means + users @ items.T


class FactorModel(NamedTuple):
    """Parameters of probabilistic PCA."""

    loadings: Array  # float64 [I, 1 + F]; the first column is what the item's mean has beyond that of all
    variance: float  # of the noise


class FactorPosterior(NamedTuple):
    """Posterior of the factors of every user, given the ratings that are seen."""

    mean: Array  # float64 [U, 1 + F], of which the first entry is 1, for the means of items
    covariance: Array  # float64 [U, F, F]


def probabilistic_pca(
    ratings: Array, seen: Array, n_factors: int, regularization: float, sweeps: int, stream: np.random.Generator
) -> Array:
    """Predict by probabilistic PCA: rating_ui = mean_i + w_i . x_u + noise, x normal; see :func:`fit_factors`."""
    mean = ratings[seen].mean()
    rest = np.where(seen, ratings - mean, 0.0)
    model = fit_factors(rest, seen, n_factors, regularization, sweeps, stream)
    return mean + factors_given(rest, seen, model).mean @ model.loadings.T


def fit_factors(
    rest: Array, seen: Array, n_factors: int, regularization: float, sweeps: int, stream: np.random.Generator
) -> FactorModel:
    """Fit probabilistic PCA to ratings less their mean [U, I], by expectation maximization.

    Tipping and Bishop 1999, with missing entries (Ilin and Raiko 2010, section 3.3). The loadings w, and the difference
    of an item's mean to that of all, have a normal prior of precision ``regularization``, in units of the noise; the
    noise itself is fitted to the ratings alone, as if that prior did not depend on it.
    """
    mask = seen.astype(np.float64)
    n_users, n_items = rest.shape
    loadings = np.concatenate([np.zeros((n_items, 1)), 0.1 * stream.standard_normal((n_items, n_factors))], axis=1)
    model = FactorModel(loadings, float((rest[seen] ** 2).mean()) + MIN_NOISE)
    ridge = max(regularization, 1e-6) * np.eye(1 + n_factors)
    for _ in range(sweeps):
        x, covariance = factors_given(rest, seen, model)
        moments = x[:, :, None] * x[:, None, :]
        moments[:, 1:, 1:] += covariance
        flat = moments.reshape(n_users, -1)
        by_item = (mask.T @ flat).reshape(n_items, 1 + n_factors, 1 + n_factors)
        loadings = np.linalg.solve(by_item + ridge, (rest.T @ x)[..., None])[..., 0]
        spread = np.einsum("ik,ikl,il->", loadings, by_item, loadings)
        variance = float((rest**2).sum() - 2.0 * ((rest.T @ x) * loadings).sum() + spread) / float(mask.sum())
        model = FactorModel(loadings, max(variance, MIN_NOISE))
    return model


def factors_given(rest: Array, seen: Array, model: FactorModel) -> FactorPosterior:
    """Compute the posterior of every user's factors from ratings less their mean [U, I], 0 where not seen."""
    loadings = model.loadings
    weights = seen.astype(np.float64) / model.variance
    precision = np.eye(loadings.shape[1] - 1) + _second_moments(weights, loadings[:, 1:])
    covariance = np.linalg.inv(precision)
    beyond = np.where(seen, rest - loadings[:, 0], 0.0)
    x = np.ones((len(rest), loadings.shape[1]))
    x[:, 1:] = np.einsum("ukl,ul->uk", covariance, beyond @ loadings[:, 1:] / model.variance)
    return FactorPosterior(x, covariance)
