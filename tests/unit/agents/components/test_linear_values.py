"""The measurement of codes by linear values: goals, bounds and controls of known quality."""

import numpy as np
import pytest

from envs import rooms
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from tests.benchmarks import linear_values

GOALS = linear_values.every_goal()
N_CELLS = 104


def test_the_rooms_are_those_of_the_environment_with_every_cell_as_the_goal():
    assert len(GOALS) == N_CELLS
    mdp = rooms.make([0], rooms.Config(layout="four")).spec.mdp
    (goal,) = np.unique(mdp.next[mdp.end > 0])
    others = np.arange(N_CELLS) != goal
    for name in ("next", "reward", "end"):
        np.testing.assert_array_equal(getattr(GOALS[goal], name)[others], getattr(mdp, name)[others])


@pytest.mark.parametrize(
    ("k", "explained", "optimal"), [(2, 0.39, 0.73), (4, 0.75, 0.90), (8, 0.79, 0.94), (16, 0.82, 0.95)]
)
def test_eigenvectors_of_the_graph_have_the_quality_that_was_computed_apart(k, explained, optimal):
    found = linear_values.quality(GOALS, laplacian_eigenvectors(adjacency_of(GOALS[0]))[:, :k])
    assert found["explained"] == pytest.approx(explained, abs=0.006)
    assert found["optimal"] == pytest.approx(optimal, abs=0.02)


def test_the_true_state_explains_everything_and_a_constant_nothing():
    best = linear_values.quality(GOALS, np.eye(N_CELLS))
    assert best["explained"] == pytest.approx(1.0)
    assert best["optimal"] == pytest.approx(1.0)
    assert best["apart"] == 1.0
    worst = linear_values.quality(GOALS, np.zeros((N_CELLS, 2)))
    assert worst["explained"] == pytest.approx(0.0, abs=1e-9)
    assert worst["apart"] == 0.0
    assert worst["optimal"] < 0.6


def test_eigenvectors_of_the_successor_representation_are_those_of_the_laplacian():
    smooth = laplacian_eigenvectors(adjacency_of(GOALS[0]))[:, :4]
    found = linear_values.successor_eigenvectors(GOALS)[:, :4]
    np.testing.assert_allclose(np.abs(found.T @ smooth), np.eye(4), atol=1e-6)
