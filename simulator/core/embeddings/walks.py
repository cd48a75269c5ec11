"""Counts of what is met together on walks, and embeddings by their matrix.

A walk is a row of states, ended by -1 where it is shorter than the row: int64 [W, L]. In a window of T two states are
met together where at most T steps lie between them, in either direction; each such pair of places counts once in both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.embeddings.graph import signed
from simulator.core.protocols import Array

NO_STATE = -1


def rows_of(walks: list[Array]) -> Array:
    """Put walks of different lengths into one array int64 [W, L]."""
    longest = max((len(walk) for walk in walks), default=0)
    rows = np.full((len(walks), longest), NO_STATE, np.int64)
    for row, walk in zip(rows, walks, strict=True):
        row[: len(walk)] = walk
    return rows


def visits_of(walks: Array, n_states: int) -> Array:
    """Count the visits of every state, int64 [N]."""
    return np.bincount(walks[walks >= 0], minlength=n_states)


def cooccurrence(walks: Array, n_states: int, window: int) -> Array:
    """Count how often states are met together within a window: float64 [N, N], symmetric.

    Args:
        walks: int64 [W, L].
        n_states: N.
        window: T, at least 1.
    """
    counts = np.zeros(n_states * n_states)
    for gap in range(1, min(window, walks.shape[1] - 1) + 1):
        first, second = walks[:, :-gap], walks[:, gap:]
        both = second >= 0
        counts += np.bincount(first[both] * n_states + second[both], minlength=len(counts))
    forward = counts.reshape(n_states, n_states)
    return np.asarray(forward + forward.T)


def expected_cooccurrence(chain: Array, start: Array, length: int, window: int) -> Array:
    """Compute the mean of :func:`cooccurrence` of one walk of a chain, exactly: float64 [N, N].

    sum over t of diag(d_t) (P + ... + P^min(T, L - 1 - t)), and its transpose, with d_t = d_0 P^t.

    Args:
        chain: float64 [N, N]; what a row lacks to 1 ends the walk.
        start: float64 [N], where walks begin, d_0.
        length: L, places of a walk that does not end before.
        window: T.
    """
    n_states = len(chain)
    sums = [np.zeros((n_states, n_states))]  # P + ... + P^r for r = 0, 1, ..., T
    power = np.eye(n_states)
    for _ in range(min(window, length - 1)):
        power = power @ chain
        sums.append(sums[-1] + power)
    forward = np.zeros((n_states, n_states))
    there = np.asarray(start, np.float64)
    for t in range(length - 1):
        forward += there[:, None] * sums[min(window, length - 1 - t)]
        there = there @ chain
    return forward + forward.T


def transitions_met(walks: Array, n_states: int) -> Array:
    """Count how often one state came right after another: float64 [N, N]."""
    first, second = walks[:, :-1], walks[:, 1:]
    both = second >= 0
    counts = np.bincount(first[both] * n_states + second[both], minlength=n_states * n_states)
    return np.asarray(counts.reshape(n_states, n_states), np.float64)


class NGrams(NamedTuple):
    """The sequences of n states that walks have, the most frequent first."""

    states: Array  # int64 [G, n]
    counts: Array  # int64 [G]


def ngrams(walks: Array, n: int) -> NGrams:
    """Count all sequences of n consecutive states."""
    if walks.shape[1] < n:
        return NGrams(np.zeros((0, n), np.int64), np.zeros(0, np.int64))
    rows = np.lib.stride_tricks.sliding_window_view(walks, n, axis=1).reshape(-1, n)
    found, counts = np.unique(rows[rows[:, -1] >= 0], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return NGrams(found[order], counts[order])


def following(grams: NGrams, n_states: int) -> Array:
    """Compute what follows each state: shares [N, C] of the C sequences of n - 1 states that ever follow one.

    With n = 2 it is the estimated transition matrix, without the columns of states that nothing leads to.
    """
    ends, column = np.unique(grams.states[:, 1:], axis=0, return_inverse=True)
    shares = np.zeros((n_states, max(len(ends), 1)))
    np.add.at(shares, (grams.states[:, 0], column.reshape(-1)), grams.counts)
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0))


def pmi(counts: Array) -> Array:
    """Compute pointwise mutual information log(p(i, j) / (p(i) p(j))) of counts [N, N]; -inf where they are 0."""
    total = counts.sum()
    met = counts > 0
    chance = np.where(met, np.outer(counts.sum(axis=1), counts.sum(axis=0)), 1.0)
    return np.asarray(np.where(met, np.log(np.where(met, counts * total / chance, 1.0)), -np.inf))


def positive_pmi(counts: Array, shift: float = 1.0) -> Array:
    """Compute max(0, PMI - log shift), [N, N] (Levy and Goldberg 2014, equation 9)."""
    return np.asarray(np.maximum(pmi(counts) - np.log(shift), 0.0))


def svd_vectors(matrix: Array, size: int) -> Array:
    """Compute the embedding U sqrt(S) of the ``size`` largest singular values of a matrix [N, M]: float64 [N, size].

    Symmetric factors as Levy and Goldberg 2014, section 3.3. The largest entry of a column is positive.
    """
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(signed(left[:, :size]) * np.sqrt(sizes[:size]))
