"""Exact ceiling of recall: the Bayes-optimal restoration of corrupted patterns.

If one of P stored patterns, each as likely, was corrupted by a channel of known likelihood, the posterior over them is
the softmax of their log likelihoods. Its mean has the least expected squared error of all restorations; the signs of
the mean have the greatest expected overlap where units are -1 and +1, and its median unit by unit the least expected
absolute error where they are grey; the pattern with most of its mass is the one most likely to be the right one. No
memory beats these in expectation (Bayes; MacKay 2003, Information Theory, Inference, and Learning Algorithms, chapter
36).

What they come to is given as expected from the cue, and not as it turned out: the overlap of the signs of a mean m is
the mean of |m| over units, that of medians 1 - the mean of sum_p w_p |x_p - median|, and the greatest mass is the
chance of exact recall. Both have the same expectation, but these do not vary with which pattern it happened to be.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from simulator.core.memories import CorruptionModel, Cues
from simulator.core.protocols import Array

_BLOCK = 1 << 21  # log likelihoods at a time
BLOCK_ROWS = 1 << 13  # patterns that are added up at a time


class Ceiling(NamedTuple):
    """Bayes-optimal recall and its expected scores."""

    restored: Array  # float32 [S, Q, N], mean of the posterior over the stored patterns, or its median
    best: Array  # int64 [S, Q], number of the stored pattern with the greatest mass; the first of several
    overlap: Array  # float64 [S, Q], greatest expected overlap, by the signs of the mean or by the median
    exact: Array  # float64 [S, Q], greatest chance of exact recall; see ``more``
    more: bool  # whether an answer between stored patterns might count as exact for more of them than ``exact`` does


def ceiling(channel: CorruptionModel, cues: Cues, stored: Array, *, median: bool = False, near: float = 0.0) -> Ceiling:
    """Compute the Bayes-optimal restoration of cues [S, Q, N] of ``stored`` [S, P, N] under ``channel``.

    A cue that the channel cannot have made of any of them leaves them all as likely. Works on one seed and a block of
    cues at a time.

    Args:
        channel: the corruption.
        cues: what is left of the patterns.
        stored: the patterns.
        median: restore by the median, as is best where units are not bipolar.
        near: how far units may be off in a pattern that counts as exact: what is equal so far shares its mass.
    """
    n_seeds, n_cues, n = cues.values.shape
    restored = np.empty((n_seeds, n_cues, n), np.float32)
    best = np.empty((n_seeds, n_cues), np.int64)
    overlap = np.empty((n_seeds, n_cues))
    exact = np.empty((n_seeds, n_cues))
    exceeds = False
    step = max(1, _BLOCK // stored.shape[1])
    for i in range(n_seeds):
        alike, between = _alike(stored[i], near)
        exceeds = exceeds or between
        for first in range(0, n_cues, step):
            block = slice(first, min(first + step, n_cues))
            weights = posterior(channel.log_likelihood(_part(cues, i, block), stored[i : i + 1]))[0]
            if median:
                restored[i, block], overlap[i, block] = _medians(weights, stored[i].astype(np.float64))
            else:
                mean = _mean(weights, stored[i])
                restored[i, block] = mean
                overlap[i, block] = np.abs(mean).mean(axis=1)
            mass = weights if alike is None else weights @ alike
            best[i, block] = mass.argmax(axis=1)
            exact[i, block] = mass.max(axis=1)
    return Ceiling(restored, best, overlap, exact, exceeds)


def _alike(patterns: Array, near: float) -> tuple[Array | None, bool]:
    """Return which patterns count as equal, float64 [P, P], or None if none do.

    And whether two that do not have an answer between them that counts as both.
    """
    if not near:
        first: dict[bytes, int] = {}  # digest of a pattern -> the first such; there is one zero only
        digests = (blake2b((pattern + np.float32(0)).tobytes(), digest_size=16).digest() for pattern in patterns)
        group = np.array([first.setdefault(digest, i) for i, digest in enumerate(digests)])
        if len(first) == len(patterns):  # as always, but for challenges of few units: no [P, P] then
            return None, False
        alike = group.reshape(-1, 1) == group.reshape(1, -1)
        between = False
    else:
        apart = np.array([np.abs(patterns - pattern).max(axis=1) for pattern in patterns])
        alike = apart <= near
        between = bool(((apart > near) & (apart <= 2.0 * near)).any())
    return (alike.astype(np.float64) if alike.sum() > len(patterns) else None), between


def posterior(log_likelihood: Array) -> Array:
    """Compute posterior probabilities of the stored patterns, [..., P], from log likelihoods and a uniform prior."""
    top = log_likelihood.max(axis=-1, keepdims=True)
    possible = np.isfinite(top)
    weights = np.exp(np.where(possible, log_likelihood, 0.0) - np.where(possible, top, 0.0))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _mean(weights: Array, patterns: Array) -> Array:
    """Compute weighted sums [Q, N] of patterns [P, N], weights [Q, P], in float64."""
    total = np.zeros((len(weights), patterns.shape[1]))
    for first in range(0, len(patterns), BLOCK_ROWS):
        rows = slice(first, first + BLOCK_ROWS)
        total += weights[:, rows] @ patterns[rows].astype(np.float64)
    return total


def _medians(weights: Array, patterns: Array) -> tuple[Array, Array]:
    """Compute weighted medians [Q, N] per unit of patterns [P, N], weights [Q, P], and their expected overlaps [Q]."""
    order = np.argsort(patterns, axis=0, kind="stable")
    ranked = np.take_along_axis(patterns, order, axis=0)
    medians = np.empty((len(weights), patterns.shape[1]))
    overlap = np.empty(len(weights))
    for q, weight in enumerate(weights):
        at = (np.cumsum(weight[order], axis=0) < 0.5 - 1e-12).sum(axis=0)
        medians[q] = np.take_along_axis(ranked, np.minimum(at, len(order) - 1)[None], axis=0)[0]
        overlap[q] = 1.0 - float((weight @ np.abs(patterns - medians[q])).mean())
    return medians, overlap


def _part(cues: Cues, seed: int, block: slice) -> Cues:
    known = None if cues.known is None else cues.known[seed : seed + 1, block]
    return Cues(cues.values[seed : seed + 1, block], known)
