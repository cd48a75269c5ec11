"""Skip-gram and CBOW on walks of states, over many seeds at once (Mikolov et al. 2013a, 2013b).

Every state has a vector w; every context a vector c. With h the vector of a state (skip-gram) or the mean of those
around it (CBOW), the score of a state j to be predicted is h . c_j, and with sigma the logistic function

==================  ===========================================================================  =====================
objective           gives a state j the probability                                              optimum, D at least N
==================  ===========================================================================  =====================
``softmax``         exp(h . c_j) / sum over all of them                                          p(j | i)
``hierarchical``    product over the nodes n of j's path in a Huffman tree of sigma(+- h . c_n)  p(j | i)
``negative``        none: sigma(h . c_j) for a pair that occurs, sigma(-h . c_j) for each of k   log(p(j | i) /
                    drawn by q(j), in proportion to count^power                                  (k q(j)))
==================  ===========================================================================  =====================

The optima are skip-gram's, with p(j | i) the share of j in what the walks have around i. With power = 1 and long walks
the last is the pointwise mutual information less log k (Levy and Goldberg 2014).

Departures: windows have their full size at every state (the original draws one, which weighs near states more), so the
optimum is that of the counts of :func:`simulator.core.embeddings.walks.cooccurrence`; CBOW's gradient is divided among
the vectors of its mean (İrsoy, Benton and Stratos 2021), which the original forgets; a negative sample that is the
predicted state itself counts, as the optimum above assumes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.embeddings.walks import visits_of
from simulator.core.field_types import Count, NonNegative, Positive, Share
from simulator.core.jit import jit, jit_inline, jit_reassociate, parallel_for
from simulator.core.protocols import Array
from simulator.core.rng_compiled import categorical, uniform

SOFTMAX = 0
HIERARCHICAL = 1
NEGATIVE = 2
OBJECTIVES = ("softmax", "hierarchical", "negative")  # by the numbers above


@dataclass(frozen=True)
class Word2Vec:
    """Settings of skip-gram and CBOW."""

    model: Literal["skip_gram", "cbow"] = "skip_gram"
    """skip_gram: a state predicts each one around it; cbow: their mean predicts the state"""
    size: Count = 16
    """numbers D of a state's vector"""
    window: Count = 5
    """steps to either side that count as near"""
    objective: Literal["softmax", "hierarchical", "negative"] = "negative"
    """softmax over all states, over a Huffman tree, or negative sampling"""
    negatives: Count = 5
    """negative samples k of every pair"""
    power: Share = 0.75
    """negative samples are drawn in proportion to count to this power"""
    subsample: Share = 0.0
    """t: a state of frequency f is left out with probability 1 - sqrt(t / f) at each visit; 0: never"""
    epochs: Count = 5
    """passes over the walks"""
    learning_rate: Positive = 0.05
    """learning rate at the beginning"""
    learning_rate_end: NonNegative = 1e-4
    """learning rate at the end; it falls linearly with the visits so far, and is constant along a walk"""


class Embedding(NamedTuple):
    """Vectors of the states of S seeds."""

    vectors: Array  # float64 [S, N, D], w
    contexts: Array  # float64 [S, N, D], c; of the N - 1 inner nodes with the hierarchical objective


class _Hyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    cbow: bool
    objective: int
    window: int
    negatives: int
    epochs: int
    learning_rate: float
    learning_rate_end: float


class _Vocabulary(NamedTuple):
    """Statistics of the states, known before training; a row for each seed."""

    keep: Array  # float64 [S, N], probability of a visit to count
    noise: Array  # float64 [S, N], cumulative distribution of negative samples
    node: Array  # int64 [S, N, B], inner nodes of a state's path in the Huffman tree, from the root
    turn: Array  # float64 [S, N, B], 1 where the path turns to the first child, 0 to the second
    depth: Array  # int64 [S, N], inner nodes of the path


class _Learner(NamedTuple):
    """State of the training."""

    w: Array  # float64 [S, N, D]
    c: Array  # float64 [S, N, D]
    stream: Array  # uint64 [S, 4]
    walk: Array  # int64 [S, L], the visits of a walk that count
    hidden: Array  # float64 [S, D], h of CBOW
    grad: Array  # float64 [S, D], step of h
    score: Array  # float64 [S, N], of the softmax


def word2vec(walks: Array, n_states: int, settings: Word2Vec, seed_list: Sequence[int]) -> Embedding:
    """Learn vectors of states from walks.

    Args:
        walks: int64 [S, W, L], of every seed, ended by -1.
        n_states: N, at least 2.
        settings: of the learner.
        seed_list: the S seeds.

    Raises:
        ValueError: fewer than two states, or a seed in which no state follows another.
    """
    n_seeds, _, length = walks.shape
    if n_states < 2 or length < 2:
        raise ValueError(f"{settings.model}: {n_states} states on walks of {length} steps, expected 2 and more of each")
    if not (walks[:, :, 1] >= 0).any(axis=1).all():
        raise ValueError(f"{settings.model}: no two states follow one another, expected longer walks")
    counts = np.stack([visits_of(rows, n_states) for rows in walks]).astype(np.float64)
    vocabulary = _vocabulary(counts, settings)
    size = settings.size
    generators = rng.generators(seed_list, "embedding")
    learner = _Learner(
        w=np.stack([(each.random((n_states, size)) - 0.5) / size for each in generators]),
        c=np.zeros((n_seeds, n_states, size)),
        stream=np.array([rng.pack_state(each.bit_generator) for each in generators]),
        walk=np.zeros((n_seeds, length), np.int64),
        hidden=np.zeros((n_seeds, size)),
        grad=np.zeros((n_seeds, size)),
        score=np.zeros((n_seeds, n_states)),
    )
    hyper = _Hyperparams(
        cbow=settings.model == "cbow",
        objective=OBJECTIVES.index(settings.objective),
        window=settings.window,
        negatives=settings.negatives,
        epochs=settings.epochs,
        learning_rate=float(settings.learning_rate),
        learning_rate_end=float(settings.learning_rate_end),
    )
    rows = np.ascontiguousarray(walks, np.int64)
    parallel_for(lambda first, last: _train(first, last, hyper, vocabulary, learner, rows), n_seeds)
    contexts = learner.c[:, : n_states - 1] if settings.objective == "hierarchical" else learner.c
    return Embedding(learner.w, contexts)


def _vocabulary(counts: Array, settings: Word2Vec) -> _Vocabulary:
    n_seeds, n_states = counts.shape
    frequency = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    keep = np.ones_like(frequency)
    if settings.subsample:
        keep = np.minimum(1.0, np.sqrt(settings.subsample / np.maximum(frequency, 1e-300)))
    noise = np.where(counts > 0, counts**settings.power, 0.0)
    noise = np.cumsum(noise / np.maximum(noise.sum(axis=1, keepdims=True), 1e-300), axis=1)
    paths = [huffman(row) for row in counts] if settings.objective == "hierarchical" else None
    deepest = max((int(path.depth.max()) for path in paths), default=1) if paths else 1
    node = np.zeros((n_seeds, n_states, deepest), np.int64)
    turn = np.zeros((n_seeds, n_states, deepest))
    depth = np.zeros((n_seeds, n_states), np.int64)
    for i, path in enumerate(paths or ()):
        node[i, :, : path.node.shape[1]] = path.node
        turn[i, :, : path.turn.shape[1]] = path.turn
        depth[i] = path.depth
    return _Vocabulary(keep, noise, node, turn, depth)


class HuffmanPaths(NamedTuple):
    """The path of every state in a Huffman tree, from the root."""

    node: Array  # int64 [N, B], inner nodes, numbered 0 to N - 2
    turn: Array  # float64 [N, B], 1 towards the first child, 0 towards the second
    depth: Array  # int64 [N], inner nodes of the path


def huffman(counts: Array) -> HuffmanPaths:
    """Build the Huffman tree of counts [N], N at least 2: frequent states have short paths."""
    n_states = len(counts)
    waiting = [(float(count), state) for state, count in enumerate(counts)]
    heapq.heapify(waiting)
    parent = np.zeros(2 * n_states - 1, np.int64)
    is_first = np.zeros(2 * n_states - 1)
    for made in range(n_states, 2 * n_states - 1):
        (lighter, first), (heavier, second) = heapq.heappop(waiting), heapq.heappop(waiting)
        parent[[first, second]] = made
        is_first[first] = 1.0
        heapq.heappush(waiting, (lighter + heavier, made))
    root = 2 * n_states - 2
    paths = []
    for state in range(n_states):
        path = []
        at = state
        while at != root:
            path.append((parent[at] - n_states, is_first[at]))
            at = parent[at]
        paths.append(path[::-1])
    deepest = max(map(len, paths))
    node = np.zeros((n_states, deepest), np.int64)
    turn = np.zeros((n_states, deepest))
    for state, path in enumerate(paths):
        for level, (inner, towards_first) in enumerate(path):
            node[state, level] = inner
            turn[state, level] = towards_first
    return HuffmanPaths(node, turn, np.array([len(path) for path in paths]))


@jit_reassociate
def _dot(a, b):
    total = 0.0
    for d in range(a.shape[0]):
        total += a[d] * b[d]
    return total


@jit_inline
def _add(vector, other, scale):
    for d in range(vector.shape[0]):
        vector[d] += scale * other[d]


@jit_inline
def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@jit_inline
def _pull(h, c, grad, step):
    """Move c by step * h, and note step * c, as it was, in h's own step."""
    for d in range(h.shape[0]):
        grad[d] += step * c[d]
        c[d] += step * h[d]


@jit_inline
def _predict(hyper, vocabulary, learner, i, h, target, rate):
    """Step the vectors c by the gradient of the log likelihood of ``target`` given h, and fill h's own step."""
    grad = learner.grad[i]
    c = learner.c[i]
    for d in range(grad.shape[0]):
        grad[d] = 0.0
    if hyper.objective == NEGATIVE:
        _pull(h, c[target], grad, rate * (1.0 - _sigmoid(_dot(h, c[target]))))
        for _ in range(hyper.negatives):
            sample = categorical(learner.stream, i, vocabulary.noise[i])
            _pull(h, c[sample], grad, -rate * _sigmoid(_dot(h, c[sample])))
    elif hyper.objective == HIERARCHICAL:
        for level in range(vocabulary.depth[i, target]):
            inner = vocabulary.node[i, target, level]
            _pull(h, c[inner], grad, rate * (vocabulary.turn[i, target, level] - _sigmoid(_dot(h, c[inner]))))
    else:
        _softmax(learner.score[i], h, c)
        for j in range(c.shape[0]):
            _pull(h, c[j], grad, rate * ((1.0 if j == target else 0.0) - learner.score[i, j]))


@jit_inline
def _softmax(out, h, c):
    highest = -np.inf
    for j in range(c.shape[0]):
        out[j] = _dot(h, c[j])
        highest = max(highest, out[j])
    total = 0.0
    for j in range(c.shape[0]):
        out[j] = np.exp(out[j] - highest)
        total += out[j]
    for j in range(c.shape[0]):
        out[j] /= total


@jit_inline
def _thinned(vocabulary, learner, i, row):
    """Copy the visits of a walk that count into ``learner.walk``; return how many there are, and how many were there.

    Frequent states are left out at random (Mikolov et al. 2013b, equation 5).
    """
    n_kept = 0
    n_visits = 0
    for t in range(row.shape[0]):
        if row[t] < 0:
            break
        n_visits += 1
        keep = vocabulary.keep[i, row[t]]
        if keep >= 1.0 or uniform(learner.stream, i) < keep:
            learner.walk[i, n_kept] = row[t]
            n_kept += 1
    return n_kept, n_visits


@jit_inline
def _learn_around(hyper, vocabulary, learner, i, t, n_kept, rate):
    """Learn from place t of the walk and the places around it."""
    w = learner.w[i]
    state = learner.walk[i, t]
    low = max(0, t - hyper.window)
    high = min(n_kept, t + hyper.window + 1)
    if high - low < 2:
        return
    if hyper.cbow:
        h = learner.hidden[i]
        for d in range(h.shape[0]):
            h[d] = 0.0
        for u in range(low, high):
            if u != t:
                _add(h, w[learner.walk[i, u]], 1.0 / (high - low - 1))
        _predict(hyper, vocabulary, learner, i, h, state, rate)
        for u in range(low, high):
            if u != t:
                _add(w[learner.walk[i, u]], learner.grad[i], 1.0 / (high - low - 1))
    else:
        for u in range(low, high):
            if u != t:
                _predict(hyper, vocabulary, learner, i, w[state], learner.walk[i, u], rate)
                _add(w[state], learner.grad[i], 1.0)


@jit
def _train(first_seed, last_seed, hyper, vocabulary, learner, walks):
    """Pass over the walks int64 [S, W, L] of seeds first_seed to last_seed - 1."""
    for i in range(first_seed, last_seed):
        total = 0
        for row in range(walks.shape[1]):
            for t in range(walks.shape[2]):
                total += walks[i, row, t] >= 0
        total *= hyper.epochs
        done = 0
        for _ in range(hyper.epochs):
            for row in range(walks.shape[1]):
                rate = hyper.learning_rate + (hyper.learning_rate_end - hyper.learning_rate) * done / total
                n_kept, n_visits = _thinned(vocabulary, learner, i, walks[i, row])
                done += n_visits
                for t in range(n_kept):
                    _learn_around(hyper, vocabulary, learner, i, t, n_kept, rate)
