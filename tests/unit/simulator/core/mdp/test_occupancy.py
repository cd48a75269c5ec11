"""Tests of the compiled occupancy: the bits of SciPy's products, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from simulator.core.mdp.occupancy import follow_chain


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_the_steps_are_those_of_sparse_products_to_the_bit(gamma):
    generator = np.random.Generator(np.random.PCG64(3))
    chain = generator.dirichlet(np.full(40, 0.05), 40) * generator.uniform(0.5, 1.0, (40, 1))
    backwards = sparse.csr_matrix(chain.T)
    occupancy = generator.dirichlet(np.ones(40))
    expected = [occupancy.copy()]
    for _ in range(30):
        expected.append(gamma * (backwards @ expected[-1]))
    steps = np.empty((30, 40))
    n = follow_chain(backwards.indptr, backwards.indices, backwards.data, gamma, occupancy, steps)
    assert n == 30
    np.testing.assert_array_equal(steps, expected[:-1])
    np.testing.assert_array_equal(occupancy, expected[-1])


def test_it_ends_where_no_episode_goes_on():
    backwards = sparse.csr_matrix(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    occupancy = np.array([1.0, 0.0, 0.0])
    steps = np.full((10, 3), np.nan)
    assert follow_chain(backwards.indptr, backwards.indices, backwards.data, 1.0, occupancy, steps) == 3
    np.testing.assert_array_equal(steps[:3], np.eye(3))
    assert not occupancy.any()
