"""Markov chains with leaks: where they stay for ever, what they collect, how often they visit."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.sparse.linalg import splu

_LEAK = 1e-12  # less than this is rounding


def solve(matrix: Any, right: np.ndarray) -> np.ndarray:
    """Solve for x in ``matrix @ x = right`` by sparse LU."""
    if matrix.shape[0] == 0:
        return np.zeros(right.shape)
    return np.asarray(splu(matrix.tocsc()).solve(right))


def discounted(chain: Any, reward: np.ndarray, gamma: float) -> np.ndarray:
    """Solve v = reward + gamma chain v (Puterman 1994, theorem 6.1.1); gamma below 1."""
    return solve(sparse.identity(len(reward), format="csc") - gamma * chain, reward)


def closed_classes(chain: Any) -> list[np.ndarray]:
    """The sets of states that are never left once entered: no leak, no way out (Puterman 1994, A.2)."""
    n, label = connected_components(chain, connection="strong")
    links = chain.tocoo()
    inside = np.bincount(links.row, links.data * (label[links.row] == label[links.col]), minlength=len(label))
    closed = np.ones(n, bool)
    closed[label[inside < 1 - _LEAK]] = False
    members = np.flatnonzero(closed[label])
    members = members[np.argsort(label[members], kind="stable")]
    return np.split(members, np.flatnonzero(np.diff(label[members])) + 1) if len(members) else []


def leads_to(chain: Any, targets: np.ndarray) -> np.ndarray:
    """Mark, bool [N], the states from which ``targets`` (bool [N]) can be reached, themselves included."""
    n = len(targets)
    edges = chain.T.tocoo()  # from every target backwards, by way of one more node that leads to them all
    extra = np.flatnonzero(targets)
    rows, columns = np.concatenate([edges.row, np.full(len(extra), n)]), np.concatenate([edges.col, extra])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n + 1, n + 1))
    reached = np.zeros(n + 1, bool)
    reached[breadth_first_order(graph, n, return_predecessors=False)] = True
    return reached[:n]


def totals(chain: Any, reward: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """What is collected in all, [N], undiscounted (Puterman 1994, 7.1).

    Where it has no finite limit - a closed class whose rewards are not all 0 may be entered - it is infinity with
    the sign of ``sign`` [N].
    """
    n = len(reward)
    still, restless = np.zeros(n, bool), np.zeros(n, bool)
    for group in closed_classes(chain):
        quiet = np.abs(reward[group]).max() <= _LEAK * max(1.0, np.abs(reward).max())
        (still if quiet else restless)[group] = True
    lost = leads_to(chain, restless)
    values = np.where(lost, np.where(sign > 0, np.inf, -np.inf), 0.0)
    passing = np.flatnonzero(~lost & ~still)
    inner = sparse.identity(len(passing), format="csc") - chain[passing][:, passing]
    values[passing] = solve(inner, reward[passing])
    return values


def occupation(chain: Any, first: int) -> np.ndarray:
    """The share of time in every state in the long run, [N], from state ``first`` in a chain without leaks.

    With several closed classes each counts by the probability to end up in it (Puterman 1994, A.4).
    """
    n = chain.shape[0]
    classes = closed_classes(chain)
    passing = np.setdiff1d(np.arange(n), np.concatenate(classes))
    visits = np.zeros(n)
    if first in passing:
        inner = sparse.identity(len(passing), format="csc") - chain[passing][:, passing].T
        visits[passing] = solve(inner, (passing == first).astype(float))
    entered = chain.T @ visits
    entered[first] += 1.0
    share = np.zeros(n)
    for group in classes:
        share[group] = entered[group].sum() * _stationary(chain[group][:, group])
    return share


def _stationary(chain: Any) -> np.ndarray:
    """The stationary distribution of one closed class: the last balance equation gives way to the sum of 1."""
    n = chain.shape[0]
    balance = (sparse.identity(n) - chain.T).tolil()
    balance[n - 1] = np.ones(n)
    right = np.zeros(n)
    right[n - 1] = 1.0
    return solve(balance, right)
