"""Quality of a map of states: neighbours and rooms that it keeps, and values that are linear in it."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from simulator.atlas.states import ExactValues
from simulator.core.protocols import Array

TIE = 1e-9  # values closer than this are equally good


class Neighbours(NamedTuple):
    """Trustworthiness and continuity (Venna and Kaski 2001), 0 to 1: 1 where all nearest neighbours are kept."""

    trustworthiness: float  # neighbours on the map are neighbours in truth
    continuity: float  # neighbours in truth are neighbours on the map


def neighbours_kept(points: Array, vectors: Array, n_neighbors: int) -> Neighbours | None:
    """Compare nearest neighbours on a map [N, D] with those of the vectors [N, F]; None for fewer than 3 states."""
    from sklearn.manifold import trustworthiness

    k = _possible(n_neighbors, len(points))
    if k < 1:
        return None
    return Neighbours(
        float(trustworthiness(vectors, points, n_neighbors=k)), float(trustworthiness(points, vectors, n_neighbors=k))
    )


def steps_kept(points: Array, adjacency: Array, n_neighbors: int) -> Neighbours | None:
    """Compare nearest neighbours on a map [N, D] with those by steps on the graph [N, N]; None for fewer than 3 states.

    Many states are equally many steps away: of these the ones that are nearer on the map count as nearer, so a map
    whose distances grow with the steps has 1 and 1.
    """
    from scipy.sparse.csgraph import shortest_path
    from scipy.spatial.distance import cdist

    k = _possible(n_neighbors, len(points))
    if k < 1:
        return None
    on_map = cdist(points, points)
    steps = shortest_path(adjacency, directed=False, unweighted=True)
    for distances in (on_map, steps):
        np.fill_diagonal(distances, -1.0)  # each state itself comes first, with rank 0
    by_steps = _ranks(steps, on_map)
    by_map = _ranks(on_map, steps)
    return Neighbours(_trust(by_steps, by_map, k), _trust(by_map, by_steps, k))


def _ranks(distances: Array, of_equal: Array) -> Array:
    """Rank the states of each row [N, N] by distance, and equally far ones by another: int64 [N, N]."""
    return np.asarray(np.lexsort((of_equal, distances), axis=1).argsort(axis=1))


def _trust(ranks: Array, shown: Array, k: int) -> float:
    """Compute trustworthiness of ``shown`` ranks [N, N] beside the true ones (Venna and Kaski 2001, equation 1)."""
    n = len(ranks)
    intruders = np.where((shown >= 1) & (shown <= k), np.maximum(ranks - k, 0), 0)
    return float(1.0 - 2.0 / (n * k * (2 * n - 3 * k - 1)) * intruders.sum())


def _possible(n_neighbors: int, n_states: int) -> int:
    """Return so many neighbours, or as many as trustworthiness is defined for: less than half of the states."""
    return min(n_neighbors, (n_states - 1) // 2)


class Linear(NamedTuple):
    """Quality of a fit of the optimum that is linear in the features of a state and a constant."""

    explained: float  # share of the variance of V* over the states that the fit explains
    optimal: float  # share of states in which the greedy action by the fitted values, one step ahead, is optimal


def linear_quality(features: Array, exact: ExactValues, *, constant: bool = True) -> Linear:
    """Fit V* by features [N, k], by least squares.

    Args:
        features: of each state.
        exact: the optimum; states where episodes have ended count with value 0 in the fit, and choose no action.
        constant: fit a constant beside them.
    """
    inputs = np.column_stack([np.ones(len(features)), features]) if constant else features
    fitted = inputs @ (np.linalg.pinv(inputs) @ exact.values)
    spread = float(((exact.values - exact.values.mean()) ** 2).sum())
    is_constant = np.ptp(exact.values) <= TIE * np.abs(exact.values).max()
    explained = 1.0 if is_constant else 1.0 - float(((exact.values - fitted) ** 2).sum()) / spread
    q = exact.reward + exact.gamma * (exact.following @ fitted).reshape(exact.reward.shape)
    return Linear(explained, greedy_share(q, exact))


def greedy_share(q: Array, exact: ExactValues) -> float:
    """Compute the share of states in which the greedy action by q [N, A] is optimal; of several best ones their share.

    Only states in which an action is chosen count.
    """
    if not exact.judged.any():
        return float("nan")
    chosen = q >= q.max(axis=1, keepdims=True) - TIE
    share = (chosen & exact.greedy).sum(axis=1) / chosen.sum(axis=1)
    return float(share[exact.judged].mean())


def agreement(labels: Array, truth: Array) -> float | None:
    """Compute the adjusted Rand index of clusters [N] and rooms or classes [N], where these are known (0 and more).

    1: the same parts; 0: what chance gives (Hubert and Arabie 1985). None where fewer than two are known.
    """
    from sklearn.metrics import adjusted_rand_score

    known = truth >= 0
    if len(np.unique(truth[known])) < 2:
        return None
    return float(adjusted_rand_score(truth[known], labels[known]))


def clusters_of(points: Array, n_clusters: int, random_state: int) -> Array:
    """Part the points of a map [N, D] by k-means, int64 [N]."""
    return kmeans(points, n_clusters, random_state)[0]


def kmeans(points: Array, n_clusters: int, random_state: int) -> tuple[Array, float]:
    """Run k-means from ten starts: clusters int64 [N], and the sum of squared distances to their means.

    There are fewer clusters where fewer points differ.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(n_clusters, n_init=10, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit_predict(points)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64), float(model.inertia_)
