"""Tests of what a map keeps: neighbours, rooms, and linear values, against numbers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from envs import rooms
from simulator.atlas.measures import agreement, kmeans, linear_quality, neighbours_kept, steps_kept
from simulator.atlas.states import rooms_at, rooms_on_map
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
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


def test_places_on_a_line_keep_the_neighbours_by_steps():
    path = np.zeros((9, 9))
    path[np.arange(8), np.arange(1, 9)] = 1.0
    # of two equally near states the one of lower number is nearer by steps and on the line alike
    assert steps_kept(np.arange(9.0)[:, None], path + path.T, 2) == (1.0, 1.0)


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
