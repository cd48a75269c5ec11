"""Substochastic Markov chains: closed classes, reachability, total and discounted reward, occupation."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.sparse.linalg import splu

_ROUNDING = 1e-12  # probabilities below this do not count


def solve_linear(matrix: Any, right: np.ndarray) -> np.ndarray:
    """Solve for x in ``matrix @ x = right`` by sparse LU."""
    if matrix.shape[0] == 0:
        return np.zeros(right.shape)
    return np.asarray(splu(matrix.tocsc()).solve(right))


def discounted_value(chain: Any, reward: np.ndarray, gamma: float) -> np.ndarray:
    """Solve v = reward + gamma * chain @ v (Puterman 1994, theorem 6.1.1); gamma below 1."""
    return solve_linear(sparse.identity(len(reward), format="csc") - gamma * chain, reward)


def closed_classes(chain: Any) -> list[np.ndarray]:
    """Return the sets of states that are never left once entered (Puterman 1994, A.2)."""
    n, label = connected_components(chain, connection="strong")
    edges = chain.tocoo()
    inside = np.bincount(edges.row, edges.data * (label[edges.row] == label[edges.col]), minlength=len(label))
    closed = np.ones(n, bool)
    closed[label[inside < 1 - _ROUNDING]] = False
    members = np.flatnonzero(closed[label])
    members = members[np.argsort(label[members], kind="stable")]
    return np.split(members, np.flatnonzero(np.diff(label[members])) + 1) if len(members) else []


def reachable_from(chain: Any, sources: np.ndarray) -> np.ndarray:
    """Mark, bool [N], the states that can be reached from ``sources`` (bool [N]), themselves included."""
    n = len(sources)
    edges = chain.tocoo()
    extra = np.flatnonzero(sources)  # one more node leads to all sources
    rows = np.concatenate([edges.row, np.full(len(extra), n)])
    columns = np.concatenate([edges.col, extra])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n + 1, n + 1))
    reached = np.zeros(n + 1, bool)
    reached[breadth_first_order(graph, n, return_predecessors=False)] = True
    return reached[:n]


def can_reach(chain: Any, targets: np.ndarray) -> np.ndarray:
    """Mark, bool [N], the states from which ``targets`` (bool [N]) can be reached, themselves included."""
    return reachable_from(chain.T, targets)


def total_reward(chain: Any, reward: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Return the undiscounted sum of rewards from every state, [N] (Puterman 1994, 7.1).

    Where it has no finite limit - a closed class whose rewards are not all 0 may be entered - it is infinity with
    the sign of ``sign`` [N].
    """
    n = len(reward)
    is_zero = np.zeros(n, bool)  # in a closed class without rewards
    is_endless = np.zeros(n, bool)  # in a closed class with rewards
    for group in closed_classes(chain):
        unrewarded = np.abs(reward[group]).max() <= _ROUNDING * max(1.0, np.abs(reward).max())
        (is_zero if unrewarded else is_endless)[group] = True
    diverges = can_reach(chain, is_endless)
    values = np.where(diverges, np.where(sign > 0, np.inf, -np.inf), 0.0)
    transient = np.flatnonzero(~diverges & ~is_zero)
    inner = sparse.identity(len(transient), format="csc") - chain[transient][:, transient]
    values[transient] = solve_linear(inner, reward[transient])
    return values


def occupation(chain: Any, first: int) -> np.ndarray:
    """Return the fraction of time in every state in the long run, [N], from state ``first`` of a stochastic chain.

    With several closed classes each counts by the probability to end up in it (Puterman 1994, A.4).
    """
    n = chain.shape[0]
    classes = closed_classes(chain)
    transient = np.setdiff1d(np.arange(n), np.concatenate(classes))
    visits = np.zeros(n)
    if first in transient:
        inner = sparse.identity(len(transient), format="csc") - chain[transient][:, transient].T
        visits[transient] = solve_linear(inner, (transient == first).astype(float))
    entered = chain.T @ visits
    entered[first] += 1.0
    fraction = np.zeros(n)
    for group in classes:
        fraction[group] = entered[group].sum() * _stationary(chain[group][:, group])
    return fraction


def _stationary(chain: Any) -> np.ndarray:
    """Return the stationary distribution of a closed class; the sum of 1 replaces the last balance equation."""
    n = chain.shape[0]
    balance = (sparse.identity(n) - chain.T).tolil()
    balance[n - 1] = np.ones(n)
    right = np.zeros(n)
    right[n - 1] = 1.0
    return solve_linear(balance, right)
