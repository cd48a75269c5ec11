"""Tests of the graph of states: the Laplacian's spectrum, and the successor representation's."""

from __future__ import annotations

import numpy as np
import pytest

from envs import rooms
from simulator.core.embeddings.graph import adjacency_of, laplacian, laplacian_eigenvectors, signed, successor
from simulator.core.mdp.model import policy_chain, transitions, uniform_policy
from tests.benchmarks.linear_values import every_goal


def test_a_path_of_three():
    adjacency = np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(np.linalg.eigvalsh(laplacian(adjacency)), [0, 1, 3], atol=1e-12)
    vectors = laplacian_eigenvectors(adjacency)
    np.testing.assert_allclose(np.abs(vectors[:, 1]), [np.sqrt(0.5), 0, np.sqrt(0.5)], atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_on_a_grid_the_successor_representation_has_the_laplacians_vectors(gamma):
    mdp = every_goal()[0]  # four rooms, where a blocked move stays: P = I - L / 4
    chain = policy_chain(uniform_policy(mdp), transitions(mdp, ())).toarray()
    eigenvalues, vectors = np.linalg.eigh(laplacian(adjacency_of(mdp)))
    expected = 1.0 / (1.0 - gamma * (1.0 - eigenvalues / 4.0))
    np.testing.assert_allclose(successor(chain, gamma) @ vectors, vectors * expected, atol=1e-9)


def test_the_graph_of_an_environment_counts_moves_either_way():
    spec = rooms.make([0], rooms.Config(layout="corridor", length=3)).spec
    adjacency = adjacency_of(spec.mdp)
    assert (adjacency == adjacency.T).all()
    assert not adjacency.diagonal().any()
    assert sorted(adjacency.sum(axis=1)) == [1, 1, 2, 2]


def test_signs_and_a_discount_of_one():
    assert signed(np.array([[1.0, -3.0], [-2.0, 1.0]])).tolist() == [[-1.0, 3.0], [2.0, -1.0]]
    with pytest.raises(ValueError, match="less than 1"):
        successor(np.eye(2), 1.0)
