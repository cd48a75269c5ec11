"""Embeddings of four rooms: how much of the optimal values, and of the optimal actions, is linear in k numbers.

Four rooms of 13 by 13 squares, 104 cells, discount .9. Every cell is the goal once, with a reward of 1 on arrival,
which ends the episode, and V* is exact. V* of each goal is fitted by least squares with k numbers of a cell. Given are,
as means over all goals:

* ``explained``: share of the variance of V* over the cells;
* ``optimal``: share of the cells in which the one-step greedy action by the fitted values, with the true model, is
  optimal; of several best actions the share of optimal ones counts;
* ``rooms``: adjusted Rand index of four k-means clusters of the numbers against the four rooms.

A constant is one of the k numbers: the Laplacian has it as its first eigenvector and clusters as the sum of theirs, and
it stands in front of k - 1 others elsewhere. The DeepWalk matrix is given without one too. Random features and what is
learned from a walk of 20,000 steps of uniform play are means over 16 seeds with 95 % bootstrap intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from envs import rooms
from simulator.atlas.measures import ExactValues, agreement, kmeans, linear_quality
from simulator.atlas.states import rooms_at
from simulator.core import rng
from simulator.core.embeddings.glove import GloVe, glove
from simulator.core.embeddings.graph import adjacency_of, deepwalk_matrix, laplacian_eigenvectors, successor
from simulator.core.embeddings.walks import cooccurrence, positive_pmi, svd_vectors
from simulator.core.embeddings.word2vec import Word2Vec, word2vec
from simulator.core.jit import set_threads
from simulator.core.mdp.model import FiniteMDP, expected_reward, policy_chain, transitions, uniform_policy
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import Array
from simulator.statistics.estimates import confidence_interval
from tests.benchmarks.linear_values import every_goal

GAMMA = 0.9
SIZES = (2, 4, 8, 16, 32, 64)
SEEDS = list(range(16))
STEPS = 20_000
WINDOW = 5
Embed = Callable[[int], list[Array]]  # k -> numbers [N, .] of every seed, the constant among them


def main(json: bool) -> dict[str, Any]:
    """Measure every embedding at every size."""
    set_threads(1)
    goals = every_goal()
    exact = [exact_of(mdp, goal) for goal, mdp in enumerate(goals)]
    scene = rooms.make([0], rooms.Config(layout="four")).scene(0)
    truth = rooms_at(scene, np.asarray(scene.places))
    found: dict[str, Any] = {}
    for name, embed in embeddings(goals[0], scene).items():
        found[name] = {str(k): measured(embed(k), exact, truth) for k in SIZES}
        if not json:
            for k, numbers in found[name].items():
                print(f"{name:>34} {k:>3}  {_shown(numbers)}", flush=True)
    return found


def embeddings(mdp: FiniteMDP, scene: Any) -> dict[str, Embed]:
    """Return what is measured, by name."""
    places = np.asarray(scene.places, np.float64)
    adjacency = adjacency_of(mdp)
    degrees = adjacency.sum(axis=1)
    smooth = laplacian_eigenvectors(adjacency)
    matrix = deepwalk_matrix(adjacency / degrees[:, None], degrees / degrees.sum(), WINDOW)
    chain = policy_chain(uniform_policy(mdp), transitions(mdp, ())).toarray()
    seen = windows(scene)
    walks = random_walks(chain)
    counts = np.stack([cooccurrence(each, len(chain), WINDOW) for each in walks])

    def learned(k: int, model: Any) -> list[Array]:
        settings = Word2Vec(model=model, size=k - 1, window=WINDOW)
        return list(word2vec(walks, len(chain), settings, SEEDS).vectors)

    def by_glove(k: int) -> list[Array]:
        made = glove(counts, GloVe(size=k - 1), SEEDS)
        return list((made.vectors + made.contexts)[:, :, :-1])

    return {
        "Laplacian": lambda k: [smooth[:, :k]],
        "DeepWalk matrix, no constant": lambda k: [svd_vectors(matrix, k)],
        "DeepWalk matrix": lambda k: with_constant([svd_vectors(matrix, k - 1)]),
        "random features": lambda k: with_constant([each.normal(size=(len(chain), k - 1)) for each in _streams()]),
        "PCA of the 5x5 window": lambda k: with_constant([principal(seen, k - 1)]),
        "PCA of the successor representation": lambda k: with_constant([principal(successor(chain, GAMMA), k - 1)]),
        "LLE of the successor representation": lambda k: with_constant(
            [locally_linear(successor(chain, GAMMA), k - 1)]
        ),
        "k-means of x, y": lambda k: [one_hot(kmeans(places, k, 0)[0])],
        "k-means of the Laplacian": lambda k: [one_hot(kmeans(smooth[:, 1:k], k, 0)[0])],
        "HAC of the Laplacian": lambda k: [one_hot(merged(smooth[:, 1:k], k))],
        "PPMI of a walk, SVD": lambda k: with_constant([svd_vectors(positive_pmi(each), k - 1) for each in counts]),
        "GloVe of a walk": lambda k: with_constant(by_glove(k)),
        "CBOW of a walk": lambda k: with_constant(learned(k, "cbow")),
        "skip-gram of a walk": lambda k: with_constant(learned(k, "skip_gram")),
    }


def _streams() -> list[np.random.Generator]:
    return rng.generators(SEEDS, "embedding")


def with_constant(parts: list[Array]) -> list[Array]:
    """Put a constant in front of the numbers [N, k - 1] of every seed."""
    return [np.column_stack([np.ones(len(part)), part]) for part in parts]


def one_hot(labels: Array) -> Array:
    """Return clusters [N] as one-hot."""
    return np.eye(labels.max() + 1)[labels]


def principal(vectors: Array, k: int) -> Array:
    """Return the scores [N, k] of the first k principal components."""
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :k] * sizes[:k]


def locally_linear(vectors: Array, k: int) -> Array:
    """Embed by LLE with 10 neighbours."""
    from sklearn.manifold import LocallyLinearEmbedding

    return LocallyLinearEmbedding(n_neighbors=10, n_components=k, eigen_solver="dense").fit_transform(vectors)


def merged(vectors: Array, k: int) -> Array:
    """Part by Ward's tree into k clusters, int64 [N]."""
    from scipy.cluster.hierarchy import fcluster, linkage

    return fcluster(linkage(vectors, "ward"), k, "maxclust").astype(np.int64) - 1


def windows(scene: Any) -> Array:
    """Return the walls among the 5 by 5 squares around every cell, float64 [N, 25]."""
    walls = np.pad(np.asarray(scene.walls), 2, constant_values=True)
    return np.array([walls[r : r + 5, c : c + 5].ravel() for r, c in np.asarray(scene.places)], np.float64)


def random_walks(chain: Array) -> Array:
    """Walk the rooms at random for 20,000 steps in every seed, int64 [S, 20, 1000], each walk from a random cell."""
    cumulative = np.cumsum(chain, axis=1)
    walks = np.zeros((len(SEEDS), STEPS // 1_000, 1_000), np.int64)
    for i, stream in enumerate(rng.generators(SEEDS, "exploration")):
        state = stream.integers(len(chain), size=walks.shape[1])
        for t in range(walks.shape[2]):
            walks[i, :, t] = state
            draw = stream.random(len(state))
            state = np.minimum((cumulative[state] <= draw[:, None]).sum(axis=1), len(chain) - 1)
    return walks


def exact_of(mdp: FiniteMDP, goal: int) -> ExactValues:
    """Solve the rooms with a goal: its value is 0, for play has ended there."""
    best = value_iteration(mdp, GAMMA)
    values = best.q.max(axis=1)
    values[goal] = 0.0
    judged = np.arange(len(values)) != goal
    return ExactValues(values, best.greedy, expected_reward(mdp), transitions(mdp, (1,)), GAMMA, judged)


def measured(parts: list[Array], exact: list[ExactValues], truth: Array) -> dict[str, Any]:
    """Measure the numbers [N, k] of every seed: mean, and interval over seeds."""
    rows: dict[str, list[float]] = {"explained": [], "optimal": [], "rooms": []}
    for part in parts:
        found = [linear_quality(part, each, constant=False) for each in exact]
        rows["explained"].append(float(np.mean([each.explained for each in found])))
        rows["optimal"].append(float(np.mean([each.optimal for each in found])))
        rows["rooms"].append(float(agreement(kmeans(part, 4, 0)[0], truth) or 0.0))
    return {name: _interval(np.array(values)) for name, values in rows.items()}


def _interval(values: Array) -> dict[str, float]:
    mean = float(values.mean())
    if np.ptp(values) == 0.0:
        return {"mean": mean, "low": mean, "high": mean}
    interval = confidence_interval(values, np.mean)
    return {"mean": mean, "low": float(interval.low), "high": float(interval.high)}


def _shown(found: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {each['mean']:.2f} [{each['low']:.2f}, {each['high']:.2f}]" for name, each in found.items()
    )
