"""Metrics of recall and recognition: pure functions, one number per seed.

Shapes: S seeds, Q cues, P stored patterns, N units. Patterns of -1 and +1 are compared by their signs, a unit of 0
counting half; others as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array

TOLERANCE = 0.1  # how far grey units may be off in a pattern that counts as exact
N_NEIGHBOURS = 5  # neighbours of a query whose classes are compared
BLOCK_ROWS = 1 << 13  # codes that are compared at a time, as float64
_TIE = 1e-9  # difference of two likenesses that is rounding


def decided(patterns: Array, is_bipolar: bool) -> Array:
    """Round a restoration to the values of patterns: signs where they are bipolar."""
    return np.sign(patterns) if is_bipolar else np.clip(patterns, -1.0, 1.0)


def overlap(restored: Array, truth: Array) -> Array:
    """Compute the mean over cues of 1 - mean |difference|, float64 [S]; for bipolar patterns the overlap m."""
    return 1.0 - np.abs(restored.astype(np.float64) - truth).mean(axis=(1, 2))


def same(restored: Array, truth: Array, is_bipolar: bool) -> Array:
    """Mark, bool [S, Q], the cues that were restored in every unit."""
    return (np.abs(restored - truth) <= (0.0 if is_bipolar else TOLERANCE)).all(axis=2)


def is_stored(restored: Array, stored: Array, is_bipolar: bool) -> Array:
    """Mark, bool [S, Q], the restorations [S, Q, N] that equal a stored pattern [S, P, N]."""
    mask = np.zeros(restored.shape[:2], np.bool_)
    for i, (ours, patterns) in enumerate(zip(restored, stored, strict=True)):
        if is_bipolar:  # products of signs: N where all agree
            mask[i] = (ours @ patterns.T >= ours.shape[1]).any(axis=1)
        else:
            mask[i] = [bool((np.abs(one - patterns) <= TOLERANCE).all(axis=1).any()) for one in ours]
    return mask


def familiarity(stored: Array, novel: Array) -> Array:
    """Compute the AUC [S] of recognising stored against novel patterns by energies [S, P] and [S, M].

    The fraction of pairs in which the stored pattern has the lower energy, ties half (Mann and Whitney 1947).
    """
    from scipy.stats import rankdata

    n = stored.shape[1]
    m = novel.shape[1]
    ranks = rankdata(np.concatenate([stored, novel], axis=1), axis=1)[:, :n]
    below = ranks.sum(axis=1) - n * (n + 1) / 2  # pairs in which the stored pattern has the higher energy
    return np.asarray(1.0 - below / (n * m))


def roc(stored: Array, novel: Array, n_points: int = 21) -> tuple[Array, Array]:
    """Compute the ROC curve of recognition, mean over seeds: false and true positive rates.

    Straight between the thresholds that the energies are themselves, so its area is the familiarity.
    """
    false = np.linspace(0.0, 1.0, n_points)
    true = np.zeros(n_points)
    for old, new in zip(stored, novel, strict=True):
        cuts = np.unique(np.concatenate([old, new]))
        of_new, of_old = (
            np.concatenate([[0.0], np.searchsorted(np.sort(own), cuts, side="right") / len(own)]) for own in (new, old)
        )
        true += np.interp(false, of_new, of_old) / len(stored)
    return false, true


def squared_error(restored: Array, truth: Array) -> Array:
    """Compute the mean over patterns of the squared error summed over units that go from 0 to 1, float64 [S]."""
    return np.asarray(np.square((restored.astype(np.float64) - truth) / 2.0).sum(axis=2).mean(axis=1))


def retrieval(codes: Array, queries: Array, labels: Array, query_labels: Array) -> Array:
    """Compute precision at ``N_NEIGHBOURS``: fraction of a query's nearest stored patterns of its class; [S].

    Args:
        codes: of the stored patterns, [S, P, H].
        queries: codes of the queries, [S, M, H].
        labels: classes, int64 [S, P].
        query_labels: likewise, [S, M].
    """
    precision = np.zeros(len(codes))
    k = min(N_NEIGHBOURS, codes.shape[1])
    for i, query in enumerate(queries.astype(np.float64)):
        distance = np.empty((len(query), codes.shape[1]))  # squared, up to a constant of the query
        for first in range(0, codes.shape[1], BLOCK_ROWS):
            some = codes[i, first : first + BLOCK_ROWS].astype(np.float64)
            distance[:, first : first + BLOCK_ROWS] = (some**2).sum(axis=1) - 2.0 * query @ some.T
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
        precision[i] = (labels[i][nearest] == query_labels[i][:, None]).mean()
    return precision


class Lookup(NamedTuple):
    """Scores of looking up stored patterns, per seed."""

    first: Array  # [S], fraction of queries whose own pattern is ranked first
    reciprocal_rank: Array  # [S], mean of 1 / rank of the own pattern
    precision: Array  # [S], fraction of a query's k nearest other patterns that are of its class; NaN without classes
    by_class: Array  # [S, C], the same of the queries of each class; NaN where there are none


def cosines(queries: Array, stored: Array) -> Array:
    """Compute the cosines [S, Q, P] of the weights (x + 1) / 2 of queries [S, Q, N] and patterns [S, P, N].

    0 where a query is -1 everywhere.
    """
    q, x = (0.5 * (values.astype(np.float64) + 1.0) for values in (queries, stored))
    q, x = (values / np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-12) for values in (q, x))
    return np.asarray(q @ x.transpose(0, 2, 1))


def nearness(queries: Array, stored: Array) -> Array:
    """Compute minus the squared distances [S, Q, P] of codes [S, Q, H] and [S, P, H]."""
    q, x = queries.astype(np.float64), stored.astype(np.float64)
    squares = (q**2).sum(axis=2)[:, :, None] + (x**2).sum(axis=2)[:, None]
    return np.asarray(2.0 * q @ x.transpose(0, 2, 1) - squares)


def lookup(likeness: Array, own: Array, labels: Array, k: int, n_classes: int) -> Lookup:
    """Score a ranking of stored patterns by their likeness to each query.

    Patterns that are equally alike come in a random order: scores are the mean over all of these orders, but for the
    precision, where the one stored earlier comes first.

    Args:
        likeness: [S, Q, P], the greatest is ranked first.
        own: int64 [Q], the pattern that each query was made of.
        labels: int64 [S, P], classes of the patterns; -1: none.
        k: neighbours that precision looks at.
        n_classes: number of classes C.
    """
    query = np.arange(len(own))
    mine = likeness[:, query, own][:, :, None]
    above = (likeness > mine + _TIE).sum(axis=2)
    tied = (np.abs(likeness - mine) <= _TIE).sum(axis=2)  # with itself
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, likeness.shape[2] + 1))])
    reciprocal = (harmonic[above + tied] - harmonic[above]) / tied
    others = likeness.copy()
    others[:, query, own] = -np.inf
    n_neighbours = min(k, likeness.shape[2] - 1)
    nearest = np.argsort(-others, axis=2, kind="stable")[:, :, :n_neighbours]
    of_query = labels[:, own]
    same_class = np.take_along_axis(labels[:, None], nearest, axis=2) == of_query[:, :, None]
    hits = np.where((of_query >= 0) & (n_neighbours > 0), same_class.sum(axis=2) / max(n_neighbours, 1), np.nan)
    members = of_query[:, :, None] == np.arange(n_classes)
    counts = members.sum(axis=1)
    by_class = np.where(members, hits[:, :, None], 0.0).sum(axis=1) / np.where(counts, counts, np.nan)
    return Lookup(np.where(above, 0.0, 1.0 / tied).mean(axis=1), reciprocal.mean(axis=1), hits.mean(axis=1), by_class)


def crossing(at: Array, curve: Array, wanted: float) -> Array:
    """Find where a falling curve crosses a level, by linear interpolation; [S].

    Args:
        at: arguments, increasing, [K].
        curve: values of every seed there, [S, K].
        wanted: the level.
    """
    crossings = np.zeros(len(curve))
    for i, row in enumerate(curve):
        short = np.flatnonzero(row < wanted)
        if not len(short):
            crossings[i] = at[-1]
        elif short[0]:
            low = short[0] - 1
            high = short[0]
            part = (row[low] - wanted) / (row[low] - row[high])
            crossings[i] = at[low] + part * (at[high] - at[low])
    return crossings
