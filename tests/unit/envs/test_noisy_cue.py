"""Tests of the noisy cue: its bounds by hand, and the compiled step beside numpy on the same streams."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

from envs.noisy_cue import Config, best_choice, describe, majority_is_right, make, stored_patterns
from simulator.core import rng
from simulator.training.evaluation import optimum


@pytest.mark.parametrize(
    ("flip", "bounds"),
    [
        (0.2, [0.8, 0.896, 0.94208, 0.98042]),
        (0.3, [0.7, 0.784, 0.83692, 0.90119]),
        (0.4, [0.6, 0.648, 0.68256, 0.73343]),
    ],
)
def test_several_looks_at_a_bit_are_worth_their_majority(flip, bounds):
    for looks, bound in zip((1, 3, 5, 9), bounds, strict=True):
        spec = describe(Config(cue="bit", flip=flip, looks=looks))
        assert optimum(spec) == spec.optimal_return == pytest.approx(bound, abs=1e-5)
        assert spec.memoryless_return == 1 - flip
        assert spec.random_score == 0.5
        assert spec.reward_threshold == pytest.approx(0.99 * bound, abs=1e-5)


def test_balanced_looks_are_worth_a_coin():
    assert majority_is_right(2, 0.2) == pytest.approx(0.64 + 0.32 / 2)
    assert majority_is_right(4, 0.0) == 1.0
    assert majority_is_right(3, 0.5) == pytest.approx(0.5)


def test_the_estimate_is_near_the_enumeration_of_every_look():
    """Three patterns of four units, two rooms: all 16 looks, by hand; and two looks, 256."""
    patterns = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1]], np.float32)
    for looks in (1, 2):
        exact = 0.0
        for seen in product(product((-1, 1), repeat=4), repeat=looks):
            wrong = (np.array(seen)[:, None] != patterns).sum(axis=(0, 2))  # of every pattern
            joint = 0.3**wrong * 0.7 ** (4 * looks - wrong) / 3
            exact += max(joint[0] + joint[2], joint[1])
        assert best_choice(patterns, 2, 0.3, looks) == pytest.approx(exact, abs=0.004)  # within three standard errors


def test_digits_are_worth_what_their_posterior_says():
    """The best of 64 digits in two rooms with 20 % flips; no flips leave no doubt, and half of them no knowledge."""
    assert describe(Config()).optimal_return == pytest.approx(0.923, abs=0.03)
    assert describe(Config(flip=0.0)).optimal_return == pytest.approx(1.0)
    assert describe(Config(flip=0.5)).optimal_return == pytest.approx(0.5)
    spec = describe(Config(looks=3))
    assert spec.optimal_return > 0.99 > 0.93 > spec.memoryless_return


@pytest.mark.parametrize("settings", [{}, {"cue": "bit", "looks": 3}, {"cues": 6, "rooms": 4, "looks": 2, "flip": 0.4}])
def test_the_compiled_env_follows_numpy_on_the_same_streams(settings):
    config = Config(**settings)
    seed_list = [5, 0, 77]
    env = make(seed_list, config)
    patterns = stored_patterns(config)
    generators = rng.generators(seed_list, "env")
    actions = rng.generators([1], "exploration")[0].integers(config.rooms, size=(60, config.looks, 3))

    def look(cue, generator):
        return np.where(generator.random(patterns.shape[1]) < config.flip, -patterns[cue], patterns[cue])

    def begin(generator):
        cue = int(generator.random() * len(patterns))
        return cue, look(cue, generator)

    cues, looks = zip(*map(begin, generators), strict=True)
    np.testing.assert_array_equal(env.reset(), looks)
    right = 0
    for episode in actions:
        for t, row in enumerate(episode):
            step = env.step(row)
            is_last = t == config.looks - 1
            assert (step.terminated == is_last).all()
            assert not step.truncated.any()
            if is_last:
                np.testing.assert_array_equal(step.reward, row == np.array(cues) % config.rooms)
                assert not step.final_obs.any()
                right += step.reward.sum()
                cues, looks = zip(*map(begin, generators), strict=True)
            else:
                looks = [look(cue, generator) for cue, generator in zip(cues, generators, strict=True)]
                np.testing.assert_array_equal(step.final_obs, looks)
                assert not step.reward.any()
            np.testing.assert_array_equal(step.obs, looks)
    assert 0 < right < 180


def test_the_likeliest_room_earns_the_bound():
    """Play the Bayes policy of one look: its mean is the optimum, within four standard errors."""
    config = Config(cues=20, flip=0.3, rooms=4)
    env = make(range(500), config)
    obs, earned = env.reset(), []
    beta = 0.5 * np.log(0.7 / 0.3)
    for _ in range(20):
        posterior = np.exp(beta * obs @ env.spec.patterns.T)
        room = np.stack([posterior[:, r::4].sum(axis=1) for r in range(4)], axis=1).argmax(axis=1)
        step = env.step(room)
        obs = step.obs.copy()
        earned.append(step.reward.copy())
    bound = env.spec.optimal_return
    assert np.mean(earned) == pytest.approx(bound, abs=4 * np.sqrt(bound * (1 - bound) / 10_000))


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"flip": 0.6}, "noisy_cue: flip = 0.6: expected `float` <= 0.5"),
        ({"looks": 0}, "noisy_cue: looks = 0: expected `int` >= 1"),
        ({"cue": "bit", "rooms": 3}, "noisy_cue: rooms = 3: expected at most as many as cues, 2"),
        ({"cues": 4, "rooms": 5}, "noisy_cue: rooms = 5: expected at most as many as cues, 4"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong, line):
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        describe(Config(**wrong))


def test_the_scene_shows_the_look_and_names_the_room():
    env = make([1], Config(looks=3, rooms=4))
    env.reset()
    env.step(np.array([0]))
    look = env.observe()[0]
    scene = env.scene(0)
    assert scene.facts["look"] == "2 of 3"
    assert scene.actions == ("room 0", "room 1", "room 2", "room 3")
    assert int(scene.facts["room"]) == int(scene.facts["cue"]) % 4
    np.testing.assert_array_equal(scene.walls, look.reshape(8, 8) > 0)
