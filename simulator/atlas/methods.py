"""Maps of states: reductions and clusters of what stands for a state, and embeddings of walks.

Reductions and clusterings are scikit-learn's and scipy's. What learns from walks is :mod:`simulator.core.embeddings`.

===================================  =================================================================================
``pca``                              directions of the largest variance
``lle``                              each state as the same mixture of its neighbours (Roweis, Saul 2000)
``laplacian``                        smooth functions on the graph of steps or of neighbours (Belkin, Niyogi 2003)
``tsne``, ``umap``                   neighbours stay neighbours (van der Maaten, Hinton 2008; McInnes et al. 2018)
``kmeans``, ``hac``, ``spectral``    clusters: round ones, a tree of merged ones (Ward 1963), parts of the graph
``ngram``                            shares of the n - 1 states that follow a state
``cooccurrence``                     shares of the states met within a window
``svd``                              positive pointwise mutual information of them, factorized (Levy, Goldberg 2014)
``deepwalk``                         the same of endless walks, from the graph alone (Qiu et al. 2018)
``glove``, ``cbow``, ``skip_gram``   learned from walks (Pennington et al. 2014; Mikolov et al. 2013)
===================================  =================================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from simulator.atlas.measures import kmeans
from simulator.atlas.states import States
from simulator.config.atlas import AtlasConfig
from simulator.core import rng
from simulator.core.embeddings.glove import GloVe, glove
from simulator.core.embeddings.graph import deepwalk_matrix, laplacian_spectrum, signed, undirected
from simulator.core.embeddings.walks import (
    NGrams,
    cooccurrence,
    expected_cooccurrence,
    following,
    ngrams,
    positive_pmi,
    svd_vectors,
)
from simulator.core.embeddings.word2vec import Word2Vec, word2vec
from simulator.core.protocols import Array

PLANE = 2
EMBEDDED = 16  # numbers of a state where walks are embedded
DEFAULT_CLUSTERS = 4
MAX_NGRAMS = 10  # that are listed
MIN_DISTANCE = 1e-12  # added to every distance: of equal states too there is an edge


class Found(NamedTuple):
    """Output of a method for N states."""

    points: Array | None = None  # float64 [N, D]; None: it gives clusters alone
    labels: Array | None = None  # int64 [N], clusters
    tree: Array | None = None  # float64 [N - 1, 4], merges as of scipy's ``linkage``
    ordered: bool = False  # the first two numbers are the ones to look at
    facts: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Request:
    """States, and the settings of a map of them."""

    states: States
    config: AtlasConfig
    seed: int
    n_clusters: int

    @property
    def size(self) -> int:
        """Numbers of a state."""
        return self.config.dims or PLANE

    @property
    def embedded_size(self) -> int:
        """Numbers of a state where walks are embedded."""
        return self.config.dims or min(EMBEDDED, len(self.states) - 1)

    @property
    def neighbors(self) -> int:
        """Nearest states that are looked at."""
        return min(self.config.neighbors, len(self.states) - 1)

    @property
    def random_state(self) -> int:
        """Seed for methods of libraries, from the atlas's own."""
        return int(rng.sequence(self.seed, "embedding").generate_state(1)[0])

    def counts(self) -> Array:
        """Count what the walks met together, [N, N].

        Raises:
            ValueError: there are no walks that come back to a state; one line.
        """
        return cooccurrence(self.walks(), len(self.states), self.config.window)

    def walks(self) -> Array:
        """Return the walks.

        Raises:
            ValueError: there are none that come back to a state; one line.
        """
        states = self.states
        if states.walks is None:
            raise ValueError(f"{states.title}: there are no walks, expected states of an environment or a run")
        if (states.walks >= 0).sum() <= len(states):
            raise ValueError(
                f"{states.title}, by {states.of}: no state is met twice, so walks tell nothing of it; "
                "expected states that are met again, as of a finite environment"
            )
        return states.walks


def _pca(request: Request) -> Found:
    vectors = request.states.vectors
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    share = sizes**2 / max((sizes**2).sum(), np.finfo(np.float64).tiny)
    points = signed(left[:, : request.size]) * sizes[: request.size]
    return Found(points, ordered=True, facts={"explained_variance": share[: request.size]})


def _lle(request: Request) -> Found:
    from sklearn.manifold import LocallyLinearEmbedding

    n_numbers = request.states.vectors.shape[1]
    if request.size > n_numbers:
        raise ValueError(
            f"--dims {request.size}: lle of {n_numbers} numbers of {request.states.of}, expected at most these"
        )
    model = LocallyLinearEmbedding(
        n_neighbors=request.neighbors, n_components=request.size, eigen_solver="dense", tol=1e-12
    )
    points = model.fit_transform(request.states.vectors)
    return Found(signed(points), ordered=True, facts={"reconstruction_error": float(model.reconstruction_error_)})


def _laplacian(request: Request) -> Found:
    """Eigenvectors behind the constant one, of standard deviation 1."""
    adjacency = _adjacency(request)
    eigenvalues, vectors = laplacian_spectrum(adjacency)
    points = vectors[:, 1 : 1 + request.size] * np.sqrt(len(vectors))
    graph = "of steps" if request.states.adjacency is not None else f"of {request.neighbors} nearest neighbours"
    return Found(points, ordered=True, facts={"eigenvalues": eigenvalues[1 : 1 + request.size], "graph": graph})


def _adjacency(request: Request) -> Array:
    """Return the graph of steps, or where there is none that of nearest neighbours, joined if either is the other's.

    The shortest tree over all states joins what neighbours leave apart.
    """
    if request.states.adjacency is not None:
        return request.states.adjacency
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist
    from sklearn.neighbors import kneighbors_graph

    vectors = request.states.vectors
    nearest = kneighbors_graph(vectors, request.neighbors).toarray()
    tree = minimum_spanning_tree(cdist(vectors, vectors) + MIN_DISTANCE).toarray()
    return undirected(nearest + tree)


def _tsne(request: Request) -> Found:
    from sklearn.manifold import TSNE

    vectors = request.states.vectors
    perplexity = min(request.config.perplexity, (len(vectors) - 1) / 3)
    init = "pca" if vectors.shape[1] >= request.size else "random"
    model = TSNE(
        request.size,
        perplexity=perplexity,
        init=init,
        random_state=request.random_state,
        method="barnes_hut" if request.size < 4 else "exact",
    )
    points = model.fit_transform(vectors)
    facts = {"perplexity": float(perplexity), "kl_divergence": float(model.kl_divergence_)}
    return Found(points.astype(np.float64), ordered=True, facts=facts)


def _umap(request: Request) -> Found:
    try:
        from umap import UMAP
    except ImportError:
        raise ValueError(
            "--method umap: it needs umap-learn; install the extra: pip install 'engram-rl[atlas]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = UMAP(
            n_neighbors=max(2, request.neighbors),
            n_components=request.size,
            random_state=request.random_state,
            n_jobs=1,
        )
        points = model.fit_transform(request.states.vectors)
    return Found(points.astype(np.float64), ordered=True)


def _kmeans(request: Request) -> Found:
    labels, inertia = kmeans(request.states.vectors, request.n_clusters, request.random_state)
    return Found(labels=labels, facts={"inertia": inertia})


def _hac(request: Request) -> Found:
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(request.states.vectors, request.config.linkage)
    labels = fcluster(tree, request.n_clusters, "maxclust") - 1
    return Found(labels=labels.astype(np.int64), tree=tree, facts={"linkage": request.config.linkage})


def _spectral(request: Request) -> Found:
    from sklearn.cluster import SpectralClustering

    model = SpectralClustering(request.n_clusters, affinity="precomputed", random_state=request.random_state)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")
        warnings.filterwarnings("ignore", "k >= N")  # as many clusters as states
        labels = model.fit_predict(_adjacency(request))
    return Found(labels=labels.astype(np.int64))


def _ngram(request: Request) -> Found:
    grams = ngrams(request.walks(), request.config.ngram)
    most = [
        {"states": states, "count": int(count)}
        for states, count in zip(grams.states[:MAX_NGRAMS], grams.counts[:MAX_NGRAMS], strict=True)
    ]
    facts: dict[str, Any] = {"n": request.config.ngram, "n_different": len(grams.counts), "most_frequent": most}
    chain = request.states.chain
    if request.config.ngram == 2 and chain is not None:
        facts["largest_error"] = _transition_error(grams, chain)
    return Found(following(grams, len(request.states)), facts=facts)


def _transition_error(grams: NGrams, chain: Array) -> float:
    """Compute the largest |estimated - exact| transition probability of the states that were left."""
    counted = np.zeros_like(chain)
    counted[grams.states[:, 0], grams.states[:, 1]] = grams.counts
    left = counted.sum(axis=1) > 0
    share = counted[left] / counted[left].sum(axis=1, keepdims=True)
    return float(np.abs(share - chain[left]).max())


def _cooccurrence(request: Request) -> Found:
    counts = request.counts()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    facts: dict[str, Any] = {"pairs": int(counts.sum())}
    if request.states.chain is not None:
        facts["relative_error"] = _expectation_error(request, counts)
    return Found(shares, facts=facts)


def _expectation_error(request: Request, counts: Array) -> float:
    """Compute sum |counts - expected| / sum expected.

    The expectation is exact given where each walk began and where it was cut; one that came to the end of its episode
    might have become as long as the longest.
    """
    walks = request.walks()
    chain = request.states.chain
    assert chain is not None
    n_places = (walks >= 0).sum(axis=1)
    is_over = ~chain[walks[np.arange(len(walks)), n_places - 1]].any(axis=1)
    limit = np.where(is_over, walks.shape[1], n_places)
    expected = np.zeros_like(chain)
    for length in np.unique(limit):
        start = np.bincount(walks[limit == length, 0], minlength=len(chain))
        expected += expected_cooccurrence(chain, start, int(length), request.config.window)
    return float(np.abs(counts - expected).sum() / max(expected.sum(), 1.0))


def _svd(request: Request) -> Found:
    matrix = positive_pmi(request.counts(), request.config.shift)
    return Found(svd_vectors(matrix, request.embedded_size), ordered=True)


def _deepwalk(request: Request) -> Found:
    if request.states.adjacency is None:
        raise ValueError(
            f"{request.states.title}, by {request.states.of}: --method deepwalk needs the graph of steps, "
            "expected states that are met again"
        )
    degrees = request.states.adjacency.sum(axis=1)
    chain = request.states.adjacency / np.maximum(degrees, 1.0)[:, None]
    share = np.maximum(degrees, 1.0) / np.maximum(degrees, 1.0).sum()
    matrix = deepwalk_matrix(chain, share, request.config.window, request.config.shift)
    return Found(svd_vectors(matrix, request.embedded_size), ordered=True)


def _glove(request: Request) -> Found:
    config = request.config
    settings = GloVe(
        size=request.embedded_size, epochs=config.epochs or GloVe.epochs, learning_rate=config.learning_rate
    )
    found = glove(request.counts()[None], settings, [request.seed])
    return Found((found.vectors + found.contexts)[0, :, :-1])


def _word2vec(request: Request, model: Any) -> Found:
    config = request.config
    settings = Word2Vec(
        model=model,
        size=request.embedded_size,
        window=config.window,
        objective=config.objective,
        negatives=config.negatives,
        power=config.power,
        subsample=config.subsample,
        epochs=config.epochs or Word2Vec.epochs,
        learning_rate=config.learning_rate,
    )
    found = word2vec(request.walks()[None], len(request.states), settings, [request.seed])
    return Found(found.vectors[0], facts={"objective": config.objective})


METHODS: dict[str, Callable[[Request], Found]] = {
    "pca": _pca,
    "lle": _lle,
    "laplacian": _laplacian,
    "tsne": _tsne,
    "umap": _umap,
    "kmeans": _kmeans,
    "hac": _hac,
    "spectral": _spectral,
    "ngram": _ngram,
    "cooccurrence": _cooccurrence,
    "svd": _svd,
    "deepwalk": _deepwalk,
    "glove": _glove,
    "cbow": lambda request: _word2vec(request, "cbow"),
    "skip_gram": lambda request: _word2vec(request, "skip_gram"),
}
