"""Embeddings of states by the graph that their transitions make: no walk is drawn, all is exact.

=========================  ===========================================================================================
``laplacian_eigenvectors``  smooth functions on the graph: proto-value functions (Mahadevan and Maggioni 2007),
                            Laplacian eigenmaps without a kernel (Belkin and Niyogi 2003)
``successor``               discounted visits of every state: the successor representation (Dayan 1993)
``deepwalk_matrix``         what skip-gram on uniform walks factorizes (Qiu et al. 2018, NetMF, table 1)
=========================  ===========================================================================================

Where every state has the same number A of actions and a move that is blocked stays, uniform play is P = I - L / A, so
the successor representation has the eigenvectors of the Laplacian L, with 1 / (1 - gamma (1 - lambda / A)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.mdp.model import FiniteMDP
from simulator.core.protocols import Array


def adjacency_of(mdp: FiniteMDP) -> Array:
    """Join states where an action leads from one to the other: float64 [N, N] of 0 and 1, symmetric, no loops.

    Either direction counts, whatever its probability and whether the episode ends with it.
    """
    n_states = len(mdp.prob)
    used = mdp.legal[..., None] & (mdp.prob > 0)
    state, _, _ = np.nonzero(used)
    adjacency = np.zeros((n_states, n_states))
    adjacency[state, mdp.next[used]] = 1.0
    return undirected(adjacency)


def undirected(weights: Array) -> Array:
    """Join states where either direction has a weight: float64 [N, N] of 0 and 1, symmetric, no loops."""
    adjacency = ((weights > 0.0) | (weights.T > 0.0)).astype(np.float64)
    np.fill_diagonal(adjacency, 0.0)
    return adjacency


def laplacian(adjacency: Array) -> Array:
    """Compute L = D - A of a graph [N, N], D being the degrees."""
    return np.asarray(np.diag(adjacency.sum(axis=1)) - adjacency)


class Spectrum(NamedTuple):
    """Eigenvalues of a graph's Laplacian, smallest first, and its eigenvectors."""

    values: Array  # float64 [N]
    vectors: Array  # float64 [N, N], a column each


def laplacian_spectrum(adjacency: Array) -> Spectrum:
    """Compute the spectrum of a graph's Laplacian, the constant eigenvector first.

    A graph in parts has others with the eigenvalue 0. They too have mean 0 here, as all but the first have.
    """
    n_states = len(adjacency)
    shifted = laplacian(adjacency) - 1.0 / n_states  # the constant vector's eigenvalue becomes -1, all others stay
    values, vectors = np.linalg.eigh(shifted)
    values[0] = 0.0
    return Spectrum(values, signed(vectors))


def laplacian_eigenvectors(adjacency: Array) -> Array:
    """Compute the eigenvectors of a graph's Laplacian [N, N], a column each; see :func:`laplacian_spectrum`."""
    return laplacian_spectrum(adjacency).vectors


def signed(vectors: Array) -> Array:
    """Give columns [N, K] the sign by which their entry of largest size is positive: eigenvectors have none."""
    largest = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0.0, -1.0, 1.0))


def successor(chain: Array, gamma: float) -> Array:
    """Compute the successor representation (I - gamma P)^-1 of a chain [N, N]: float64 [N, N], a state's in its row.

    Raises:
        ValueError: gamma outside [0, 1).
    """
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma = {gamma}: expected 0 or more and less than 1 for a successor representation")
    return np.asarray(np.linalg.inv(np.eye(len(chain)) - gamma * chain))


def deepwalk_matrix(chain: Array, weight: Array, window: int, negatives: float = 1.0) -> Array:
    """Compute what skip-gram by negative sampling with all dimensions comes to on endless walks of a chain.

    log(sum over r = 1 ... T of (P^r)_ij / (T b pi_j)) with T the window, b the negative samples and pi the share of
    time in a state; symmetric where the chain is reversible. What never occurs together, or less than independence
    has it, counts as 0 (the logarithm of max(1, .), Qiu et al. 2018, section 3.2).

    Args:
        chain: float64 [N, N], stochastic.
        weight: float64 [N], pi; positive.
        window: T.
        negatives: b.
    """
    total = np.zeros_like(chain)
    power = np.eye(len(chain))
    for _ in range(window):
        power = power @ chain
        total += power
    ratio = total / (window * negatives * weight[None])
    return np.asarray(np.log(np.maximum(ratio, 1.0)))
