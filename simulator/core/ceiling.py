"""The exact ceiling of recall: what the best possible memory makes of damaged patterns.

If one of P stored patterns, each as likely, was damaged by a channel of known likelihood, the posterior over them is
the softmax of their log likelihoods. Its mean has the least expected squared error of all restorations; the signs of
the mean have the greatest expected overlap where units are -1 and +1, and its median unit by unit the least expected
absolute error where they are grey; its greatest entry is the pattern most likely to be the right one. No memory beats
these in expectation (Bayes; MacKay 2003, Information Theory, Inference, and Learning Algorithms, chapter 36).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.memories import Channel, Cues
from simulator.core.protocols import Array

_BLOCK = 1 << 21  # log likelihoods at a time


class Ceiling(NamedTuple):
    """The best that can be made of cues."""

    restored: Array  # float32 [S, Q, N], mean of the posterior over the stored patterns, or its median
    best: Array  # int64 [S, Q], number of the likeliest stored pattern; the first of several


def ceiling(channel: Channel, cues: Cues, stored: Array, *, median: bool = False) -> Ceiling:
    """The best restoration of cues [S, Q, N] that were made of ``stored`` [S, P, N] by ``channel``.

    A cue that the channel cannot have made of any of them leaves them all as likely. Works on one seed and a block of
    cues at a time.
    """
    n_seeds, n_cues, n = cues.values.shape
    restored, best = np.empty((n_seeds, n_cues, n), np.float32), np.empty((n_seeds, n_cues), np.int64)
    step = max(1, _BLOCK // stored.shape[1])
    for i in range(n_seeds):
        patterns = stored[i].astype(np.float64)
        for first in range(0, n_cues, step):
            block = slice(first, min(first + step, n_cues))
            weights = posterior(channel.log_likelihood(_part(cues, i, block), stored[i : i + 1]))[0]
            restored[i, block] = _medians(weights, patterns) if median else weights @ patterns
            best[i, block] = weights.argmax(axis=1)
    return Ceiling(restored, best)


def posterior(log_likelihood: Array) -> Array:
    """Probabilities of the stored patterns, [..., P], from log likelihoods [..., P] and equal chances before."""
    top = log_likelihood.max(axis=-1, keepdims=True)
    possible = np.isfinite(top)
    weights = np.exp(np.where(possible, log_likelihood, 0.0) - np.where(possible, top, 0.0))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _medians(weights: Array, patterns: Array) -> Array:
    """Weighted medians [Q, N], unit by unit, of patterns [P, N] with weights [Q, P]."""
    order = np.argsort(patterns, axis=0, kind="stable")
    ranked = np.take_along_axis(patterns, order, axis=0)
    found = np.empty((len(weights), patterns.shape[1]))
    for q, each in enumerate(weights):
        at = (np.cumsum(each[order], axis=0) < 0.5 - 1e-12).sum(axis=0)
        found[q] = np.take_along_axis(ranked, np.minimum(at, len(order) - 1)[None], axis=0)[0]
    return found


def _part(cues: Cues, seed: int, block: slice) -> Cues:
    known = None if cues.known is None else cues.known[seed : seed + 1, block]
    return Cues(cues.values[seed : seed + 1, block], known)
