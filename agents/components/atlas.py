"""Atlas: features of a state by the walks that met it, learned from random play.

While observations are collected the agent walks at random. Different observations are landmarks; where there are more
than ``landmarks``, these are the means of as many clusters of them, and an observation is its nearest landmark. What
follows what on the walk gives every landmark its features, and these stay:

=============  ======================================================================================================
``method``     features
=============  ======================================================================================================
``laplacian``  the smoothest functions on the graph of steps, without the constant one: proto-value functions
               (Mahadevan and Maggioni 2007), each of standard deviation 1
``svd``        positive pointwise mutual information of landmarks within ``window`` steps, factorized (Levy and
               Goldberg 2014), standardized
``skip_gram``  vectors by which a landmark predicts those within ``window`` steps (Mikolov et al. 2013), standardized
``kmeans``     one of ``size`` clusters, as one-hot: state aggregation (MacQueen 1967)
``hac``        the same by merging landmarks (Ward 1963)
=============  ======================================================================================================

k clusters are those of the first k - 1 smooth functions (``of = walks``, spectral clustering: Ng, Jordan and Weiss
2001), or of the observations themselves. ``engram atlas`` draws such features. :mod:`agents.components.true_state` has
the smooth functions of the true graph, to which these come with enough steps.

A discrete observation that was never collected has features 0, which leaves a linear agent its constant alone; so
collect until all are met. Another observation is the landmark it is nearest to.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.common.encoders.encoded import Carry
from agents.common.encoders.patterns import PatternAdapter, make_pattern_adapter
from agents.common.memory_check import check_fits
from simulator.core import rng
from simulator.core.embeddings.graph import laplacian_eigenvectors, undirected
from simulator.core.embeddings.walks import cooccurrence, positive_pmi, rows_of, svd_vectors, transitions_met
from simulator.core.embeddings.word2vec import Word2Vec, word2vec
from simulator.core.field_types import Count
from simulator.core.protocols import Array, EnvSpec, State

SOCKETS = ("encoder",)
MIN_STD = 1e-9  # of a feature; smaller ones are constant
STARTS = 5  # of k-means; the best one counts


@dataclass(frozen=True)
class Config:
    """Settings of the atlas."""

    method: Literal["laplacian", "svd", "skip_gram", "kmeans", "hac"] = "laplacian"
    """smooth functions on the graph of steps, factors of mutual information, skip-gram vectors, or clusters"""
    size: Count = 8
    """features, or clusters"""
    collect: Count = 5_000
    """environment steps of random play at the beginning of a run, from which features are made; the agent learns
    nothing meanwhile"""
    landmarks: Count = 256
    """observations that have features of their own at most; more are clustered into so many"""
    of: Literal["walks", "observations"] = "walks"
    """what clusters are made of: smooth functions on the graph of steps, or the observations"""
    window: Count = 5
    """steps that count as near, of svd and skip_gram"""
    epochs: Count = 5
    """passes of skip_gram over the walk"""
    image_side: Count = 24
    """pixels of the longer side of an image at most; larger ones become means of squares of pixels"""


class Landmarks(NamedTuple):
    """Landmarks of every seed, as learned; M landmarks at most, N numbers of a pattern, F features."""

    pattern: Array  # float32 [S, M, N]
    n: Array  # int64 [S], how many there are; the rest are zeros
    features: Array  # float32 [S, M + 1, F]; the last row is zeros, of what was never collected


class Atlas:
    """S atlases; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: the settings.
        adapter: of observations.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config, adapter: PatternAdapter) -> None:
        n_seeds = len(seed_list)
        self._config = config
        self._seeds = list(seed_list)
        self._adapter = adapter
        self.n_collected = config.collect
        n_landmarks = min(config.landmarks, config.collect)
        n_bytes = 4 * n_seeds * (config.collect + n_landmarks) * adapter.n
        advice = "fewer seeds, or a smaller agent.encoder.collect or agent.encoder.image_side"
        check_fits("agent.encoder = 'atlas'", spec, n_bytes, advice)
        self._collected = np.zeros((n_seeds, config.collect, adapter.n), np.float32)
        self._ended = np.zeros((n_seeds, config.collect), np.bool_)  # the episode ended by the step from there
        self._n_seen = 0
        self._landmarks = Landmarks(
            np.zeros((n_seeds, n_landmarks, adapter.n), np.float32),
            np.zeros(n_seeds, np.int64),
            np.zeros((n_seeds, n_landmarks + 1, config.size), np.float32),
        )
        self._of_class = self._look_up_classes()
        self.space = spaces.Box(-np.inf, np.inf, (config.size,), np.float32)

    def make_carry(self) -> Carry:
        """Carry nothing."""
        return ()

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Do nothing: actions do not count."""

    def see_ends(self, ended: Array) -> None:
        """See in which seeds, bool [S], the step from the observation that is learned from next ended an episode."""
        if self._n_seen < self.n_collected:
            self._ended[:, self._n_seen] = ended

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Look the features float32 [S, F] of obs [S, *obs] up."""
        if self._of_class is not None:
            own: Array = self._of_class[np.arange(len(self._seeds)), np.asarray(obs, np.int64)]
            return own
        return self._features(self._adapter.encode(obs)[:, None])[:, 0]

    def features(self, obs: Array) -> Array | None:
        """Look the features [S, B, F] of obs [B, *obs] up."""
        if self._of_class is not None:
            return self._of_class[:, np.asarray(obs, np.int64)]
        return self._features(np.repeat(self._adapter.encode(obs)[None], len(self._seeds), axis=0))

    def _look_up_classes(self) -> Array | None:
        """Return the features [S, n, F] of every class where observations are classes: a look-up table."""
        if not self._adapter.is_class:
            return None
        patterns = self._adapter.encode(np.arange(self._adapter.n))
        return self._features(np.repeat(patterns[None], len(self._seeds), axis=0))

    def _features(self, patterns: Array) -> Array:
        rows = []
        for i, own in enumerate(patterns):
            nearest = nearest_landmark(own, self._landmarks.pattern[i, : self._landmarks.n[i]], self._adapter.is_class)
            rows.append(self._landmarks.features[i, nearest])
        return np.stack(rows)

    def learn(self, obs: Array, clock: int) -> bool:
        """Collect obs [S, *obs]; make the features when all are there."""
        if self._n_seen >= self.n_collected:
            return False
        self._collected[:, self._n_seen] = self._adapter.encode(obs)
        self._n_seen += 1
        if self._n_seen < self.n_collected:
            return False
        for i, seed in enumerate(self._seeds):
            self._fit(i, seed)
        self._collected = self._collected[:, :0].copy()
        self._ended = self._ended[:, :0].copy()
        self._of_class = self._look_up_classes()
        return True

    def _fit(self, i: int, seed: int) -> None:
        most = self._landmarks.pattern.shape[1]
        stream = np.random.Generator(np.random.PCG64(rng.sequence(seed, "embedding")))
        different, place = np.unique(self._collected[i], axis=0, return_inverse=True)
        landmarks = different
        if len(different) > most:
            own = np.random.Generator(
                np.random.PCG64(rng.sequence(seed, "embedding", 0))
            )  # skip-gram draws from the other
            landmarks, of_different = cluster(different.astype(np.float64), most, own)
            place = of_different[place]
        ends = np.flatnonzero(self._ended[i]) + 1
        walks = rows_of([walk for walk in np.split(place.reshape(-1), ends) if len(walk)])
        features = features_of(walks, landmarks.astype(np.float64), self._config, seed, stream)
        n = len(landmarks)
        self._landmarks.pattern[i, :n] = landmarks
        self._landmarks.n[i] = n
        self._landmarks.features[i, :n, : features.shape[1]] = features

    def frozen(self) -> Atlas:
        """Return a copy that further learning leaves alone."""
        frozen = copy(self)
        frozen._landmarks = Landmarks(*(array.copy() for array in self._landmarks))
        return frozen

    def state(self) -> State:
        """Return the landmarks, and what is collected so far."""
        return {
            "landmarks": {name: array.copy() for name, array in self._landmarks._asdict().items()},
            "n_seen": self._n_seen,
            "replay": {"collected": self._collected.copy(), "ended": self._ended.copy()},
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``; without what was collected, collecting begins anew where it was not over."""
        for name, array in self._landmarks._asdict().items():
            array[...] = state["landmarks"][name]
        self._of_class = self._look_up_classes()
        self._n_seen = state["n_seen"]
        if "replay" in state:
            self._collected = np.array(state["replay"]["collected"])
            self._ended = np.array(state["replay"]["ended"])
        elif self._n_seen < self.n_collected:
            self._n_seen = 0


def nearest_landmark(patterns: Array, landmarks: Array, is_class: bool) -> Array:
    """Return the landmark [M, N] that each pattern [B, N] is nearest to, int64 [B]; -1: none is known, or is a class.

    A class that is no landmark itself is equally far from all of them.
    """
    if not len(landmarks):
        return np.full(len(patterns), -1)
    distance = (landmarks**2).sum(axis=1)[None] - 2.0 * (patterns @ landmarks.T)
    nearest = distance.argmin(axis=1)
    if not is_class:
        return np.asarray(nearest)
    return np.where((landmarks[nearest] == patterns).all(axis=1), nearest, -1)


def cluster(points: Array, n_clusters: int, stream: np.random.Generator) -> tuple[Array, Array]:
    """Run ten rounds of Lloyd's k-means from several starts by k-means++ (Arthur and Vassilvitskii 2007).

    SciPy's does so on one thread: the numbers do not depend on how many there are.

    Returns:
        Means float64 [K, N] of the clusters that have points, and the cluster of every point, int64 [P].
    """
    from scipy.cluster.vq import kmeans2

    n_clusters = min(n_clusters, len(np.unique(points, axis=0)))
    best: tuple[float, Array] | None = None
    for _ in range(STARTS):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One of the clusters is empty")
            means, labels = kmeans2(points, n_clusters, minit="++", seed=stream, missing="warn")
        error = float(((points - means[labels]) ** 2).sum())
        if best is None or error < best[0]:
            best = (error, labels)
    assert best is not None
    kinds, labels = np.unique(best[1], return_inverse=True)
    return np.stack([points[labels == k].mean(axis=0) for k in range(len(kinds))]), labels


def features_of(walks: Array, landmarks: Array, config: Config, seed: int, stream: np.random.Generator) -> Array:
    """Compute the features of landmarks, float64 [M, F]; fewer than ``size`` where there are too few landmarks.

    Args:
        walks: int64 [W, L], landmarks one after the other.
        landmarks: float64 [M, N], their patterns.
        config: the settings.
        seed: of skip-gram.
        stream: of k-means.
    """
    n = len(landmarks)
    size = min(config.size, n)
    if config.method in ("svd", "skip_gram"):
        if n < 2 or walks.shape[1] < 2:
            return np.zeros((n, 0))
        if config.method == "svd":
            vectors = svd_vectors(positive_pmi(cooccurrence(walks, n, config.window)), size)
        else:
            settings = Word2Vec(size=config.size, window=config.window, epochs=config.epochs)
            vectors = word2vec(walks[None], n, settings, [seed]).vectors[0]
        return standardized(vectors)
    smooth = laplacian_eigenvectors(undirected(transitions_met(walks, n)))[:, 1 : 1 + size] * np.sqrt(n)
    if config.method == "laplacian":
        return smooth
    points = landmarks if config.of == "observations" else smooth[:, : max(size - 1, 1)]
    if n < 2:
        labels = np.zeros(n, np.int64)
    elif config.method == "kmeans":
        labels = cluster(points, size, stream)[1]
    else:
        from scipy.cluster.hierarchy import fcluster, linkage

        labels = fcluster(linkage(points, "ward"), size, "maxclust") - 1
    return np.eye(size)[labels]


def standardized(vectors: Array) -> Array:
    """Give the columns of [M, F] mean 0 and standard deviation 1; constant ones become 0."""
    spread = vectors.std(axis=0)
    return np.where(spread > MIN_STD, (vectors - vectors.mean(axis=0)) / np.maximum(spread, MIN_STD), 0.0)


@dataclass(frozen=True)
class AtlasComponent:
    """Settings of the atlas, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> Atlas:
        """Make the atlases of an environment's observations.

        Raises:
            ValueError: observations without numbers.
        """
        adapter = make_pattern_adapter(spec, "agent.encoder = 'atlas'", self.config.image_side)
        return Atlas(spec, seed_list, self.config, adapter)


def make(config: Config) -> AtlasComponent:
    """Make the component for an agent."""
    return AtlasComponent(config)
