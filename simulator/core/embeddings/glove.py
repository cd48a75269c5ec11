"""GloVe: vectors whose products are the logarithms of counts (Pennington, Socher and Manning 2014), over many seeds.

The sum over pairs that occur of f(X_ij) (w_i . c_j + a_i + b_j - log X_ij)^2 with f(x) = min(1, (x / x_max)^(3/4)) is
minimized by AdaGrad, the pairs in a new order at every pass. A state's vector is w + c, as in the paper.

Departure: the counts are those of :func:`simulator.core.embeddings.walks.cooccurrence`, in which all pairs of a window
count 1; in the paper a pair d steps apart counts 1 / d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.embeddings.word2vec import Embedding
from simulator.core.field_types import Count, Positive
from simulator.core.jit import jit, parallel_for
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below


@dataclass(frozen=True)
class GloVe:
    """Settings of GloVe."""

    size: Count = 16
    """numbers D of a state's vector"""
    x_max: Positive = 100.0
    """count from which all pairs weigh alike"""
    epochs: Count = 200
    """passes over the pairs"""
    learning_rate: Positive = 0.05
    """learning rate of AdaGrad"""


class _Fit(NamedTuple):
    """State of the training, rows by seed: states first, then contexts; the last number of a row is the bias."""

    weights: Array  # float64 [S, 2 N, D + 1]
    squares: Array  # float64 [S, 2 N, D + 1], sums of squared gradients
    order: Array  # int64 [S, P], pairs in the order of a pass
    stream: Array  # uint64 [S, 4]


def glove(counts: Array, settings: GloVe, seed_list: Sequence[int]) -> Embedding:
    """Learn vectors from counts float64 [S, N, N] of every seed.

    Returns:
        ``vectors`` w and ``contexts`` c, float64 [S, N, D + 1]: the last number of each is its bias.

    Raises:
        ValueError: a seed in which nothing occurs together.
    """
    n_seeds, n_states, _ = counts.shape
    pairs = [np.argwhere(each > 0) for each in counts]
    if any(not len(each) for each in pairs):
        raise ValueError("glove: no two states are met together, expected longer walks")
    n_pairs = np.array([len(each) for each in pairs])
    pair = np.zeros((n_seeds, n_pairs.max(), 2), np.int64)
    count = np.ones((n_seeds, n_pairs.max()))
    for i, each in enumerate(pairs):
        pair[i, : len(each)] = each
        count[i, : len(each)] = counts[i][each[:, 0], each[:, 1]]
    generators = rng.generators(seed_list, "embedding")
    width = settings.size + 1
    fit = _Fit(
        weights=np.stack([(each.random((2 * n_states, width)) - 0.5) / settings.size for each in generators]),
        squares=np.ones((n_seeds, 2 * n_states, width)),
        order=np.tile(np.arange(n_pairs.max()), (n_seeds, 1)),
        stream=np.array([rng.pack_state(each.bit_generator) for each in generators]),
    )
    scale = np.minimum(1.0, (count / settings.x_max) ** 0.75)
    rate = float(settings.learning_rate)
    epochs = int(settings.epochs)
    log_count = np.log(count)
    parallel_for(lambda first, last: _fit(first, last, fit, pair, log_count, scale, n_pairs, rate, epochs), n_seeds)
    return Embedding(fit.weights[:, :n_states], fit.weights[:, n_states:])


@jit
def _fit(first_seed, last_seed, fit, pair, log_count, scale, n_pairs, rate, epochs):
    size = fit.weights.shape[2] - 1
    n_states = fit.weights.shape[1] // 2
    for i in range(first_seed, last_seed):
        order = fit.order[i]
        for _ in range(epochs):
            for last in range(n_pairs[i] - 1, 0, -1):
                other = below(fit.stream, i, last + 1)
                order[last], order[other] = order[other], order[last]
            for at in range(n_pairs[i]):
                k = order[at]
                row = pair[i, k, 0]
                column = n_states + pair[i, k, 1]
                w = fit.weights[i, row]
                c = fit.weights[i, column]
                error = w[size] + c[size] - log_count[i, k]
                for d in range(size):
                    error += w[d] * c[d]
                error *= scale[i, k]
                for d in range(size + 1):
                    grad_w = error * (c[d] if d < size else 1.0)
                    grad_c = error * (w[d] if d < size else 1.0)
                    w[d] -= rate * grad_w / np.sqrt(fit.squares[i, row, d])
                    c[d] -= rate * grad_c / np.sqrt(fit.squares[i, column, d])
                    fit.squares[i, row, d] += grad_w * grad_w
                    fit.squares[i, column, d] += grad_c * grad_c
