"""Tests of what a map keeps: neighbours, rooms, and linear values, against numbers that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from envs import rooms
from simulator.atlas.measures import agreement, kmeans, linear_quality, neighbours_kept, steps_kept
from simulator.atlas.sources import exact_values
from simulator.atlas.states import rooms_at, rooms_on_map
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from simulator.core.mdp.model import FiniteMDP
from simulator.core.scene import Scene
from tests.benchmarks import atlas_values
from tests.benchmarks.linear_values import every_goal

GOALS = every_goal()
EXACT = [atlas_values.exact_of(GOALS[goal], goal) for goal in range(0, 104, 13)]


def test_a_turned_map_keeps_all_neighbours_and_a_shuffled_one_does_not():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(40, 2))
    turned = 3.0 * points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert neighbours_kept(turned, points, 5) == (1.0, 1.0)
    shuffled = neighbours_kept(generator.permutation(points), points, 5)
    assert max(shuffled) < 0.7
    assert neighbours_kept(points[:2], points[:2], 5) is None


def test_neighbours_by_steps_by_hand():
    path = np.diag(np.ones(4), 1)
    # nearest on the line 2, 3, 0, 1, 3: ranks by steps 2, 3, 3, 3, 1, of 0 and 4 seen from 2 the nearer one first;
    # nearest by steps 1, 2, 1, 4, 3: ranks on the line 2, 3, 2, 2, 1
    found = steps_kept(np.array([0.0, 10.0, 1.0, 11.5, 13.5])[:, None], path, 1)
    assert found == (pytest.approx(1.0 - 7.0 / 15.0), pytest.approx(1.0 - 5.0 / 15.0))


def test_a_floor_and_a_graph_in_parts_keep_all_neighbours_by_steps():
    floor = np.array([[row, column] for row in range(4) for column in range(5)], np.float64)
    adjacency = np.abs(floor[:, None] - floor).sum(axis=2) == 1.0
    for k in (2, 3, 6):  # of several states two steps away any may be the nearest
        assert steps_kept(floor, adjacency, k) == (1.0, 1.0)
    parts = np.diag([1.0, 1.0, 0.0, 1.0, 1.0], 1)
    assert steps_kept(np.array([0.0, 1.0, 2.0, 9.0, 10.0, 11.0])[:, None], parts, 2) == (1.0, 1.0)


def test_illegal_actions_are_not_chosen_and_constant_values_are_explained():
    """Two states cost 1 and 2, and lead to the second; the first one's second action is illegal: 0 is no value."""
    ones = np.ones((2, 2, 1))
    reward = np.array([[[-1.0], [-1.0]], [[-2.0], [-2.0]]])
    legal = np.array([[True, False], [True, True]])
    mdp = FiniteMDP(ones, np.ones((2, 2, 1), np.int64), reward, 0 * ones, np.array([0.5, 0.5]), legal)
    exact = exact_values(mdp, np.arange(2), 0.9)
    assert linear_quality(np.eye(2), exact) == (pytest.approx(1.0), 1.0)
    rounded = dataclasses.replace(exact, values=np.array([3.0, 3.0 + 1e-15]))
    assert linear_quality(np.zeros((2, 1)), rounded).explained == 1.0


def test_the_rooms_of_the_four_rooms():
    scene = rooms.make([0], rooms.Config(layout="four")).scene(0)
    numbers = rooms_at(scene, np.asarray(scene.places))
    assert np.bincount(numbers + 1).tolist() == [4, 25, 30, 25, 20]  # four doorways, and the rooms
    assert rooms_on_map(Scene("", walls=np.zeros((3, 3), np.bool_))) is None
    assert rooms_on_map(Scene("")) is None


def test_four_clusters_of_four_numbers_of_the_laplacian_are_the_rooms():
    scene = rooms.make([0], rooms.Config(layout="four")).scene(0)
    truth = rooms_at(scene, np.asarray(scene.places))
    smooth = laplacian_eigenvectors(adjacency_of(GOALS[0]))[:, 1:4]
    assert agreement(kmeans(smooth, 4, 0)[0], truth) == 1.0
    assert agreement(np.zeros(104, np.int64), truth) == 0.0
    assert agreement(np.zeros(3, np.int64), np.array([0, 0, -1])) is None


def test_all_features_explain_everything_and_a_constant_nothing():
    for exact in EXACT:
        full = linear_quality(np.eye(104), exact)
        assert full.explained == pytest.approx(1.0)
        assert full.optimal == pytest.approx(1.0)
        none = linear_quality(np.ones((104, 1)), exact)
        assert none.explained == pytest.approx(0.0, abs=1e-9)
        assert none.optimal < 0.6


@pytest.mark.parametrize(
    ("name", "quality"),  # share of the variance of V*, share of optimal actions, by k: computed apart
    [
        ("Laplacian", {2: (0.39, 0.73), 8: (0.79, 0.94)}),
        ("DeepWalk matrix, no constant", {2: (0.19, 0.83), 8: (0.79, 0.95)}),
        ("PCA of the 5x5 window", {2: (0.06, 0.57), 16: (0.21, 0.66)}),
        ("k-means of x, y", {4: (0.70, 0.47)}),
    ],
)
def test_four_rooms_have_the_values_that_were_computed_apart(name, quality, monkeypatch):
    monkeypatch.setattr(atlas_values, "random_walks", lambda chain: np.zeros((16, 1, 2), np.int64))  # takes long
    scene = rooms.make([0], rooms.Config(layout="four")).scene(0)
    embed = atlas_values.embeddings(GOALS[0], scene)[name]
    exact = [atlas_values.exact_of(mdp, goal) for goal, mdp in enumerate(GOALS)]
    for k, (explained, optimal) in quality.items():
        found = [linear_quality(embed(k)[0], each, constant=False) for each in exact]
        assert np.mean([each.explained for each in found]) == pytest.approx(explained, abs=0.02)
        assert np.mean([each.optimal for each in found]) == pytest.approx(optimal, abs=0.035)
