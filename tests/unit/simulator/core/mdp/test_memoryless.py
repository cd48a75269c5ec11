"""Tests of the best return without memory, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.mdp.memoryless import memoryless_return
from simulator.core.mdp.model import FiniteMDP, checked


def guessing(pays, max_steps=2):
    """Three numbers, shown in one step and guessed in the next: ``pays`` [3, 2] for two guesses."""
    next_state = np.array([3, 4, 5, 6, 6, 6, 6])[:, None, None].repeat(2, axis=1)
    reward = np.zeros((7, 2, 1))
    reward[3:6, :, 0] = pays
    end = np.zeros((7, 2, 1), np.uint8)
    end[3:] = 1
    start = np.array([0.5, 0.25, 0.25, 0, 0, 0, 0])
    return checked(FiniteMDP(np.ones((7, 2, 1)), next_state, reward, end, start, np.ones((7, 2), np.bool_), max_steps))


@pytest.mark.parametrize(
    ("obs", "best"),
    [
        ([0, 1, 2, 3, 4, 5, 6], 0.5 * 8 + 0.25 * 4 + 0.25 * 12),  # everything is seen
        ([0, 1, 2, 3, 3, 3, 6], max(0.5 * 8, 0.25 * 4 + 0.25 * 12)),  # one guess for all
        ([0, 1, 2, 3, 3, 4, 6], max(0.5 * 8, 0.25 * 4) + 0.25 * 12),
    ],
)
def test_every_observation_has_one_action(obs, best):
    mdp = guessing([[8, 0], [0, 4], [0, 12]])
    assert memoryless_return(mdp, np.array(obs)) == best
    assert memoryless_return(mdp, np.eye(7)[obs]) == best  # vectors, not numbers


def test_an_episode_that_is_cut_before_the_guess_is_worth_nothing():
    assert memoryless_return(guessing(np.ones((3, 2)), max_steps=1), np.arange(7)) == 0


def test_where_actions_decide_what_follows_it_is_not_known():
    mdp = guessing(np.ones((3, 2)))
    mdp.next[0, 1] = 4
    assert memoryless_return(mdp, np.arange(7)) is None
    assert memoryless_return(guessing(np.ones((3, 2)), max_steps=None), np.arange(7)) is None
