"""Tests of observations as patterns."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.common.encoders.patterns import make_pattern_adapter
from simulator.core.protocols import EnvSpec


def adapter(space, **settings):
    return make_pattern_adapter(EnvSpec("env", space, spaces.Discrete(2)), "agent.encoder", **settings)


@pytest.mark.parametrize(
    ("space", "obs"),
    [
        (spaces.Discrete(3), np.array([0, 2, 1])),
        (spaces.MultiBinary(2), np.array([[0, 1], [1, 1]], np.int8)),
        (spaces.MultiDiscrete([3, 4]), np.array([[0, 3], [2, 1]])),
        (spaces.Box(np.float32([-2.0, -np.inf]), np.float32([6.0, np.inf])), np.array([[-2.0, 5.0], [3.0, -0.25]])),
    ],
)
def test_patterns_lie_between_minus_1_and_1_and_give_the_observations_back(space, obs):
    made = adapter(space)
    patterns = made.encode(obs)
    assert patterns.dtype == np.float32
    assert patterns.shape == (len(obs), made.n)
    assert np.abs(patterns).max() <= 1.0
    np.testing.assert_allclose(made.decode(patterns), obs, rtol=1e-5, atol=1e-5)


def test_numbers_outside_their_bounds_are_clipped():
    np.testing.assert_array_equal(adapter(spaces.Box(0.0, 1.0, (1,))).encode(np.array([[7.0]])), [[1.0]])


def test_images_become_means_of_squares_of_pixels_one_colour_after_the_other():
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
    made = adapter(spaces.Box(0, 255, (5, 4, 3), np.uint8), image_side=3)
    assert made.shape == (3, 3, 2)
    patterns = made.encode(image).reshape(2, 3, 3, 2)
    np.testing.assert_allclose(patterns[1, 2, 0, 1], image[1, :2, 2:, 2].mean() / 127.5 - 1.0, atol=1e-6)
    np.testing.assert_allclose(patterns[0, 0, 2, 0], image[0, 4:, :2, 0].mean() / 127.5 - 1.0, atol=1e-6)


def test_what_is_no_observation_of_numbers_is_refused():
    with pytest.raises(ValueError, match=r"agent\.encoder on env: observation space Text.*expected Discrete or a Box"):
        adapter(spaces.Text(5))
