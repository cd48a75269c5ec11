"""Tests of the encoder atlas: what it comes to in rooms, ends of episodes, and what it was never shown."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.components import atlas
from envs import rooms
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from simulator.core.protocols import EnvSpec
from tests.benchmarks.linear_values import every_goal

GOAL = every_goal()[0]
ROOMS = EnvSpec("rooms", spaces.Discrete(104), spaces.Discrete(4))


def _walk(n_steps, seed=0):
    generator = np.random.default_rng(seed)
    states = [0]
    for action in generator.integers(4, size=n_steps - 1):
        states.append(int(GOAL.next[states[-1], action, 0]))
    return states


def _taught(config, walk, spec=ROOMS, ends=()):
    encoder = atlas.make(config).encoder(spec, [0])
    for t, obs in enumerate(walk):
        encoder.see_ends(np.array([t in ends]))
        assert encoder.learn(np.array([obs]), t + 1) == (t == len(walk) - 1)
    return encoder


@pytest.mark.slow
def test_with_enough_steps_smooth_functions_are_those_of_the_true_graph():
    encoder = _taught(atlas.Config(size=8, collect=12_000), _walk(12_000))
    found = encoder.features(np.arange(104))[0]
    expected = laplacian_eigenvectors(adjacency_of(GOAL))[:, 1:9] * np.sqrt(104)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("method", ["kmeans", "hac"])
def test_four_clusters_are_the_four_rooms(method):
    encoder = _taught(atlas.Config(method=method, size=4, collect=6_000), _walk(6_000))
    found = encoder.features(np.arange(104))[0]
    met = found.any(axis=1)
    assert set(found[met].sum(axis=1)) == {1.0}
    places = np.asarray(rooms.make([0], rooms.Config(layout="four")).scene(0).places)
    corners = [np.flatnonzero((places == corner).all(axis=1))[0] for corner in ([1, 1], [1, 11], [11, 1], [11, 11])]
    assert len({found[corner].argmax() for corner in corners}) == 4


@pytest.mark.parametrize("method", ["svd", "skip_gram"])
def test_states_of_one_room_are_alike(method):
    found = _taught(atlas.Config(method=method, size=8, collect=6_000), _walk(6_000)).features(np.arange(104))[0]
    np.testing.assert_allclose(found[found.any(axis=1)].std(axis=0), 1.0, atol=1e-3)
    distance = np.linalg.norm(found[:, None] - found[None], axis=-1)
    one_step = (adjacency_of(GOAL) > 0) & found.any(axis=1)[:, None] & found.any(axis=1)
    assert distance[one_step].mean() < 0.6 * distance.mean()


def test_the_end_of_an_episode_joins_nothing():
    walk = [0, 1, 0, 1, 2, 3, 2, 3]
    spec = EnvSpec("line", spaces.Discrete(5), spaces.Discrete(2))
    joined = _taught(atlas.Config(size=2, collect=8), walk, spec).features(np.arange(5))[0]
    parted = _taught(atlas.Config(size=2, collect=8), walk, spec, ends=(3,)).features(np.arange(5))[0]
    assert len(np.unique(joined[:4, 0].round(4))) == 4
    # two parts: the Laplacian has a second constant function, one number for each part
    np.testing.assert_allclose(parted[[0, 2], 0], parted[[1, 3], 0], atol=1e-6)
    np.testing.assert_allclose([parted[:4].mean(axis=0), parted[:4].std(axis=0)], [[0.0] * 2, [1.0] * 2], atol=1e-6)
    assert not joined[4].any()  # never collected


def test_numbers_go_to_the_nearest_landmark():
    spec = EnvSpec("box", spaces.Box(-1.0, 1.0, (1,), np.float32), spaces.Discrete(2))
    walk = np.concatenate([np.linspace(-0.9, -0.7, 20), np.linspace(0.7, 0.9, 20)])[:, None].astype(np.float32)
    config = atlas.Config(method="kmeans", of="observations", size=2, collect=40, landmarks=6)
    found = _taught(config, walk, spec).features(np.array([[-1.0], [-0.5], [0.6], [1.0]], np.float32))[0]
    assert found.argmax(axis=1)[0] == found.argmax(axis=1)[1] != found.argmax(axis=1)[2] == found.argmax(axis=1)[3]


def test_one_state_has_features_too():
    spec = EnvSpec("one", spaces.Discrete(2), spaces.Discrete(2))
    for method in ("laplacian", "svd", "skip_gram", "kmeans", "hac"):
        encoder = _taught(atlas.Config(method=method, size=2, collect=3), [1, 1, 1], spec)
        assert np.isfinite(encoder.features(np.arange(2))).all()
