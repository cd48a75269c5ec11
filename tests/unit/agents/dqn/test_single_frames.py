"""Stacks of one frame: the observation alone says what the networks see, so policies have values, and exact returns."""

from functools import partial

import numpy as np
import pytest

from agents import dqn
from agents.common.networks.conv import ConvSettings
from envs import rooms

PICTURES = partial(rooms.Config, layout="four", observation="pixels", cell_pixels=3)
CONV = {"channels": (4,), "kernels": (3,), "strides": (3,), "hidden": (8,)}


def policy_of(frames, **settings):
    env = rooms.make([0, 1], PICTURES())
    config = dqn.Config(conv=ConvSettings(frames=frames, **CONV), buffer_size=100, **settings)
    return env.spec, dqn.make(env.spec, [0, 1], config).policy()


@pytest.mark.parametrize("dueling", [False, True])
def test_the_best_values_of_every_picture_are_those_that_it_acts_by(dueling):
    spec, policy = policy_of(1, dueling=dueling)
    pictures = spec.state_obs
    values = policy.values(pictures)
    assert values.shape == (2, len(pictures), 4)
    assert np.ptp(values, axis=1).min() > 0.0  # walkers in other cells look different
    probs = policy.probs(pictures)
    for state in (0, 50, 103):
        actions = policy.act(np.repeat(pictures[state][None], 2, axis=0), np.ones(2, np.bool_))
        np.testing.assert_array_equal(actions, values[:, state].argmax(axis=-1))
        np.testing.assert_array_equal(actions, probs[:, state].argmax(axis=-1))


def test_a_stack_of_several_frames_depends_on_more_than_the_latest():
    spec, policy = policy_of(4)
    assert policy.values(spec.state_obs) is None
    assert policy.probs(spec.state_obs) is None
